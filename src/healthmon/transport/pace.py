"""How fast one agent of a fleet may send what waited: as fast as the server answers, and never so that live data waits.

A fixed pace fits one machine: 10,000 agents at one batch a second each sent a busy server ten times what it could take,
and live batches queued behind them for minutes. So each agent looks at how long its last late batch took.
"""

from __future__ import annotations

WINDOW = 128  # catch-up batches that may wait for an acknowledgement
#: A late batch that is durable sooner says that there is room for more at once.
QUICK_S = 1.0
#: Rest after an answer of t seconds: this many times t squared. With 10,000 agents a server of 130 batches a second
#: settles at answers of 4 s, one of 1,000 at 1.5 s, both below the 5 s that live data may take.
SLOWNESS = 4.0
LONGEST_REST_S = 120.0
#: The slowest server that is reckoned with, batches a second: a fleet need not rest longer than that one would take.
SLOWEST_HZ = 10.0


def longest_rest_s(fleet_size: int) -> float:
    """A few agents need not wait for minutes because one answer was late."""
    return min(LONGEST_REST_S, max(QUICK_S, fleet_size / SLOWEST_HZ))


class Pace:
    """`hz`: batches a second at most; `longest_rest_s` after a slow answer; 0 where the server says whose turn it is.

    `window`: how many late batches may wait for their acknowledgement.
    """

    def __init__(self, hz: float, *, longest_rest_s: float = LONGEST_REST_S) -> None:
        self.hz = hz
        self.longest_rest_s = longest_rest_s
        self.window = 1
        self._took_s = 0.0
        self._answer_s = 0.0

    def acknowledged(self, took_s: float, *, held_s: float = 0.0) -> None:
        """A late batch is durable, so long after it was sent; held_s of it the server waited on purpose."""
        self._took_s = max(0.0, took_s - held_s)
        quick_s = max(QUICK_S, held_s / 4.0)  # a round takes so long anyhow
        self.window = min(WINDOW, self.window * 2) if self._took_s < quick_s else 1

    def answered(self, took_s: float) -> None:
        """Any batch is durable, live or late: so long do answers take now."""
        self._answer_s = took_s

    def patience_s(self, least_s: float) -> float:
        """How long to wait for an acknowledgement before sending again.

        With a fixed 30 s, a server that took 40 was sent every batch twice, a third of its work, and took longer yet.
        """
        return max(least_s, 3.0 * self._answer_s)

    def begin(self) -> None:
        """A new connection: nothing is known of the server."""
        self._took_s, self.window = 0.0, 1

    def rest_s(self, sent: int) -> float:
        """How long to wait after sending so many; an answer that comes meanwhile may shorten it."""
        slow_s = SLOWNESS * self._took_s**2 if self._took_s >= QUICK_S and self.window == 1 else 0.0
        return max(sent / self.hz, min(self.longest_rest_s, slow_s))
