"""A look into an embedded store's file from another process, while its server writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from healthmon.model.sample import Query, Row, Series
from healthmon.store.blocks import Column
from healthmon.store.catalog import Catalog, Entry
from healthmon.store.embedded import load_journal
from healthmon.store.lineproto import micros_of
from healthmon.store.reading import Reader, Snapshot


class StoreFile:
    """One moment of the file; raises sqlite3.Error when it is no store of today's form."""

    def __init__(self, path: str | Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.execute("BEGIN")
        catalog = Catalog.load(self._db)
        self._snapshot = Snapshot(self._db, catalog, (load_journal(self._db, catalog),))
        self._reader = Reader()

    def query(self, query: Query) -> list[Series]:
        """As the store itself would answer."""
        return self._reader.query(self._snapshot, query)

    def rows(self, start: float = 0.0, end: float = 9e9) -> Iterator[Row]:
        """Raw rows in time order."""
        for first, last in self._reader.windows(self._snapshot, micros_of(start), micros_of(end)):
            yield from self._reader.rows(self._snapshot, first, last)

    def columns(self) -> Iterator[tuple[Entry, Column]]:
        """Every series with its raw points."""
        return self._reader.everything(self._snapshot)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> StoreFile:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
