"""Shared by the tests of clinical probes: one look with its transcript, and everything that a look leaves behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import struct
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from daemons.wire_faults import Behaviour
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Batch, Reading, Reason
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
from healthmon.transport import codec

FAST = Rates(per_target_hz=1000.0, per_subnet_hz=10_000.0, global_hz=10_000.0)
_numbers = itertools.count()


async def ask(
    kind: str, address: str, *, timeout_s: float = 5.0, safety: Safety | None = None, check: str = "", **params: Any
) -> tuple[Reading, list[str]]:
    """One look by a runner of its own; a new check each time, so that the spacing of one test is not another's."""
    clock, lines = SystemClock(), list[str]()
    guard = Guard(safety or Safety(rates=FAST), clock)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    job = Job("t", check or f"c{next(_numbers)}", kind, address, 60.0, timeout_s, params)
    return await runner.run_once(job, trace=lines.append), lines


def verdict(reading: Reading) -> tuple[str, Reason | None]:
    """Outcome and reason."""
    return reading.outcome.value, reading.reason


def fields(reading: Reading, family: str) -> dict[str, Any]:
    """Samples of one family by field."""
    return {sample.field: sample.value for sample in reading.samples if sample.family == family}


def traces_of(reading: Reading, lines: list[str], logged: str, kind: str) -> str:
    """All that a look leaves: the reading, its wire form, the transcript, the log, and what the probe still holds."""
    batch = Batch("a", "0123456789abcdef", 1, 0.0, 0.0, True, (reading,))
    wire = codec.encode(batch).decode("latin-1")
    held = "\n".join(_texts(load_probe(kind)))
    return "\n".join([repr(reading), wire, *lines, logged, held])


def leaks(canaries: list[str], left: str) -> list[str]:
    """Canaries that can be seen, by any six characters of a text in a row, nine of a number (times have digits too)."""
    return [one for one in canaries if any(part in left for part in _parts(one, 9 if one.isdigit() else 6))]


def _parts(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(max(1, len(text) - size + 1))]


def _texts(root: object) -> list[str]:
    """Every text and byte string that can be reached from an object, code and modules left out."""
    seen: set[int] = set()
    found: list[str] = []
    left: list[object] = [root]
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, (type, ModuleType, FunctionType)):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            found.append(thing)
        elif isinstance(thing, (bytes, bytearray)):
            found.append(bytes(thing).decode("latin-1"))
        else:
            left.extend(gc.get_referents(thing))
    return found


# behaviours that need no request to be read to its end


def answers(*answer: bytes, then: str = "close") -> Behaviour:
    """To each thing that is sent, one answer; afterwards close or hang."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in answer:
            await reader.read(65536)
            writer.write(one)
            await writer.drain()
        if then == "hang":
            await asyncio.sleep(3600)
        writer.write_eof()
        await reader.read()

    return behave


def by_request(answer: Callable[[bytes], bytes]) -> Behaviour:
    """An answer made from what was asked, again and again."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(65536):
            writer.write(answer(request))
            await writer.drain()
        writer.close()

    return behave


def drip(answer: bytes, *, gap_s: float = 0.05) -> Behaviour:
    """One byte at a time."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(gap_s)

    return behave


def flood(begin: bytes, more: bytes) -> Behaviour:
    """An answer without an end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(begin)
        while True:
            writer.write(more)
            await writer.drain()

    return behave


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A TCP reset after the first thing that is sent."""
    await reader.read(65536)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End of stream without a byte, the other direction left open."""
    await reader.read(65536)
    writer.write_eof()
    await asyncio.sleep(3600)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, read, never answer."""
    await reader.read()
    await asyncio.sleep(3600)
