"""A batch's way through a worker: admitted, stored, handed on, and only then acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import msgspec

from healthmon.app.handpieces import groups, pieces
from healthmon.app.quarantine import Quarantine
from healthmon.app.seats import Seats, key_of
from healthmon.app.traps import heard_by
from healthmon.app.wiring import declared_families, pipeline_of
from healthmon.config import SiteConfig
from healthmon.ingest.allowance import Allowances
from healthmon.ingest.epochs import SKEW_TOLERANCE_S
from healthmon.ingest.pipeline import POLLER, Admitted
from healthmon.model.drill import CHECK
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.journal import Epoch
from healthmon.model.ports import Clock
from healthmon.model.sample import Batch
from healthmon.runtime.supervise import spawn
from healthmon.store.writer import StoreWriter
from healthmon.transport import codec
from healthmon.transport.hands import Hand, Handed, encode_hand
from healthmon.transport.workline import WorkLine

log = logging.getLogger(__name__)

Key = tuple[str, str, int]
Result = TypeVar("Result")
#: So many messages are handled, and handed on, together.
TOGETHER = 128
#: Above this nothing more is pulled: what waits stays in the queue of the cluster.
MOST_WAITING, MOST_UNSTORED = 1024, 700
#: After a partition was taken its messages may have waited for somebody.
BACKLOG_S = 3.0
AGAIN_S = 0.5

_pack_epoch = msgspec.msgpack.Encoder()
_unpack_epoch = msgspec.msgpack.Decoder(Epoch)


@dataclass(slots=True)
class _Open:
    """A batch on its way: the queue's messages that brought it."""

    messages: list[Any] = field(default_factory=list)
    stored: bool = False
    handed: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    partition: int
    message: Any
    agent: str
    batch: Batch
    now: float
    waited: bool


class WorkBench:
    """`put` takes what was pulled; `run` works until cancelled. Counters only grow."""

    def __init__(self, site: SiteConfig, *, name: str, line: WorkLine, writer: StoreWriter, quarantine: Quarantine,
                 clock: Clock) -> None:  # fmt: skip
        self.counters: Counter[str] = Counter()
        self.pipeline = pipeline_of(site, {})
        self._site = site
        self._name = name
        self._line = line
        self._writer = writer
        self._quarantine = quarantine
        self._clock = clock
        self._allowances = Allowances()
        self._queue: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._open: dict[Key, _Open] = {}
        self._done: list[Key] = []
        self._refused: list[Any] = []
        self._settling = asyncio.Event()
        self._clocks: dict[tuple[str, str], tuple[tuple[int, float], ...]] = {}  # as they are written down
        self._drilled: list[Key] = []
        self._taken_at: dict[int, float] = {}
        self._least_way_s = float("inf")
        self._waits = False
        self.seats: Seats | None = None  # of a worker that judges

    def adopt(self, site: SiteConfig) -> None:
        """Take another configuration."""
        self._site = site
        self.pipeline.adopt(site.estate, families=declared_families(site), declared=heard_by(site))
        if self.seats is not None:
            self.seats.adopt(site)

    async def sit(self, partition: int) -> None:
        """Before anything of it is pulled: know what was judged of it so far."""
        if self.seats is not None:
            await self.seats.sit(partition)

    def leaves(self, partition: int) -> None:
        """Another worker takes it."""
        if self.seats is not None:
            self.seats.leave(partition)

    def heard(self, handed: Handed) -> None:
        """A batch that another worker has handed on already."""
        self.pipeline.hear(handed.epoch, handed.seq, live=handed.live)

    def begins(self, partition: int) -> None:
        """This partition is ours from now on."""
        self._taken_at[partition] = self._clock.mono()

    def put(self, key: str, message: Any) -> None:
        """One message of a partition."""
        self._queue.put_nowait((int(key), message))

    async def room(self) -> None:
        """Return when more may be pulled."""
        while self._queue.qsize() > MOST_WAITING or self._writer.stats().queued > MOST_UNSTORED:
            await self._clock.sleep(0.05)

    async def run(self) -> None:
        """Handle what comes, in groups."""
        async with asyncio.TaskGroup() as group:
            spawn(group, "settle", self._settle())
            while True:
                pulled = [await self._queue.get()]
                while len(pulled) < TOGETHER and not self._queue.empty():
                    pulled.append(self._queue.get_nowait())
                await self._handle([one for one in map(self._read, pulled) if one is not None])

    # --- in

    def _read(self, pulled: tuple[int, Any]) -> _Taken | None:
        partition, message = pulled
        agent, now = message.subject.rpartition(".")[2], self._clock.now()
        known = agent == POLLER or agent in self._site.estate.agents
        if not self._allowances.allow(agent if known else None, len(message.data), self._clock.mono()):
            self.counters["ingest_deferred_total.too_fast"] += 1
            self._done_with(message)
            return None
        try:
            batch = codec.decode(message.data)
        except MalformedBatch as error:
            self._quarantine.refuse(agent, message.data, error.reason, str(error))
            self._done_with(message)
            return None
        way_s = now - message.metadata.timestamp.timestamp()
        self._least_way_s = min(self._least_way_s, way_s)
        fresh = self._clock.mono() - self._taken_at.get(partition, 0.0) < BACKLOG_S
        return _Taken(partition, message, agent, batch, now, fresh or way_s - self._least_way_s > SKEW_TOLERANCE_S)

    async def _handle(self, taken: Sequence[_Taken]) -> None:
        await self._recall({(one.batch.agent, one.batch.epoch) for one in taken})
        admitted = [hand for one in taken if (hand := self._admit(one)) is not None]
        handed = list({key_of(one): one for one in reversed(admitted)}.values())[::-1]
        await self._keep_clocks({(one.epoch.agent, one.epoch.epoch): one.epoch for one in handed})
        if self.seats is None:
            for group in groups(handed):
                await self._hand_on(group)
        else:
            await self._judge(handed, self.seats)
        self._on_line(handed)

    async def _recall(self, epochs: Iterable[tuple[str, str]]) -> None:
        """How far off the clocks of these are, as the worker before us found."""
        unknown = [key for key in epochs if key not in self._clocks]
        if not unknown:
            return
        for (agent, epoch), body in zip(unknown, await asyncio.gather(*map(self._clock_of, unknown)), strict=True):
            self._clocks[agent, epoch] = ()
            if body is not None:
                known = _unpack_epoch.decode(body)
                self.pipeline.recall(known)
                self._clocks[agent, epoch] = _corrections(known)

    async def _clock_of(self, key: tuple[str, str]) -> bytes | None:
        return await self.until_done(lambda: self._line.clock(*key))

    async def until_done(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """As often as it takes: while the cluster is away nothing is acknowledged, so nothing can be lost."""
        while True:
            try:
                done = await call()
            except TransportDown as error:
                if not self._waits:
                    log.warning("the workers' line does not answer; what was pulled waits", extra={"error": str(error)})
                self._waits = True
                self.counters["worker_line_retries_total"] += 1
                await self._clock.sleep(AGAIN_S)
                continue
            if self._waits:
                log.warning("the workers' line answers again")
                self._waits = False
            return done

    def _admit(self, one: _Taken) -> Handed | None:
        admitted = self.pipeline.admit(one.batch, topic_agent=one.agent, received_at=one.now, backlog=one.waited)
        if not isinstance(admitted, Admitted):
            if admitted.reason == "skew_unsettled":  # the agent sends it again in a moment
                self.counters["ingest_deferred_total.skew_unsettled"] += 1
            else:
                self._quarantine.refuse(one.agent, one.message.data, admitted.reason)
            self._done_with(one.message)
            return None
        key = admitted.key
        way = self._open.setdefault(key, _Open(handed=not admitted.new))
        way.messages.append(one.message)
        if not self._writer.put(admitted.rows, lambda: self._stored(key), key=key):
            self.counters["ingest_deferred_total.store_queue_full"] += 1  # the queue gives it to us again
            self._open.pop(key)
        if way.handed:
            return None  # else it is new, or what was to hand it on has crashed
        self.counters["worker_batches_total"] += 1
        if any(reading.check == CHECK for reading in admitted.readings):
            self._drilled.append(key)
        sent = one.batch.sent + admitted.epoch.skew_s
        return Handed(admitted.epoch, one.batch.seq, one.now, sent, one.batch.live, admitted.readings,
                      one.batch.about, one.partition)  # fmt: skip

    async def _keep_clocks(self, epochs: dict[tuple[str, str], Epoch]) -> None:
        """Write down the corrections that are new, before anybody builds on them."""
        new = {key: epoch for key, epoch in epochs.items() if self._clocks.get(key) != _corrections(epoch)}
        if new:
            await asyncio.gather(*map(self._keep_clock, new.values()))

    async def _keep_clock(self, epoch: Epoch) -> None:
        body = _pack_epoch.encode(replace(epoch, received=(), durable=(), declared_dropped=()))
        await self.until_done(lambda: self._line.keep_clock(epoch.agent, epoch.epoch, body))
        self._clocks[epoch.agent, epoch.epoch] = _corrections(epoch)

    # --- on

    async def _hand_on(self, handed: Sequence[Handed]) -> None:
        """Until the line has it: nothing is acknowledged before, and nothing else is done meanwhile."""
        for payload in pieces(Hand(self._name, tuple(handed)), {}, self._quarantine.set_aside):
            await self.until_done(partial(self._line.hand, payload))

    async def _judge(self, handed: Sequence[Handed], seats: Seats) -> None:
        """The same, each partition behind what was judged of it before."""
        by_partition: dict[int, list[Handed]] = {}
        for one in handed:
            by_partition.setdefault(one.partition, []).append(one)
        async with asyncio.TaskGroup() as group:
            for partition, some in by_partition.items():
                spawn(group, f"judge {partition}", seats.hand(partition, some))

    def _on_line(self, handed: Sequence[Handed]) -> None:
        for one in handed:
            key = (one.epoch.agent, one.epoch.epoch, one.seq)
            self.pipeline.journal_has(*key)
            if (way := self._open.get(key)) is not None:
                way.handed = True
                self._look(key, way)

    def _stored(self, key: Key) -> None:
        self.pipeline.store_has(*key)
        if (way := self._open.get(key)) is not None:
            way.stored = True
            self._look(key, way)

    def _look(self, key: Key, way: _Open) -> None:
        if way.stored and way.handed:
            self._done.append(key)
            self._settling.set()

    def _done_with(self, message: Any) -> None:
        self._refused.append(message)
        self._settling.set()

    async def _settle(self) -> None:
        """Acknowledge; what gets lost here is sent again by the agent and by the queue."""
        while True:
            await self._settling.wait()
            self._settling.clear()
            done, self._done = self._done, []
            refused, self._refused = self._refused, []
            messages = [*refused, *(m for key in done if (way := self._open.pop(key, None)) for m in way.messages)]
            with contextlib.suppress(TransportDown):
                for agent, epoch in sorted({key[:2] for key in done}):
                    await self._line.acknowledge(
                        agent, codec.encode_ack(codec.Ack(epoch, *self.pipeline.ack(agent, epoch)))
                    )
                await self._line.finished(messages)
                if drilled := [key for key in done if key in self._drilled]:
                    self._drilled = [key for key in self._drilled if key not in drilled]
                    await self._line.hand(encode_hand(Hand(self._name, (), tuple(drilled))))


def _corrections(epoch: Epoch) -> tuple[tuple[int, float], ...]:
    return tuple((start, skew_s) for start, skew_s, _ in epoch.clock)
