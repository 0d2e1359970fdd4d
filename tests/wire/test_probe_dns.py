"""The DNS probe against a real unbound, and against servers that forge, cut and garble."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from daemons.looking import fields, look
from daemons.process import free_port
from daemons.stream_faults import answering_udp, half_closes, hangs, resets, says
from daemons.unbound import unbound
from daemons.wire_faults import serving
from healthmon.model.plan import MedicalAllow, MedicalNetwork, Safety
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire
pytest.importorskip("dns", reason="dnspython is not installed (extra dns)")

EHR = "ehr.st-elsewhere.example"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with unbound(tmp_path_factory.mktemp("unbound")) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        (EHR, "A", "192.0.2.11"),
        (EHR, "AAAA", "2001:db8::10"),
        ("_ldap._tcp.st-elsewhere.example", "SRV", "0 100 389 DC1.st-elsewhere.example."),
        ("192.0.2.10", "PTR", EHR),
        ("2001:db8::10", "PTR", f"{EHR}."),
    ],
)
async def test_records(port: int, host: str, transport: str, name: str, kind: str, answer: str) -> None:
    reading = await look("dns", f"{host}:{port}", name=name, type=kind, answers=[answer], transport=transport)
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "dns")
    assert found["rcode"] == "NOERROR"
    assert found["answer_seconds"] > 0.0
    assert found["min_ttl_seconds"] >= 60.0


@pytest.mark.parametrize(
    ("params", "reason", "detail"),
    [
        ({"name": EHR, "answers": ["192.0.2.10", "192.0.2.11"], "only": True}, None, ""),
        ({"name": EHR, "answers": ["192.0.2.10"], "only": True}, Reason.BAD_BODY, "1 answers are not expected"),
        ({"name": EHR, "answers": ["192.0.2.99"]}, Reason.BAD_BODY, "1 of 1 expected answers are missing"),
        ({"name": EHR, "answer_regex": r"^192\.0\.2\."}, None, ""),
        ({"name": EHR, "answer_regex": r"^10\."}, Reason.BAD_BODY, "no answer matches"),
        ({"name": EHR, "min_answers": 3}, Reason.BAD_BODY, "2 answers of type A, expected 3"),
        ({"name": EHR, "type": "MX"}, Reason.BAD_BODY, "0 answers of type MX, expected 1"),
        ({"name": EHR, "authoritative": True}, None, ""),
        ({"name": EHR, "authenticated": True}, Reason.BAD_STATUS, "the answer is not authenticated by DNSSEC"),
        ({"name": "none.st-elsewhere.example"}, Reason.BAD_STATUS, "the server says NXDOMAIN"),
        ({"name": "none.st-elsewhere.example", "rcodes": ["NXDOMAIN"]}, None, ""),
        ({"name": "a.closed.example"}, Reason.BAD_STATUS, "the server says REFUSED"),
        ({"name": "st-elsewhere.example", "type": "SOA"}, None, ""),
    ],
)
async def test_what_is_right_and_wrong(port: int, params: dict[str, Any], reason: Reason | None, detail: str) -> None:
    reading = await look("dns", f"127.0.0.1:{port}", **params)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_a_zone_tells_its_serial(port: int) -> None:
    reading = await look("dns", f"127.0.0.1:{port}", name="st-elsewhere.example", type="SOA")
    assert fields(reading, "dns")["soa_serial"] == 2026112201.0


async def test_a_truncated_answer_is_fetched_by_tcp(port: int) -> None:
    reading = await look("dns", f"127.0.0.1:{port}", name="long.st-elsewhere.example", type="TXT", min_answers=20)
    assert reading.outcome is Outcome.OK, reading
    assert fields(reading, "dns")["over_tcp"] is True


async def test_a_device_in_a_medical_network_gets_one_packet() -> None:
    packets: list[bytes] = []

    def silent(data: bytes) -> list[bytes]:
        packets.append(data)
        return []

    allow = (MedicalAllow("dns", "clinical engineering", "2026-11-01"),)
    safety = Safety(medical=(MedicalNetwork("127.0.0.0/8", allow),))
    async with answering_udp(silent) as port:
        reading = await look("dns", f"127.0.0.1:{port}", name=EHR, timeout_s=0.4, tries=3, safety=safety)
    assert (reading.reason, len(packets)) == (Reason.TIMEOUT, 1)


def _garbage(data: bytes) -> list[bytes]:
    return [b"", b"\0" * 5, b"\xff" * 600]


def _forged(data: bytes) -> list[bytes]:
    """Another id: a late or forged answer."""
    return [bytes([data[0] ^ 0xFF]) + data[1:2] + b"\x81\x80" + data[4:]]


def _cut(data: bytes) -> list[bytes]:
    return [data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:20]]


@pytest.mark.parametrize("answer", [_garbage, _forged, _cut], ids=["garbage", "forged", "cut"])
async def test_what_does_not_answer_the_question(answer: Any) -> None:
    async with answering_udp(answer) as port:
        reading = await look("dns", f"127.0.0.1:{port}", name=EHR, timeout_s=0.3)
    assert reading.reason is Reason.BAD_RESPONSE


async def test_silence_is_asked_again() -> None:
    packets: list[bytes] = []

    def second_time(data: bytes) -> list[bytes]:
        packets.append(data)
        return [data[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + data[12 : data.index(b"\0\0\1\0\1") + 5]] * (len(packets) > 1)

    async with answering_udp(second_time) as port:
        reading = await look("dns", f"127.0.0.1:{port}", name=EHR, timeout_s=0.6, tries=2)
    assert (reading.reason, len(packets)) == (Reason.BAD_STATUS, 2)  # NXDOMAIN


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (hangs, Reason.TIMEOUT),
        (resets, Reason.RESET),
        (half_closes, Reason.CLOSED),
        (says(b"\0\5hello"), Reason.BAD_RESPONSE),
        (says(b"\xff\xff" + b"x" * 100), Reason.TIMEOUT),
        (says(b"\0\x50x", then="close"), Reason.CLOSED),
    ],
    ids=["hangs", "resets", "half-closes", "garbage", "never whole", "cut short"],
)
async def test_tcp_faults(behaviour: Any, reason: Reason) -> None:
    async with serving(behaviour) as port:
        reading = await look("dns", f"127.0.0.1:{port}", name=EHR, transport="tcp", timeout_s=0.4)
    assert reading.reason is reason, reading


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_nobody_listens(transport: str) -> None:
    port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    for host in ("127.0.0.1", "[::1]"):
        reading = await look("dns", f"{host}:{port}", name=EHR, transport=transport, timeout_s=1.0)
        assert reading.reason is Reason.REFUSED, reading


async def test_silence_is_a_timeout() -> None:
    async with answering_udp(lambda data: []) as port:
        reading = await look("dns", f"127.0.0.1:{port}", name=EHR, timeout_s=0.3)
    assert (reading.reason, reading.detail) == (Reason.TIMEOUT, "no answer in 0.3 s (waiting for the answer)")


async def test_wrong_settings_are_ours() -> None:
    for params in ({}, {"name": EHR, "type": "BOGUS"}, {"name": "a" * 70 + ".example"}, {"name": EHR, "rcodes": []}):
        reading = await look("dns", "127.0.0.1", **params)
        assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS), params
