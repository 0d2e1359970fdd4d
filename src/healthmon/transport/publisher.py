"""Drains the spool: live first and newest first, catch-up at a measured pace, again what is not acknowledged."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from healthmon.model.about import About
from healthmon.model.ask import Ask
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.ports import Bus, Clock, Connect, Message
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.ranges import Ranges, contains, merge
from healthmon.runtime.supervise import keep, spawn
from healthmon.transport import codec, topics
from healthmon.transport.bundle import MOST, bundle, parcels
from healthmon.transport.codec import Ack, Probing, State, Will
from healthmon.transport.pace import Pace, longest_rest_s
from healthmon.transport.shelf import Pending
from healthmon.transport.spool import Spool
from healthmon.transport.turns import Turn

log = logging.getLogger(__name__)

LIVE_AT_ONCE = 16
REMEMBERED = 4096  # batches whose last sending we remember
LONGEST_RESEND_S = 600.0
FLEET_CATCH_UP_HZ = 2000.0  # what all agents together may send a server that comes back
AGENT_CATCH_UP_HZ = 200.0  # what one of them may
GOODBYE_S = 2.0
IDLE_S = 1.0
WINDOW_FULL_S = 0.25
ON_ITS_WAY_S = 1.0  # an acknowledgement may be
ABOUT_EVERY_S = 15.0


def last_will(site: str, agent: str, spool: Spool) -> Callable[[], Will]:
    """What the broker shall say of us when we vanish; made anew at each connection, as the epoch may change."""

    def make() -> Will:
        return Will(topics.state(site, agent), codec.encode_state(State(agent=agent, state="lost", epoch=spool.epoch)))

    return make


def reconnect_spread_s(fleet_size: int) -> float:
    """Over how many seconds a fleet's reconnects are spread (CONTRACT section 4)."""
    return min(60.0, fleet_size / 100.0)


def fleet_pace_hz(fleet_size: int) -> float:
    """How many stored batches a second one agent of such a fleet sends to a server that comes back."""
    return max(1.0, min(AGENT_CATCH_UP_HZ, FLEET_CATCH_UP_HZ / max(1, fleet_size)))


@dataclass(slots=True)
class _Sending:
    """When a batch was sent and may be again (monotonic s), how often it was, what it declared as dropped."""

    at: float
    again_at: float
    times: int
    late: bool
    declared: Ranges = ()


@dataclass(frozen=True, slots=True)
class PublisherStats:
    """connected now; sent counts what the broker has (QoS 1) or the connection took (QoS 0).

    acked counts batches deleted from the spool.
    """

    connected: bool
    connections: int
    sent_live: int
    sent_catch_up: int
    acked: int
    waiting: int
    malformed: int


class Publisher:
    """One agent's connection to the server; `connect` should carry the will made by `last_will`."""

    def __init__(
        self,
        *,
        spool: Spool,
        connect: Connect,
        site: str,
        agent: str,
        clock: Clock,
        on_ask: Callable[[Ask], None] | None = None,
        on_probing: Callable[[Probing], None] | None = None,
        fleet_size: int = 1,
        resend_s: float = 30.0,
        catch_up_hz: float | None = None,
        about: Callable[[], About] | None = None,
    ) -> None:
        self._spool = spool
        self._connect = connect
        self._site = site
        self._agent = agent
        self._clock = clock
        self._on_ask = on_ask
        self._on_probing = on_probing
        self._spread_s = reconnect_spread_s(fleet_size)
        self._resend_s = resend_s
        self._fleet_size = fleet_size
        self._hz = catch_up_hz or fleet_pace_hz(fleet_size)
        self._bundled_hz = catch_up_hz or AGENT_CATCH_UP_HZ
        self._pace = Pace(self._hz, longest_rest_s=longest_rest_s(fleet_size))
        self._gets_turns = False  # from a server that takes bundles
        self._qos = 1
        self._turn = Turn(resend_s)
        self._sendings: dict[tuple[str, int], _Sending] = {}
        self._about = about
        self._told_about_at = -inf  # monotonic s; anew with each connection
        self._live = asyncio.Event()
        self._confirmed_at = -inf  # when the server last took something off us, monotonic s
        self._said = ""  # the spool state that the retained message tells
        self._counts: Counter[str] = Counter()
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled; a cancellation sends what is fresh and says goodbye, within seconds."""
        backoff = Backoff(first_s=0.5, cap_s=max(2.0, min(30.0, self._spread_s)))
        await keep("publisher", self._session, clock=self._clock, recoverable=(TransportDown,), backoff=backoff)

    def wake(self) -> None:
        """Call after an append."""
        self._live.set()

    def stats(self) -> PublisherStats:
        """Counters since the start."""
        count = self._counts
        return PublisherStats(
            connected=self.connected.is_set(),
            connections=count["connections"],
            sent_live=count["live"],
            sent_catch_up=count["catch_up"],
            acked=count["acked"],
            waiting=len(self._sendings),
            malformed=count["malformed"],
        )

    async def _session(self) -> None:
        if self._counts["connections"]:
            await self._clock.sleep(random.uniform(0.0, self._spread_s))
        async with self._connect() as bus:
            self._counts["connections"] += 1
            self._pace.begin()
            self._told_about_at = -inf
            try:
                await self._serve(bus)
            except asyncio.CancelledError:
                await self._part(bus)
                raise
            finally:
                self.connected.clear()

    async def _serve(self, bus: Bus) -> None:
        lost: BaseException | None = None
        try:
            await self._greet(bus)
            async with asyncio.TaskGroup() as group:
                spawn(group, "publisher-listen", self._listen(bus))
                spawn(group, "publisher-live", self._send_live(bus))
                spawn(group, "publisher-catch-up", self._send_late(bus))
        except* TransportDown as downs:
            lost = _first(downs)
        if lost is not None:
            raise TransportDown(str(lost))

    async def _greet(self, bus: Bus) -> None:
        of = (self._site, self._agent)
        await bus.subscribe(topics.ack(*of), topics.ask(*of), topics.probing(self._site), qos=0)
        await self._say(bus, "up")
        self.connected.set()
        log.info("publisher connected", extra={"agent": self._agent})

    async def _say(self, bus: Bus, word: str) -> None:
        """Publish the retained state. A goodbye is said once; what is said at each connection needs no second copy."""
        stats = self._spool.stats()
        self._said = stats.state
        spool = {"state": stats.state, "bytes": stats.bytes, "dropped_readings": stats.dropped_readings}
        qos = self._qos if word == "up" else 1
        state = State(agent=self._agent, state=word, epoch=stats.epoch, at=self._clock.now(), spool=spool)
        await bus.publish(topics.state(self._site, self._agent), codec.encode_state(state), qos=qos, retain=True)

    async def _part(self, bus: Bus) -> None:
        """Send what is fresh and say that the stop is meant."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                if fresh := self._spool.fresh(LIVE_AT_ONCE):
                    await self._send(bus, fresh)
                await self._say(bus, "stopped")
        except (TransportDown, TimeoutError, ExceptionGroup):
            log.info("no goodbye to the broker", extra={"agent": self._agent})

    async def _listen(self, bus: Bus) -> None:
        async for message in bus.messages():
            try:
                await self._hear(message)
            except MalformedBatch as error:
                self._counts["malformed"] += 1
                log.warning("malformed answer from the server", extra={"topic": message.topic, "error": str(error)})

    async def _hear(self, message: Message) -> None:
        if message.topic == topics.probing(self._site):
            probing = codec.decode_probing(message.payload)
            self._server_is_here(probing)
            if self._on_probing:
                self._on_probing(probing)
        topic = topics.parse(message.topic)
        if topic is None:
            return
        if topic.kind == "ack":
            await self._acknowledged(codec.decode_ack(message.payload))
        elif topic.kind == "ask" and self._on_ask:
            self._on_ask(codec.decode_ask(message.payload))

    async def _acknowledged(self, ack: Ack) -> None:
        gone = await self._spool.acknowledge(ack)
        self._counts["acked"] += gone
        if gone:
            self._confirmed_at = self._clock.mono()
        self._turn.given(ack.room, self._clock.mono())
        durable = merge(ack.ranges, ((1, ack.upto),))
        for name in [n for n in self._sendings if n[0] == ack.epoch and contains(durable, n[1])]:
            sending = self._sendings.pop(name)
            self._pace.answered(self._clock.mono() - sending.at)
            if sending.late:
                self._pace.acknowledged(self._clock.mono() - sending.at, held_s=ack.held)
            if sending.declared:
                await self._spool.declared(ack.epoch, sending.declared)

    def _server_is_here(self, probing: Probing) -> None:
        """It says so at each connection: what it has not acknowledged may have gone to nobody."""
        self._qos = 0 if probing.qos == 0 else 1  # whatever a later server may say, its stop button is heard
        self._gets_turns = probing.bundles
        self._pace.hz = self._bundled_hz if probing.bundles else self._hz
        self._pace.longest_rest_s = 0.0 if probing.bundles else longest_rest_s(self._fleet_size)
        again_at = self._clock.mono() + ON_ITS_WAY_S
        for sending in self._sendings.values():
            sending.again_at, sending.times = min(sending.again_at, again_at), 0
        self._turn.server_came(again_at, spread_s=self._spread_s)
        self._told_about_at = -inf  # it may not know how much waits here

    async def _send_live(self, bus: Bus) -> None:
        while True:
            while fresh := self._spool.fresh(LIVE_AT_ONCE):
                await self._send(bus, fresh[::-1])  # the newest few, but those in the order they were seen
            self._live.clear()
            await self._live.wait()

    async def _send_late(self, bus: Bus) -> None:
        while True:
            if self._spool.state != self._said:
                await self._say(bus, "up")
            if self._spool.batches <= len(self._waiting()):
                await self._clock.sleep(IDLE_S)
            elif batches := await self._next_late():
                await (self._send_bundled if self._gets_turns else self._send)(bus, batches)
                await self._rest(len(batches))
            else:
                await self._clock.sleep(WINDOW_FULL_S)

    async def _rest(self, sent: int) -> None:
        """As long as the newest answer says, and no longer when a quick one comes meanwhile."""
        began = self._clock.mono()
        while (left_s := began + self._pace.rest_s(sent) - self._clock.mono()) > 0.0:
            await self._clock.sleep(min(left_s, IDLE_S))

    async def _next_late(self) -> list[Pending]:
        """What of the backlog may go now, newest first."""
        room = self._turn.room(self._clock.mono()) if self._gets_turns else self._window()
        if room <= 0:
            return []
        batches = await self._spool.stored(min(room, MOST if self._gets_turns else LIVE_AT_ONCE), self._waiting())
        waiting = self._waiting()  # again: a live one may have gone out while the disk was read
        found = [batch for batch in batches if (batch.epoch, batch.seq) not in waiting]
        self._turn.took(len(found))
        return found

    def _waiting(self) -> set[tuple[str, int]]:
        """What was sent and need not be sent again yet."""
        now = self._clock.mono()
        return {name for name, sending in self._sendings.items() if sending.again_at > now}

    def _window(self) -> int:
        """While nothing is confirmed, one batch at a time asks whether the server is back."""
        now = self._clock.mono()
        window = self._pace.window if self._confirmed_at > now - 2 * self._resend_s else 1
        return window - sum(1 for one in self._sendings.values() if one.late and one.at > now - self._resend_s)

    async def _send(self, bus: Bus, batches: Sequence[Pending]) -> None:
        if len(batches) == 1:
            await self._send_one(bus, batches[0])
            return
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                spawn(group, f"publish {batch.seq}", self._send_one(bus, batch))

    async def _send_one(self, bus: Bus, batch: Pending) -> None:
        await self._publish(bus, [batch], self._enveloped(batch))

    async def _send_bundled(self, bus: Bus, batches: Sequence[Pending]) -> None:
        """In few messages; the newest are in the first."""
        left = list(batches)
        for parcel in parcels([self._enveloped(batch) for batch in batches]):
            several, left = left[: len(parcel)], left[len(parcel) :]
            await self._publish(bus, several, bundle(parcel) if len(parcel) > 1 else parcel[0])

    def _enveloped(self, batch: Pending) -> bytes:
        """As it goes out now; from here on it counts as sent."""
        declared = self._spool.dropped(batch.epoch)
        self._remember((batch.epoch, batch.seq), late=not batch.live, declared=declared)
        return codec.envelop(
            batch.body,
            agent=self._agent,
            epoch=batch.epoch,
            seq=batch.seq,
            sent=self._clock.now(),
            mono=self._clock.mono(),
            live=batch.live,
            dropped=declared,
            about=self._say_about(),
            clock=batch.clock,
        )

    async def _publish(self, bus: Bus, batches: Sequence[Pending], payload: bytes) -> None:
        try:
            await bus.publish(topics.batch(self._site, self._agent), payload, qos=self._qos)
        except TransportDown:
            for batch in batches:  # nobody has it: it may go at once when we are back
                self._sendings.pop((batch.epoch, batch.seq), None)
            raise
        self._spool.sent(batches)
        for batch in batches:
            self._counts["live" if batch.live else "catch_up"] += 1

    def _say_about(self) -> About | None:
        """With the first batch of a connection, and then now and again."""
        now = self._clock.mono()
        if self._about is None or now - self._told_about_at < ABOUT_EVERY_S:
            return None
        self._told_about_at = now
        return self._about()

    def _remember(self, name: tuple[str, int], *, late: bool, declared: Ranges) -> None:
        """Each further sending of the same batch waits twice as long, so that one the server refuses blocks nobody."""
        before = self._sendings.pop(name, None)
        times = before.times if before else 0
        wait_s = min(LONGEST_RESEND_S, self._pace.patience_s(self._resend_s) * 2.0**times)
        while len(self._sendings) >= REMEMBERED:
            del self._sendings[next(iter(self._sendings))]
        now = self._clock.mono()
        self._sendings[name] = _Sending(now, now + wait_s, times + 1, late, declared)


def _first(group: BaseExceptionGroup[TransportDown]) -> BaseException:
    """The first error of a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
