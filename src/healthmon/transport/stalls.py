"""How long nothing came though something always does: a broker that chooses a new leader, or a network that holds."""

from __future__ import annotations

#: Shorter breaks are ordinary.
LEAST_S = 5.0
#: A break of so many usual ones is a stall.
TIMES = 10.0
_WEIGHT = 0.05
#: So many messages tell what is usual.
LEARNT = 20


class Stalls:
    """Hears of each arrival, monotonic seconds. Totals since the start."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.longest_s = 0.0
        self._usual_s = 0.0
        self._heard = 0
        self._last: float | None = None

    def arrived(self, mono: float) -> float | None:
        """How long the stall was that this message ends; None when there was none."""
        last, self._last = self._last, mono
        if last is None:
            return None
        break_s = mono - last
        self._heard += 1
        if self._heard > LEARNT and break_s > max(LEAST_S, TIMES * self._usual_s):
            self.count += 1
            self.total_s += break_s
            self.longest_s = max(self.longest_s, break_s)
            return break_s
        self._usual_s += max(_WEIGHT, 1.0 / self._heard) * (break_s - self._usual_s)
        return None
