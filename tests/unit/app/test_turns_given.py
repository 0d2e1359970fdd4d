"""A server that has room gives turns to agents that are behind, also when nothing comes that it could answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from daemons.onesite import OneSite
from healthmon.app.server import Server
from healthmon.config import load
from healthmon.model.about import About
from healthmon.model.plan import Broker
from healthmon.model.sample import Batch, Outcome, Reading
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec
from healthmon.transport.bundle import MOST

START = 1_795_514_400.0


@dataclass
class Posts:
    """Stands for the connection: what was posted over it."""

    acks: list[codec.Ack] = field(default_factory=list)

    def post(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        self.acks += [codec.decode_ack(payload) for topic, payload in messages if topic.endswith("/ack")]
        return True

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        assert topic.endswith("/probing")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = OneSite(tmp_path / "site")
    made.data.mkdir()
    site = load(made.config, today=date(2026, 1, 1))
    one = Server(site, clock=ManualClock(START), broker=Broker("mqtt://127.0.0.1:1"))
    writing = asyncio.ensure_future(one.writer.run())
    yield one
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await one.store.close()
    one.journal.close()
    one.links.close()


async def test_an_agent_that_is_behind_hears_of_its_turn_without_asking(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = Posts()
    monkeypatch.setattr(server.inbox, "_bus", posts)
    reading = Reading("srv-ed", "greet", "poller", START, 0.01, Outcome.OK)
    behind = About(started=START, booted=START, batches=3 * MOST)
    batch = Batch("poller", "0" * 16, 1, START, 1.0, True, (reading,), about=behind)
    await server.reception.handle("batch", "poller", codec.encode(batch))
    await server.step()
    assert [ack.room for ack in posts.acks] == [3 * MOST]
    posts.acks.clear()
    await server.step()
    assert [ack.room for ack in posts.acks if ack.room] == [], "its turn stands"
    server.inbox.turns.came("poller")
    server.inbox.turns.says("poller", 2 * MOST)
    posts.acks.clear()
    await server.step()
    assert [(ack.epoch, ack.room) for ack in posts.acks] == [("0" * 16, 2 * MOST)]
