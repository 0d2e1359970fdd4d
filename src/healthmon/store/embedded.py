"""Time series in one sqlite file: rows ordered by time first, durable when `write` returns."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row, Series, Value, Written
from healthmon.runtime.sqlite import open_database
from healthmon.store.lineproto import Unwritable, micros_of

_SCHEMA = """
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
_DAY_S = 86_400.0
#: Points deleted in one transaction, so that expiry never holds the writer for long.
_EXPIRE_CHUNK = 20_000
#: The most points that one query may answer.
MAX_POINTS = 500_000
_AGGREGATES = {"mean": "avg(value)", "min": "min(value)", "max": "max(value)", "count": "count(value)", "last": "value"}
_NUMBERS_ONLY = frozenset({"mean", "min", "max"})

Tags = tuple[tuple[str, str], ...]
Point = tuple[int, int, Value]
Answer = TypeVar("Answer")


class EmbeddedStore:
    """One writer connection and one reader connection; other processes may read while it writes."""

    def __init__(self, path: str | Path, *, retention_days: float = 30.0) -> None:
        self.retention_s = retention_days * _DAY_S
        self._path = Path(path)
        self._db = open_database(self._path, [_SCHEMA])
        self._reader = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._reader.execute("PRAGMA query_only=1")
        self._reader.execute("PRAGMA busy_timeout=5000")
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._series: dict[tuple[str, Tags], dict[str, int]] = {}
        self._closed = False

    async def write(self, rows: Sequence[Row]) -> Written:
        """One transaction; the same row again changes nothing."""
        return await asyncio.to_thread(self._guarded, self._writing, lambda: self._write(rows))

    async def query(self, query: Query) -> list[Series]:
        """Series with their points in time order; raises ValueError when the answer would be too large."""
        return await asyncio.to_thread(self._guarded, self._reading, lambda: self._query(query))

    async def expire(self, now: float) -> int:
        """Delete what is older than the retention, chunk by chunk; how many points went.

        Age is counted from the newest point at the latest: a clock that jumps ahead must not empty the file.
        """
        gone = 0
        while True:
            chunk = await asyncio.to_thread(self._guarded, self._writing, lambda: self._expire(now))
            gone += chunk
            if chunk < _EXPIRE_CHUNK:
                return gone

    async def close(self) -> None:
        """Finish the write in hand and close the file."""
        await asyncio.to_thread(self._close)

    def _guarded(self, lock: threading.Lock, work: Callable[[], Answer]) -> Answer:
        with lock:
            if self._closed:
                raise StoreDown(f"{self._path}: closed")
            try:
                return work()
            except sqlite3.Error as error:
                raise StoreDown(f"{self._path}: {error}") from error

    def _write(self, rows: Sequence[Row]) -> Written:
        rejected: list[tuple[Row, str]] = []
        self._db.execute("BEGIN IMMEDIATE")
        try:
            points: list[Point] = []
            for row in rows:
                try:
                    points.extend(self._points(row))
                except Unwritable as error:
                    rejected.append((row, str(error)))
            self._db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", points)
            self._db.execute("COMMIT")
        except BaseException:
            self._series.clear()  # ids interned in the transaction that is now undone
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return Written(len(rows) - len(rejected), tuple(rejected))

    def _points(self, row: Row) -> list[Point]:
        at = micros_of(row.at)
        if not row.fields or not row.family:
            raise Unwritable("no fields" if row.family else "no measurement name")
        ids = self._series.setdefault((row.family, row.tags), {})
        return [
            (at, ids.get(name) or self._intern(row.family, name, row.tags, ids), _storable(name, value))
            for name, value in row.fields
        ]

    def _intern(self, family: str, name: str, tags: Tags, ids: dict[str, int]) -> int:
        key = (family, name, json.dumps(dict(sorted(tags)), ensure_ascii=False))
        self._db.execute("INSERT OR IGNORE INTO series (family, field, tags) VALUES (?, ?, ?)", key)
        found = self._db.execute("SELECT id FROM series WHERE family=? AND field=? AND tags=?", key).fetchone()
        ids[name] = int(found[0])
        return ids[name]

    def _expire(self, now: float) -> int:
        newest = self._db.execute("SELECT max(at) FROM points").fetchone()[0]
        cutoff = min(micros_of(now), newest or 0) - micros_of(self.retention_s)
        edge = self._db.execute(
            "SELECT at FROM points WHERE at < ? ORDER BY at LIMIT 1 OFFSET ?", (cutoff, _EXPIRE_CHUNK)
        ).fetchone()
        until = cutoff if edge is None else int(edge[0]) + 1
        return self._db.execute("DELETE FROM points WHERE at < ?", (until,)).rowcount

    def _query(self, query: Query) -> list[Series]:
        if query.aggregate not in _AGGREGATES:
            raise ValueError(f"aggregate {query.aggregate!r} (allowed: {', '.join(_AGGREGATES)})")
        found: dict[int, dict[str, str]] = {}
        for id, text in self._reader.execute(
            "SELECT id, tags FROM series WHERE family=? AND field=?", (query.family, query.field)
        ):
            tags = json.loads(text)
            if all(tags.get(name) == value for name, value in query.match.items()):
                found[id] = tags
        points: dict[int, list[tuple[float, Value]]] = {id: [] for id in found}
        for id, at, value in self._fetch(query, list(found)):
            points[id].append((at / 1e6, _value(value, query)))
        return [Series(tags, points[id]) for id, tags in found.items() if points[id]]

    def _fetch(self, query: Query, ids: list[int]) -> Sequence[tuple[int, int, Value]]:
        start, end = micros_of(max(0.0, query.start)), micros_of(query.end) if query.end > 0 else (1 << 63) - 1
        wanted = f"at >= ? AND at < ? AND series IN ({','.join(map(str, ids))})"
        step = micros_of(query.step_s) if query.step_s > 0 else 0
        if step:
            wanted += " AND typeof(value) = 'real'" if query.aggregate in _NUMBERS_ONLY else ""
            newest = ", max(at)" if query.aggregate == "last" else ""
            sql = (
                f"SELECT series, at / {step} * {step} AS bucket, {_AGGREGATES[query.aggregate]}{newest} "
                f"FROM points WHERE {wanted} GROUP BY series, bucket ORDER BY bucket LIMIT {MAX_POINTS + 1}"
            )
        else:
            sql = f"SELECT series, at, value FROM points WHERE {wanted} ORDER BY at LIMIT {MAX_POINTS + 1}"
        rows = self._reader.execute(sql, (start, end)).fetchall()
        if len(rows) > MAX_POINTS:
            raise ValueError(f"more than {MAX_POINTS} points: narrow the time or give a step")
        return [row[:3] for row in rows]

    def _close(self) -> None:
        with self._writing, self._reading:
            self._closed = True
            self._reader.close()
            self._db.close()


def _value(value: Value, query: Query) -> Value:
    """Whole numbers in the file are booleans, unless they count."""
    if type(value) is not int:
        return value
    return float(value) if query.step_s > 0 and query.aggregate == "count" else bool(value)


def _storable(name: str, value: Value) -> Value:
    """Floats stay REAL, booleans become 0 and 1, text stays text."""
    if type(value) is float:
        if not math.isfinite(value):
            raise Unwritable(f"field {name}: {value} is not a number")
        return value
    if isinstance(value, (str, bool)):
        return value
    try:
        return _storable(name, float(value))
    except OverflowError as error:
        raise Unwritable(f"field {name}: number too large") from error
