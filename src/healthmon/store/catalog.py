"""Which series there are: their numbers, names and tags, and in which shapes rows of them come."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from healthmon.runtime.sqlite import put_many
from healthmon.store.lineproto import Unwritable

_json = json.JSONEncoder(ensure_ascii=False).encode

Tags = tuple[tuple[str, str], ...]

#: A row of one family with these tags and these fields in this order.
ShapeKey = tuple[str, Tags, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """`series` has the number of each field's series, in the order of the row; `stream` is one family with its tags."""

    number: int
    stream: int
    series: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One series. `order` puts series with the same first tags (the area, the check) side by side."""

    number: int
    order: str
    stream: int
    family: str
    field: str
    tags: Mapping[str, str]


class Catalog:
    """Everything in memory; what is new is written in the transaction of the rows that need it."""

    def __init__(self) -> None:
        self.shapes: dict[ShapeKey, Shape] = {}
        self.by_number: dict[int, Shape] = {}
        self.entries: dict[int, Entry] = {}
        self._metrics: dict[tuple[str, str], list[Entry]] = {}
        self._streams: dict[tuple[str, Tags], int] = {}
        self._told: dict[int, tuple[str, dict[str, str], Tags]] = {}  # stream -> its tags in three forms
        self._series: dict[tuple[int, str], int] = {}
        self._new: list[tuple[ShapeKey, Shape]] = []
        self._next_shape = 1
        self._next_series = 1
        self._series_rows: list[tuple[int, str, str, str]] = []  # not in the file yet
        self._shape_rows: list[tuple[int, str]] = []

    @classmethod
    def load(cls, db: sqlite3.Connection) -> Catalog:
        """What the file knows."""
        catalog = cls()
        read: dict[str, Tags] = {}  # each text once: the series of one stream have the same
        for number, family, field, text in db.execute("SELECT id, family, field, tags FROM series ORDER BY id"):
            tags = read.get(text)
            if tags is None:
                tags = read[text] = tuple(sorted(json.loads(text).items()))
            catalog._enter(number, family, field, tags, text)
        for number, text in db.execute("SELECT id, series FROM shapes ORDER BY id"):
            catalog._restore(number, tuple(json.loads(text)))
        return catalog

    def find(self, family: str, field: str, match: Mapping[str, str]) -> list[Entry]:
        """The series of a metric that have all these tags."""
        entries = self._metrics.get((family, field), ())
        wanted = match.items()
        return [entry for entry in list(entries) if wanted <= entry.tags.items()]

    def new_shape(self, key: ShapeKey) -> Shape:
        """A shape nobody has seen before; `write_new` must follow. Raises Unwritable."""
        family, tags, names = key
        if not family or not names:
            raise Unwritable("no measurement name" if names else "no fields")
        stream = self._stream(family, tags)
        series = tuple(self._intern(stream, family, name, tags) for name in names)
        shape = Shape(self._next_shape, stream, series)
        self._shape_rows.append((shape.number, _json(series)))
        self._next_shape += 1
        self.shapes[key] = self.by_number[shape.number] = shape
        self._new.append((key, shape))
        return shape

    def write_new(self, db: sqlite3.Connection) -> None:
        """What is new since the last time, within the caller's transaction."""
        put_many(db, "INSERT INTO series (id, family, field, tags)", self._series_rows)
        put_many(db, "INSERT INTO shapes", self._shape_rows)
        self._series_rows.clear()
        self._shape_rows.clear()

    def committed(self) -> None:
        """What was new is on disk."""
        self._new.clear()

    def undone(self, db: sqlite3.Connection) -> None:
        """The transaction was rolled back: forget what it brought."""
        if self._new or self._series_rows:
            self.__dict__.update(Catalog.load(db).__dict__)

    def _stream(self, family: str, tags: Tags) -> int:
        return self._streams.setdefault((family, tags), len(self._streams) + 1)

    def _intern(self, stream: int, family: str, name: str, tags: Tags) -> int:
        known = self._series.get((stream, name))
        if known:
            return known
        number = self._next_series
        entry = self._enter(number, family, name, tags)
        self._series_rows.append((number, family, name, entry.order))
        return number

    def _enter(self, number: int, family: str, field: str, tags: Tags, text: str | None = None) -> Entry:
        """The series of one stream share their tags, and the text of these as the file has it."""
        stream = self._stream(family, tags)
        told = self._told.get(stream)
        if told is None or (text is not None and told[0] != text):
            told = self._told[stream] = text or _json(dict(sorted(tags))), dict(tags), tags
        entry = Entry(number, told[0], stream, family, field, told[1])
        self.entries[number] = entry
        self._next_series = max(self._next_series, number + 1)
        self._metrics.setdefault((family, field), []).append(entry)
        self._series[(stream, field)] = number
        return entry

    def _restore(self, number: int, series: tuple[int, ...]) -> None:
        self._next_shape = max(self._next_shape, number + 1)
        if not all(one in self.entries for one in series):  # lost in a salvage
            return
        first = self.entries[series[0]]
        names = tuple(self.entries[one].field for one in series)
        shape = Shape(number, first.stream, series)
        self.by_number[number] = shape
        self.shapes[(first.family, self._told[first.stream][2], names)] = shape

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries.values()))
