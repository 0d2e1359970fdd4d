"""What goes wrong in any TCP protocol, whoever speaks first: waits a moment for the client's first byte, then acts."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

from daemons.wire_faults import Behaviour


async def _spoken(reader: asyncio.StreamReader) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read(1)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and is silent."""
    await reader.read()
    await asyncio.sleep(3600)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A TCP reset."""
    await _spoken(reader)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End of stream without a byte."""
    await _spoken(reader)
    writer.write_eof()
    await asyncio.sleep(3600)


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same letter without end."""
    await _spoken(reader)
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def says(*parts: bytes, then: str = "hang", every_s: float = 0.0) -> Behaviour:
    """These bytes at the client's first byte, then silence or the end; with `every_s` byte by byte."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _spoken(reader)
        for part in parts:
            for piece in [part[at : at + 1] for at in range(len(part))] if every_s else [part]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every_s)
        if then == "hang":
            await asyncio.sleep(3600)
        writer.write_eof()
        await reader.read()

    return behave


@asynccontextmanager
async def answering_udp(answer: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """A UDP server on loopback that answers each datagram with a list of them; gives its port."""

    class _Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for part in answer(data):
                self.transport.sendto(part, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Protocol, local_addr=("127.0.0.1", 0))
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()
