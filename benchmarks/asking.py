"""Prometheus exporters asked as Prometheus asks them: over kept connections, some at once; the CPU is their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import psutil

from benchmarks.pairs import Round


async def ask_all(
    process: psutil.Process, port: int, paths: Sequence[str], *, lanes: int, right: Callable[[bytes], bool]
) -> Round:
    """Every path once."""
    before, began = process.cpu_times(), time.perf_counter()
    waiting = iter(paths)
    good = sum(await asyncio.gather(*(_lane(port, waiting, right) for _ in range(lanes))))
    wall, after = time.perf_counter() - began, process.cpu_times()
    return wall, after.user + after.system - before.user - before.system, good


async def ask(port: int, path: str) -> bytes:
    """One answer."""
    found: list[bytes] = []
    await _lane(port, iter([path]), lambda body: bool(found.append(body)) or True)
    return found[0]


async def _lane(port: int, paths: Iterator[str], right: Callable[[bytes], bool]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    good = 0
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        good += right(await _body(reader, head))
    writer.close()
    return good


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body
