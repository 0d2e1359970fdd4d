"""The few LDAP messages that a check needs, as bytes (RFC 4511, BER with definite lengths; filters by RFC 4515)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

_INTEGER, _OCTETS, _ENUMERATED, _SEQUENCE, _BOOLEAN = 0x02, 0x04, 0x0A, 0x30, 0x01
BIND, BOUND, UNBIND, SEARCH, ENTRY, DONE, REFERENCE, EXTENDED, EXTENDED_DONE = (
    0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x73, 0x77, 0x78,
)  # fmt: skip
START_TLS = b"1.3.6.1.4.1.1466.20037"
SCOPES = {"base": 0, "one": 1, "sub": 2}

#: What servers say most often (RFC 4511 section 4.1.9).
RESULTS = {
    1: "operations error", 2: "protocol error", 3: "time limit", 4: "size limit", 7: "method not supported",
    8: "stronger login required", 10: "referral", 13: "needs TLS", 32: "no such entry", 34: "not a name",
    48: "login not possible so", 49: "login refused", 50: "no right to read", 51: "busy", 52: "unavailable",
    53: "unwilling", 80: "other error",
}  # fmt: skip
SUCCESS, SIZE_LIMIT, NO_SUCH_ENTRY, INVALID_CREDENTIALS, NO_RIGHT = 0, 4, 32, 49, 50

_MOST_DEPTH = 10


def element(tag: int, content: bytes) -> bytes:
    """One BER element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    width = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + size.to_bytes(width, "big") + content


def integer(value: int, tag: int = _INTEGER) -> bytes:
    """A number that is not negative."""
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(text: str | bytes, tag: int = _OCTETS) -> bytes:
    """A string."""
    return element(tag, text.encode() if isinstance(text, str) else text)


def message(number: int, operation: bytes) -> bytes:
    """An LDAPMessage."""
    return element(_SEQUENCE, integer(number) + operation)


def bind(user: str, password: str) -> bytes:
    """A simple bind; both empty is anonymous."""
    return element(BIND, integer(3) + octets(user) + octets(password, 0x80))


def start_tls() -> bytes:
    """Let us speak TLS."""
    return element(EXTENDED, octets(START_TLS, 0x80))


def unbind() -> bytes:
    """Good bye."""
    return element(UNBIND, b"")


def search(base: str, scope: str, filter_text: str, attributes: tuple[str, ...], *, most: int, limit_s: int) -> bytes:
    """At most `most` entries; aliases are not followed; no attributes means names only (RFC 4511 section 4.5.1.8)."""
    wanted = b"".join(octets(name) for name in attributes or ("1.1",))
    return element(
        SEARCH,
        octets(base)
        + integer(SCOPES[scope], _ENUMERATED)
        + integer(0, _ENUMERATED)
        + integer(most)
        + integer(limit_s)
        + element(_BOOLEAN, b"\0")
        + search_filter(filter_text)
        + element(_SEQUENCE, wanted),
    )


def search_filter(text: str) -> bytes:
    """And, or, not, presence, equality, >= and <= in brackets. Raises ValueError for anything else."""
    made, rest = _filter(text.strip(), 0)
    if rest:
        raise ValueError("filter: something follows the last bracket")
    return made


def _filter(text: str, depth: int) -> tuple[bytes, str]:
    if not text.startswith("(") or depth > _MOST_DEPTH:
        raise ValueError("filter: must be in brackets, as in (uid=healthmon)")
    if text[1:2] in ("&", "|"):
        parts, rest = b"", text[2:]
        while rest.startswith("("):
            part, rest = _filter(rest, depth + 1)
            parts += part
        return element(0xA0 if text[1] == "&" else 0xA1, parts), _closed(rest)
    if text[1:2] == "!":
        part, rest = _filter(text[2:], depth + 1)
        return element(0xA2, part), _closed(rest)
    inside, bracket, rest = text[1:].partition(")")
    return _item(inside), _closed(bracket + rest)


def _closed(text: str) -> str:
    if not text.startswith(")"):
        raise ValueError("filter: a bracket is not closed")
    return text[1:]


def _item(text: str) -> bytes:
    found = re.fullmatch(r"([A-Za-z0-9.;-]+)(>=|<=|=)([^*()\0]*|\*)", text, re.DOTALL)
    if not found:
        raise ValueError(f"filter: '{text}' is not understood (allowed: name=value, name=*, name>=value, name<=value)")
    name, sign, value = found.groups()
    if value == "*":
        return octets(name, 0x87)
    raw = re.sub(rb"\\([0-9A-Fa-f]{2})", lambda hit: bytes([int(hit[1], 16)]), value.encode())
    return element({"=": 0xA3, ">=": 0xA5, "<=": 0xA6}[sign], octets(name) + octets(raw))


# answers


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the server: its number, the tag of the operation and what is inside."""

    number: int
    operation: int
    content: bytes


def size_of(head: bytes) -> tuple[int, int] | None:
    """How long the head (tag and length) and the content are; None when more of the head must be read.

    Raises Finding(bad_response).
    """
    if len(head) < 2:
        return None
    if head[0] != _SEQUENCE or head[1] == 0x80 or head[1] > 0x84:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not LDAP")
    if head[1] < 0x80:
        return 2, head[1]
    width = head[1] & 0x7F
    return (2 + width, int.from_bytes(head[2 : 2 + width], "big")) if len(head) >= 2 + width else None


def parse(content: bytes) -> Answer:
    """The content of an LDAPMessage. Raises Finding(bad_response)."""
    parts = list(elements(content))
    if len(parts) < 2 or parts[0][0] != _INTEGER or not parts[0][1]:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not LDAP")
    return Answer(int.from_bytes(parts[0][1], "big"), *parts[1])


def result_code(answer: Answer) -> int:
    """The result of an operation. Raises Finding(bad_response)."""
    first = next(elements(answer.content), None)
    if first is None or first[0] != _ENUMERATED or not 0 < len(first[1]) <= 2:
        raise Finding(Reason.BAD_RESPONSE, "the answer has no result code")
    return int.from_bytes(first[1], "big")


def attributes_of(answer: Answer) -> dict[str, list[bytes]]:
    """The attributes of an entry by lower-case name. Raises Finding(bad_response)."""
    parts = list(elements(answer.content))
    if len(parts) != 2:
        raise Finding(Reason.BAD_RESPONSE, "the entry cannot be read")
    found: dict[str, list[bytes]] = {}
    for _, attribute in elements(parts[1][1]):
        name_and_values = list(elements(attribute))
        if len(name_and_values) == 2:
            name = name_and_values[0][1].decode("utf-8", "replace").lower()
            found[name] = [value for _, value in elements(name_and_values[1][1])]
    return found


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in a row. Raises Finding(bad_response)."""
    at = 0
    while at < len(data):
        tag, start = data[at], at + 2
        size = data[at + 1] if at + 1 < len(data) else 0xFF
        if size & 0x80:
            width = size & 0x7F
            size = int.from_bytes(data[start : start + width], "big") if 0 < width <= 4 else len(data)
            start += width
        at = start + size
        if at > len(data):
            raise Finding(Reason.BAD_RESPONSE, "the answer is not LDAP")
        yield tag, data[start:at]
