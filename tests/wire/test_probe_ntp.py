"""The NTP probe against a real chronyd (with and without a time source), and against servers that lie."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.chrony import chronyd
from daemons.looking import fields, look
from daemons.process import free_port
from daemons.stream_faults import answering_udp
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with chronyd(tmp_path_factory.mktemp("chrony")) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_synchronised_server(port: int, host: str) -> None:
    reading = await look("ntp", f"{host}:{port}", max_offset_s=0.5, max_root_distance_s=1.5)
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "ntp")
    assert (found["stratum"], found["leap"]) == (8.0, 0.0)
    assert abs(found["offset_seconds"]) < 0.05  # its clock is ours
    assert 0.0 <= found["delay_seconds"] < 0.5
    assert found["root_distance_seconds"] == pytest.approx(
        (found["root_delay_seconds"] + found["delay_seconds"]) / 2 + found["root_dispersion_seconds"]
    )
    assert 0.0 <= found["reference_age_seconds"] < 3600.0


async def test_a_stratum_that_is_too_far(port: int) -> None:
    reading = await look("ntp", f"127.0.0.1:{port}", max_stratum=4)
    assert (reading.reason, reading.detail) == (Reason.BAD_STATUS, "stratum 8 is above 4")


async def test_a_server_without_a_source(tmp_path: Path) -> None:
    with chronyd(tmp_path, stratum=None) as port:
        reading = await look("ntp", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (Reason.BAD_STATUS, "the server is not synchronised")
    assert fields(reading, "ntp")["leap"] == 3.0


def server(
    *, ahead_s: float = 0.0, leap: int = 0, stratum: int = 2, reference: bytes = b"\xc0\0\2\1", delay: int = 0
) -> Callable[[bytes], list[bytes]]:
    """A server by hand whose clock is ahead; `delay` is its root delay in 1/65536 s."""

    def answer(data: bytes) -> list[bytes]:
        now = int((time.time() + ahead_s + 2_208_988_800) * 2**32) % 2**64
        head = struct.pack("!BBbbII4s", leap << 6 | 4 << 3 | 4, stratum, 6, -20, delay, 6554, reference)
        return [head + struct.pack("!Q", now - (16 << 32)) + data[40:48] + struct.pack("!QQ", now, now)]

    return answer


@pytest.mark.parametrize("ahead_s", [-90.0, 3.5, 1_000_000_000.0])
async def test_a_clock_that_is_wrong(ahead_s: float) -> None:
    """The last one is in the era that begins in 2036."""
    async with answering_udp(server(ahead_s=ahead_s, delay=65536)) as port:
        reading = await look("ntp", f"127.0.0.1:{port}")
        limited = await look("ntp", f"127.0.0.1:{port}", max_offset_s=1.0)
    found = fields(reading, "ntp")
    assert reading.outcome is Outcome.OK
    assert found["offset_seconds"] == pytest.approx(ahead_s, abs=0.1)
    assert found["root_dispersion_seconds"] == pytest.approx(0.1, abs=0.001)
    assert found["root_distance_seconds"] == pytest.approx(0.6, abs=0.05)
    assert found["reference_age_seconds"] == pytest.approx(16.0, abs=0.1)
    assert limited.reason is Reason.BAD_BODY
    assert limited.detail.startswith("offset ")


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"stratum": 0, "leap": 3, "reference": b"RATE"}, "the server refuses: RATE"),
        ({"stratum": 0, "leap": 3, "reference": b"\0\0\0\0"}, "the server is not synchronised"),
        ({"stratum": 16}, "the server is not synchronised"),
        ({"leap": 3}, "the server is not synchronised"),
    ],
)
async def test_what_servers_say_when_they_cannot(params: dict[str, Any], detail: str) -> None:
    async with answering_udp(server(**params)) as port:
        reading = await look("ntp", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (Reason.BAD_STATUS, detail)


@pytest.mark.parametrize(
    "answer",
    [
        lambda data: [b"\0" * 20],
        lambda data: [data],
        lambda data: [b"\x24\2" + bytes(46)],
        lambda data: [b"\xff" * 48] * 200,
    ],
    ids=["short", "echo", "forged", "flood"],
)
async def test_what_does_not_answer(answer: Any) -> None:
    async with answering_udp(answer) as port:
        reading = await look("ntp", f"127.0.0.1:{port}", timeout_s=0.3)
    assert reading.reason is Reason.BAD_RESPONSE


async def test_silence_and_a_closed_port() -> None:
    async with answering_udp(lambda data: []) as port:
        assert (await look("ntp", f"127.0.0.1:{port}", timeout_s=0.3)).reason is Reason.TIMEOUT
    for host in ("127.0.0.1", "[::1]"):
        reading = await look("ntp", f"{host}:{free_port(socket.SOCK_DGRAM)}", timeout_s=1.0)
        assert reading.reason is Reason.REFUSED
