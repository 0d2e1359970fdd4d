"""Whoever is told to end while the cluster hears nothing ends, though the client takes that word for its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.nats import Nats
from daemons.process import running
from healthmon.model.errors import TransportDown
from healthmon.transport.workline import WorkLine

pytestmark = pytest.mark.wire

#: More than the client keeps for a server that reads nothing, and than both ends' sockets take.
MUCH, FULL = b"x" * 900_000, 2 << 20


@contextlib.asynccontextmanager
async def deaf(folder: Path) -> AsyncIterator[WorkLine]:
    """A line whose only node was stopped after the connection was made."""
    with running(Nats(folder)) as node:
        assert isinstance(node, Nats)
        line = WorkLine(node.url, organisation="o", name="worker", username="tester", password="a-password")
        await line.open()
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        try:
            yield line
        finally:
            node.process.send_signal(signal.SIGCONT)


async def speaks(line: WorkLine) -> None:
    """As a worker that acknowledges: what cannot be said is let go."""
    while True:
        with contextlib.suppress(TransportDown):
            await line.acknowledge("pc-1", MUCH)
        await asyncio.sleep(0.001)


async def test_a_word_to_end_while_the_client_flushes_is_heeded(tmp_path: Path) -> None:
    async with deaf(tmp_path) as line:
        speaking = asyncio.ensure_future(speaks(line))
        async with asyncio.timeout(60):
            while line._client.pending_data_size < FULL:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        speaking.cancel()
        _, left = await asyncio.wait((speaking,), timeout=8.0)
        speaking.cancel()
        await line.close()
        assert not left, "it goes on for ever"
        assert speaking.cancelled()
