"""Every kind that talks TCP names the same fault by the same reason, in time and in bounded memory."""

from __future__ import annotations

from typing import Any

import pytest

from daemons import stream_faults as faults
from daemons.looking import fields, look
from daemons.process import free_port
from daemons.wire_faults import Behaviour, serving
from healthmon.model.sample import Reason

pytestmark = pytest.mark.wire

KINDS = ("ipp", "ldap", "mqtt", "smb", "smtp", "ssh")

#: A beginning that is right, and then never enough of it.
BEGINS = {
    "ipp": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n\1\1",
    "ldap": b"\x30\x82\x10\x00",
    "mqtt": b"\x20",
    "smb": b"\0\0\1\0\xfeSMB",
    "smtp": b"220-mail.example\r\n",
    "ssh": b"SSH-2.0-x\r\n\0\0\1\0",
}

TOO_LARGE = {
    "ipp": b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
    "ldap": b"\x30\x84\x7f\xff\xff\xff",
    "mqtt": b"\x20\xff\xff\xff\x7f",
    "smb": b"\0\xff\xff\xff",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (faults.resets, Reason.RESET),
        (faults.half_closes, Reason.CLOSED),
        (faults.floods, Reason.BAD_RESPONSE),
        (faults.says(b"I am something else\r\n" * 60), Reason.BAD_RESPONSE),
    ],
    ids=["resets", "half-closes", "floods", "garbage"],
)
async def test_a_server_that_is_broken(kind: str, behaviour: Behaviour, reason: Reason) -> None:
    async with serving(behaviour) as port:
        reading = await look(kind, f"127.0.0.1:{port}", timeout_s=2.0)
    assert reading.reason is reason, reading
    assert fields(reading, kind)["connect_seconds"] > 0.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_silent_or_too_slow(kind: str) -> None:
    for behaviour in (faults.hangs, faults.says(BEGINS[kind]), faults.says(BEGINS[kind], every_s=0.06)):
        async with serving(behaviour) as port:
            reading = await look(kind, f"127.0.0.1:{port}", timeout_s=0.25)
        assert reading.reason is Reason.TIMEOUT, reading
        assert reading.took < 1.0


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_is_cut_short_is_closed(kind: str) -> None:
    async with serving(faults.says(BEGINS[kind], then="close")) as port:
        assert (await look(kind, f"127.0.0.1:{port}")).reason is Reason.CLOSED


@pytest.mark.parametrize("kind", TOO_LARGE)
async def test_an_answer_that_would_be_huge_is_not_read(kind: str) -> None:
    async with serving(faults.says(TOO_LARGE[kind])) as port:
        assert (await look(kind, f"127.0.0.1:{port}")).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_listens(kind: str) -> None:
    for host in ("127.0.0.1", "[::1]"):
        assert (await look(kind, f"{host}:{free_port()}")).reason is Reason.REFUSED


@pytest.mark.parametrize(
    ("kind", "params", "clear", "reason"),
    [
        ("ldap", {"tls": "ldaps"}, b"", Reason.TLS_HANDSHAKE),
        ("ldap", {"tls": "starttls"}, b"\x30\x0c\2\1\1\x78\7\x0a\1\0\4\0\4\0", Reason.BAD_RESPONSE),
        ("smtp", {"tls": "smtps"}, b"", Reason.TLS_HANDSHAKE),
        ("smtp", {"tls": "starttls"}, b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n", Reason.BAD_RESPONSE),
        ("mqtt", {"tls": True}, b"", Reason.TLS_HANDSHAKE),
        ("ipp", {"tls": True}, b"", Reason.TLS_HANDSHAKE),
    ],
)
async def test_what_is_said_in_clear_where_tls_was_agreed(
    kind: str, params: dict[str, Any], clear: bytes, reason: Reason
) -> None:
    """Bytes before the handshake would be taken as said under TLS by a careless client."""
    async with serving(faults.says(clear + b"250 injected\r\n")) as port:
        reading = await look(kind, f"127.0.0.1:{port}", timeout_s=2.0, **params)
    assert reading.reason is reason, reading
