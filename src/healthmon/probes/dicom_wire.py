"""The DICOM upper layer by hand (PS3.8 and PS3.7): associate, C-ECHO, C-FIND, release. Pure bytes, no sockets.

A library for this costs every agent 72 MiB and 1.3 s to import; what two questions need is written here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
FIND_MODELS = {
    "study_root": "1.2.840.10008.5.1.4.1.2.2.1",
    "patient_root": "1.2.840.10008.5.1.4.1.2.1.1",
    "worklist": "1.2.840.10008.5.1.4.31",
}
#: Made from a UUID (PS3.5 B.2), so it needs no registration.
IMPLEMENTATION_CLASS = "2.25.124418473177407360765679308425364196845"
IMPLEMENTATION_NAME = "HEALTHMON"

C_ECHO, C_FIND, RESPONSE = 0x0030, 0x0020, 0x8000
NO_DATA = 0x0101

MOST_PDU_BYTES = 16 * 1024
#: One message (a command, or one match with only the key that was asked for) is a few hundred bytes.
MOST_MESSAGE_BYTES = 64 * 1024

_AFFECTED_CLASS, _COMMAND, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_TYPE, _STATUS = 0x0700, 0x0800, 0x0900

_CONTEXT_RESULTS = {1: "refused by the user", 2: "refused", 3: "service not supported", 4: "encoding not supported"}
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context that we offer: an odd number, and the service it is for."""

    number: int
    abstract_syntax: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """One presentation data value: part of a command or of a data set."""

    context: int
    command: bool
    last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What is read of a response's command set."""

    command: int
    answers: int
    status: int
    has_data: bool


# writing


def pdu(kind: int, body: bytes) -> bytes:
    """A protocol data unit."""
    return struct.pack(">BxI", kind, len(body)) + body


def associate_request(*, called: str, calling: str, contexts: Sequence[Context]) -> bytes:
    """A-ASSOCIATE-RQ; every context is offered in implicit VR little endian only."""
    items = _item(0x10, APPLICATION_CONTEXT.encode())
    for context in contexts:
        syntaxes = _item(0x30, context.abstract_syntax.encode()) + _item(0x40, IMPLICIT_LITTLE.encode())
        items += _item(0x20, struct.pack(">Bxxx", context.number) + syntaxes)
    user = _item(0x51, struct.pack(">I", MOST_PDU_BYTES)) + _item(0x52, IMPLEMENTATION_CLASS.encode())
    items += _item(0x50, user + _item(0x55, IMPLEMENTATION_NAME.encode()))
    head = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    return pdu(ASSOCIATE_RQ, head + items)


def release_request() -> bytes:
    """A-RELEASE-RQ."""
    return pdu(RELEASE_RQ, bytes(4))


def abort_request() -> bytes:
    """A-ABORT by the service user."""
    return pdu(ABORT, bytes(4))


def echo_request(context: Context, message_id: int) -> bytes:
    """C-ECHO-RQ as one P-DATA-TF."""
    command = _command(C_ECHO, context, message_id, [(_DATA_TYPE, _us(NO_DATA))])
    return pdu(P_DATA, _fragment(context, command, command=True))


def find_request(context: Context, message_id: int, identifier: bytes) -> bytes:
    """C-FIND-RQ: the command and its identifier, each a P-DATA-TF."""
    command = _command(C_FIND, context, message_id, [(_PRIORITY, _us(0)), (_DATA_TYPE, _us(1))])
    return pdu(P_DATA, _fragment(context, command, command=True)) + pdu(
        P_DATA, _fragment(context, identifier, command=False)
    )


def data_set(elements: Mapping[tuple[int, int], str]) -> bytes:
    """A data set of text elements in implicit VR little endian; identifiers (UI) are padded with NUL."""
    found = b""
    for (group, element), text in sorted(elements.items()):
        found += _element(group, element, _padded(text, b"\0" if group == 0x0020 else b" "))
    return found


def _command(command: int, context: Context, message_id: int, more: Sequence[tuple[int, bytes]]) -> bytes:
    elements = [
        (_AFFECTED_CLASS, _padded(context.abstract_syntax, b"\0")),
        (_COMMAND, _us(command)),
        (_MESSAGE_ID, _us(message_id)),
        *more,
    ]
    body = b"".join(_element(0, number, value) for number, value in elements)
    return _element(0, 0, struct.pack("<I", len(body))) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _fragment(context: Context, data: bytes, *, command: bool) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context.number, 2 | command) + data


def _element(group: int, element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", group, element, len(value)) + value


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _padded(text: str, pad: bytes) -> bytes:
    data = text.encode("ascii")
    return data + pad * (len(data) % 2)


# reading


def parse_header(header: bytes) -> tuple[int, int]:
    """Kind and length of the PDU that begins with these six bytes. Raises Finding(bad_response, too_large)."""
    kind, zero, length = struct.unpack(">BBI", header)
    if not ASSOCIATE_AC <= kind <= ABORT or zero:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not DICOM")
    if length > MOST_MESSAGE_BYTES:
        raise Finding(Reason.TOO_LARGE, f"a PDU over {MOST_MESSAGE_BYTES} bytes")
    return kind, length


def parse_accept(body: bytes) -> dict[int, str | None]:
    """Contexts of an A-ASSOCIATE-AC by number: None when accepted, else why not."""
    if len(body) < 68:
        raise Finding(Reason.BAD_RESPONSE, "an A-ASSOCIATE-AC that is too short")
    found: dict[int, str | None] = {}
    for kind, value in _items(body[68:]):
        if kind == 0x21 and len(value) >= 4:
            number, result = value[0], value[2]
            found[number] = _accepted(value) if result == 0 else _CONTEXT_RESULTS.get(result, "refused")
    return found


def _accepted(value: bytes) -> str | None:
    syntaxes = [item for kind, item in _items(value[4:]) if kind == 0x40]
    good = [item for item in syntaxes if item.rstrip(b"\0 ") == IMPLICIT_LITTLE.encode()]
    return None if good else "accepted in an encoding that was not offered"


def rejection(body: bytes) -> Finding:
    """What an A-ASSOCIATE-RJ says."""
    if len(body) < 4:
        return Finding(Reason.BAD_RESPONSE, "an A-ASSOCIATE-RJ that is too short")
    source, reason = body[2], body[3]
    words = _REJECTIONS.get((source, reason), f"source {source}, reason {reason}")
    kind = Reason.AUTH_FAILED if (source, reason) in ((1, 3), (1, 7)) else Reason.BAD_STATUS
    return Finding(kind, f"association rejected: {words}")


def aborted(body: bytes) -> Finding:
    """What an A-ABORT says."""
    who = "provider" if body[2:3] == b"\2" else "user"
    return Finding(Reason.CLOSED, f"aborted by the service {who} of the target")


def fragments(body: bytes) -> Iterator[Fragment]:
    """The presentation data values of a P-DATA-TF."""
    at = 0
    while at < len(body):
        if at + 6 > len(body):
            raise Finding(Reason.BAD_RESPONSE, "a data value that is cut off")
        length, context, control = struct.unpack_from(">IBB", body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise Finding(Reason.BAD_RESPONSE, "a data value with a wrong length")
        yield Fragment(context, bool(control & 1), bool(control & 2), body[at + 6 : end])
        at = end


def parse_response(command_set: bytes) -> Response:
    """Command, number of the message it answers, and status. Raises Finding(bad_response)."""
    numbers = {element: value for group, element, value in elements(command_set) if group == 0}
    try:
        command, answers, status = (_number(numbers[key]) for key in (_COMMAND, _ANSWERED_ID, _STATUS))
    except KeyError:
        raise Finding(Reason.BAD_RESPONSE, "a response without command or status") from None
    return Response(command, answers, status, _number(numbers.get(_DATA_TYPE, _us(NO_DATA))) != NO_DATA)


def elements(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Top-level elements of an implicit VR little endian data set, up to one of undefined length or its end."""
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        if length > len(data) - at - 8:
            return
        yield group, element, data[at + 8 : at + 8 + length]
        at += 8 + length


def has_value(data: bytes, tag: tuple[int, int], text: str) -> bool:
    """Whether a match carries exactly the value that was asked for; nothing else of it is looked at."""
    wanted = text.encode("ascii")
    return any((group, element) == tag and value.strip(b" \0") == wanted for group, element, value in elements(data))


def _number(value: bytes) -> int:
    if len(value) != 2:
        raise Finding(Reason.BAD_RESPONSE, "a number of the wrong length")
    return int.from_bytes(value, "little")


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if at + 4 + length > len(body):
            raise Finding(Reason.BAD_RESPONSE, "an item with a wrong length")
        yield kind, body[at + 4 : at + 4 + length]
        at += 4 + length
