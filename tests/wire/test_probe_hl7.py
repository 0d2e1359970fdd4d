"""The HL7 probe against two independent MLLP servers (python-hl7, hl7apy) and against listeners that behave badly."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority, Issued
from daemons.clinical import answers, ask, by_request, drip, fields, flood, half_closes, hangs, resets, verdict
from daemons.process import free_port
from daemons.wire_faults import Behaviour, serving
from healthmon.model.plan import MedicalAllow, MedicalNetwork, Safety
from healthmon.model.sample import Reason

pytestmark = pytest.mark.wire

APPROVED = {"approved_by": "A. Integrator", "approved_on": "2026-11-01"}
MESSAGE: dict[str, Any] = {"mode": "message", "test_channel": APPROVED}


def ack(request: bytes, code: str = "AA", *, control_id: bytes | None = None) -> bytes:
    own = control_id if control_id is not None else request.split(b"|")[9]
    return b"\x0bMSH|^~\\&|LIS|LAB|HEALTHMON||20261101120000||ACK|1|T|2.5\rMSA|%b|%b\r\x1c\r" % (code.encode(), own)


def acks(code: str) -> Behaviour:
    return by_request(lambda request: ack(request, code))


@asynccontextmanager
async def python_hl7(
    code: str = "AA", *, got: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """python-hl7's MLLP server; it makes its acknowledgements from the message by itself."""
    mllp = pytest.importorskip("hl7.mllp", reason="python-hl7 comes with the test extra")

    async def serve(reader: Any, writer: Any) -> None:
        try:
            while True:
                message = await reader.readmessage()
                if got is not None:
                    got.append(str(message))
                writer.writemessage(message.create_ack(ack_code=code))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await mllp.start_hl7_server(serve, host="127.0.0.1", port=0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@contextmanager
def hl7apy_server() -> Iterator[int]:
    """hl7apy's MLLP server, which knows our sentinel and answers NMQ^N01 as an unsupported type."""
    module = pytest.importorskip("hl7apy.mllp", reason="hl7apy comes with the test extra")

    class Accepts(module.AbstractHandler):  # type: ignore[misc, name-defined]
        def reply(self) -> str:
            return ack(self.incoming_message.encode()).decode()

    class Rejects(module.AbstractErrorHandler):  # type: ignore[misc, name-defined]
        def reply(self) -> str:
            return ack(self.incoming_message.encode(), "AR").decode()

    server = module.MLLPServer("127.0.0.1", 0, {"ZHM^Z01": (Accepts,), "ERR": (Rejects,)})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


async def test_by_default_it_only_connects_and_sends_nothing() -> None:
    got = bytearray()

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while more := await reader.read(100):
            got.extend(more)

    async with serving(listens) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", test_channel=APPROVED)
    assert verdict(reading) == ("ok", None)
    assert bytes(got) == b""
    found = fields(reading, "hl7")
    assert found["settle_seconds"] >= 0.19
    assert "ack_code" not in found


async def test_python_hl7_acknowledges_the_sentinel_which_speaks_of_nobody() -> None:
    got: list[str] = []
    async with python_hl7(got=got) as port:
        params = {"receiving_application": "LIS TEST", "receiving_facility": "LAB", "sending_facility": "MAIN"}
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", **MESSAGE, **params)
    assert verdict(reading) == ("ok", None)
    found = fields(reading, "hl7")
    assert found["ack_code"] == "AA"
    assert 0.0 < found["ack_seconds"] < 5.0
    (message,) = got
    assert [line[:3] for line in message.strip("\r").split("\r")] == ["MSH"]
    msh = message.strip("\r").split("|")
    assert msh[2:6] == ["HEALTHMON", "MAIN", "LIS TEST", "LAB"]
    assert msh[8] == "ZHM^Z01"
    assert msh[10:12] == ["T", "2.5"]


async def test_every_message_has_its_own_control_id() -> None:
    got: list[str] = []
    async with python_hl7(got=got) as port:
        for _ in range(3):
            await ask("hl7", f"127.0.0.1:{port}", **MESSAGE)
    assert len({message.split("|")[9] for message in got}) == 3


async def test_hl7apy_accepts_what_it_knows_and_rejects_what_it_does_not() -> None:
    with hl7apy_server() as port:
        good, _ = await ask("hl7", f"127.0.0.1:{port}", **MESSAGE)
        refused, _ = await ask("hl7", f"127.0.0.1:{port}", **MESSAGE, message_type="NMQ^N01")
    assert verdict(good) == ("ok", None)
    assert (verdict(refused), refused.detail) == (("failed", Reason.BAD_STATUS), "AR")
    assert fields(refused, "hl7")["ack_code"] == "AR"


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_refusal_is_bad_status_with_the_code(code: str) -> None:
    async with serving(acks(code)) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", **MESSAGE)
    assert (verdict(reading), reading.detail) == (("failed", Reason.BAD_STATUS), code)


async def test_enhanced_mode_commit_accept_is_good() -> None:
    async with serving(acks("CA")) as port:
        assert verdict((await ask("hl7", f"127.0.0.1:{port}", **MESSAGE))[0]) == ("ok", None)


BLOCK = b"\x0bMSH|^~\\&|A|B|C|D|20261101||ACK|1|T|2.5\r"


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (by_request(lambda request: ack(request, control_id=b"OTHER")), Reason.BAD_BODY, "another message"),
        (answers(BLOCK + b"MSA|AA\r\x1c\r"), Reason.BAD_BODY, "another message"),
        (answers(BLOCK + b"MSA|OK|1\r\x1c\r"), Reason.BAD_RESPONSE, "no known code"),
        (answers(BLOCK + b"\x1c\r"), Reason.BAD_RESPONSE, "no MSA"),
        (answers(b"\x0bPID|1\r\x1c\r"), Reason.BAD_RESPONSE, "begin with MSH"),
        (answers(b"\x0b\x1c\r"), Reason.BAD_RESPONSE, "begin with MSH"),
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.BAD_RESPONSE, "not an MLLP block"),
        (answers(BLOCK), Reason.CLOSED, "in the middle"),
        (answers(b"", then="close"), Reason.CLOSED, "without an answer"),
        (answers(BLOCK, then="hang"), Reason.TIMEOUT, "waiting for the acknowledgement"),
        (half_closes, Reason.CLOSED, "without an answer"),
        (resets, Reason.RESET, "reset"),
        (hangs, Reason.TIMEOUT, "waiting for the acknowledgement"),
        (drip(BLOCK * 10), Reason.TIMEOUT, "waiting for the acknowledgement"),
        (flood(BLOCK, b"NTE|1|L|x\r" * 1000), Reason.TOO_LARGE, "65536"),
    ],
    ids=[
        "control id of another",
        "no control id",
        "unknown code",
        "no MSA",
        "no MSH",
        "empty",
        "garbage",
        "cut off",
        "closes",
        "half an answer",
        "half-close",
        "reset",
        "hang",
        "slow drip",
        "huge",
    ],
)
async def test_bad_answers_to_a_message(behaviour: Behaviour, reason: Reason, words: str) -> None:
    async with serving(behaviour) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", timeout_s=0.7, **MESSAGE)
    assert verdict(reading) == ("failed", reason), reading
    assert words in reading.detail


async def test_a_slow_but_whole_acknowledgement_is_good() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = ack(await reader.read(1000))
        for at in range(0, len(answer), 7):
            writer.write(answer[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0.005)
        await reader.read()

    async with serving(slow) as port:
        assert verdict((await ask("hl7", f"127.0.0.1:{port}", **MESSAGE))[0]) == ("ok", None)


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await reader.read()


@pytest.mark.parametrize(
    ("behaviour", "reason"), [(closes_at_once, Reason.CLOSED), (greets, Reason.BAD_RESPONSE)], ids=["closes", "greets"]
)
async def test_bad_listeners(behaviour: Behaviour, reason: Reason) -> None:
    async with serving(behaviour) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}")
        trusting, _ = await ask("hl7", f"127.0.0.1:{port}", settle_s=0.0)
    assert verdict(reading) == ("failed", reason)
    assert verdict(trusting) == ("ok", None)


async def test_a_closed_port_is_refused() -> None:
    reading, _ = await ask("hl7", f"127.0.0.1:{free_port()}")
    assert verdict(reading) == ("failed", Reason.REFUSED)


async def test_an_approval_from_the_future_sends_nothing() -> None:
    got: list[str] = []
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    async with python_hl7(got=got) as port:
        channel = {"approved_by": "A. Integrator", "approved_on": tomorrow.isoformat()}
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", mode="message", test_channel=channel)
    assert verdict(reading) == ("unknown", Reason.BAD_PARAMS)
    assert got == []


@pytest.mark.parametrize(
    "params",
    [
        {"mode": "message"},
        {"mode": "message", "test_channel": {"approved_by": "", "approved_on": "2026-11-01"}},
        {"mode": "message", "test_channel": {"approved_by": "A. Integrator"}},
        {"mode": "message", "test_channel": {"approved_by": "A. Integrator", "approved_on": "soon"}},
        {**MESSAGE, "message_type": "ADT^A01"},
        {**MESSAGE, "message_type": "ORM^O01"},
        {**MESSAGE, "processing_id": "P"},
        {**MESSAGE, "receiving_application": "LIS|EVIL\rPID|1"},
        {**MESSAGE, "min_every_s": 30.0},
        {"min_every_s": 5.0},
    ],
    ids=lambda params: "-".join(params),
)
async def test_what_is_not_approved_never_leaves(params: dict[str, Any]) -> None:
    connections = 0

    async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1

    async with serving(counts) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", **params)
    assert verdict(reading) == ("unknown", Reason.BAD_PARAMS)
    assert connections == 0


async def test_asked_again_and_again_it_holds_back() -> None:
    async with serving(acks("AA")) as port:
        seen = [verdict((await ask("hl7", f"127.0.0.1:{port}", check="same", **MESSAGE))[0]) for _ in range(5)]
    assert seen == [("ok", None)] * 3 + [("unknown", Reason.RATE_LIMITED)] * 2


async def test_a_medical_network_needs_an_approved_entry_for_this_kind() -> None:
    closed = MedicalNetwork("127.0.0.0/8", (MedicalAllow("icmp", "A. Engineer", "2026-11-01"),))
    opened = MedicalNetwork("127.0.0.0/8", (MedicalAllow("hl7", "A. Engineer", "2026-11-01"),))
    async with python_hl7() as port:
        refused, _ = await ask("hl7", f"127.0.0.1:{port}", safety=Safety(medical=(closed,)))
        allowed, _ = await ask("hl7", f"127.0.0.1:{port}", safety=Safety(medical=(opened,)))
    assert verdict(refused) == ("unknown", Reason.NOT_ALLOWED)
    assert verdict(allowed) == ("ok", None)


def server_context(issued: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert_file, issued.key_file)
    return context


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({}, None),
        ({"starts_days": -90.0, "ends_days": -3.0}, Reason.CERT_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERT_WRONG_HOST),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
    ids=["good", "expired", "wrong host", "self-signed"],
)
async def test_tls(tmp_path: Path, issue: dict[str, Any], reason: Reason | None) -> None:
    authority = Authority(tmp_path)
    trust = {"tls": True, "ca_file": str(authority.ca_file)}
    async with python_hl7(tls=server_context(authority.issue("server", **issue))) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", **trust, **MESSAGE)
    assert reading.reason is reason, reading
    if reason is None:
        assert fields(reading, "tls")["expires_in_seconds"] > 80 * 86400
        assert fields(reading, "hl7")["tls_seconds"] > 0.0


async def test_tls_to_a_plain_port_is_a_handshake_failure() -> None:
    async with serving(answers(b"MSH|no TLS here\r")) as port:
        reading, _ = await ask("hl7", f"127.0.0.1:{port}", tls=True, verify=False)
    assert verdict(reading) == ("failed", Reason.TLS_HANDSHAKE)


async def test_ipv6() -> None:
    server = await asyncio.start_server(acks("AA"), "::1", 0)
    async with server:
        reading, _ = await ask("hl7", f"[::1]:{server.sockets[0].getsockname()[1]}", **MESSAGE)
    assert verdict(reading) == ("ok", None)


def test_the_day_of_approval_is_a_date() -> None:
    from healthmon.probes.hl7 import TestChannel

    with pytest.raises(ValueError, match="approved_by"):
        TestChannel("  ", date(2026, 11, 1))
