"""Whose turn it is to send stored batches: so many at a time as find room, so that none is sent in vain. Pure.

Without turns 10,000 agents that come back either send more than a server can take, and each that was refused waits for
a minute and longer, or they spread so thin that a server idles. Each acknowledgement says how many stored batches its
agent may send now (`Ack.room`), and an agent says how many it has (`About.batches`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from healthmon.transport.bundle import MOST

AT_ONCE = 128  # bundles that may wait here or be on their way
BUNDLES_MOST = 8  # of one agent, where few are behind
#: A turn that nobody took is given to somebody else.
KEPT_S = 10.0


@dataclass(slots=True)
class Turns:
    """Times are monotonic seconds."""

    _behind: dict[str, int] = field(default_factory=dict)  # agent -> stored batches that have had no turn
    _given: dict[str, tuple[float, int]] = field(default_factory=dict)  # agent -> until when, bundles; oldest first

    def says(self, agent: str, stored: int) -> None:
        """So many batches are in its spool, the one that says so among them."""
        if stored > 1:
            self._behind[agent] = stored
        else:
            self._behind.pop(agent, None)

    def came(self, agent: str) -> None:
        """It takes its turn: what it sends counts among those that wait."""
        self._given.pop(agent, None)

    def give(self, agent: str, *, waiting: int, now: float) -> int:
        """How many stored batches it may send, while so many bundles wait here."""
        stored = self._behind.get(agent, 0)
        if not stored or (agent in self._given and self._given[agent][0] > now):
            return 0
        free = AT_ONCE - waiting - self._on_their_way(now)
        if free <= 0:
            return 0
        bundles = min(free, BUNDLES_MOST, max(1, free // len(self._behind)), -(-stored // MOST))
        self._given.pop(agent, None)
        self._given[agent] = (now + KEPT_S, bundles)
        if stored > bundles * MOST:
            self._behind[agent] = stored - bundles * MOST
        else:
            del self._behind[agent]
        return bundles * MOST

    def _on_their_way(self, now: float) -> int:
        while self._given and next(iter(self._given.values()))[0] <= now:
            del self._given[next(iter(self._given))]
        return sum(bundles for _, bundles in self._given.values())
