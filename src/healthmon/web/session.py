"""Signed, stateless sessions: they outlive a restart and die with the token."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from healthmon.model.ports import Clock

REVOKED_LIMIT = 4096
FAILURES_LIMIT = 1024
TRIES = 10
TRIES_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """One person at one browser. `issued`: Unix seconds."""

    name: str
    issued: float
    nonce: str


class Sessions:
    """Issues and reads session cookies; counts failed sign-ins by address."""

    def __init__(self, *, token: str, hours: float, clock: Clock) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"healthmon session 1", "sha256")
        self._lives_s = hours * 3600.0
        self._clock = clock
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def token_is(self, given: str) -> bool:
        """Constant-time comparison with the site's token."""
        return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(self._token).digest())

    def issue(self, name: str) -> str:
        """A new cookie value for this person."""
        facts = [name, round(self._clock.now(), 3), secrets.token_urlsafe(12)]
        body = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode()
        return f"{body}.{self._sign('cookie', body)}"

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie value, or None when it is forged, expired or signed out."""
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("cookie", body).encode()):
            return None
        try:
            name, issued, nonce = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error):
            return None
        age = self._clock.now() - issued
        if nonce in self._revoked or not -300.0 <= age <= self._lives_s:
            return None
        return Session(name, issued, nonce)

    def revoke(self, session: Session) -> None:
        """Sign out."""
        self._revoked[session.nonce] = None
        while len(self._revoked) > REVOKED_LIMIT:
            self._revoked.popitem(last=False)

    def form_token(self, session: Session) -> str:
        """What a form of this session must carry."""
        return self._sign("form", session.nonce)

    def form_token_is(self, session: Session, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.form_token(session).encode())

    def may_try(self, address: str) -> bool:
        """Whether this address may try to sign in: at most 10 failures a minute."""
        since, count = self._failures.get(address, (0.0, 0))
        return count < TRIES or self._clock.mono() - since > TRIES_WINDOW_S

    def failed(self, address: str) -> None:
        """Count one failed sign-in."""
        now = self._clock.mono()
        since, count = self._failures.pop(address, (now, 0))
        if now - since > TRIES_WINDOW_S:
            since, count = now, 0
        self._failures[address] = (since, count + 1)
        while len(self._failures) > FAILURES_LIMIT:
            self._failures.popitem(last=False)

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), "sha256").hexdigest()
