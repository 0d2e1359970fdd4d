"""IPP messages as bytes: one request, and the attributes of an answer (RFC 8010)."""

from __future__ import annotations

from collections.abc import Sequence

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

GET_PRINTER_ATTRIBUTES = 0x000B
_OPERATION, _PRINTER, _END = 0x01, 0x04, 0x03
_CHARSET, _LANGUAGE, _URI, _KEYWORD = 0x47, 0x48, 0x45, 0x44
_INTEGER, _BOOLEAN, _ENUM = 0x21, 0x22, 0x23
_WITH_LANGUAGE = (0x35, 0x36)
#: Strings: octets, text, name, keyword, URI and the like.
_STRINGS = frozenset({0x30, *range(0x41, 0x4A)})
#: The least tag of a value; below are the delimiters of groups.
_FIRST_VALUE = 0x10

IppValue = int | bool | str
Attributes = dict[str, list[IppValue]]


def request(uri: str, wanted: Sequence[str]) -> bytes:
    """Get-Printer-Attributes of IPP 1.1, which every printer since 2000 answers."""
    body = _attribute(_CHARSET, "attributes-charset", "utf-8")
    body += _attribute(_LANGUAGE, "attributes-natural-language", "en") + _attribute(_URI, "printer-uri", uri)
    for position, name in enumerate(wanted):
        body += _attribute(_KEYWORD, "" if position else "requested-attributes", name)
    head = b"\1\1" + GET_PRINTER_ATTRIBUTES.to_bytes(2, "big") + (1).to_bytes(4, "big")
    return head + bytes([_OPERATION]) + body + bytes([_END])


def _attribute(tag: int, name: str, value: str) -> bytes:
    return bytes([tag]) + _sized(name.encode()) + _sized(value.encode())


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def parse(data: bytes) -> tuple[int, Attributes]:
    """The status code and the printer's attributes. Raises Finding(bad_response)."""
    if len(data) < 9 or data[0] not in (1, 2) or data[4:8] != b"\0\0\0\1":
        raise Finding(Reason.BAD_RESPONSE, "the answer is not IPP")
    found: Attributes = {}
    group, name, at = 0, "", 8
    while at < len(data) and (tag := data[at]) != _END:
        at += 1
        if tag < _FIRST_VALUE:
            group = tag
            continue
        raw_name, at = _read(data, at)
        raw, at = _read(data, at)
        name = raw_name.decode("ascii", "replace") if raw_name else name
        value = _value(tag, raw)
        if group == _PRINTER and value is not None:
            found.setdefault(name, []).append(value)
    return int.from_bytes(data[2:4], "big"), found


def _read(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    if at + 2 > len(data) or end > len(data):
        raise Finding(Reason.BAD_RESPONSE, "the answer is cut short")
    return data[at + 2 : end], end


def _value(tag: int, raw: bytes) -> IppValue | None:
    """None for values that we have no use for: dates, ranges, collections, "unknown"."""
    if tag in (_INTEGER, _ENUM):
        return int.from_bytes(raw, "big", signed=True) if len(raw) == 4 else None
    if tag == _BOOLEAN:
        return raw == b"\1"
    if tag in _WITH_LANGUAGE:
        skip = 2 + int.from_bytes(raw[:2], "big")
        return raw[skip + 2 :].decode("utf-8", "replace")
    return raw.decode("utf-8", "replace") if tag in _STRINGS else None
