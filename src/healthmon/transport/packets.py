"""MQTT 3.1.1 packets as bytes (OASIS standard, 2014), for who holds thousands of connections in one process.

Agents and server use aiomqtt. A simulated fleet cannot: each paho client brings a thread lock, a task that wakes every
second and 20 KiB, and 10,000 of those would measure the load generator.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

PING = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
#: A length of more than four bytes is no MQTT.
_LENGTH_BYTES = 4


class NotMqtt(ValueError):
    """The peer does not speak MQTT."""


def connect(
    client_id: str,
    *,
    username: str | None,
    password: str | None,
    will: tuple[str, bytes] | None,
    keepalive_s: int,
) -> bytes:
    """CONNECT with a clean session; the will is retained, QoS 1."""
    flags = 0x02
    parts = [_text(client_id)]
    if will is not None:
        flags |= 0x04 | 0x08 | 0x20
        parts += [_text(will[0]), _blob(will[1])]
    if username is not None:
        flags |= 0x80
        parts.append(_text(username))
    if password is not None:
        flags |= 0x40
        parts.append(_text(password))
    head = _text("MQTT") + bytes((4, flags)) + struct.pack(">H", keepalive_s)
    return _packet(0x10, head + b"".join(parts))


def subscribe(number: int, topics: Iterable[str]) -> bytes:
    """SUBSCRIBE at QoS 0."""
    return _packet(0x82, struct.pack(">H", number) + b"".join(_text(topic) + b"\0" for topic in topics))


def publish(topic: str, payload: bytes, *, number: int | None, retain: bool = False, version_5: bool = False) -> bytes:
    """PUBLISH at QoS 1; `number` is its packet identifier, 1 to 65535. None: at QoS 0, which has none.

    version_5: as MQTT 5 has it, with no properties.
    """
    head = _text(topic) + (b"" if number is None else struct.pack(">H", number)) + (b"\0" if version_5 else b"")
    return _packet((0x30 if number is None else 0x32) | retain, head + payload)


def split(received: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, body) of every whole packet; takes them off `received`. Raises NotMqtt."""
    while len(received) >= 2:
        length, shift, place = 0, 0, 1
        while True:
            if place > _LENGTH_BYTES:
                raise NotMqtt("a length of more than four bytes")
            if place >= len(received):
                return
            byte = received[place]
            length |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if not byte & 0x80:
                break
        if len(received) < place + length:
            return
        first, body = received[0], bytes(received[place : place + length])
        del received[: place + length]
        yield first >> 4, first & 0x0F, body


def published(flags: int, body: bytes) -> tuple[str, bytes]:
    """(topic, payload) of a PUBLISH that came in. Raises NotMqtt."""
    try:
        end = 2 + int.from_bytes(body[:2])
        topic = body[2:end].decode()
    except UnicodeDecodeError as error:
        raise NotMqtt(str(error)) from None
    return topic, body[end + (2 if flags & 0x06 else 0) :]


def _packet(first: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        size.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes((first,)) + bytes(size) + body


def _text(text: str) -> bytes:
    return _blob(text.encode())


def _blob(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data
