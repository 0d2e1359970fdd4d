"""SNMP notifications as octets: what v1 and v2c say, where they come from in v3; nothing deeper than needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from healthmon.model.errors import HealthmonError

#: Longer ones are not taken: a notification fits into a few Ethernet frames.
MOST_BYTES = 8192
#: A notification with more is read up to here.
MOST_BINDS = 64

SEQUENCE, INTEGER, OCTETS, OID, IP_ADDRESS = 0x30, 0x02, 0x04, 0x06, 0x40
TRAP_V1, INFORM, TRAP_V2, RESPONSE = 0xA4, 0xA6, 0xA7, 0xA2
TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
#: Generic traps 0 to 5 of version 1 are these of version 2 (RFC 3584 section 3.1); 6 is the enterprise's own.
GENERIC = "1.3.6.1.6.3.1.1.5"
_GENERIC_TRAPS = range(6)

Value = int | str | bytes


class Malformed(HealthmonError):
    """Not an SNMP notification."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One trap or inform. `oid` says which; `binds` are the numbers and texts that came along, in order."""

    oid: str
    binds: tuple[tuple[str, Value], ...]
    request_id: int | None = None  # of an inform: somebody waits for the answer


@dataclass(frozen=True, slots=True)
class Heard:
    """A v1 or v2c message; `answer` is what an inform waits for."""

    community: bytes
    notification: Notification
    answer: bytes | None = None


def version_of(message: bytes) -> int:
    """0 (v1), 1 (v2c) or 3. Raises Malformed."""
    parts = _Reader(_Reader(message).one(SEQUENCE))
    version = _number(parts.one(INTEGER))
    if version not in (0, 1, 3):
        raise Malformed(f"version {version}")
    return version


def read_message(message: bytes) -> Heard:
    """A v1 or v2c notification. Raises Malformed."""
    try:
        outer = _Reader(message)
        parts = _Reader(outer.one(SEQUENCE))
        whole = message[: outer.at]
        version = _number(parts.one(INTEGER))
        community = parts.one(OCTETS)
        before = parts.left
        tag, body = parts.any()
        if version == 0 and tag == TRAP_V1:
            return Heard(community, _version_1(_Reader(body)))
        if version == 1 and tag in (TRAP_V2, INFORM):
            return _version_2(community, tag, body, _answered(whole, before))
    except (IndexError, ValueError) as error:
        raise Malformed(str(error)) from error
    raise Malformed("not a notification")


@dataclass(frozen=True, slots=True)
class Signed:
    """What stands outside the signature of a v3 message (RFC 3412 section 6, RFC 3414 section 2.4).

    engine: the sender's for a trap, ours for an inform, empty to discover; flags: 1 signed, 2 sealed.
    """

    engine: bytes
    user: bytes
    flags: int


def read_signed(message: bytes) -> Signed:
    """The outside of a v3 message. Raises Malformed."""
    parts = _Reader(_Reader(message).one(SEQUENCE))
    parts.one(INTEGER)
    about = _Reader(parts.one(SEQUENCE))
    about.one(INTEGER)
    about.one(INTEGER)
    flags = about.one(OCTETS)
    security = _Reader(_Reader(parts.one(OCTETS)).one(SEQUENCE))
    engine = security.one(OCTETS)
    security.one(INTEGER)
    security.one(INTEGER)
    return Signed(engine, security.one(OCTETS), flags[0] & 3 if flags else 0)


def notification_of(binds: tuple[tuple[str, Value], ...], request_id: int | None = None) -> Notification:
    """sysUpTime, snmpTrapOID, and the rest (RFC 3416 section 4.2.6). Raises Malformed."""
    for name, value in binds[:2]:
        if name == TRAP_OID and isinstance(value, str):
            return Notification(value, tuple(one for one in binds if one[0] != TRAP_OID), request_id)
    raise Malformed("no snmpTrapOID")


def _version_1(pdu: _Reader) -> Notification:
    enterprise = _oid(pdu.one(OID))
    pdu.one(IP_ADDRESS)  # written by the sender and easily forged: the source address counts
    generic, specific = _number(pdu.one(INTEGER)), _number(pdu.one(INTEGER))
    pdu.any()  # time stamp
    binds = tuple(_binds(pdu.one(SEQUENCE)))
    if generic in _GENERIC_TRAPS:
        return Notification(f"{GENERIC}.{generic + 1}", binds)
    return Notification(f"{enterprise}.0.{specific}", binds)


def _version_2(community: bytes, tag: int, body: bytes, answer: bytes) -> Heard:
    pdu = _Reader(body)
    request_id = _number(pdu.one(INTEGER))
    pdu.one(INTEGER)
    pdu.one(INTEGER)
    binds = tuple(_binds(pdu.one(SEQUENCE)))
    inform = tag == INFORM
    return Heard(community, notification_of(binds, request_id if inform else None), answer if inform else None)


def _answered(message: bytes, pdu_bytes: int) -> bytes:
    """The answer to an inform is the same message as a Response-PDU (RFC 3416 section 4.2.7)."""
    tag_at = len(message) - pdu_bytes
    return message[:tag_at] + bytes([RESPONSE]) + message[tag_at + 1 :]


def _binds(content: bytes) -> Iterator[tuple[str, Value]]:
    reader = _Reader(content)
    for _ in range(MOST_BINDS):
        if reader.done:
            return
        pair = _Reader(reader.one(SEQUENCE))
        name = _oid(pair.one(OID))
        tag, value = pair.any()
        if tag == OCTETS:
            yield name, value
        elif tag == OID:
            yield name, _oid(value)
        elif tag in (INTEGER, 0x41, 0x42, 0x43, 0x46):  # INTEGER, Counter32, Gauge32, TimeTicks, Counter64
            yield name, _number(value)


class _Reader:
    """Elements of BER one after the other (X.690). Raises Malformed when they do not fit."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        """Octets that are still to be read."""
        return len(self.data) - self.at

    @property
    def done(self) -> bool:
        return self.at >= len(self.data)

    def one(self, tag: int) -> bytes:
        """The content of the next element, which must be this one."""
        found, content = self.any()
        if found != tag:
            raise Malformed(f"tag {found:#x} where {tag:#x} belongs")
        return content

    def any(self) -> tuple[int, bytes]:
        """Tag and content of the next element."""
        if self.at + 2 > len(self.data):
            raise Malformed("cut short")
        tag, size = self.data[self.at], self.data[self.at + 1]
        self.at += 2
        if size & 0x80:
            more = size & 0x7F
            if not 1 <= more <= 4:
                raise Malformed("length of a length")
            size = int.from_bytes(self.data[self.at : self.at + more], "big")
            self.at += more
        end = self.at + size
        if end > len(self.data):
            raise Malformed("cut short")
        content = self.data[self.at : end]
        self.at = end
        return tag, content


def _number(content: bytes) -> int:
    if not 1 <= len(content) <= 9:
        raise Malformed("a number of no or too many octets")
    return int.from_bytes(content, "big", signed=True)


def _oid(content: bytes) -> str:
    if not content or len(content) > 256:
        raise Malformed("an OID of no or too many octets")
    arcs: list[int] = []
    arc = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or content[-1] & 0x80 or max(arcs) > 0xFFFFFFFF:
        raise Malformed("an OID that does not end")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
