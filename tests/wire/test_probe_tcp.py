"""The TCP probe against listeners that answer, refuse, hang, reset and close."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest

from daemons.process import free_port
from daemons.wire_faults import Behaviour, serving
from healthmon.model.plan import Job, Safety
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire


async def probe(address: str, *, timeout_s: float = 5.0, **params: Any) -> Reading:
    clock = SystemClock()
    runner = Runner(
        vantage="v", guard=Guard(Safety(), clock), clock=clock, probes=load_probe, on_reading=lambda reading: None
    )
    return await runner.run_once(Job("t", "c", "tcp", address, 30.0, timeout_s, params))


def banner(text: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in text:
            writer.write(bytes([byte]))
            await writer.drain()
        await reader.read()

    return behave


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"+" + await reader.readline())
    await reader.read()


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await reader.read()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("behaviour", "params", "reason"),
    [
        (silent, {}, None),
        (banner(b"220 mail.example ESMTP\r\n"), {"expect": r"^220 "}, None),
        (banner(b"SSH-2.0-x\r\n"), {"expect": r"^SSH-2\.0-.*\r\n"}, None),
        (echo, {"send": "PING\r\n", "expect": r"^\+PING"}, None),
        (banner(b"x" * 200), {"expect": "^220", "max_bytes": 100}, Reason.BAD_RESPONSE),
        (closes, {"expect": "^220"}, Reason.CLOSED),
        (resets, {"send": "hello\r\n", "expect": "."}, Reason.RESET),
        (silent, {"expect": "^220"}, Reason.TIMEOUT),
    ],
    ids=["open", "banner", "banner line", "dialogue", "wrong banner", "closes", "resets", "silent"],
)
async def test_what_comes_back(behaviour: Behaviour, params: dict[str, Any], reason: Reason | None) -> None:
    async with serving(behaviour) as port:
        reading = await probe(f"127.0.0.1:{port}", timeout_s=1.0, **params)
    assert reading.reason is reason, reading
    assert {sample.field for sample in reading.samples} >= {"connect_seconds", "duration_seconds"}


async def test_a_closed_port_is_refused() -> None:
    reading = await probe(f"127.0.0.1:{free_port()}")
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.REFUSED)


async def test_a_listener_with_a_full_backlog_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        await asyncio.sleep(0.05)
        reading = await probe(f"127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5)
        for filler in fillers:
            filler.close()
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert "connecting" in reading.detail


async def test_the_second_address_of_a_name_is_tried() -> None:
    async def both(host: str) -> list[tuple[int, str]]:
        return [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]

    clock = SystemClock()
    guard = Guard(Safety(), clock, lookup=both)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    async with serving(silent) as port:
        reading = await runner.run_once(Job("t", "c", "tcp", "both.example", 30.0, 5.0, {"port": port}))
        only_v6 = await runner.run_once(
            Job("t2", "c", "tcp", "both.example", 30.0, 5.0, {"port": port, "ip_version": 6})
        )
    assert reading.outcome is Outcome.OK
    assert only_v6.reason is Reason.REFUSED


async def test_an_address_without_a_port_is_bad_params() -> None:
    assert (await probe("127.0.0.1")).reason is Reason.BAD_PARAMS
