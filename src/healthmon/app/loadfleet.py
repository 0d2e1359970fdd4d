"""A fleet of simulated agents in one process: real MQTT connections, real batches, a spool in memory each.

What it does on the wire is what the publisher does: live at once, catch-up newest first at the fleet's pace, again what
is not acknowledged, reconnects spread. Nothing is probed and nothing is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from healthmon.app.loadshape import Load, agent_name, body, shape
from healthmon.model.about import About
from healthmon.model.errors import MalformedBatch
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock
from healthmon.runtime.ranges import contains, merge
from healthmon.runtime.supervise import detach
from healthmon.transport import codec, packets, topics
from healthmon.transport.bundle import MOST, bundle
from healthmon.transport.mqtt import KEEPALIVE_S, endpoint
from healthmon.transport.pace import Pace, longest_rest_s
from healthmon.transport.publisher import (
    ABOUT_EVERY_S,
    AGENT_CATCH_UP_HZ,
    ON_ITS_WAY_S,
    fleet_pace_hz,
    reconnect_spread_s,
)
from healthmon.transport.turns import Turn

log = logging.getLogger(__name__)

LIVE_FOR_S = 10.0
RESEND_S = 30.0
CONNECT_S = 20.0


@dataclass(slots=True)
class _Kept:
    """One batch that is not acknowledged: when it was made (Unix, monotonic s), when it may go again, how often."""

    made_at: float
    made_mono: float
    again_at: float = -inf
    sent_at: float = -inf
    times: int = 0
    live: bool = True


class SimAgent(asyncio.Protocol):
    """One agent: makes batches whether connected or not, and keeps each until the server has made it durable."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.name = agent_name(number)
        self._fleet = fleet
        self._epoch = secrets.token_hex(8)
        self._seq = 0
        self._number = 0
        self._look_at = 0.0  # when it looks next, monotonic s
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._catching_up = False
        self._confirmed_at = -inf
        self._pace = Pace(fleet.catch_up_hz, longest_rest_s=longest_rest_s(fleet.load.agents))
        self._wrote_at = -inf
        self._about_at = -inf
        self._gets_turns = False
        self._turn = Turn(RESEND_S)
        self._qos = 1
        self.waiting: dict[int, _Kept] = {}
        self.up = False

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._number, self._about_at = transport, 0, -inf
        self._received.clear()
        transport.write(
            packets.connect(
                self.name,
                username=self._fleet.broker.username,
                password=self._fleet.broker.password,
                will=(topics.state(self._fleet.load.site, self.name), self._state("lost")),
                keepalive_s=KEEPALIVE_S,
            )
        )

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            for kind, flags, body in packets.split(self._received):
                self._take(kind, flags, body)
        except (packets.NotMqtt, MalformedBatch) as error:
            log.warning("the broker said what no agent understands", extra={"error": str(error)})
            self._fleet.counts["malformed"] += 1
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        was_up, self.up, self._transport = self.up, False, None
        self._fleet.lost(self, was_up=was_up)

    def drop(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def part(self) -> None:
        """A clean goodbye."""
        if self._transport is not None and self.up:
            self._publish(topics.state(self._fleet.load.site, self.name), self._state("stopped"), retain=True)
            self._write(packets.DISCONNECT)
            self._transport.close()

    def _take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == packets.CONNACK:
            self._greet(body[1])
        elif kind == packets.PUBACK:
            self._fleet.counts["pubacks"] += 1
        elif kind == packets.PUBLISH:
            self._hear(*packets.published(flags, body))
        elif kind == packets.SUBACK:
            self.up = True
            self._pace.begin()
            self._fleet.connected(self)
            self._catch_up()

    def _hear(self, name: str, payload: bytes) -> None:
        topic = topics.parse(name)
        if topic is not None and topic.kind == "ack":
            self._acknowledged(codec.decode_ack(payload))
        elif name == topics.probing(self._fleet.load.site):
            self._server_is_here(codec.decode_probing(payload))

    def _server_is_here(self, probing: codec.Probing) -> None:
        fleet, now = self._fleet, self._fleet.clock.mono()
        self._qos = 0 if probing.qos == 0 else 1
        self._gets_turns = probing.bundles
        self._pace.hz = AGENT_CATCH_UP_HZ if probing.bundles else fleet.catch_up_hz
        self._pace.longest_rest_s = 0.0 if probing.bundles else longest_rest_s(fleet.load.agents)
        for kept in self.waiting.values():
            if kept.times:
                kept.again_at, kept.times = min(kept.again_at, now + ON_ITS_WAY_S), 1
        self._turn.server_came(now + ON_ITS_WAY_S, spread_s=fleet.spread_s)
        self._about_at = -inf

    def _greet(self, code: int) -> None:
        if code:
            self._fleet.counts["refused"] += 1
            self.drop()
            return
        site = self._fleet.load.site
        wanted = (topics.ack(site, self.name), topics.ask(site, self.name), topics.probing(site))
        self._write(packets.subscribe(self._next(), wanted))
        self._publish(topics.state(site, self.name), self._state("up"), qos=self._qos, retain=True)

    def _state(self, word: str) -> bytes:
        now = self._fleet.clock.now()
        return codec.encode_state(codec.State(agent=self.name, state=word, epoch=self._epoch, at=now))

    def _next(self) -> int:
        self._number = self._number % 65_535 + 1
        return self._number

    def _publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        self._write(packets.publish(topic, payload, number=self._next() if qos else None, retain=retain))

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            self._wrote_at = self._fleet.clock.mono()
            self._transport.write(packet)

    # --- batches

    def look(self) -> None:
        """Make the next batch, send it if we are connected, and come again."""
        clock = self._fleet.clock
        self._seq += 1
        self.waiting[self._seq] = _Kept(clock.now(), clock.mono())
        self._fleet.counts["made"] += 1
        if self.up:
            self._send((self._seq,))
        self._catch_up()
        # By the clock, not by when it came to this one: a fleet that stood still once would look all at once for ever.
        self._look_at = max(self._look_at + self._fleet.load.every_s, clock.mono())
        clock.call_later(self._look_at - clock.mono(), self.look)

    def begin(self, after_s: float) -> None:
        """The first look after so long."""
        self._look_at = self._fleet.clock.mono() + after_s
        self._fleet.clock.call_later(after_s, self.look)

    def beat(self) -> None:
        """A ping when nothing was written for a while; then again."""
        clock = self._fleet.clock
        if self.up and clock.mono() - self._wrote_at >= KEEPALIVE_S * 0.75:
            self._write(packets.PING)
        clock.call_later(KEEPALIVE_S / 2, self.beat)

    def _send(self, seqs: Sequence[int]) -> None:
        """One batch, or several in one message."""
        payloads = [self._enveloped(seq) for seq in seqs]
        payload = bundle(payloads) if len(payloads) > 1 else payloads[0]
        self._publish(topics.batch(self._fleet.load.site, self.name), payload, qos=self._qos)

    def _enveloped(self, seq: int) -> bytes:
        kept, clock = self.waiting[seq], self._fleet.clock
        kept.live = not kept.times and clock.mono() - kept.made_mono <= LIVE_FOR_S
        kept.sent_at = clock.mono()
        kept.again_at = clock.mono() + self._pace.patience_s(RESEND_S) * 2.0**kept.times
        kept.times += 1
        self._fleet.counts["sent_again" if kept.times > 1 else "sent"] += 1
        return codec.envelop(
            self._fleet.body(self.name, kept.made_at),
            agent=self.name,
            epoch=self._epoch,
            seq=seq,
            sent=clock.now(),
            mono=clock.mono(),
            live=kept.live,
            dropped=(),
            about=self._about(),
        )

    def _about(self) -> About | None:
        """What it says of itself now and again."""
        now = self._fleet.clock.mono()
        if now - self._about_at < ABOUT_EVERY_S:
            return None
        self._about_at = now
        return About(self._fleet.began, self._fleet.began, batches=len(self.waiting))

    def _acknowledged(self, ack: codec.Ack) -> None:
        if ack.epoch != self._epoch:
            return
        clock, durable = self._fleet.clock, merge(ack.ranges, ((1, ack.upto),))
        now = clock.mono()
        for seq in [seq for seq in self.waiting if contains(durable, seq)]:
            kept = self.waiting.pop(seq)
            self._confirmed_at = now
            self._pace.answered(now - kept.sent_at)
            if not kept.live:
                self._pace.acknowledged(now - kept.sent_at)
            self._fleet.acknowledged(now - kept.made_mono, live=kept.live)
        if ack.room:
            self._turn.given(ack.room, now)
            self._catch_up()

    def _catch_up(self) -> None:
        """Begin to send what waits, unless that is under way or there is nothing."""
        clock = self._fleet.clock
        if not self._catching_up and self.up and self._due():
            self._catching_up = True
            clock.call_later(random.uniform(0.0, 1.0), self._send_late)

    def _send_late(self) -> None:
        self._catching_up = False
        if not self.up:
            return
        now = self._fleet.clock.mono()
        room = self._turn.room(now) if self._gets_turns else self._window()
        newest = sorted(self._due(), reverse=True)[: max(0, min(room, MOST if self._gets_turns else 1))]
        if newest:
            self._turn.took(len(newest))
            self._send(newest)
        if self._due() and (self._turn.room(now) or not self._gets_turns):
            self._catching_up = True
            self._fleet.clock.call_later(self._pace.rest_s(max(1, len(newest))), self._send_late)

    def _window(self) -> int:
        now = self._fleet.clock.mono()
        out = sum(1 for kept in self.waiting.values() if not kept.live and kept.again_at > now)
        return (self._pace.window if self._confirmed_at > now - 2 * RESEND_S else 1) - out

    def _due(self) -> list[int]:
        now = self._fleet.clock.mono()
        return [seq for seq, kept in self.waiting.items() if kept.again_at <= now]


class Fleet:
    """All simulated agents. `start` begins; `ages` are seconds from making a live batch to its being durable."""

    def __init__(self, load: Load, *, broker: Broker, clock: Clock) -> None:
        self.load = load
        self.broker = broker
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.ages: list[float] = []
        self.late_ages: list[float] = []
        self.up = 0
        self.catch_up_hz = fleet_pace_hz(load.agents)
        self.began = clock.now()
        self._shape = shape(load.points)
        self.spread_s = reconnect_spread_s(load.agents)
        self._stopping = False
        self.agents = [SimAgent(self, number) for number in range(load.agents)]
        where = endpoint(broker.url)
        self._host, self._port = where.host, where.port
        self._tls = ssl.create_default_context(cafile=broker.ca_file) if where.tls else None

    def start(self) -> None:
        """Connect all, spread as reconnects are; each begins to look at its own moment of the interval then."""
        for agent in self.agents:
            at_s = random.uniform(0.0, self.spread_s)
            self._later(at_s, agent)
            agent.begin(at_s + random.uniform(0.0, self.load.every_s))
            self.clock.call_later(random.uniform(0.0, KEEPALIVE_S / 2), agent.beat)

    def stop(self) -> None:
        """Say goodbye on every connection."""
        self._stopping = True
        for agent in self.agents:
            agent.part()

    @property
    def backlog(self) -> int:
        """Batches made that nobody has acknowledged."""
        return sum(len(agent.waiting) for agent in self.agents)

    def oldest_s(self) -> float:
        """How long ago the oldest batch was made that nobody has acknowledged."""
        made = [next(iter(agent.waiting.values())).made_mono for agent in self.agents if agent.waiting]
        return self.clock.mono() - min(made) if made else 0.0

    def body(self, agent: str, made_at: float) -> bytes:
        """The readings of one batch."""
        return body(agent, made_at, self._shape)

    def connected(self, agent: SimAgent) -> None:
        """One more is connected and subscribed."""
        self.up += 1
        self.counts["connections"] += 1

    def lost(self, agent: SimAgent, *, was_up: bool) -> None:
        """A connection has ended; the agent comes back somewhere in the fleet's spread."""
        self.up -= was_up
        if not self._stopping:
            self.counts["lost_connections"] += was_up
            self._later(random.uniform(0.0, self.spread_s) if was_up else random.uniform(0.5, 2.0), agent)

    def acknowledged(self, age_s: float, *, live: bool) -> None:
        """One batch is durable in store and journal."""
        self.counts["acknowledged"] += 1
        (self.ages if live else self.late_ages).append(age_s)

    def _later(self, seconds: float, agent: SimAgent) -> None:
        self.clock.call_later(seconds, lambda: detach("loadgen connect", self._connect(agent)))

    async def _connect(self, agent: SimAgent) -> None:
        def itself() -> SimAgent:
            return agent

        try:
            async with asyncio.timeout(CONNECT_S):
                await _open(itself, self._host, self._port, self._tls)
        except (OSError, TimeoutError):
            self.counts["connects_failed"] += 1
            if not self._stopping:
                self._later(random.uniform(1.0, max(2.0, min(30.0, self.spread_s))), agent)


async def _open(made: Callable[[], SimAgent], host: str, port: int, tls: ssl.SSLContext | None) -> None:
    await asyncio.get_running_loop().create_connection(made, host, port, ssl=tls)
