"""The server's end of the bus: batches and presence in, acknowledgements and asks out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from healthmon.model.ask import Ask
from healthmon.model.errors import TransportDown
from healthmon.model.ports import Bus, Clock, Connect, Message
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.queue import BoundedQueue, FullPolicy
from healthmon.runtime.supervise import detach, keep, spawn
from healthmon.transport import codec, topics
from healthmon.transport.bundle import is_bundle
from healthmon.transport.codec import Ack, Probing
from healthmon.transport.stalls import Stalls
from healthmon.transport.turns import Turns

log = logging.getLogger(__name__)

Handle = Callable[[str, str, bytes], Awaitable[None]]
#: (agent as the topic says, payload, reason): what never reached `handle`.
Refused = Callable[[str, bytes, str], None]
BACKLOG = 4096
BACKLOG_BYTES = 64 << 20
LIVE_WAITS_S = 3.0  # a live batch waits no longer here: its spool sends it again, in a bundle, which costs us less
ACKS_A_WRITE = 256
AT_ONCE = 16  # messages between two rounds of the event loop
BUSY_S = 0.02  # then we look again whether a late one may go
LATE_BACKLOG = 512  # bundles of stored batches: they wait for every live one
#: A batch is in its agent's spool until we acknowledge it, so the broker need not keep another copy on disk: that cost
#: the embedded one seven fsyncs for each. What it loses goes out again when we say that we are here. Tools that speak
#: `lp` have no spool, and a state is said once.
QOS: Mapping[str, int] = {"batch": 0, "lp": 1, "state": 1}


@dataclass(frozen=True, slots=True)
class _Arrived:
    """at: monotonic seconds; topic: None when it is not one of ours."""

    at: float
    topic: topics.Topic | None
    message: Message


@dataclass(frozen=True, slots=True)
class InboxStats:
    """connected now; handled by kind; refused: backlog full, the agent's spool will send it again."""

    connected: bool
    connections: int
    backlog: int
    handled: int
    refused: int
    oversize: int
    foreign: int  # not one of our topics
    failures: int  # the handler raised
    answers_lost: int  # acks and asks while the broker was away


class Inbox:
    """Takes every agent's messages in a persistent session and hands (kind, agent, payload) to `handle`, in order.

    busy: whether bundles of stored batches must wait, because what comes after us is full.
    """

    def __init__(
        self,
        *,
        connect: Connect,
        site: str,
        handle: Handle,
        clock: Clock,
        max_bytes: int = codec.MAX_PAYLOAD_BYTES,
        kinds: tuple[str, ...] = ("batch", "state", "lp"),
        on_refused: Refused | None = None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connect = connect
        self._site = site
        self._handle = handle
        self._clock = clock
        self._max_bytes = max_bytes
        self._kinds = kinds
        self._on_refused = on_refused
        self._busy = busy
        self._bus: Bus | None = None
        self._probing: Probing | None = None
        self._counts: Counter[str] = Counter()
        self._backlog = BoundedQueue[_Arrived](name="inbox", limit=BACKLOG, policy=FullPolicy.REFUSE)
        self._late = BoundedQueue[_Arrived](name="inbox-late", limit=LATE_BACKLOG, policy=FullPolicy.REFUSE)
        self._waiting_bytes = 0
        self._came = asyncio.Event()
        self.stalls = Stalls()
        self.turns = Turns()
        self.connected = asyncio.Event()
        self.connected_since = float("-inf")  # monotonic seconds of the newest connection

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(first_s=0.2, cap_s=5.0)
        async with asyncio.TaskGroup() as group:
            spawn(group, "inbox-worker", self._work())
            await keep("inbox", self._session, clock=self._clock, recoverable=(TransportDown,), backoff=backoff)

    def send_acks(self, acks: Sequence[tuple[str, Ack]]) -> None:
        """Tell agents what is durable, and whether it is their turn to send what they have stored.

        May get lost: an agent sends again what it does not hear of.
        """
        for at in range(0, len(acks), ACKS_A_WRITE):
            some = acks[at : at + ACKS_A_WRITE]
            self._post([(topics.ack(self._site, agent), self._ack(agent, ack)) for agent, ack in some])

    def unasked(self) -> list[str]:
        """Agents with stored batches that find room here, and no turn."""
        return self.turns.unasked(waiting=len(self._late), now=self._clock.mono())

    def _ack(self, agent: str, ack: Ack) -> bytes:
        if room := self.turns.give(agent, waiting=len(self._late), now=self._clock.mono()):
            ack = dataclasses.replace(ack, room=room)
        return codec.encode_ack(ack)

    def _post(self, messages: Sequence[tuple[str, bytes]]) -> None:
        try:
            gone = self._bus is not None and self._bus.post(messages)
        except TransportDown:
            gone = False
        self._counts["answers_lost"] += 0 if gone else len(messages)

    async def send_ask(self, agent: str, ask: Ask) -> None:
        """Ask an agent to probe now. May get lost: no answer by the deadline means unknown."""
        await self._answer(topics.ask(self._site, agent), codec.encode_ask(ask))

    async def ask_surely(self, agent: str, ask: Ask) -> bool:
        """The same, and whether the broker confirmed that it has it."""
        if self._bus is None:
            return False
        try:
            await self._bus.publish(topics.ask(self._site, agent), codec.encode_ask(ask), qos=1)
        except TransportDown:
            return False
        return True

    async def announce(self, probing: Probing) -> None:
        """Say how the stop button stands to every agent, now and at each new connection; agents keep it retained.

        With it goes how we take batches: workers take them one by one, out of a stream that wants QoS 1.
        """
        if self._probing is None or self._probing.stopped is not probing.stopped:
            ours = "batch" in self._kinds
            self._probing = replace(probing, bundles=ours, qos=0 if ours else 1)
            await self._tell_probing()

    async def _tell_probing(self) -> None:
        if self._bus is not None and self._probing is not None:
            with contextlib.suppress(TransportDown):  # said again when the broker is back
                payload = codec.encode_probing(self._probing)
                await self._bus.publish(topics.probing(self._site), payload, qos=1, retain=True)

    def stats(self) -> InboxStats:
        """Counters since the start."""
        count = self._counts
        return InboxStats(
            connected=self._bus is not None,
            connections=count["connections"],
            backlog=len(self._backlog) + len(self._late),
            handled=count["handled"],
            refused=self._backlog.refused + self._late.refused + count["no_room"],
            oversize=count["oversize"],
            foreign=count["foreign"],
            failures=count["failures"],
            answers_lost=count["answers_lost"],
        )

    async def _answer(self, topic: str, payload: bytes) -> None:
        try:
            if self._bus is None:
                raise TransportDown("not connected")
            await self._bus.publish(topic, payload, qos=0)
        except TransportDown:
            self._counts["answers_lost"] += 1

    async def _session(self) -> None:
        async with self._connect() as bus:
            for kind in self._kinds:
                await bus.subscribe(topics.every(self._site, kind), qos=QOS[kind])
            self._bus = bus
            self._counts["connections"] += 1
            self.connected_since = self._clock.mono()
            self.connected.set()
            log.info("inbox connected", extra={"site": self._site})
            telling = detach("inbox-tell", self._tell_probing())  # a cluster that elects a leader confirms it late
            try:
                async for message in bus.messages():
                    self._note_arrival()
                    self._keep(message)
            finally:
                telling.cancel()
                self._bus = None
                self.connected.clear()

    def _keep(self, message: Message) -> None:
        """Bounded in messages, in bytes and in time; what finds no room is sent again by its spool."""
        size, late, now = len(message.payload), is_bundle(message.payload), self._clock.mono()
        topic = topics.parse(message.topic)
        if late and topic is not None:
            self.turns.came(topic.agent)
        if self._waiting_bytes + size > BACKLOG_BYTES or (
            topic is not None and topic.kind == "batch" and self._behind(now)
        ):
            self._counts["no_room"] += 1
        elif (self._late if late else self._backlog).offer(_Arrived(now, topic, message)):
            self._waiting_bytes += size
            self._came.set()

    def _behind(self, now: float) -> bool:
        """Too much comes live: then what is newest is not let wait behind what grows old."""
        return self._backlog.first is not None and now - self._backlog.first.at > LIVE_WAITS_S

    def _note_arrival(self) -> None:
        if (stall_s := self.stalls.arrived(self._clock.mono())) is not None:
            log.warning("nothing came from the broker for a while", extra={"seconds": round(stall_s, 1)})

    async def _work(self) -> None:
        while True:
            for arrived in await self._next():
                self._waiting_bytes -= len(arrived.message.payload)
                await self._hand_over(arrived.topic, arrived.message)
            await asyncio.sleep(0)  # a backlog must not keep the others from the loop, nor live batches in the socket

    async def _next(self) -> list[_Arrived]:
        """Some that wait; of the late ones one, and that only when nothing else waits, here or behind us."""
        while True:
            if self._backlog:
                return await self._backlog.take(AT_ONCE)
            if self._late and not self._busy():
                return await self._late.take(1)
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BUSY_S if self._late else None):
                    await self._came.wait()

    def _refuse(self, agent: str, message: Message, reason: str) -> None:
        self._counts[reason] += 1
        if self._on_refused:
            self._on_refused(agent, message.payload, reason)

    async def _hand_over(self, topic: topics.Topic | None, message: Message) -> None:
        if topic is None or topic.site != self._site:
            self._refuse("", message, "foreign")
        elif len(message.payload) > self._max_bytes:
            self._refuse(topic.agent, message, "oversize")
        else:
            try:
                await self._handle(topic.kind, topic.agent, message.payload)
                self._counts["handled"] += 1
            except Exception:  # boundary: one message must not stop the ingest
                self._counts["failures"] += 1
                log.exception("message not handled", extra={"kind": topic.kind, "agent": topic.agent})
