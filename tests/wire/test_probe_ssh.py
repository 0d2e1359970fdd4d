"""The SSH probe against a real sshd with new and old algorithms."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemons.looking import fields, look
from daemons.openssh import sshd
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason
from healthmon.probes.transcript import Transcript
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire


async def test_a_modern_server(tmp_path: Path) -> None:
    with sshd(tmp_path) as port:
        for host in ("127.0.0.1", "[::1]"):
            transcript = Transcript(SystemClock())
            reading = await look("ssh", f"{host}:{port}", transcript=transcript, banner_regex="^SSH-2.0-OpenSSH")
            assert reading.outcome is Outcome.OK, reading
            found = fields(reading, "ssh")
            assert (found["protocol"], found["weak_algorithms"]) == ("2.0", 0.0)
            assert {"banner_seconds", "algorithms_seconds"} <= set(found)
            assert "host_key: ssh-ed25519" in str(transcript)
        required = await look("ssh", f"127.0.0.1:{port}", require=["ssh-ed25519", "curve25519-sha256"])
        makers = await look("ssh", f"127.0.0.1:{port}", forbid=["curve25519-sha256@libssh.org"])
        missing = await look("ssh", f"127.0.0.1:{port}", require=["ssh-dss"])
        banner = await look("ssh", f"127.0.0.1:{port}", banner_regex="dropbear")
    assert required.outcome is Outcome.OK
    assert (makers.reason, makers.detail) == (Reason.BAD_BODY, "offered: curve25519-sha256")
    assert (missing.reason, missing.detail) == (Reason.BAD_BODY, "not offered: ssh-dss")
    assert (banner.reason, banner.detail) == (Reason.BAD_BODY, "the banner does not match")


async def test_a_server_with_old_algorithms(tmp_path: Path) -> None:
    old = "KexAlgorithms diffie-hellman-group1-sha1,curve25519-sha256\nCiphers 3des-cbc,aes256-ctr\nMACs hmac-md5"
    with sshd(tmp_path, old) as port:
        reading = await look("ssh", f"127.0.0.1:{port}")
        forbidden = await look("ssh", f"127.0.0.1:{port}", forbid=["3des-cbc", "diffie-hellman-group1-sha1"])
    assert fields(reading, "ssh")["weak_algorithms"] == 3.0
    assert forbidden.reason is Reason.BAD_BODY
    assert forbidden.detail == "offered: 3des-cbc, diffie-hellman-group1-sha1"


async def test_a_server_that_is_full(tmp_path: Path) -> None:
    """sshd turns strangers away above MaxStartups, before its banner."""
    with sshd(tmp_path, "MaxStartups 1") as port:
        greeting = b""
        while not greeting.startswith(b"SSH-"):  # the first places are still taken by those who waited for the start
            reader, held = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.read(100)
        reading = await look("ssh", f"127.0.0.1:{port}")
        held.close()
    assert (reading.reason, reading.detail) == (Reason.CLOSED, "closed unanswered")


BANNER = b"SSH-2.0-x\r\n"


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        (b"SSH-1.5-old\r\n", Reason.BAD_RESPONSE, "the server does not speak SSH 2"),
        (b"SSH-2.0-" + b"x" * 2000, Reason.BAD_RESPONSE, "a line without an end"),
        (BANNER + b"\xff\xff\xff\xff", Reason.BAD_RESPONSE, "the answer is not an SSH packet"),
        (BANNER + b"\0\0\0\x0c\4\x15" + bytes(10), Reason.BAD_RESPONSE, "the server does not offer algorithms"),
        (BANNER + b"\0\0\0\x20\4\x14" + bytes(16) + b"\xff" * 14, Reason.BAD_RESPONSE, "the offer is cut short"),
    ],
)
async def test_what_is_not_ssh(said: bytes, reason: Reason, detail: str) -> None:
    async with serving(says(b"motd line\r\n" + said)) as port:
        reading = await look("ssh", f"127.0.0.1:{port}", timeout_s=1.0)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_wrong_settings_are_ours() -> None:
    bad: list[dict[str, Any]] = [{"banner_regex": "("}, {"port": 0}, {"ip_version": 5}]
    for params in bad:
        assert (await look("ssh", "127.0.0.1:1", **params)).reason is Reason.BAD_PARAMS, params
