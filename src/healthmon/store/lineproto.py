"""Rows to InfluxDB line protocol: numbers always float, nanosecond stamps that are the same every time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from healthmon.model.sample import Row, Value

_KEY = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})
_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})
_STRING = str.maketrans({'"': r"\"", "\\": r"\\"})
_SERIES_LIMIT = 200_000
_MAX_MICROS = ((1 << 63) - 1) // 1000

Tags = tuple[tuple[str, str], ...]


class Unwritable(ValueError):
    """This row has no form in line protocol; the text says why."""


def micros_of(at: float) -> int:
    """Unix microseconds of Unix seconds, halves to even: as fine as a float holds today, and always the same."""
    if not math.isfinite(at):
        raise Unwritable(f"time {at} is not a moment")
    whole = math.floor(at)
    micros = whole * 1_000_000 + round((at - whole) * 1e6)
    if not 0 <= micros <= _MAX_MICROS:
        raise Unwritable(f"time {at} is outside 1970 to 2262")
    return micros


def encode(rows: Iterable[Row]) -> bytes:
    """All rows as lines; raises Unwritable at the first one that cannot be written."""
    return Encoder().encode(rows)


class Encoder:
    """Remembers the escaped measurement and tags of every series, which most of the work is.

    texts=False leaves string fields out, for databases of numbers only.
    """

    def __init__(self, *, texts: bool = True) -> None:
        self._texts = texts
        self._series: dict[tuple[str, Tags], str] = {}
        self._fields: dict[str, str] = {}

    def encode(self, rows: Iterable[Row]) -> bytes:
        """All rows as lines; raises Unwritable at the first one that cannot be written."""
        return "\n".join(filter(None, map(self.line, rows))).encode()

    def partition(self, rows: Sequence[Row]) -> tuple[list[Row], list[str], list[tuple[Row, str]]]:
        """The rows that have lines, the lines, and the rows that can have none, with the reason."""
        good: list[Row] = []
        lines: list[str] = []
        bad: list[tuple[Row, str]] = []
        for row in rows:
            try:
                line = self.line(row)
            except Unwritable as error:
                bad.append((row, str(error)))
                continue
            if line:
                lines.append(line)
                good.append(row)
        return good, lines, bad

    def line(self, row: Row) -> str:
        """One line without its newline; empty when there was nothing but text and text is left out."""
        series = self._series.get((row.family, row.tags)) or self._new_series(row.family, row.tags)
        names = self._fields
        parts = []
        for name, value in row.fields:
            key = names.get(name) or self._new_field(name)
            if type(value) is float and value - value == 0.0:
                parts.append(f"{key}{value!r}")
            elif self._texts or not isinstance(value, str):
                parts.append(key + _text(name, value))
        if not parts:
            if row.fields:
                return ""
            raise Unwritable("no fields")
        return f"{series} {','.join(parts)} {micros_of(row.at)}000"

    def _new_series(self, family: str, tags: Tags) -> str:
        if not family:
            raise Unwritable("no measurement name")
        if len(self._series) >= _SERIES_LIMIT:
            self._series.clear()
        pairs = ((escape_key(name), escape_key(value)) for name, value in sorted(tags))
        text = escape_measurement(family) + "".join(f",{name}={value}" for name, value in pairs if name and value)
        self._series[(family, tags)] = text
        return text

    def _new_field(self, name: str) -> str:
        if not name:
            raise Unwritable("a field without a name")
        if len(self._fields) >= _SERIES_LIMIT:
            self._fields.clear()
        self._fields[name] = text = escape_key(name) + "="
        return text


def escape_measurement(text: str) -> str:
    """A measurement name; one that starts with `#` would read as a comment."""
    if text.startswith("#"):
        raise Unwritable("a measurement name that starts with #")
    return text.rstrip("\\").translate(_MEASUREMENT)


def escape_key(text: str) -> str:
    """A tag name, a tag value or a field name. A backslash at the end would escape what follows, so it goes."""
    return text.rstrip("\\").translate(_KEY)


def _text(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_STRING)}"'
    try:
        number = float(value)
    except OverflowError as error:
        raise Unwritable(f"field {name}: number too large") from error
    if not math.isfinite(number):
        raise Unwritable(f"field {name}: {number} is not a number")
    return repr(number)
