"""What can be saved of a spool's file that is damaged: every batch that still reads, and which numbers are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from healthmon.runtime import ranges
from healthmon.runtime.ranges import Ranges
from healthmon.transport import codec

Row = tuple[int, int, bytes]  # key, readings, body


@dataclass(frozen=True, slots=True)
class Saved:
    """epochs: (number, epoch, next seq); dropped: keys that were given up before; total: readings that they were."""

    epochs: tuple[tuple[int, str, int], ...]
    rows: tuple[Row, ...]
    dropped: Ranges
    total: int

    def gone(self, seq_bits: int) -> Ranges:
        """Keys that the file gave out and does not hold: acknowledged, or lost with it. The server knows which."""
        held = ranges.merge((key, key) for key, _, _ in self.rows)
        given = ((number << seq_bits | 1, (number << seq_bits) + next_seq - 1) for number, _, next_seq in self.epochs)
        return ranges.merge(self.dropped, *(ranges.gaps(held, high, start=low) for low, high in given))


def salvage(path: Path) -> Saved | None:
    """None when not even its epochs can be read: nothing in it has a number then."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            epochs = tuple(db.execute("SELECT number, epoch, next_seq FROM epochs").fetchall())
            rows = tuple(_rows(db))
            return Saved(epochs, rows, _dropped(db), _total(db)) if epochs else None
    except sqlite3.Error:
        return None


def _rows(db: sqlite3.Connection) -> Iterator[Row]:
    """From the oldest up to the first page that does not read, then from the newest down to it."""
    last = -1
    for row in _while_readable(db.execute("SELECT key, readings, body FROM batches ORDER BY key")):
        last = row[0]
        yield row
    newer = "SELECT key, readings, body FROM batches WHERE key > ? ORDER BY key DESC"
    yield from _while_readable(db.execute(newer, (last,)))


def _while_readable(cursor: sqlite3.Cursor) -> Iterator[Row]:
    while True:
        try:
            row = cursor.fetchone()
        except sqlite3.Error:
            return
        if row is None:
            return
        if _is_whole(row):
            yield row


def _is_whole(row: Row) -> bool:
    try:
        return len(codec.decode_readings(row[2])) == row[1]
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, RecursionError):
        return False


def _dropped(db: sqlite3.Connection) -> Ranges:
    try:
        return ranges.merge(db.execute("SELECT low, high FROM dropped").fetchall())
    except sqlite3.Error:
        return ()


def _total(db: sqlite3.Connection) -> int:
    try:
        return int(db.execute("SELECT dropped_readings FROM totals").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0
