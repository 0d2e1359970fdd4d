"""The tables of the embedded store's file, and how blocks and journal entries lie in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from healthmon.model.sample import Value
from healthmon.store.blocks import Block, Column, Pressed, expand, pressed
from healthmon.store.catalog import Catalog, Entry

_V1 = """
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  family TEXT NOT NULL,
  field TEXT NOT NULL,
  tags TEXT NOT NULL,
  UNIQUE (family, field, tags)
);
CREATE TABLE points (
  at INTEGER NOT NULL,
  series INTEGER NOT NULL,
  value,
  PRIMARY KEY (at, series)
) WITHOUT ROWID;
"""
_V2 = """
CREATE TABLE shapes (id INTEGER PRIMARY KEY, series TEXT NOT NULL);
CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, codec INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  tier INTEGER NOT NULL,
  class INTEGER NOT NULL,
  day INTEGER NOT NULL,
  family TEXT NOT NULL,
  rank INTEGER NOT NULL,
  low TEXT NOT NULL,
  high TEXT NOT NULL,
  start INTEGER NOT NULL,
  until INTEGER NOT NULL,
  points INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX blocks_of ON blocks (family, tier, day);
CREATE TABLE rolled (
  family TEXT NOT NULL,
  class INTEGER NOT NULL,
  day INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  minutes INTEGER NOT NULL,
  PRIMARY KEY (family, class, day)
) WITHOUT ROWID;
"""
DAY_US = 86_400_000_000
RAW, MINUTE, HOUR = 0, 1, 2
#: Columns of a block stop growing here; one block is decompressed for one answer.
_BLOCK_POINTS = 32_768
_BLOCK_COLUMNS = 2_048
#: Points of a version 1 file that are moved at once.
_MOVED_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block belongs: tier, class (which retention), family, and rank: of two blocks the higher one is newer."""

    tier: int
    kept: int
    family: str
    rank: int


@dataclass(frozen=True, slots=True)
class Filed:
    """A block in the file. day: days since 1970, UTC; start, until: microseconds of its first and last point."""

    id: int
    tier: int
    kept: int
    day: int
    family: str
    rank: int
    start: int
    until: int
    points: int
    codec: int
    body: bytes

    def open(self) -> Block:
        """Unpacked; raises Damaged."""
        return Block(expand(self.codec, self.body))


_COLUMNS = "id, tier, class, day, family, rank, start, until, points, codec, body"


def blocks(db: sqlite3.Connection, where: str, values: Sequence[object] = ()) -> Iterator[Filed]:
    """Blocks by an SQL condition, the older rank first."""
    for row in db.execute(f"SELECT {_COLUMNS} FROM blocks WHERE {where} ORDER BY rank, id", values):
        yield Filed(*row)


def by_day(columns: Iterable[Column]) -> Iterator[tuple[int, Column]]:
    """Columns cut at midnight UTC."""
    for column in columns:
        first, last = column.times[0] // DAY_US, column.times[-1] // DAY_US
        if first == last:
            yield first, column
            continue
        days: dict[int, tuple[list[int], list[Value]]] = {}
        for at, value in zip(column.times, column.values, strict=True):
            times, values = days.setdefault(at // DAY_US, ([], []))
            times.append(at)
            values.append(value)
        for day, (times, values) in days.items():
            yield day, Column(column.series, times, values)


#: What makes a block of columns: here, or in another process.
Pressing = Callable[[Sequence[Column]], Pressed]
#: What is written into the table but for the id.
Packed = tuple[int, int, int, str, int, str, str, int, int, int, int, bytes]


class Packer:
    """Columns of one day and place, in the order of their series, as rows of the table, block by block."""

    def __init__(
        self, catalog: Catalog, place: Place, day: int, *, per_series: int = 1, press: Pressing = pressed
    ) -> None:
        self.packed: list[Packed] = []
        self._press = press
        self._catalog = catalog
        self._place = place
        self._day = day
        self._per_series = per_series  # a rollup has several columns for a series, numbered in a row
        self._columns: list[Column] = []
        self._points = 0

    def add(self, column: Column) -> None:
        """The next column; a block that is full ends before another stream begins."""
        full = self._points >= _BLOCK_POINTS or len(self._columns) >= _BLOCK_COLUMNS
        if full and self._entry(column).stream != self._entry(self._columns[-1]).stream:
            self._end_block()
        self._columns.append(column)
        self._points += len(column.times)

    def finish(self) -> list[Packed]:
        """All rows."""
        if self._columns:
            self._end_block()
        return self.packed

    def _entry(self, column: Column) -> Entry:
        return self._catalog.entries[column.series // self._per_series]

    def _end_block(self) -> None:
        columns, place = self._columns, self._place
        codec, body = self._press(columns)
        low, high = self._entry(columns[0]).order, self._entry(columns[-1]).order
        start, until = min(column.times[0] for column in columns), max(column.times[-1] for column in columns)
        where = (place.tier, place.kept, self._day, place.family, place.rank)
        self.packed.append((*where, low, high, start, until, self._points, codec, body))
        self._columns, self._points = [], 0


def insert(db: sqlite3.Connection, packed: Iterable[Packed]) -> None:
    """Within the caller's transaction."""
    db.executemany(
        "INSERT INTO blocks (tier, class, day, family, rank, low, high, start, until, points, codec, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        packed,
    )


def remove(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Within the caller's transaction."""
    db.executemany("DELETE FROM blocks WHERE id = ?", ((id,) for id in ids))


#: Which retention a series has, from its tags.
ClassOf = Callable[[Mapping[str, str]], int]


def pack_columns(
    catalog: Catalog, columns: Iterable[Column], *, rank: int, class_of: ClassOf, press: Pressing = pressed
) -> Iterator[Packed]:
    """Raw columns of any series and days as rows of the table."""
    groups: dict[tuple[int, str, int], list[tuple[tuple[str, int], Column]]] = {}
    for day, column in by_day(columns):
        entry = catalog.entries[column.series]
        groups.setdefault((day, entry.family, class_of(entry.tags)), []).append(((entry.order, entry.number), column))
    for (day, family, kept), group in groups.items():
        packer = Packer(catalog, Place(RAW, kept, family, rank), day, press=press)
        for _, column in sorted(group, key=_order):
            packer.add(column)
        yield from packer.finish()


def _order(pair: tuple[tuple[str, int], Column]) -> tuple[str, int]:
    return pair[0]


def from_version_1(db: sqlite3.Connection) -> None:
    """Every point of the one table of version 1 goes into blocks. Whole numbers there were truth values."""
    for statement in _V2.split(";"):
        db.execute(statement)
    catalog = Catalog.load(db)
    cursor = db.execute("SELECT at, series, value FROM points ORDER BY at, series")
    while part := cursor.fetchmany(_MOVED_AT_ONCE):
        columns: dict[int, tuple[list[int], list[Value]]] = {}
        for at, series, value in part:
            times, values = columns.setdefault(series, ([], []))
            times.append(at)
            values.append(bool(value) if type(value) is int else value)
        made = [Column(series, *column) for series, column in columns.items()]
        insert(db, list(pack_columns(catalog, made, rank=0, class_of=lambda tags: 0)))
    db.execute("DROP TABLE points")


MIGRATIONS = (_V1, from_version_1)
