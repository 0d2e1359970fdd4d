"""Test accounts are not locked out: a name and password that were refused rest before they are tried again."""

from __future__ import annotations

from healthmon.model.plan import Job
from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

#: Common lock-out rules count refusals over 15 to 30 minutes.
AUTH_RETRY_S = 1800.0

_MOST_KNOWN = 10_000

_Key = tuple[str, str, str, str]


class Refusals:
    """Remembers which credentials of which check were refused, and when. New credentials start afresh."""

    def __init__(self) -> None:
        self._at: dict[_Key, float] = {}

    def check(self, job: Job, user: str, password: str, *, rest_s: float, clock: Clock) -> None:
        """Raises Finding(auth_failed) while they rest."""
        at = self._at.get((job.target, job.check, user, password))
        if at is None:
            return
        left_s = at + rest_s - clock.mono()
        if left_s > 0.0:
            text = f"refused before; tried again in {left_s:.0f} s so that the account is not locked"
            raise Finding(Reason.AUTH_FAILED, text)

    def refused(self, job: Job, user: str, password: str, *, clock: Clock) -> None:
        """They were turned down just now."""
        if len(self._at) >= _MOST_KNOWN:
            self._at.clear()
        self._at[(job.target, job.check, user, password)] = clock.mono()

    def accepted(self, job: Job, user: str, password: str) -> None:
        """They are good."""
        self._at.pop((job.target, job.check, user, password), None)


def check_account(user: str, password: str, *, protected: bool, clear_password: bool) -> None:
    """Raises ValueError for a user without a password, or one whose password would travel in clear."""
    if bool(user) != bool(password):
        raise ValueError("a user and a password go together")
    if user and not (protected or clear_password):
        raise ValueError("the password would travel in clear: set tls, or clear_password: true if that is meant")
