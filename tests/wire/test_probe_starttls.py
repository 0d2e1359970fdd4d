"""TLS behind a TCP check: from the first byte, and by STARTTLS in the words of each protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority, Issued
from daemons.directory import directory
from daemons.looking import fields, look
from daemons.mailhost import mailhost
from daemons.starttls_servers import dovecot, postgres, vsftpd
from daemons.stream_faults import hangs, says
from daemons.wire_faults import Behaviour, serving
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

#: What a server says and hears before TLS; None: it waits for the client.
SCRIPTS: dict[str, list[tuple[bytes | None, bytes]]] = {
    "imap": [(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"a STARTTLS\r\n"), (b"* 1 x\r\na OK go\r\n", b"")],
    "pop3": [(b"+OK ready\r\n", b"STLS\r\n"), (b"+OK go\r\n", b"")],
    "ftp": [(b"220-hello\r\n220 ready\r\n", b"AUTH TLS\r\n"), (b"234 go\r\n", b"")],
    "postgres": [(None, b"\0\0\0\x08\x04\xd2\x16\x2f"), (b"S", b"")],
}


def server(script: list[tuple[bytes | None, bytes]], context: ssl.SSLContext) -> Behaviour:
    """Follows the script, then really speaks TLS and says hello under it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said, heard in script:
            writer.write(said or b"")
            assert await reader.readexactly(len(heard)) == heard
        await writer.drain()
        await writer.start_tls(context)
        writer.write(b"hello under TLS\r\n")
        await writer.drain()
        await asyncio.sleep(3600)

    return behave


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def context_of(authority: Authority, **issue: Any) -> ssl.SSLContext:
    issued = authority.issue("server", **issue)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert_file, issued.key_file)
    return context


@pytest.mark.parametrize("protocol", SCRIPTS)
async def test_protocols(authority: Authority, protocol: str) -> None:
    ca_file = str(authority.ca_file)
    async with serving(server(SCRIPTS[protocol], context_of(authority))) as port:
        reading = await look("tcp", f"127.0.0.1:{port}", starttls=protocol, ca_file=ca_file, expect="^hello under TLS")
    assert reading.outcome is Outcome.OK, reading
    assert fields(reading, "tls")["expires_in_seconds"] > 86400.0
    assert {"tls_seconds", "answer_seconds"} <= set(fields(reading, "tcp"))


async def test_real_servers(authority: Authority, tmp_path: Path) -> None:
    issued, ca_file = authority.issue("good"), str(authority.ca_file)
    async with mailhost(certificate=issued) as (port, _):
        for host in ("127.0.0.1", "[::1]"):
            reading = await look("tcp", f"{host}:{port}", starttls="smtp", ca_file=ca_file)
            assert reading.outcome is Outcome.OK, reading
            assert fields(reading, "tls")["expires_in_seconds"] > 86400.0
    async with mailhost(certificate=issued, implicit_tls=True) as (port, _):
        reading = await look("tcp", f"127.0.0.1:{port}", tls=True, ca_file=ca_file, expect="^220 ")
        assert reading.outcome is Outcome.OK, reading
    with directory(tmp_path, authority, issued) as ldap:
        reading = await look("tcp", f"127.0.0.1:{ldap.port}", starttls="ldap", ca_file=ca_file)
        assert reading.outcome is Outcome.OK, reading


def real(protocol: str, folder: Path, issued: Issued) -> AbstractContextManager[int]:
    """The port of a server that was not written by us."""
    if protocol in ("imap", "pop3"):
        return port_of(dovecot(folder, issued), protocol)
    return vsftpd(folder, issued) if protocol == "ftp" else postgres(issued)


@contextmanager
def port_of(server: AbstractContextManager[Mapping[str, int]], protocol: str) -> Iterator[int]:
    with server as ports:
        yield ports[protocol]


async def starttls(protocol: str, address: str, ca_file: Path) -> Reading:
    return await look("tcp", address, starttls=protocol, ca_file=str(ca_file), timeout_s=20.0)


@pytest.mark.parametrize("protocol", SCRIPTS)
async def test_servers_of_others(authority: Authority, tmp_path: Path, protocol: str) -> None:
    issued = authority.issue("server", names=("127.0.0.1",))
    with real(protocol, tmp_path, issued) as port:
        good = await starttls(protocol, f"127.0.0.1:{port}", authority.ca_file)
        other_name = await starttls(protocol, f"[::1]:{port}", authority.ca_file)
    assert good.outcome is Outcome.OK, good
    assert other_name.reason is Reason.CERT_WRONG_HOST, other_name
    for reading in (good, other_name):
        ends_s = fields(reading, "tls")["expires_in_seconds"]
        assert ends_s == pytest.approx(issued.not_after - SystemClock().now(), abs=60.0)


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({"starts_days": -90.0, "ends_days": -3.0}, Reason.CERT_EXPIRED),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
    ids=["expired", "self-signed"],
)
async def test_a_certificate_that_dovecot_should_not_show(
    authority: Authority, tmp_path: Path, issue: dict[str, Any], reason: Reason
) -> None:
    issued = authority.issue("server", **issue)
    with dovecot(tmp_path, issued) as ports:
        for protocol, port in ports.items():
            reading = await starttls(protocol, f"127.0.0.1:{port}", authority.ca_file)
            assert reading.reason is reason, reading
            ends_s = fields(reading, "tls")["expires_in_seconds"]
            assert ends_s == pytest.approx(issued.not_after - SystemClock().now(), abs=60.0)


async def test_a_bad_certificate_tells_its_dates(authority: Authority) -> None:
    context = context_of(authority, starts_days=-90.0, ends_days=-3.0)
    async with serving(server(SCRIPTS["imap"], context)) as port:
        reading = await look("tcp", f"127.0.0.1:{port}", starttls="imap", ca_file=str(authority.ca_file))
    assert reading.reason is Reason.CERT_EXPIRED
    assert fields(reading, "tls")["expires_in_seconds"] == pytest.approx(-3 * 86400.0, abs=60.0)


async def test_the_verdict_is_not_lost_to_a_second_call_that_hangs(authority: Authority) -> None:
    first = server(SCRIPTS["imap"], context_of(authority, starts_days=-90.0, ends_days=-3.0))
    calls: list[int] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(1)
        await (first if len(calls) == 1 else hangs)(reader, writer)

    async with serving(once) as port:
        reading = await look("tcp", f"127.0.0.1:{port}", starttls="imap", ca_file=str(authority.ca_file), timeout_s=2.5)
    assert (reading.reason, len(calls)) == (Reason.CERT_EXPIRED, 2)
    assert fields(reading, "tls") == {}


@pytest.mark.parametrize(
    ("protocol", "said", "reason", "detail"),
    [
        ("imap", b"* OK x\r\na NO not here\r\n", Reason.TLS_HANDSHAKE, "STARTTLS is refused"),
        ("imap", b"* BYE full\r\n", Reason.TLS_HANDSHAKE, "STARTTLS is refused"),
        ("imap", b"* OK x\r\n" + b"* 1 x\r\n" * 200, Reason.BAD_RESPONSE, "an answer without an end"),
        ("pop3", b"+OK x\r\n-ERR no\r\n", Reason.TLS_HANDSHAKE, "STARTTLS is refused"),
        ("smtp", b"220 x\r\n250 x\r\n502 no\r\n", Reason.TLS_HANDSHAKE, "STARTTLS is refused"),
        ("ftp", b"220 x\r\n234 go\r\n331 injected\r\n", Reason.BAD_RESPONSE, "spoke in clear after agreeing to TLS"),
        ("postgres", b"N", Reason.TLS_HANDSHAKE, "STARTTLS is refused"),
        ("ldap", b"\x30\x0c\2\1\1\x78\7\x0a\1\2\4\0\4\0", Reason.TLS_HANDSHAKE, "STARTTLS is refused (2)"),
    ],
)
async def test_servers_that_will_not(protocol: str, said: bytes, reason: Reason, detail: str) -> None:
    async with serving(says(said)) as port:
        reading = await look("tcp", f"127.0.0.1:{port}", starttls=protocol, timeout_s=20.0)
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_a_server_that_says_nothing_more() -> None:
    async with serving(says(b"220 x\r\n")) as port:
        reading = await look("tcp", f"127.0.0.1:{port}", starttls="smtp", timeout_s=1.0)
    assert (reading.reason, reading.detail) == (Reason.TIMEOUT, "no answer in 1 s (in the TLS handshake)")


async def test_the_same_by_steps(authority: Authority) -> None:
    """What a module file of blackbox_exporter says of SMTP, to a real server."""
    steps = [
        {"expect": "^220 ([^ ]+)", "send": "EHLO ${1}\r"},
        {"expect": "^250[ -]STARTTLS"},
        {"expect": "^250 ", "send": "STARTTLS\r"},
        {"expect": "^220 ", "starttls": True},
        {"send": "EHLO again\r"},
        {"expect": "^250 "},
    ]
    async with mailhost(certificate=authority.issue("good")) as (port, _):
        good = await look("tcp", f"127.0.0.1:{port}", steps=steps, ca_file=str(authority.ca_file), timeout_s=20.0)
        stranger = await look("tcp", f"127.0.0.1:{port}", steps=steps, timeout_s=20.0)
    assert good.outcome is Outcome.OK, good
    assert fields(good, "tls")["expires_in_seconds"] > 86400.0
    assert stranger.reason is Reason.CERT_UNTRUSTED, stranger
    assert fields(stranger, "tls")["expires_in_seconds"] > 86400.0


async def test_wrong_settings_are_ours() -> None:
    for params in ({"starttls": "gopher"}, {"starttls": "smtp", "tls": True}, {"min_version": "0.9"}):
        assert (await look("tcp", "127.0.0.1:1", **params)).reason is Reason.BAD_PARAMS, params
