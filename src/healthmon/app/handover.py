"""Where workers take the batches: what they have admitted comes to the engine here, in one order; who lives.

How far the line was read is committed together with what followed from it, so a restart or a takeover reads on from
exactly there: no batch is missed, and none is taken twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from healthmon.alerting.detect.judge import seal_of
from healthmon.alerting.detect.told import Findings
from healthmon.app.drills import DrillBook
from healthmon.app.engineroom import EngineRoom, Intake
from healthmon.app.fleet import Fleet
from healthmon.app.listening import Listening
from healthmon.app.steadyclock import SteadyClock
from healthmon.app.workshift import LIFE_S
from healthmon.config import SiteConfig
from healthmon.ingest.pipeline import Admitted, Pipeline
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.journal import Epoch
from healthmon.model.ports import Clock, Connect
from healthmon.model.sample import Batch
from healthmon.runtime.supervise import spawn
from healthmon.transport.hands import Beat, Handed, decode_beat, decode_hand
from healthmon.transport.stalls import Stalls
from healthmon.transport.workline import Place, WorkLine

log = logging.getLogger(__name__)

#: The line as one more sender in the journal: its stream is the epoch, its numbers are what was received.
LINE = "*workers"
#: So many batches may wait for the engine's next step.
MOST_WAITING = 2_000
AGAIN_S = 1.0


class Home(Protocol):
    """What it needs of the server."""

    site: SiteConfig
    clock: SteadyClock
    pipeline: Pipeline
    room: EngineRoom
    drills: DrillBook

    def arrived(self) -> None: ...


def place_of(epochs: Mapping[tuple[str, str], Epoch]) -> Place:
    """How far the line was read at the last commit."""
    known = [epoch for (agent, _), epoch in epochs.items() if agent == LINE and epoch.received]
    newest = max(known, key=lambda epoch: epoch.last_at, default=None)
    return Place(newest.epoch, newest.received[-1][1]) if newest else Place()


async def forget(connect: Connect, clock: Clock) -> None:
    """Have the broker forget this session: connect cleanly once, as soon as it lets us in."""
    while True:
        try:
            async with connect():
                return
        except TransportDown:
            await clock.sleep(AGAIN_S)


@dataclass(slots=True)
class _Worker:
    """One that lives. at: when it was last heard, in seconds that we listened."""

    beat: Beat
    at: float


@dataclass(slots=True)
class Crew:
    """The workers by their own words; counters of runs that are over stay counted."""

    alive: dict[str, _Worker] = field(default_factory=dict)
    over: Counter[str] = field(default_factory=Counter)
    lost: int = 0

    def heard(self, beat: Beat, listened_s: float) -> None:
        """One says that it lives, or that it stops."""
        known = self.alive.get(beat.worker)
        if known is None and not beat.left:
            log.info("worker is there", extra={"worker": beat.worker})
        if known is not None and known.beat.run != beat.run:
            self._end(beat.worker)
        self.alive[beat.worker] = _Worker(beat, listened_s)
        if beat.left:
            self._end(beat.worker)

    def missed(self, listened_s: float) -> None:
        """Those that were not heard for their whole life are gone."""
        for name in [name for name, one in self.alive.items() if listened_s - one.at > LIFE_S]:
            self.lost += 1
            log.warning("worker is lost; its agents' readings wait until others take them", extra={"worker": name})
            self._end(name)

    def counted(self) -> dict[str, float]:
        """The sum over all of them."""
        total = Counter(self.over)
        for one in self.alive.values():
            total.update(one.beat.counters)
        return {name: float(count) for name, count in total.items()}

    def _end(self, name: str) -> None:
        self.over.update(self.alive.pop(name).beat.counters)


class Handover:
    """`run` reads the line until cancelled. A server that has one takes no batch from the broker itself."""

    def __init__(self, home: Home, fleet: Fleet, line: WorkLine, *, after: Place) -> None:
        self._home = home
        self._fleet = fleet
        self._line = line
        self._place = after
        self._began = float("-inf")
        self._stalls: dict[int, Stalls] = {}
        self.crew = Crew()
        self._listening = Listening(home.clock)
        self.counters: Counter[str] = Counter()
        self.connected = False
        self._sealed: tuple[SiteConfig, str] | None = None
        self._agree = True

    @property
    def ok(self) -> bool:
        """The line can be read and somebody puts something on it."""
        return self.workers > 0

    @property
    def workers(self) -> int:
        """How many live; none that we know of while the line is away."""
        return len(self.crew.alive) if self.connected else 0

    @property
    def store_ok(self) -> bool:
        """No worker says that the store takes nothing."""
        return all(one.beat.store_ok for one in self.crew.alive.values())

    async def run(self) -> None:
        """Read, listen to the workers, and begin again whenever the cluster was away."""
        try:
            while True:
                try:
                    await self._line.open()
                    async with self._line.beats(self._beat), asyncio.TaskGroup() as group:
                        watch = spawn(group, "crew", self._watch())
                        await self._read()
                        watch.cancel()
                except TransportDown as error:
                    if self.connected:
                        log.warning("the workers' line is lost", extra={"error": str(error)})
                    self.connected = False
                await self._home.clock.sleep(AGAIN_S)
        finally:
            await self._line.close()

    async def _read(self) -> None:
        """Once through, until the consumer is gone; the next begins where this one ended."""
        self.connected, self._began = True, self._home.clock.mono()
        try:
            missed = await self._line.read(self._place, self._take, self._room)
        except TransportDown as error:
            log.debug("reading begins anew", extra={"error": str(error)})
            self.counters["workers_line_breaks_total"] += 1
            return
        self.counters["workers_hands_missed_total"] += missed

    async def _room(self) -> None:
        while self._home.room.waiting > MOST_WAITING:
            await self._home.clock.sleep(0.05)

    async def _watch(self) -> None:
        while True:
            await self._home.clock.sleep(AGAIN_S)
            self.crew.missed(self._listening.look(connected=self._line.hears))

    def _beat(self, payload: bytes) -> None:
        try:
            self.crew.heard(decode_beat(payload), self._listening.seconds)
        except MalformedBatch:
            self.counters["workers_unreadable_total"] += 1

    def _take(self, place: Place, payload: bytes) -> None:
        if place.stream == self._place.stream and place.number <= self._place.number:
            return
        self._place = place
        mark = Epoch(LINE, place.stream, 0.0, 0.0, self._home.clock.now(), received=((1, place.number),))
        try:
            hand = decode_hand(payload)
        except MalformedBatch as error:
            log.error("a hand of a worker cannot be read", extra={"reason": error.reason})
            self.counters["workers_unreadable_total"] += 1
            return
        alike = not hand.seal or self._alike(hand.seal)
        for handed in map(self._on_our_clock, hand.batches):
            self._take_batch(handed, mark, _found(handed, alike=alike))
        for key in hand.stored:
            self._home.drills.stored(key)
        self._home.arrived()

    def _alike(self, seal: str) -> bool:
        """The worker judges by our rules; for a moment it does not, while one of us has a new configuration."""
        site = self._home.site
        if self._sealed is None or self._sealed[0] is not site:
            self._sealed = (site, seal_of(site.estate, site.rules))
        alike = seal == self._sealed[1]
        if alike is not self._agree:
            self._agree = alike
            what = "judges by our rules again" if alike else "judges by other rules; what needs memory stays open"
            log.warning("a worker %s", what)
        return alike

    def _take_batch(self, handed: Handed, mark: Epoch, found: Findings | None) -> None:
        home, epoch, now = self._home, handed.epoch, self._home.clock.now()
        self._note_arrival(handed.partition)
        new = home.pipeline.hear(epoch, handed.seq, live=handed.live)
        self._fleet.spoke(epoch.agent, now, handed.about, skew_s=epoch.skew_s,
                          listening_since=now - (home.clock.mono() - self._began))  # fmt: skip
        if not new and not handed.part:
            self.counters["workers_repeats_total"] += 1
            return
        readings = home.pipeline.known(handed.readings)
        self.counters["workers_readings_unknown_total"] += len(handed.readings) - len(readings)
        if found is not None:
            self.counters[f"workers_readings_{'judged' if found.ours else 'unjudged'}_total"] += len(readings)
        key = (epoch.agent, epoch.epoch, handed.seq)
        batch = Batch(epoch.agent, epoch.epoch, handed.seq, handed.sent, 0.0, handed.live, readings)
        home.drills.arrived(batch, Admitted(batch, readings, (), True, epoch))
        mine = home.pipeline.epoch(epoch.agent, epoch.epoch) or epoch
        home.room.take(Intake(epoch.agent, "up", now, key, mine, readings, handed.live, found=found, mark=mark))

    def _on_our_clock(self, handed: Handed) -> Handed:
        """A worker tells times by its own machine's clock."""
        off_s = self._home.clock.told(handed.heard) - handed.heard
        if not off_s:
            return handed
        readings = tuple(replace(one, started=one.started + off_s) for one in handed.readings)
        return msgspec.structs.replace(handed, readings=readings, sent=handed.sent + off_s)

    def _note_arrival(self, partition: int) -> None:
        stall_s = self._stalls.setdefault(partition, Stalls()).arrived(self._home.clock.mono())
        if stall_s is not None:
            about = {"partition": partition, "seconds": round(stall_s, 1)}
            log.warning("nothing came of a partition for a while", extra=about)

    def counted(self) -> dict[str, float]:
        """For health and metrics: our own, and the workers' sums."""
        stalls = self._stalls.values()
        return {
            **self.crew.counted(),
            **{name: float(count) for name, count in self.counters.items()},
            "workers_lost_total": float(self.crew.lost),
            "workers_stalls_total": float(sum(one.count for one in stalls)),
            "workers_stalled_seconds_total": sum(one.total_s for one in stalls),
        }


def _found(handed: Handed, *, alike: bool) -> Findings | None:
    """What the worker judged; None where we are to judge."""
    if handed.judged is None:
        return None
    return Findings.of(handed.readings, handed.judged) if alike else Findings(None)
