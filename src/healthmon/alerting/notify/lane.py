"""One channel's queue: whose turn it is, how fast it may go, and what is folded when that is too much."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from healthmon.alerting.journal_rows import is_final
from healthmon.model.incident import Notice
from healthmon.model.ports import Clock, Timer

#: Messages about one incident to one reader, in order.
Chain = tuple[str, str]  # (to, incident)

#: A reader with more waiting than this gets them as one, even where the pace would allow them singly.
FOLD_FROM = 5
#: No digest is longer; the rest is the next one.
FOLD_MOST = 500
#: The severity that waits for no pace and is never folded.
URGENT = 1


@dataclass(frozen=True, slots=True)
class Pace:
    """So many messages a minute (0: as many as come); folds: people read them, so what is more becomes one digest."""

    per_minute: float = 0.0
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What goes out as one message: so many notices from the head of each chain."""

    parts: tuple[tuple[Chain, int], ...]

    @property
    def to(self) -> str:
        return self.parts[0][0][0]


class Lane:
    """Chains of notices. Each is ready, on the wire, resting until a moment, or parked until the pace allows."""

    def __init__(self, *, limit: int, clock: Clock, pace: Pace = Pace()) -> None:
        self.pace = pace
        self._limit = limit
        self._clock = clock
        self._held = 0
        self._chains: dict[Chain, deque[Notice]] = {}
        self._ready: asyncio.PriorityQueue[tuple[int, int, Chain]] = asyncio.PriorityQueue()
        self._turn: dict[Chain, int] = {}  # the one entry of the queue that counts
        self._busy: set[Chain] = set()
        self._resting: dict[Chain, Timer] = {}
        self._firm: set[Chain] = set()  # resting because the receiver said so
        self._hurry: set[Chain] = set()  # something urgent came while they were on the wire
        self._parked: set[Chain] = set()
        self._gate: Timer | None = None
        self._singly: set[str] = set()  # readers whose digest was refused
        self._tokens = pace.per_minute
        self._filled_at = clock.mono()
        self._order = itertools.count()

    def add(self, notice: Notice) -> bool:
        """Queue it behind what the same reader has still to hear of the same incident; False when full."""
        urgent = notice.severity <= URGENT
        if self._held >= self._limit * (2 if urgent else 1):
            return False
        self._queue(notice, hurry=urgent)
        return True

    def _queue(self, notice: Notice, *, hurry: bool) -> None:
        self._held += 1
        chain = (notice.to, notice.incident)
        waiting = self._chains.setdefault(chain, deque())
        waiting.append(notice)
        if hurry and chain in self._busy:
            self._hurry.add(chain)
        elif len(waiting) == 1 or (hurry and chain not in self._firm):
            self._arm(chain)

    async def take(self) -> Load:
        """Wait for what may go now. The worst severity goes first."""
        while True:
            _, turn, chain = await self._ready.get()
            if self._turn.get(chain) != turn:
                continue
            del self._turn[chain]
            load = self._load(chain)
            if load is not None:
                self._busy.update(one for one, _ in load.parts)
                return load
            self._park(chain)

    def notices(self, load: Load) -> list[Notice]:
        """What the load is made of, in its order."""
        return [notice for chain, count in load.parts for notice in itertools.islice(self._chains[chain], count)]

    def keep(self, load: Load, notices: Sequence[Notice]) -> None:
        """The same notices as they are now."""
        new = iter(notices)
        for chain, count in load.parts:
            waiting = self._chains[chain]
            for number in range(count):
                waiting[number] = next(new)

    def settle(self, load: Load, *, again_s: float | None = None, firm: bool = False) -> None:
        """Off the wire: what is finished leaves, what is not rests for `again_s`; firm: not a moment less."""
        for chain, count in load.parts:
            self._busy.discard(chain)
            waiting = self._chains[chain]
            again = [notice for notice in itertools.islice(waiting, count) if not is_final(notice)]
            for _ in range(count):
                waiting.popleft()
            waiting.extendleft(reversed(again))
            self._held -= count - len(again)
            if not waiting:
                del self._chains[chain]
            elif again and again_s is not None:
                self._rest(chain, again_s, firm=firm)
            else:
                self._arm(chain)

    def unfold(self, reader: str) -> None:
        """This reader's digest was refused: one by one from now on."""
        self._singly.add(reader)

    def start_afresh(self, resumed: Iterable[Notice]) -> None:
        """After a crash of the workers: these are what still waits, every chain may go, none is on the wire."""
        for timer in (*self._resting.values(), *([self._gate] if self._gate else [])):
            timer.cancel()
        self._ready, self._gate, self._held = asyncio.PriorityQueue(), None, 0
        for state in (self._chains, self._turn, self._busy, self._resting, self._firm, self._hurry, self._parked):
            state.clear()
        for notice in resumed:
            self._queue(notice, hurry=False)

    def waiting(self) -> list[Notice]:
        """Everything that is not finished, in the order of each chain."""
        return [notice for chain in self._chains.values() for notice in chain if not is_final(notice)]

    def _arm(self, chain: Chain) -> None:
        self._release(chain)
        self._turn[chain] = turn = next(self._order)
        self._ready.put_nowait((min(notice.severity for notice in self._chains[chain]), turn, chain))

    def _release(self, chain: Chain) -> None:
        """From wherever it waited."""
        timer = self._resting.pop(chain, None)
        if timer is not None:
            timer.cancel()
        self._firm.discard(chain)
        self._parked.discard(chain)
        self._turn.pop(chain, None)

    def _rest(self, chain: Chain, seconds: float, *, firm: bool) -> None:
        hurry = chain in self._hurry
        self._hurry.discard(chain)
        if firm:
            self._firm.add(chain)
        elif hurry:
            self._arm(chain)
            return
        self._resting[chain] = self._clock.call_later(seconds, lambda: self._rested(chain))

    def _rested(self, chain: Chain) -> None:
        if chain in self._resting:
            self._arm(chain)

    def _load(self, chain: Chain) -> Load | None:
        """What goes with this chain now; None: it has to wait for the pace."""
        tokens = self._refill()
        if self.pace.per_minute <= 0 or self._urgent(chain):
            self._tokens = max(0.0, tokens - 1.0)
            return Load(((chain, 1),))
        if tokens < 1.0:
            return None
        self._tokens = tokens - 1.0
        mates = self._mates(chain)
        if sum(count for _, count in mates) <= min(int(tokens), FOLD_FROM):
            return Load(((chain, 1),))
        for mate, _ in mates:
            self._release(mate)
        return Load(mates)

    def _mates(self, chain: Chain) -> tuple[tuple[Chain, int], ...]:
        """Everything that the same reader could get as one message, this chain first."""
        if not self.pace.folds or chain[0] in self._singly:
            return ((chain, 1),)
        others = (
            one
            for one in self._chains
            if one[0] == chain[0] and one != chain and one not in self._busy and one not in self._firm
        )
        found, room = [], FOLD_MOST
        for one in (chain, *(other for other in others if not self._urgent(other))):
            count = min(room, len(self._chains[one]))
            room -= count
            if count:
                found.append((one, count))
        return tuple(found)

    def _urgent(self, chain: Chain) -> bool:
        return any(notice.severity <= URGENT for notice in self._chains[chain])

    def _refill(self) -> float:
        now = self._clock.mono()
        gained = (now - self._filled_at) * self.pace.per_minute / 60.0
        self._tokens = min(self.pace.per_minute, self._tokens + gained)
        self._filled_at = now
        return self._tokens

    def _park(self, chain: Chain) -> None:
        self._parked.add(chain)
        if self._gate is None:
            wait_s = max(0.0, 1.0 - self._tokens) * 60.0 / self.pace.per_minute
            self._gate = self._clock.call_later(wait_s + 0.001, self._open)

    def _open(self) -> None:
        self._gate = None
        for chain in sorted(self._parked):
            self._arm(chain)
