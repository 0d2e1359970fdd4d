"""A connection attempt that is cancelled or cut prints nothing and leaves no socket, whatever the broker does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.transport import mqtt

pytestmark = pytest.mark.wire

CONNACK = b"\x20\x02\x00\x00"
REFUSED = b"\x20\x02\x00\x05"


class Mute:
    """A broker that takes connections and says nothing until it is told to."""

    def __init__(self) -> None:
        self.port = 0
        self.connected = asyncio.Event()
        self.gone = asyncio.Event()
        self.writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.connected.set()
        with suppress(OSError):
            while await reader.read(4096):
                pass
        self.gone.set()
        writer.close()


@asynccontextmanager
async def mute() -> AsyncIterator[Mute]:
    broker = Mute()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    async with server:
        yield broker


@pytest.mark.parametrize("afterwards", ["connack", "close", "nothing"])
async def test_cancelled_while_connecting(afterwards: str) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with mute() as broker:
        connect = mqtt.connector(Broker(f"mqtt://127.0.0.1:{broker.port}"), client_id="cancelled")
        attempt = asyncio.ensure_future(opened(connect))
        await broker.connected.wait()
        await asyncio.sleep(0.05)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert broker.writer is not None
        if afterwards == "connack":
            broker.writer.write(CONNACK)
        elif afterwards == "close":
            broker.writer.transport.abort()
        await asyncio.wait_for(broker.gone.wait(), 5)
        await asyncio.sleep(0.05)
    assert complaints == []
    assert [task for task in asyncio.all_tasks() if "misc" in repr(task)] == []


async def test_cancelled_before_the_socket_is_there() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with mute() as broker:
        attempt = asyncio.ensure_future(
            opened(mqtt.connector(Broker(f"mqtt://127.0.0.1:{broker.port}"), client_id="cancelled"))
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await asyncio.sleep(0.3)
    assert complaints == []


async def test_a_refused_attempt_leaves_no_socket() -> None:
    async with mute() as broker:
        attempt = asyncio.ensure_future(
            opened(mqtt.connector(Broker(f"mqtt://127.0.0.1:{broker.port}"), client_id="refused"))
        )
        await broker.connected.wait()
        assert broker.writer is not None
        broker.writer.write(REFUSED)
        with pytest.raises(TransportDown):
            await attempt
        await asyncio.wait_for(broker.gone.wait(), 5)


async def test_a_connection_closed_before_the_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a broker does that is being started again: the next attempt must not come ten seconds late."""
    monkeypatch.setattr(mqtt, "CONNECT_S", 3600.0)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with mute() as broker:
        connect = mqtt.connector(Broker(f"mqtt://127.0.0.1:{broker.port}"), client_id="early")
        attempt = asyncio.ensure_future(opened(connect))
        await broker.connected.wait()
        assert broker.writer is not None
        broker.writer.transport.abort()
        async with asyncio.timeout(60):
            with pytest.raises(TransportDown, match="closed before"):
                await attempt
    assert complaints == []


async def opened(connect: Any) -> None:
    async with connect():
        await asyncio.Event().wait()
