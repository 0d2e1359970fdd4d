"""Local users: their names, roles, groups and argon2 hashes in one private file that the command line writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthmon.model.errors import Conflict, NotFound
from healthmon.runtime.privatefile import PrivateTable
from healthmon.web.permissions import LADDER, Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FILE = "users.json"
LETTERS_LEAST = 12
LETTERS_MOST = 256
#: argon2 takes 64 MiB and some 50 ms each: so many are worked out at a time, and so many wait.
AT_ONCE = 2
WAITING_MOST = 20
_ID = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")


@dataclass(frozen=True, slots=True)
class Account:
    """One local user. role: their own; what their groups give may be more."""

    id: str
    name: str
    role: Role | None
    groups: tuple[str, ...] = ()
    disabled: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role,
            "groups": list(self.groups),
            "disabled": self.disabled,
        }


class Busy(Exception):
    """So many people sign in at this moment that one more has to wait."""


class Accounts:
    """Reads the file whenever it has changed, so that a user who was taken out is out at the next request."""

    def __init__(self, path: Path | None) -> None:
        self._table = PrivateTable(path)
        self._working = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def all(self) -> dict[str, Account]:
        return {id_: account_of(id_, row) for id_, row in self._table.rows().items()}

    def find(self, id_: str) -> Account | None:
        """The user of this id, unless there is none or it is disabled."""
        row = self._table.rows().get(id_)
        found = account_of(id_, row) if row else None
        return found if found and not found.disabled else None

    async def check(self, id_: str, password: str) -> Account | None:
        """The user, when the password is right. Who does not exist costs as much time as who does."""
        if self._waiting >= WAITING_MOST:
            raise Busy
        self._waiting += 1
        try:
            async with self._working:
                row = self._table.rows().get(id_)
                right = await asyncio.to_thread(verify, str(row["hash"]) if row else decoy(), password)
        finally:
            self._waiting -= 1
        return self.find(id_) if right else None

    def put(self, account: Account, *, password: str | None = None, new: bool = False) -> None:
        """Write one user; without a password the old one stays. Raises Conflict, NotFound."""
        rows = dict(self._table.rows())
        if new and account.id in rows:
            raise Conflict(f"there is a user {account.id} already; `users passwd` gives a new password")
        if password is None and account.id not in rows:
            raise NotFound(f"no user {account.id} (known: {', '.join(sorted(rows)) or 'none'})")
        hash_ = rows[account.id]["hash"] if password is None else hasher().hash(checked(account.id, password))
        rows[account.id] = {
            "name": account.name,
            "role": account.role,
            "groups": list(account.groups),
            "disabled": account.disabled,
            "hash": hash_,
        }
        self._table.write(rows)

    def get(self, id_: str) -> Account:
        """The user of this id, disabled or not; raises NotFound."""
        everyone = self.all()
        if id_ not in everyone:
            raise NotFound(f"no user {id_} (known: {', '.join(sorted(everyone)) or 'none'})")
        return everyone[id_]


def account_of(id_: str, row: Mapping[str, Any]) -> Account:
    role = row.get("role")
    return Account(
        id_,
        str(row.get("name") or id_),
        Role(role) if role in LADDER else None,
        tuple(map(str, row.get("groups", ()))),
        bool(row.get("disabled")),
    )


def checked_id(id_: str) -> str:
    """A user's id as it may be; raises Conflict."""
    if not _ID.fullmatch(id_):
        raise Conflict(f"user {id_[:80]!r}: an id has 1 to 63 of a-z 0-9 . _ @ - and begins with a letter or digit")
    return id_


def checked(id_: str, password: str) -> str:
    """A password as it may be; raises Conflict. Length is what makes guessing hard; no other rule helps."""
    if not LETTERS_LEAST <= len(password) <= LETTERS_MOST:
        raise Conflict(f"a password has {LETTERS_LEAST} to {LETTERS_MOST} characters; three or four words are good")
    if password.lower() == id_.lower() or len(set(password)) < 4:
        raise Conflict("this password is the first that anybody would try")
    return password


def verify(hash_: str, password: str) -> bool:
    """Whether the password gives this hash; argon2 compares in constant time."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return hasher().verify(hash_, password[:LETTERS_MOST])
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(1)
def hasher() -> PasswordHasher:
    """argon2id with the parameters of RFC 9106 for where memory is scarce (64 MiB, 3 passes)."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(1)
def decoy() -> str:
    """The hash of nobody's password."""
    return hasher().hash("nobody has this password")
