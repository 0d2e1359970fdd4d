"""The SMB probe against a real smbd of old and new dialects."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemons.looking import fields, look
from daemons.samba import smbd
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire


async def test_a_modern_server(tmp_path: Path) -> None:
    with smbd(tmp_path, "server signing = mandatory") as port:
        for host in ("127.0.0.1", "[::1]"):
            reading = await look(
                "smb", f"{host}:{port}", min_dialect="3.1.1", require_signing=True, require_encryption=True
            )
            assert reading.outcome is Outcome.OK, reading
            found = fields(reading, "smb")
            assert (found["dialect"], found["signing_required"], found["encryption"]) == ("3.1.1", True, True)
            assert abs(found["clock_offset_seconds"]) < 1.0


@pytest.mark.parametrize(("dialect", "name"), [("SMB2_02", "2.0.2"), ("SMB2_10", "2.1"), ("SMB3_00", "3.0")])
async def test_an_old_server(tmp_path: Path, dialect: str, name: str) -> None:
    extra = f"server min protocol = SMB2_02\nserver max protocol = {dialect}\nserver smb encrypt = off"
    with smbd(tmp_path, extra) as port:
        reading = await look("smb", f"127.0.0.1:{port}")
        newer = await look("smb", f"127.0.0.1:{port}", min_dialect="3.1.1")
        signing = await look("smb", f"127.0.0.1:{port}", require_signing=True)
        encryption = await look("smb", f"127.0.0.1:{port}", require_encryption=True)
    assert reading.outcome is Outcome.OK, reading
    assert fields(reading, "smb")["dialect"] == name
    assert (newer.reason, newer.detail) == (Reason.BAD_BODY, f"dialect {name} is older than 3.1.1")
    assert (signing.reason, signing.detail) == (Reason.BAD_BODY, "signing is not required")
    assert (encryption.reason, encryption.detail) == (Reason.BAD_BODY, "encryption is not offered")


async def test_a_server_that_speaks_smb_1_only(tmp_path: Path) -> None:
    with smbd(tmp_path, "server min protocol = NT1\nserver max protocol = NT1") as port:
        reading = await look("smb", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (Reason.CLOSED, "closed unanswered")


def message(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


HEADER = b"\xfeSMB\x40\0\0\0"


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        (message(b"\xffSMB" + bytes(40)), Reason.BAD_RESPONSE, "the server speaks SMB 1 only"),
        (message(HEADER + b"\x22\0\0\xc0" + bytes(60)), Reason.BAD_STATUS, "the server says 0xC0000022"),
        (message(HEADER + bytes(60)), Reason.BAD_RESPONSE, "the answer is not to NEGOTIATE"),
        (message(HEADER + bytes(200)), Reason.BAD_RESPONSE, "the server chose a dialect that was not offered"),
        (message(b"GET / HTTP/1.1"), Reason.BAD_RESPONSE, "the answer is not SMB"),
        (b"\x83\0\0\1\x82", Reason.BAD_RESPONSE, "the answer is not SMB"),
    ],
)
async def test_what_is_not_good(said: bytes, reason: Reason, detail: str) -> None:
    async with serving(says(said)) as port:
        reading = await look("smb", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (reason, detail)
