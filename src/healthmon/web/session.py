"""Sessions of the board: kept by the hash of their cookie, so that each can be ended, and outliving a restart."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from healthmon.model.errors import ConfigError
from healthmon.model.ports import Clock
from healthmon.runtime.privatefile import PrivateTable

FILE = "sessions.json"
SESSIONS_MOST = 5000
PER_USER_MOST = 20
#: How often it is written that somebody is still there.
SEEN_EVERY_S = 60.0
#: A wall clock that steps back by so much ends nobody's session.
CLOCK_STEP_S = 300.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in. how: site-token, password or oidc; user: the id, empty where the site's token was used."""

    name: str
    how: str = "site-token"
    user: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """One person at one browser. Times in Unix seconds; `key` is the hash of the cookie."""

    key: str
    name: str
    issued: float
    seen: float
    how: str = "site-token"
    user: str = ""
    groups: tuple[str, ...] = ()
    address: str = ""
    site_token: str = ""  # a fingerprint: whoever signed in with the site's token is out when it changes

    @property
    def id(self) -> str:
        """What it is called in lists and in the audit; gives nothing away."""
        return self.key[:12]


class Sessions:
    """Issues, reads and ends sessions."""

    def __init__(
        self, *, token: str, hours: float, clock: Clock, idle_s: float | None = None, path: Path | None = None
    ) -> None:
        self._token = token.encode()
        self._forms = hmac.digest(self._token, b"healthmon form 2", "sha256")
        self._lives_s = hours * 3600.0
        self._idle_s = self._lives_s if idle_s is None else idle_s
        self._clock = clock
        self._table = PrivateTable(path)
        self._live = self._restore()

    def token_is(self, given: str) -> bool:
        """Constant-time comparison with the site's token."""
        return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(self._token).digest())

    def issue(self, who: Identity | str, *, address: str = "") -> str:
        """A new cookie value for this person."""
        who = Identity(who) if isinstance(who, str) else who
        cookie, now = secrets.token_urlsafe(32), self._clock.now()
        found = Session(key_of(cookie), who.name, now, now, who.how, who.user, who.groups, address, self._fingerprint())
        self._make_room(found)
        self._live[found.key] = found
        self._write()
        return cookie

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie value, or None when it is unknown, over or ended."""
        found = self._live.get(key_of(cookie)) if cookie else None
        return found if found and not self._over(found) else None

    def touch(self, session: Session) -> None:
        """This person is still there."""
        now = self._clock.now()
        if now - session.seen >= SEEN_EVERY_S and session.key in self._live:
            self._live[session.key] = replace(session, seen=now)
            self._write()

    def all(self) -> list[Session]:
        """Those that are open, newest first."""
        open_ = (one for one in reversed(self._live.values()) if not self._over(one))
        return sorted(open_, key=lambda one: -one.issued)

    def revoke(self, session: Session) -> None:
        """End it, here and for whoever copied its cookie."""
        if self._live.pop(session.key, None):
            self._write()

    def end_all(self) -> None:
        """Everybody signs in again."""
        self._live = {}
        self._write()

    def form_token(self, subject: str) -> str:
        """What a form must carry that was given to this session, or to this person of a proxy."""
        return hmac.new(self._forms, f"form:{subject}".encode(), "sha256").hexdigest()

    def form_token_is(self, subject: str, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.form_token(subject).encode())

    def _over(self, one: Session) -> bool:
        now = self._clock.now()
        alive = -CLOCK_STEP_S <= now - one.issued <= self._lives_s and now - one.seen <= self._idle_s
        return not alive or (one.how == "site-token" and one.site_token != self._fingerprint())

    def _make_room(self, coming: Session) -> None:
        """Take out what is over, and the oldest of a person or a house that has too many."""
        keep = self.all()
        same = [one for one in keep if (one.user, one.name) == (coming.user, coming.name)]
        gone = {one.key for one in (*same[PER_USER_MOST - 1 :], *keep[SESSIONS_MOST - 1 :])}
        stay = {one.key for one in keep} - gone
        self._live = {key: one for key, one in self._live.items() if key in stay}

    def _fingerprint(self) -> str:
        return hmac.new(self._token, b"healthmon session 2", "sha256").hexdigest()[:16]

    def _restore(self) -> dict[str, Session]:
        """Sessions of before the restart; a file that cannot be read means that everybody signs in again."""
        try:
            return {key: session_of(key, row) for key, row in self._table.rows().items()}
        except (ConfigError, TypeError):
            return {}

    def _write(self) -> None:
        rows = {key: {k: v for k, v in asdict(one).items() if k != "key"} for key, one in self._live.items()}
        self._table.write(rows, durable=False)


def key_of(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def session_of(key: str, row: dict[str, Any]) -> Session:
    return Session(key, **(row | {"groups": tuple(row.get("groups", ()))}))
