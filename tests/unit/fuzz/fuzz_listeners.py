"""More parsers for the hunt: traps of every version, MQTT packets, and what journeys take from pages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from fuzz_parsers import Parser, reading

from healthmon.model.plan import Job
from healthmon.probes.dialogue import Dialogue, Place
from healthmon.probes.http_wire import Head
from healthmon.probes.journey_forms import forms_of
from healthmon.probes.journey_step import Extract
from healthmon.probes.journey_walk import _found
from healthmon.probes.mqtt_roundtrip import packet, read_packet, text
from healthmon.probes.reasons import Finding
from healthmon.probes.snmp_client import Credentials
from healthmon.probes.trap_users import Users
from healthmon.probes.trap_wire import MOST_BYTES, Malformed, read_message, version_of
from healthmon.runtime.clock import SystemClock

#: What net-snmp's snmptrap sent: v1, v2c, v3 with signature and seal (user net), v3 without (user open).
V1 = bytes.fromhex(
    "303802010004067075626c6963a42b06072b06010401823e40047f0000010201060201054301643011300f06082b060102010105000403757073"
)
V2C = bytes.fromhex(
    "305402010104067075626c6963a74702044fb3ee530201000201003039300d06082b060102010103004301643017060a2b06010603010104010006"
    "092b0601060301010503300f060a2b060102010202010103020103"
)
SEALED = bytes.fromhex(
    "30819a0201033011020427ce4e8d020300ffe30401030201030431302f04088000000001020304020101020314189304036e6574040cdcf840bad4"
    "4604632fc7579004082109d6cdb3f7c8ac044f7c2f25eda3d0b9ba225d1b61a1805b82d6873a10408fa653d42d8d95165cd71b3dc6e64a6ed6e16b"
    "193eefc16a05e26a2dd84fc21d8175233a5d41fa41fadd982ebf472436cc9a63dc2c5d429633a5"
)
OPEN = bytes.fromhex(
    "30818502010330110204272b4b49020300ffe3040100020103041e301c04088000000001020304020101020314189504046f70656e04000400304d"
    "041180001f88807b03a362bd60026b000000000400a73602042def7c2e0201000201003028300d06082b060102010103004301643017060a2b0601"
    "0603010104010006092b0601060301010504"
)
_USERS: list[Users] = []


def _trap(data: bytes) -> object:
    """As the receiver does: what is longer is never read."""
    data = data[:MOST_BYTES]
    return version_of(data), read_message(data)


def _users() -> Users:
    """Made once; what it learns of engines is bounded, and that is part of the hunt."""
    if not _USERS:
        sealed = Credentials("3", "", "net", "SHA", "authpass1", "AES", "privpass1")
        _USERS.append(Users((sealed, Credentials("3", "", "open", None, "", None, "")), name="fuzz", now=1795300718.0))
    return _USERS[0]


def _signed(data: bytes) -> object:
    data = data[:MOST_BYTES]
    if version_of(data) != 3:
        raise Malformed("another version")
    heard = _users().hear(data, ("192.0.2.1", 40000), lambda answer: None)
    assert sum(map(len, _users()._known.values())) <= 64
    return heard


class _Sight:
    vantage = "fuzz"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = SystemClock()


async def _mqtt(reader: asyncio.StreamReader) -> object:
    sight: Any = _Sight()
    call = Dialogue(Job("t", "c", "mqtt", "host", 30.0, 5.0), sight, "mqtt", Place("host", 1883))
    call._streams = (reader, None)  # type: ignore[assignment]
    found = [await read_packet(call)]
    with suppress(Finding):
        while len(found) < 100:
            found.append(await read_packet(call))
    return found


_PUBLISH = packet(0x30, text("healthmon/probe/1") + b"hello")
_FORM = (
    b'<form action="/login?x=1&amp;y=2"><input type=hidden name="csrf" value="a&quot;b&#x27;"><input name=user>'
    b'<input name=password type=password></form><meta name="token" content="t"><!-- <form> -->'
)
_WHERES = (
    (Extract(field="csrf"), None),
    (Extract(regex="token=([a-z]+)"), "token=([a-z]+)"),
    (Extract(json="entry[0].id"), None),
    (Extract(header="location"), None),
)


def _journey(data: bytes) -> object:
    page = data.decode("utf-8", "replace")
    head = Head(200, "HTTP/1.1", {"location": page[:200]})
    values = [_found(where, pattern, head, data, page) for where, pattern in _WHERES if where.json is None]
    try:
        values.append(_found(_WHERES[2][0], None, head, data, page))
    except Finding:
        values.append(None)
    forms = forms_of(page)
    assert len(forms) <= 50
    return forms, values


MORE = (
    Parser("trap v1, v2c", _trap, (V2C, V1, V2C.replace(b"\xa7", b"\xa6", 1)), (Malformed,)),
    Parser("trap v3", _signed, (OPEN, SEALED), (Malformed,)),
    Parser("mqtt", reading(_mqtt), (b"\x20\2\0\0\x90\3\0\1\1" + _PUBLISH, packet(0x30, bytes(300)), b"\xd0\0")),
    Parser("mqtt, dripping", reading(_mqtt, drip=True), (b"\x20\2\0\0" + _PUBLISH,)),
    Parser(
        "journey page",
        _journey,
        (_FORM, b'token=abc {"entry":[{"id":"1"}]}', b"<![if IE]><form><![x[", b'{"entry":[{"id":"1"}]}'),
    ),
)
