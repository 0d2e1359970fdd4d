"""API tokens: made for one purpose, with a role and an end; only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthmon.model.errors import Conflict, NotFound
from healthmon.model.ports import Clock
from healthmon.model.render import rfc3339
from healthmon.runtime.privatefile import PrivateTable
from healthmon.web.permissions import Role

FILE = "tokens.json"
PREFIX = "hm_"
TOKENS_MOST = 1000


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One token without its secret. Times in Unix seconds; expires_at None: never."""

    id: str
    name: str
    role: Role
    made_at: float
    made_by: str
    expires_at: float | None
    revoked: bool = False

    def as_json(self, now: float) -> dict[str, Any]:
        over = self.expires_at is not None and self.expires_at <= now
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "state": "revoked" if self.revoked else "expired" if over else "valid",
            "made_at": rfc3339(self.made_at),
            "made_by": self.made_by,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
        }


class Tokens:
    """Makes, finds and revokes; a token reads `hm_ID_SECRET`, so that a leaked one can be named and revoked."""

    def __init__(self, path: Path | None, *, clock: Clock) -> None:
        self._table = PrivateTable(path)
        self._clock = clock

    def all(self) -> list[ApiToken]:
        """Newest first."""
        found = [token_of(id_, row) for id_, row in self._table.rows().items()]
        return sorted(found, key=lambda one: (-one.made_at, one.id))

    def find(self, given: str) -> ApiToken | None:
        """The token, unless it is unknown, revoked or over."""
        id_, _, secret = given.removeprefix(PREFIX).partition("_")
        row = self._table.rows().get(id_) if given.startswith(PREFIX) else None
        if row is None or not secrets.compare_digest(str(row["sha256"]), digest(secret)):
            return None
        found = token_of(id_, row)
        over = found.expires_at is not None and found.expires_at <= self._clock.now()
        return None if found.revoked or over else found

    def make(self, name: str, role: Role, *, by: str, expires_at: float | None) -> tuple[ApiToken, str]:
        """A new one and its text, which is shown this once."""
        rows = dict(self._table.rows())
        if len(rows) >= TOKENS_MOST:
            raise Conflict(f"there are {TOKENS_MOST} tokens already")
        id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        rows[id_] = {
            "name": name,
            "role": role,
            "sha256": digest(secret),
            "made_at": self._clock.now(),
            "made_by": by,
            "expires_at": expires_at,
            "revoked": False,
        }
        self._table.write(rows)
        return token_of(id_, rows[id_]), f"{PREFIX}{id_}_{secret}"

    def revoke(self, id_: str) -> ApiToken:
        rows = dict(self._table.rows())
        if id_ not in rows:
            raise NotFound("no such token")
        rows[id_] = rows[id_] | {"revoked": True}
        self._table.write(rows)
        return token_of(id_, rows[id_])


def digest(secret: str) -> str:
    """SHA-256: the secret has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_of(id_: str, row: dict[str, Any]) -> ApiToken:
    return ApiToken(
        id_, row["name"], Role(row["role"]), row["made_at"], row["made_by"], row["expires_at"], row["revoked"]
    )
