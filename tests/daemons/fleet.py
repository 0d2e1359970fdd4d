"""Both ends of the wire in one process: agents with real spools, and a server that acknowledges what it holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthmon.model.about import About
from healthmon.model.incident import Ask
from healthmon.model.plan import Broker
from healthmon.model.sample import Batch, Outcome, Reading, Sample
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.ranges import Ranges, add, contiguous_upto
from healthmon.transport import codec, mqtt, topics
from healthmon.transport.bundle import is_bundle, unbundle
from healthmon.transport.codec import Ack, Probing, State
from healthmon.transport.inbox import Inbox
from healthmon.transport.publisher import Publisher, last_will
from healthmon.transport.spool import Spool

SITE = "st-elsewhere"
CLOCK = SystemClock()


def reading(name: str) -> Reading:
    """One reading that can be told from every other by its target."""
    return Reading(name, "icmp", "pc", CLOCK.now(), 0.01, Outcome.OK, None, "", (Sample("icmp", "rtt_seconds", 0.01),))


async def until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for something that gives no event."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Server:
    """Keeps every batch that arrived, in order, acknowledges while `acking`, and handles while `going`."""

    acking: bool = True
    arrived: list[tuple[float, Batch]] = field(default_factory=list)  # (Unix s, batch)
    states: list[State] = field(default_factory=list)
    held: dict[tuple[str, str], Ranges] = field(default_factory=dict)
    going: asyncio.Event = field(default_factory=asyncio.Event)
    messages: int = 0  # of kind batch; one may bring several
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.going.set()

    async def handle(self, kind: str, agent: str, payload: bytes) -> None:
        await self.going.wait()
        if kind == "state":
            self.states.append(codec.decode_state(payload))
        if kind != "batch":
            return
        self.messages += 1
        for part in unbundle(payload) if is_bundle(payload) else (payload,):
            await self._take(agent, part)

    async def _take(self, agent: str, payload: bytes) -> None:
        batch = codec.decode(payload)
        self.arrived.append((CLOCK.now(), batch))
        if batch.about is not None:
            self.inbox.turns.says(agent, batch.about.batches)
        if self.acking:
            seqs = add(self.held.get((agent, batch.epoch), ()), batch.seq)
            self.held[agent, batch.epoch] = seqs
            self.inbox.send_acks([(agent, Ack(batch.epoch, contiguous_upto(seqs), seqs))])

    def targets(self) -> list[str]:
        """The names of all readings that arrived, repeats included."""
        return [one.target for _, batch in self.arrived for one in batch.readings]


@dataclass
class Agent:
    """One spool with its publisher."""

    name: str
    spool: Spool
    publisher: Publisher
    asked: list[Ask]

    async def see(self, name: str, *, live: bool = True) -> int:
        """Append one reading as the app does."""
        seq = await self.spool.append([reading(name)], live=live)
        self.publisher.wake()
        return seq


@contextlib.asynccontextmanager
async def serving(broker: Broker, *, older: bool = False, **how: Any) -> AsyncIterator[Server]:
    """A server that is subscribed and says so, as the real one does; an older one says not how it takes batches."""
    server = Server()
    connect = mqtt.connector(broker, client_id="server", clean=False)
    server.inbox = Inbox(connect=connect, site=SITE, handle=server.handle, clock=CLOCK, **how)
    running = asyncio.ensure_future(server.inbox.run())
    try:
        async with asyncio.timeout(20):
            await server.inbox.connected.wait()
        if older:
            async with mqtt.connector(broker, client_id="older")() as bus:
                await bus.publish(topics.probing(SITE), codec.encode_probing(Probing(stopped=False)), retain=True)
        else:
            await server.inbox.announce(Probing(stopped=False))
        yield server
    finally:
        await ended(running)


def make_agent(
    broker: Broker, path: Path, name: str = "pc-1", *, site: str = SITE, max_bytes: int = 1 << 26, **how: Any
) -> Agent:
    """An agent that does not run yet."""
    spool = Spool(path, agent=name, max_bytes=max_bytes, clock=CLOCK)
    connect = mqtt.connector(broker, client_id=name, will=last_will(site, name, spool))
    asked: list[Ask] = []

    def about() -> About:
        return About(started=1.0, booted=1.0, batches=spool.batches)

    publisher = Publisher(
        spool=spool, connect=connect, site=site, agent=name, clock=CLOCK, on_ask=asked.append, about=about, **how
    )
    return Agent(name, spool, publisher, asked)


@contextlib.asynccontextmanager
async def publishing(agent: Agent) -> AsyncIterator[Agent]:
    """The agent's publisher at work; a clean stop afterwards."""
    running = asyncio.ensure_future(agent.publisher.run())
    try:
        async with asyncio.timeout(20):
            await agent.publisher.connected.wait()
        yield agent
    finally:
        await ended(running)


async def ended(task: asyncio.Future[Any]) -> None:
    """Cancel and wait; its own errors pass."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
