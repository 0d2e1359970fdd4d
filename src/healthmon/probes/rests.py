"""Back-off on timeouts: who does not answer again and again is asked less, and at once again when it answers."""

from __future__ import annotations

from healthmon.model.sample import Outcome, Reading, Reason

#: So many scheduled looks in a row must time out first: by then every rule has seen what it wants to see.
PATIENCE = 5
#: Never further apart than this many intervals ...
MOST_INTERVALS = 4
#: ... or than this, so that a return is seen soon. A check that is no oftener than this never rests.
MOST_GAP_S = 60.0

Key = tuple[str, str]


class Rests:
    """Counts timeouts in a row for each check, and says how many of its next runs to leave out.

    The gap doubles from one interval to four. It is made of whole intervals, so every check keeps its own offset:
    what went silent together is not asked together.
    """

    def __init__(self) -> None:
        self._streaks: dict[Key, int] = {}
        self._resting: dict[str, dict[Key, float]] = {}

    def __len__(self) -> int:
        """Checks that rest now."""
        return sum(map(len, self._resting.values()))

    def rest_s(self, key: Key) -> float:
        """How long this check rests beyond its interval; 0 for almost all."""
        return self._resting.get(key[0], {}).get(key, 0.0)

    def returned(self, reading: Reading) -> bool:
        """Whether this is an answer from one that had used up our patience, whatever it answers."""
        if reading.reason is Reason.TIMEOUT or reading.outcome is Outcome.UNKNOWN:
            return False
        return self._streaks.pop((reading.target, reading.check), 0) >= PATIENCE

    def after(self, reading: Reading, every_s: float) -> int:
        """Learn from a scheduled run; how many runs to leave out now.

        What is unknown teaches nothing, so the rest goes on as it was.
        """
        key = (reading.target, reading.check)
        if reading.reason is Reason.TIMEOUT:
            streak = self._streaks[key] = self._streaks.get(key, 0) + 1
            self._rest(key, runs_left_out(streak, every_s) * every_s)
        return round(self.rest_s(key) / every_s)

    def wake(self, target: str) -> list[Key]:
        """A sign of life from this target: its checks that rested until now, the one that answered among them."""
        woken = list(self._resting.pop(target, ()))
        for key in woken:
            self._streaks.pop(key, None)
        return woken

    def _rest(self, key: Key, seconds: float) -> None:
        if seconds > 0.0:
            self._resting.setdefault(key[0], {})[key] = seconds
        elif resting := self._resting.get(key[0]):
            resting.pop(key, None)
            if not resting:
                del self._resting[key[0]]


def runs_left_out(streak: int, every_s: float) -> int:
    """How many runs to leave out after so many timeouts in a row."""
    if streak < PATIENCE:
        return 0
    doubled = 1 << min(streak - PATIENCE + 1, 16)
    return max(0, min(doubled, MOST_INTERVALS, int(MOST_GAP_S // every_s)) - 1)
