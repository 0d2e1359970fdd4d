"""A worker that judges: what it remembers of each partition, taken over from whoever had it before, and handed on.

What is remembered differently travels with the findings in one message, behind a fence: nobody goes on from a memory
that lacks what another worker has handed on. From time to time all of it is kept beside the line, so that a taker-over
reads the last minutes only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.judge import Judge, Series, seal_of
from healthmon.app.handpieces import Aside, groups, pieces
from healthmon.config import SiteConfig
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.ports import Clock
from healthmon.transport.hands import (
    Hand,
    Handed,
    Saved,
    decode_hand,
    decode_saved,
    encode_saved,
    rows_of,
)
from healthmon.transport.jetline import Overtaken
from healthmon.transport.seatline import SeatLine

log = logging.getLogger(__name__)

Key = tuple[str, str, int]
Result = TypeVar("Result")
#: A partition's memory is kept beside the line so often, and one that nothing is heard of so often; the line keeps an
#: hour, so that what lies between is there.
SAVE_EVERY_S, SAVE_IDLE_S = 120.0, 1_200.0
LOOK_S, AGAIN_S = 2.0, 0.5


class UntilDone(Protocol):
    """Does a call as often as it takes while the cluster is away."""

    async def __call__(self, call: Callable[[], Awaitable[Result]]) -> Result: ...


@dataclass(slots=True)
class Seat:
    """One partition. memory, newest: as they stand on the line at number `at`; `judge` may be ahead by one hand.

    seen: batches that were on the line already when it was last read; before: `at` when it was saved before.
    """

    partition: int
    stream: str
    memory: dict[str, bytes]
    newest: dict[Series, float]
    at: int
    judge: Judge
    rules: RuleIndex
    saved: float
    before: int = 0
    seen: set[Key] = field(default_factory=set)
    changed: bool = False

    def take(self, rows: Mapping[str, bytes], batches: Sequence[Handed]) -> None:
        """What is on the line now."""
        for name, body in rows.items():
            if body:
                self.memory[name] = body
            else:
                self.memory.pop(name, None)
        for one in batches:
            for reading in one.readings:
                if self.judge.counts(reading, one.heard, live=one.live):
                    series = (reading.target, reading.check, reading.vantage)
                    self.newest[series] = max(reading.started, self.newest.get(series, 0.0))
        self.changed = True


class Seats:
    """`hand` judges batches of one partition and puts them onto the line; `keep` runs until cancelled."""

    def __init__(self, site: SiteConfig, line: SeatLine, *, name: str, clock: Clock, until_done: UntilDone,
                 heard: Callable[[Handed], None], aside: Aside) -> None:  # fmt: skip
        self.counters: Counter[str] = Counter()
        self._line = line
        self._name = name
        self._clock = clock
        self._until_done = until_done
        self._heard = heard
        self._aside = aside
        self._seats: dict[int, Seat] = {}
        self._rules(site)

    def adopt(self, site: SiteConfig) -> None:
        """Take another configuration, from the next hand on; what its rules remember too is not forgotten."""
        self._rules(site)

    async def sit(self, partition: int) -> None:
        """Take the partition over. Raises TransportDown."""
        if partition not in self._seats:
            self._seats[partition] = await self._loaded(partition)

    def leave(self, partition: int) -> None:
        """It is another worker's; what is still on its way here is handed on behind theirs."""
        self._seats.pop(partition, None)

    async def hand(self, partition: int, batches: Sequence[Handed]) -> None:
        """Judge and hand on; returns when all of it is on the line, by whomever."""
        seat = self._seats.get(partition)
        if seat is None:
            seat = await self._until_done(partial(self._loaded, partition))
        for group in groups(batches):
            left = [one for one in group if key_of(one) not in seat.seen]
            while left and not await self._handed(seat, left):
                if not await self._until_done(partial(self._catch_up, seat)):
                    await self._clock.sleep(AGAIN_S)  # refused, and yet nothing new is there
                left = [one for one in left if key_of(one) not in seat.seen]

    async def keep(self) -> None:
        """Keep each partition's memory beside the line, one at a time."""
        while True:
            await self._clock.sleep(LOOK_S)
            now = self._clock.mono()
            for seat in list(self._seats.values()):
                seat.judge.recall.sweep(self._clock.now())
            due = [s for s in self._seats.values() if now - s.saved > (SAVE_EVERY_S if s.changed else SAVE_IDLE_S)]
            if due:
                await self.save(min(due, key=lambda seat: seat.saved).partition)

    async def save(self, partition: int) -> None:
        """Keep this one now. What is on the line since the save before stands there too, for one more reading."""
        seat = self._seats[partition]
        seat.saved, seat.changed = self._clock.mono(), False
        body = encode_saved(Saved(seat.stream, seat.before, seat.memory, seat.newest))
        seat.before = seat.at
        seat.seen.clear()
        try:
            await self._line.save(partition, body)
        except TransportDown as error:
            log.debug("memory not kept, tried again", extra={"partition": partition, "error": str(error)})
            seat.changed = True

    # --- one partition

    async def _handed(self, seat: Seat, batches: Sequence[Handed]) -> bool:
        """False: another worker was there before us, and what we judged does not count."""
        if seat.rules is not self._index:
            self._anew(seat)
        judged = tuple(
            msgspec.structs.replace(one, judged=seat.judge.judge(one.readings, now=one.heard, live=one.live))
            for one in batches
        )
        rows = seat.judge.recall.written()
        try:
            for payload in pieces(Hand(self._name, judged, seal=self._seal), rows, self._aside):
                seat.at = await self._until_done(partial(self._line.hand, seat.partition, payload, after=seat.at))
        except Overtaken:
            self.counters["worker_overtaken_total"] += 1
            return False
        seat.take(rows, judged)
        return True

    async def _loaded(self, partition: int) -> Seat:
        body = await self._line.saved(partition)
        made, first = await self._line.made()
        saved = self._unpacked(partition, body)
        after = saved.after if saved.stream == made else 0
        if saved.stream and (saved.stream != made or first > after + 1):
            self.counters["worker_memory_gaps_total"] += 1
            log.warning("the line has not kept all since this partition's memory was; windows may lack readings",
                        extra={"partition": partition})  # fmt: skip
        judge = Judge(self._estate, self._index, {}, {})
        seat = Seat(partition, made, saved.memory, saved.newest, after, judge, self._index, self._clock.mono(), after)
        await self._catch_up(seat)
        return seat

    def _unpacked(self, partition: int, body: bytes | None) -> Saved:
        if body is not None:
            try:
                return decode_saved(body)
            except MalformedBatch as error:
                self.counters["worker_memory_unreadable_total"] += 1
                log.error("a partition's memory cannot be read; its windows and baselines begin anew",
                          extra={"partition": partition, "reason": error.reason})  # fmt: skip
        return Saved("", 0, {}, {})

    async def _catch_up(self, seat: Seat) -> bool:
        """Read what is on the line beyond what is known; whatever was judged and is not there is forgotten."""
        last, before = await self._line.last(seat.partition), seat.at
        if last > seat.at:
            await self._line.replay(seat.partition, seat.at + 1, last, partial(self._replayed, seat))
        seat.at = last
        self._anew(seat)
        return last != before

    def _replayed(self, seat: Seat, payload: bytes) -> None:
        try:
            hand = decode_hand(payload)
            rows = rows_of(hand)
        except MalformedBatch:
            self.counters["worker_memory_unreadable_total"] += 1
            return
        seat.take(rows, hand.batches)
        for one in hand.batches:
            if not one.more:
                seat.seen.add(key_of(one))
                self._heard(one)

    # --- rules

    def _rules(self, site: SiteConfig) -> None:
        self._estate = site.estate
        self._index = RuleIndex(site.estate, site.rules)
        self._seal = seal_of(site.estate, site.rules)

    def _anew(self, seat: Seat) -> None:
        seat.judge, seat.rules = Judge(self._estate, self._index, seat.memory, seat.newest), self._index


def key_of(handed: Handed) -> Key:
    """One batch, whoever handed it on."""
    return handed.epoch.agent, handed.epoch.epoch, handed.seq
