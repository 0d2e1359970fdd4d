"""How an agent says that it is there and that it goes: on a bus that notes what is published, for no broker tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from healthmon.model.errors import TransportDown
from healthmon.model.ports import Bus, Message
from healthmon.runtime.clock import ManualClock, settle
from healthmon.transport import codec, topics
from healthmon.transport.codec import Probing
from healthmon.transport.publisher import Publisher
from healthmon.transport.spool import Spool


class Noting:
    """One connection after the other to a server that wants QoS 0; `drop` ends the present one."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.subscriptions: list[tuple[str, ...]] = []
        self._drop = asyncio.Event()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        assert retain
        self.said.append((codec.decode_state(payload).state, qos))

    def post(self, messages: object) -> bool:
        raise NotImplementedError

    async def subscribe(self, *wanted: str, qos: int = 0) -> None:
        self.subscriptions.append(wanted)

    async def messages(self) -> AsyncIterator[Message]:
        yield Message(topics.probing("site"), codec.encode_probing(Probing(stopped=False, bundles=True, qos=0)))
        await self._drop.wait()
        raise TransportDown("dropped")

    def drop(self) -> None:
        self._drop.set()
        self._drop = asyncio.Event()


async def test_up_is_said_as_the_server_wants_it_and_a_goodbye_always_surely(tmp_path: Path) -> None:
    clock, bus = ManualClock(), Noting()
    spool = Spool(tmp_path / "spool.sqlite", agent="pc-1", max_bytes=1 << 20, clock=clock)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Bus]:
        yield bus  # type: ignore[misc]

    publisher = Publisher(spool=spool, connect=connect, site="site", agent="pc-1", clock=clock)
    task = asyncio.ensure_future(publisher.run())
    await settle()
    assert bus.said == [("up", 1)], "it knows nothing of the server yet"
    bus.drop()
    await clock.advance(5.0)
    assert bus.said == [("up", 1), ("up", 0)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert bus.said[-1] == ("stopped", 1)
    one = (topics.ack("site", "pc-1"), topics.ask("site", "pc-1"), topics.probing("site"))
    assert bus.subscriptions == [one, one], "all in one packet: an embedded broker writes to its disk for each"
    await spool.close()
