"""Time series in one sqlite file: durable when `write` returns, compressed soon after, kept as long as is said.

New rows go into a journal in the file and stay in memory; when they are many they are sealed into blocks of columns
by a thread of their own; when a day is over its blocks become few and its hours and minutes are summed up.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row, Series, Written
from healthmon.runtime.sqlite import open_database
from healthmon.store import upkeep
from healthmon.store.catalog import Catalog
from healthmon.store.columns import Damaged
from healthmon.store.filing import HOUR, MIGRATIONS, MINUTE, RAW
from healthmon.store.hot import Hot, Rows, pack_rows, unpack_rows
from healthmon.store.lineproto import Unwritable, micros_of
from healthmon.store.reading import Reader, Snapshot
from healthmon.store.rescue import set_aside_and_salvage
from healthmon.store.storable import storable
from healthmon.store.upkeep import ENDPOINT, GENERAL, Retention, transaction

log = logging.getLogger(__name__)

#: Points in memory at which they are sealed, more where there are many series: a block of a point or two for each of
#: them costs more than it saves. Twice as many make a write wait.
SEAL_POINTS = 250_000
SEAL_POINTS_A_SERIES = 6
SEAL_POINTS_MOST = 1_500_000

Answer = TypeVar("Answer")


class EmbeddedStore:
    """One writer connection and one reader connection; other processes may read while it writes.

    A file that cannot be read as a database is set aside, and what can be saved of it goes into a new one: a damaged
    history must not keep the server from watching. `salvaged` says what happened then, else it is empty.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        retention: Retention | None = None,
        retention_days: float | None = None,
        seal_points: int | None = None,
    ) -> None:
        self.retention = retention or (Retention() if retention_days is None else Retention(raw=retention_days))
        self.salvaged = ""
        self._path = Path(path)
        self._seal_points = seal_points
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._sealing = threading.Lock()
        self._sealer: threading.Thread | None = None
        self._closed = False
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # a lock, a full disk: nothing is wrong with the file
                raise
            self.salvaged = set_aside_and_salvage(self._path, str(error))
            self._open()

    async def write(self, rows: Sequence[Row]) -> Written:
        """One transaction; the same row again changes nothing."""
        return await asyncio.to_thread(self._guarded, self._writing, self._write, rows)

    async def query(self, query: Query) -> list[Series]:
        """Series with their points in time order; raises ValueError when the answer would be too large."""
        return await asyncio.to_thread(self._read, self._reader.query, query)

    async def replay(self, start: float, end: float) -> AsyncIterator[list[Row]]:
        """Raw rows of [start, end) (Unix seconds) in time order, so many at a time; what is written meanwhile too."""
        low, high = micros_of(start), micros_of(end)
        windows = await asyncio.to_thread(self._read, self._reader.windows, low, high)
        for first, last in windows:
            rows = await asyncio.to_thread(self._read, self._reader.rows, first, last)
            if rows:
                yield rows

    async def expire(self, now: float) -> int:
        """Seal, roll up the days that are over, delete what is older than its retention; how many raw points went.

        Whole days (UTC) go. Age is counted from the newest point at the latest: a clock that jumps ahead must not
        empty the file.
        """
        return await asyncio.to_thread(self._upkeep, now)

    async def close(self) -> None:
        """Finish the write in hand and close the file."""
        await asyncio.to_thread(self._close)

    @property
    def damaged(self) -> int:
        """Blocks that could not be read so far."""
        return self._reader.damaged

    # --- inside -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._db = open_database(self._path, MIGRATIONS, shrinks=True)
        self._reader = Reader()
        try:
            self._read_db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._read_db.execute("PRAGMA query_only=1")
            self._read_db.execute("PRAGMA busy_timeout=5000")
            self._catalog = Catalog.load(self._db)
            self._hots: tuple[Hot, ...] = (load_journal(self._db, self._catalog),)
        except BaseException:
            self._db.close()
            raise

    def _snapshot(self) -> Snapshot:
        """The hot rows first: what is sealed between here and the reading of the file is then in both, not in none."""
        return Snapshot(self._read_db, self._catalog, self._hots)

    def _read(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        return self._guarded(self._reading, lambda: work(self._snapshot(), *arguments))

    def _guarded(self, lock: threading.Lock, work: Callable[..., Answer], *arguments: Any) -> Answer:
        with lock:
            if self._closed:
                raise StoreDown(f"{self._path}: closed")
            try:
                return work(*arguments)
            except sqlite3.Error as error:
                raise StoreDown(self._words(error)) from error

    def _words(self, error: sqlite3.Error) -> str:
        if type(error) is sqlite3.DatabaseError:
            return f"{self._path} is damaged ({error}): stop the server and run `healthmon store salvage`"
        return f"{self._path}: {error}"

    def _write(self, rows: Sequence[Row]) -> Written:
        rejected: list[tuple[Row, str]] = []
        try:
            with transaction(self._db) as db:
                ready = self._prepare(rows, rejected)
                self._catalog.write_new(db)
                upto = 0
                if ready.times:
                    body = pack_rows(ready)
                    upto = int(db.execute("INSERT INTO journal (codec, body) VALUES (?, ?)", body).lastrowid or 0)
        except BaseException:
            self._catalog.undone(self._db)
            raise
        self._catalog.committed()
        self._hots[-1].add(ready, upto)
        if self._hots[-1].points >= self._enough_points():
            self._seal_soon()
        return Written(len(rows) - len(rejected), tuple(rejected))

    def _prepare(self, rows: Sequence[Row], rejected: list[tuple[Row, str]]) -> Rows:
        ready = Rows()
        shapes = self._catalog.shapes
        moment, at = -1.0, 0
        for row in rows:
            try:
                names, values = zip(*row.fields, strict=True) if row.fields else ((), ())
                shape = shapes.get((row.family, row.tags, names))
                if shape is None:
                    shape = self._catalog.new_shape((row.family, row.tags, names))
                if row.at != moment:
                    moment, at = -1.0, micros_of(row.at)
                    moment = row.at
                values = storable(names, values)
            except Unwritable as error:
                rejected.append((row, str(error)))
                continue
            ready.shapes.append(shape)
            ready.times.append(at)
            ready.values.append(values)
        return ready

    # --- sealing and upkeep, each in a thread ------------------------------------------------------------------

    def _enough_points(self) -> int:
        by_series = min(SEAL_POINTS_MOST, SEAL_POINTS_A_SERIES * len(self._catalog.entries))
        return self._seal_points or max(SEAL_POINTS, by_series)

    def _seal_soon(self) -> None:
        """A thread seals what is there; when the last one is not through and rows pile up, the writer waits for it."""
        if self._sealer is not None and self._sealer.is_alive():
            if self._hots[-1].points < 2 * self._enough_points():
                return
            self._writing.release()
            self._sealer.join()
            self._writing.acquire()
        self._sealer = threading.Thread(target=self._seal_quietly, name="store-seal", daemon=True)
        self._sealer.start()

    def _seal_quietly(self) -> None:
        try:
            self._seal()
        except (sqlite3.Error, StoreDown) as error:  # the rows are in the journal and in memory; the next one tries
            log.warning("store could not seal rows, they stay in the journal", extra={"error": str(error)})

    def _seal(self) -> None:
        """Rows out of memory into blocks. While it works they can be read where they were."""
        with self._sealing:
            with self._writing:
                if self._closed or not any(hot.points for hot in self._hots):
                    return
                if len(self._hots) == 1:  # else an earlier attempt failed: the same rows again
                    self._hots = (*self._hots, Hot())
            old = self._hots[0]
            packed, columns = upkeep.pack_hot(old, self._catalog, self.retention)
            self._locked(upkeep.seal, old, packed)
            self._reader.sealed(columns)
            self._hots = self._hots[1:]

    def _upkeep(self, now: float) -> int:
        self._seal_guarded()
        now_us = min(micros_of(now), self._locked(upkeep.newest_moment))
        cutoff = upkeep.raw_cutoff(now_us, self.retention)
        for day in self._locked(upkeep.days_to_roll, cutoff):
            self._locked(upkeep.file_rolled, self._roll(day))
        for day in self._locked(upkeep.days_without_minutes, cutoff):
            self._locked(upkeep.roll_minutes, self._catalog, day)
        gone = [
            self._locked(upkeep.expire, now_us, tier, kept, self.retention)
            for tier in (RAW, MINUTE, HOUR)
            for kept in (GENERAL, ENDPOINT)
        ]
        self._locked(upkeep.shrink)
        return sum(gone[:2])

    def _roll(self, day: upkeep.Day) -> upkeep.Rolled:
        """On a connection of its own: readers and the writer go on meanwhile."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            return upkeep.roll_day(db, self._catalog, day)

    def _locked(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        return self._guarded(self._writing, work, self._db, *arguments)

    def _seal_guarded(self) -> None:
        try:
            self._seal()
        except sqlite3.Error as error:
            raise StoreDown(self._words(error)) from error

    def _close(self) -> None:
        with self._sealing, self._writing, self._reading:
            self._closed = True
            self._read_db.close()
            self._db.close()


def load_journal(db: sqlite3.Connection, catalog: Catalog) -> Hot:
    """The rows that are in the journal and not in blocks yet."""
    hot = Hot()
    for id, codec, body in db.execute("SELECT id, codec, body FROM journal ORDER BY id"):
        try:
            hot.add(unpack_rows(codec, body, catalog), id)
        except Damaged as error:
            log.error("store: an entry of the journal is damaged", extra={"entry": id, "error": str(error)})
    return hot
