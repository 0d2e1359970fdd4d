"""The line under the HTTP client: long requests, early answers, and a peer that hangs up, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from healthmon.probes.line import Line, StreamLine, open_line

pytestmark = pytest.mark.wire

LONG = b"x" * (8 * 1024 * 1024)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def dialled(serve: Serve, use: Callable[[Line], Awaitable[bytes]], *, streams: bool = False) -> bytes:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server, asyncio.timeout(60.0):
        sock = socket.create_connection(server.sockets[0].getsockname())
        sock.setblocking(False)
        line = StreamLine(await asyncio.open_connection(sock=sock)) if streams else await open_line(sock)
        try:
            return await use(line)
        finally:
            line.hang_up()


@pytest.mark.parametrize("streams", [False, True])
async def test_a_request_longer_than_the_buffers_arrives_whole(streams: bool) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.readexactly(len(LONG)))).encode())
        await writer.drain()

    async def use(line: Line) -> bytes:
        line.write(LONG)
        return await line.read(100)

    assert await dialled(count, use, streams=streams) == str(len(LONG)).encode()


async def test_an_answer_that_comes_before_the_request_is_sent_is_read() -> None:
    done = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"too large")
        await writer.drain()
        await done.wait()

    async def use(line: Line) -> bytes:
        line.write(LONG)
        answer = await line.read(100)
        done.set()
        return answer

    assert await dialled(refuse, use) == b"too large"


async def test_an_answer_in_pieces_and_the_end() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (b"one", b"two"):
            await reader.readexactly(1)
            writer.write(piece)
            await writer.drain()

    async def use(line: Line) -> bytes:
        pieces = []
        for _ in range(2):
            line.write(b"?")
            pieces.append(await line.read(100))
        return b" ".join([*pieces, await line.read(100)])

    assert await dialled(talk, use) == b"one two "


async def test_a_peer_that_resets_is_said_to_have_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.transport.abort()

    async def use(line: Line) -> bytes:
        line.write(LONG)
        return await line.read(100)

    with pytest.raises(ConnectionResetError):
        await dialled(reset, use)
