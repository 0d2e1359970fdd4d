"""A TCP relay on loopback that a test can cut: connections reset, new ones refused, or both sides left in silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Passes bytes between a port of its own and `to_port` while it is up."""

    def __init__(self, to_port: int, host: str = "127.0.0.1") -> None:
        self.to_port = to_port
        self._host = host
        self.port = 0
        self.passed = 0  # connections
        self._silent = False
        self.delay_s = 0.0  # each way
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        """Listen; on the same port as before, if there was one."""
        self._silent = False
        self._server = await asyncio.start_server(self._serve, self._host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset what is open and refuse what comes."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    def fall_silent(self) -> None:
        """Keep connections open and pass nothing on."""
        self._silent = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.passed += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_s)
                if not self._silent:
                    writer.write(data)
                    await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def relay_to(port: int, host: str = "127.0.0.1") -> AsyncIterator[Relay]:
    """A relay that is up on this address, and down afterwards."""
    relay = Relay(port, host)
    await relay.up()
    try:
        yield relay
    finally:
        await relay.cut()
