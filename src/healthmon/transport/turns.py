"""Whose turn it is to send stored batches: so many at a time as find room, so that none is sent in vain. Pure.

`Turns` is the server's end, `Turn` the agent's.

Without turns 10,000 agents that come back either send more than a server can take, and each that was refused waits for
a minute and longer, or they spread so thin that a server idles. Each acknowledgement says how many stored batches its
agent may send now (`Ack.room`), and an agent says how many it has (`About.batches`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from math import inf

from healthmon.transport.bundle import MOST

AT_ONCE = 128  # bundles that may wait here or be on their way
BUNDLES_MOST = 8  # of one agent, where few are behind
#: A turn that nobody took is given to somebody else; who left it says first that it is there again.
KEPT_S = 10.0
#: Times `resend_s` without a turn, and an agent asks for one with a stored batch.
UNASKED = 4.0


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
        free = self._free(waiting, now)
        if free <= 0:
            return 0
        bundles = min(free, BUNDLES_MOST, max(1, free // len(self._behind)), -(-stored // MOST))
        self._given.pop(agent, None)
        self._given[agent] = (now + KEPT_S, bundles)
        if stored > bundles * MOST:
            self._behind[agent] = stored - bundles * MOST
        else:
            self._behind.pop(agent, None)
        return bundles * MOST

    def unasked(self, *, waiting: int, now: float) -> list[str]:
        """Who has stored batches and no turn, as many as there is room for: where nothing comes nobody is answered."""
        free = self._free(waiting, now)
        found: list[str] = []
        for agent in self._behind:
            if len(found) >= free:
                break
            if agent not in self._given:
                found.append(agent)
        return found

    def _free(self, waiting: int, now: float) -> int:
        """Bundles that find room beside those that wait here and those that may be on their way."""
        while self._given and next(iter(self._given.values()))[0] <= now:
            agent = next(iter(self._given))
            del self._given[agent]
            self._behind.pop(agent, None)
        return AT_ONCE - waiting - sum(bundles for _, bundles in self._given.values())


@dataclass(slots=True)
class Turn:
    """What the server last said that may go. resend_s: after so long an agent sends again what nobody acknowledged."""

    resend_s: float
    _room: int = 0
    _ask_at: float = -inf

    def server_came(self, now: float, *, spread_s: float) -> None:
        """It knows nothing yet. A live batch asks for us; where none goes, we ask after the fleet has reconnected."""
        self._room, self._ask_at = 0, now + random.uniform(1.0, 2.0) * spread_s

    def given(self, room: int, now: float) -> None:
        """An acknowledgement said so; 0 is no word."""
        if room:
            self._room, self._ask_at = room, now + UNASKED * self.resend_s

    def room(self, now: float) -> int:
        """How many may go; long without a word, one asks."""
        if not self._room and now >= self._ask_at:
            self._room, self._ask_at = 1, now + UNASKED * self.resend_s
        return self._room

    def took(self, batches: int) -> None:
        """So many went."""
        self._room = max(0, self._room - batches)
