"""The newest rows, in memory; the journal in the file has the same, until they are sealed into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import TypeVar

import msgspec

from healthmon.model.sample import Value
from healthmon.store.blocks import Column, expand, squeeze
from healthmon.store.catalog import Catalog, Shape
from healthmon.store.columns import Damaged

Values = tuple[Value, ...]
Of = TypeVar("Of")

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[list[int], list[int], list[tuple[float | bool | str, ...]]])


@dataclass(slots=True)
class Rows:
    """Rows on their way in: shape, microseconds and values of each."""

    shapes: list[Shape] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)


@dataclass(slots=True)
class _Segment:
    """Rows of one shape, in the order in which they came."""

    shape: Shape
    times: list[int] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)


def pack_rows(rows: Rows) -> tuple[int, bytes]:
    """(codec, bytes) of one entry of the journal."""
    return squeeze(_pack(([shape.number for shape in rows.shapes], rows.times, rows.values)))


def unpack_rows(codec: int, body: bytes, catalog: Catalog) -> Rows:
    """What `pack_rows` took; rows of shapes that are lost are left out. Raises Damaged."""
    try:
        numbers, times, values = _unpack.decode(expand(codec, body))
    except msgspec.MsgspecError as error:
        raise Damaged(str(error)) from None
    known = catalog.by_number
    rows = Rows()
    for number, at, row in zip(numbers, times, values, strict=True):
        if number in known:
            rows.shapes.append(known[number])
            rows.times.append(at)
            rows.values.append(row)
    return rows


class Hot:
    """`upto` is the last journal entry within. One thread adds; others may read at the same time."""

    def __init__(self) -> None:
        self.upto = 0
        self.points = 0
        self.oldest = 1 << 63
        self._streams: dict[int, list[_Segment]] = {}
        self._tails: dict[int, _Segment] = {}

    def add(self, rows: Rows, upto: int) -> None:
        """Take rows that are durable in journal entry `upto`."""
        if not rows.times:
            return
        tails = self._tails
        for shape, at, values in zip(rows.shapes, rows.times, rows.values, strict=True):
            tail = tails.get(shape.stream)
            if tail is None or tail.shape is not shape:
                tail = self._new_segment(shape)
            tail.values.append(values)
            tail.times.append(at)  # last: a reader counts the times
        self.points += sum(map(len, rows.values))
        self.oldest = min(self.oldest, *rows.times) if len(rows.times) > 1 else min(self.oldest, rows.times[0])
        self.upto = upto

    def column(self, stream: int, series: int) -> Column | None:
        """One series' points in time order, the later row of one moment standing."""
        times: list[int] = []
        values: list[Value] = []
        for segment in list(self._streams.get(stream, ())):
            if series in segment.shape.series:
                place, count = segment.shape.series.index(series), len(segment.times)
                times += segment.times[:count]
                values += [row[place] for row in segment.values[:count]]
        return ordered(series, times, values) if times else None

    def newest(self, stream: int, series: int) -> tuple[int, Value] | None:
        """(microseconds, value) of the newest point of a series."""
        best: tuple[int, Value] | None = None
        for segment in list(self._streams.get(stream, ())):
            if series not in segment.shape.series:
                continue
            count = len(segment.times)
            at = segment.times[count - 1]
            if count > 1 and at < segment.times[count - 2]:
                at = max(segment.times[:count])
                count = max(i for i in range(count) if segment.times[i] == at) + 1
            if best is None or at >= best[0]:
                best = at, segment.values[count - 1][segment.shape.series.index(series)]
        return best

    def columns(self) -> Iterator[Column]:
        """Everything, stream by stream; the columns of rows of one shape share their times."""
        for stream, segments in list(self._streams.items()):
            if len(segments) == 1:
                (segment,) = segments
                times, rows = in_order(segment.times, segment.values)
                for series, values in zip(segment.shape.series, zip(*rows, strict=True), strict=True):
                    yield Column(series, times, values)
                continue
            for series in dict.fromkeys(one for segment in segments for one in segment.shape.series):
                column = self.column(stream, series)
                if column:
                    yield column

    def _new_segment(self, shape: Shape) -> _Segment:
        segment = self._tails[shape.stream] = _Segment(shape)
        self._streams.setdefault(shape.stream, []).append(segment)
        return segment


def ordered(series: int, times: Sequence[int], values: Sequence[Value]) -> Column:
    """In time order without doubles; of two values of one moment the later one stands."""
    return Column(series, *in_order(times, values))


def in_order(times: Sequence[int], values: Sequence[Of]) -> tuple[Sequence[int], Sequence[Of]]:
    """The same of anything that has a moment."""
    if all(map(lt, times, times[1:])):
        return times, values
    points = dict(zip(times, values, strict=True))
    moments = sorted(points)
    return moments, [points[at] for at in moments]


def merged(series: int, columns: Iterable[Column]) -> Column | None:
    """Several columns of one series as one; where two have the same moment, the later column stands."""
    parts = [column for column in columns if column.times]
    if len(parts) <= 1:
        return parts[0] if parts else None
    times: list[int] = []
    values: list[Value] = []
    for part in parts:
        times += part.times
        values += part.values
    return ordered(series, times, values)
