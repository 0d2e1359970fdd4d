"""Guessing is slowed down by address. Nobody elsewhere can shut a user out, and a token in a header never waits."""

from __future__ import annotations

from collections import OrderedDict, deque

from healthmon.model.ports import Clock

ADDRESSES_MOST = 4096
TRIES = 10
WINDOW_S = 60.0
#: Refusals of strangers that the audit keeps in a minute: a scanner must not fill the disk.
REFUSALS_MOST = 60


class Throttle:
    """Counts failed sign-ins by address: at most 10 a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def may_try(self, address: str) -> bool:
        since, count = self._failures.get(address, (0.0, 0))
        return count < TRIES or self._clock.mono() - since > WINDOW_S

    def failed(self, address: str) -> None:
        """Count one failed sign-in."""
        now = self._clock.mono()
        since, count = self._failures.pop(address, (now, 0))
        if now - since > WINDOW_S:
            since, count = now, 0
        self._failures[address] = (since, count + 1)
        while len(self._failures) > ADDRESSES_MOST:
            self._failures.popitem(last=False)


class Recent:
    """When strangers were refused lately."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=REFUSALS_MOST)
        self.left_out = 0

    def room(self, now: float) -> bool:
        """Whether the audit has room for one more in this minute; what has none is counted."""
        if len(self._at) == REFUSALS_MOST and now - self._at[0] < WINDOW_S:
            self.left_out += 1
            return False
        self._at.append(now)
        return True
