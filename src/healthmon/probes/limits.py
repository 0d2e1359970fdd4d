"""Rates as pure arithmetic: a token bucket kept as one number, its theoretical arrival time."""

from __future__ import annotations

from collections.abc import Hashable


class Pace:
    """`rate_hz` a second with a burst of a tenth of a second, at least one (GCRA, ITU-T I.371)."""

    __slots__ = ("_slack_s", "_step_s", "_tat")

    def __init__(self, rate_hz: float, burst: float | None = None) -> None:
        self._step_s = 1.0 / rate_hz
        self._slack_s = (max(1.0, rate_hz / 10.0 if burst is None else burst) - 1.0) * self._step_s
        self._tat = float("-inf")

    def wait_s(self, now: float) -> float:
        """Seconds until one more fits; `now` is monotonic."""
        return max(0.0, self._tat - self._slack_s - now)

    def take(self, at: float) -> None:
        """Book one at this moment."""
        self._tat = max(self._tat, at) + self._step_s

    def idle(self, now: float) -> bool:
        """Whether forgetting it would change nothing."""
        return self._tat <= now


class Paces:
    """One pace per key (target, subnet); idle ones are forgotten when there are many."""

    def __init__(self, rate_hz: float, *, most: int = 20_000) -> None:
        self._rate_hz = rate_hz
        self._most = most
        self._by_key: dict[Hashable, Pace] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, key: Hashable, now: float) -> Pace:
        """The pace of this key, made at first use."""
        pace = self._by_key.get(key)
        if pace is None:
            if len(self._by_key) >= self._most:
                self._by_key = {known: kept for known, kept in self._by_key.items() if not kept.idle(now)}
            pace = self._by_key[key] = Pace(self._rate_hz)
        return pace
