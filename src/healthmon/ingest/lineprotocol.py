"""Reads Influx line protocol as InfluxDB 1.x does: what its reference refuses is refused, line by line. Pure.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
In keys a delimiter counts unless a backslash stands right before it; in field values a backslash takes the next byte.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from healthmon.model.sample import Value

MAX_TAGS = 32
MAX_FIELDS = 256
_SECOND_NS = 1_000_000_000
_INT64 = 1 << 63

_MEASUREMENT = re.compile(rb"[^,](?:[^, ]|(?<=\\)[, ])*+")
_TAG = re.compile(rb",([^ ,=](?:[^ ,=]|(?<=\\)[ ,=])*+)=([^ ,=](?:[^ ,=]|(?<=\\)[ ,=])*+)")
_FIELD_KEY = re.compile(rb"((?:[^ ,=\\]|\\[\s\S])++)(?<!\\)=")
_STRING = re.compile(rb'"((?:[^"\\]|\\[\s\S])*+)"')
_PLAIN = re.compile(rb"[^ ,]+")
_FLOAT = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(rb"(-?[0-9]+)i")
_TIME = re.compile(rb"-?[0-9]{1,20}")
_TRUE = (b"t", b"T", b"true", b"True", b"TRUE")
_FALSE = (b"f", b"F", b"false", b"False", b"FALSE")
_BOOLEANS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_BLANK = b" \t\x00"
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_MEASUREMENT = re.compile(r"\\([, ])")
_ESCAPED_TEXT = re.compile(r'\\(["\\])')


class BadLine(ValueError):
    """The line is refused; the text is a constant that holds nothing of the line."""


@dataclass(frozen=True, slots=True)
class Point:
    """One line. `at`: Unix seconds, None where the line gives no time."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    at: float | None


def lines_of(payload: bytes) -> Iterator[bytes]:
    """Every line that says something: neither blank nor a comment. A quoted value may go over several."""
    at = 0
    while at < len(payload):
        end = payload.find(b"\n", at)
        end = len(payload) if end < 0 else end
        line = payload[at:end]
        if b'"' in line or b"\\" in line:
            end = _end_of_line(payload, at)
            line = payload[at:end]
        at = end + 1
        line = line.lstrip(_BLANK)
        if line and not line.startswith(b"#"):
            yield line


def _end_of_line(payload: bytes, at: int) -> int:
    """Where a line with quotes or backslashes ends: quotes count in values only."""
    quoted = in_fields = False
    pairs = 0  # equals signs less commas
    while at < len(payload):
        byte = payload[at]
        if byte == 0x5C:  # a backslash
            at += 1
        elif byte == 0x0A and not quoted:
            break
        elif byte == 0x20:
            in_fields = True
        elif in_fields and byte == 0x22 and pairs > 0:
            quoted = not quoted
        elif in_fields and not quoted and byte in b"=,":
            pairs += 1 if byte == 0x3D else -1
        at += 1
    return min(at, len(payload))


def parse_line(line: bytes) -> Point:
    """One line of `lines_of`, times in nanoseconds; raises BadLine."""
    name = _MEASUREMENT.match(line)
    if name is None:
        raise BadLine("missing measurement")
    tags, at = _tags(line, name.end())
    at = _after_blank(line, at)
    fields, at = _fields(line, at)
    moment = _time(line, at)
    measurement = _ESCAPED_MEASUREMENT.sub(r"\1", _decoded(name[0]))
    return Point(measurement, tags, fields, moment)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadLine("not UTF-8") from None


def _after_blank(line: bytes, at: int) -> int:
    while at < len(line) and line[at] in _BLANK:
        at += 1
    return at


def _tags(line: bytes, at: int) -> tuple[dict[str, str], int]:
    tags: dict[str, str] = {}
    while at < len(line) and line[at : at + 1] == b",":
        found = _TAG.match(line, at)
        if found is None:
            raise BadLine("bad tag")
        key, value = (_ESCAPED.sub(r"\1", _decoded(part)) for part in found.groups())
        if key in tags:
            raise BadLine("duplicate tags")
        if len(tags) >= MAX_TAGS:
            raise BadLine("too many tags")
        tags[key] = value
        at = found.end()
    if at >= len(line):
        raise BadLine("missing fields")
    if line[at] != 0x20:
        raise BadLine("bad tag")
    return tags, at


def _fields(line: bytes, at: int) -> tuple[dict[str, Value], int]:
    fields: dict[str, Value] = {}
    while True:
        key = _FIELD_KEY.match(line, at)
        if key is None:
            raise BadLine("bad field")
        if len(fields) >= MAX_FIELDS:
            raise BadLine("too many fields")
        value, at = _value(line, key.end())
        fields[_ESCAPED.sub(r"\1", _decoded(key[1]))] = value
        if line[at : at + 1] != b",":
            return fields, at
        at += 1


def _value(line: bytes, at: int) -> tuple[Value, int]:
    if line[at : at + 1] == b'"':
        text = _STRING.match(line, at)
        if text is None:
            raise BadLine("unbalanced quotes")
        if line[text.end() : text.end() + 1] not in (b"", b",", b" "):
            raise BadLine("bad field")
        return _ESCAPED_TEXT.sub(r"\1", _decoded(text[1])), text.end()
    plain = _PLAIN.match(line, at)
    if plain is None:
        raise BadLine("missing field value")
    return _scalar(plain[0]), plain.end()


def _scalar(raw: bytes) -> Value:
    if raw in _BOOLEANS:
        return _BOOLEANS[raw]
    if whole := _INTEGER.fullmatch(raw):
        number = _integer(whole[1])
        return float(number)
    if not _FLOAT.fullmatch(raw):
        raise BadLine("invalid number")
    value = float(raw)
    if not math.isfinite(value):
        raise BadLine("invalid number")
    return value


def _integer(raw: bytes) -> int:
    """Within 64 bits; the length is looked at first, as Python counts as far as anybody likes."""
    if len(raw.lstrip(b"-").lstrip(b"0")) > 19 or not -_INT64 <= (number := int(raw)) < _INT64:
        raise BadLine("invalid number")
    return number


def _time(line: bytes, at: int) -> float | None:
    at = _after_blank(line, at)
    if at >= len(line):
        return None
    found = _TIME.match(line, at)
    if found is None or line[found.end() :].strip(b" "):
        raise BadLine("bad timestamp")
    nanoseconds = _integer(found[0])
    whole, rest = divmod(nanoseconds, _SECOND_NS)
    return whole + rest / 1e9
