"""Keeps test accounts from being locked: after refused logins none is tried for a while."""

from __future__ import annotations

from dataclasses import dataclass

_MOST = 50_000

#: Target, check, and the account with its password: a changed one starts afresh.
Key = tuple[str, ...]


@dataclass(slots=True)
class _Account:
    refused: int = 0
    rest_until: float = 0.0


class Logins:
    """By check and account; monotonic seconds."""

    def __init__(self) -> None:
        self._accounts: dict[Key, _Account] = {}

    def rest_s(self, key: Key, now: float) -> float:
        """Seconds until a login may be tried again; 0 = now."""
        account = self._accounts.get(key)
        return max(0.0, account.rest_until - now) if account else 0.0

    def accepted(self, key: Key) -> None:
        """The account works."""
        self._accounts.pop(key, None)

    def refused(self, key: Key, *, now: float, most: int, rest_s: float) -> None:
        """One more refusal; `most` in a row bring a rest, and after it each one does."""
        if len(self._accounts) >= _MOST:
            self._accounts.clear()
        account = self._accounts.setdefault(key, _Account())
        account.refused += 1
        if account.refused >= most:
            account.rest_until = now + rest_s
