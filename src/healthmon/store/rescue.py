"""Whether a store's file is whole, and what can be saved of one that is not."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from healthmon.runtime.sqlite import check_database, open_database
from healthmon.store.blocks import expand
from healthmon.store.catalog import Catalog
from healthmon.store.columns import Damaged
from healthmon.store.filing import MIGRATIONS, blocks
from healthmon.store.hot import unpack_rows

log = logging.getLogger(__name__)

_TABLES = {
    "series": "id, family, field, tags",
    "shapes": "id, series",
    "journal": "id, codec, body",
    "blocks": "id, tier, class, day, family, rank, low, high, start, until, points, codec, body",
}
#: After so many ids in a row that cannot be read a table is taken to be at its end.
_GIVE_UP = 10_000


@dataclass(frozen=True, slots=True)
class Checked:
    """sqlite: `ok` or what sqlite says; damaged: what is wrong with single blocks and journal entries."""

    sqlite: str
    blocks: int
    points: int
    damaged: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.sqlite == "ok" and not self.damaged


def check(path: str | Path) -> Checked:
    """Read every page, every block and every value. Raises sqlite3.Error when it is no database at all."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        words, count, points, damaged = check_database(db), 0, 0, []
        catalog = Catalog.load(db)
        for filed in blocks(db, "1"):
            count += 1
            try:
                opened = filed.open()
                columns = [opened.column(series) for series in opened.series]
                points += sum(len(column.times) for column in columns if column and not filed.tier)
            except Damaged as error:
                damaged.append(f"block {filed.id} ({filed.family}, {filed.points} points): {error}")
        for id, codec, body in db.execute("SELECT id, codec, body FROM journal"):
            try:
                points += sum(map(len, unpack_rows(codec, body, catalog).values))
            except Damaged as error:
                damaged.append(f"journal entry {id}: {error}")
    return Checked(words, count, points, tuple(damaged))


def salvage(source: str | Path, target: str | Path) -> str:
    """Copy what can be read into a new file; what became of it, in words. Raises FileExistsError."""
    target = Path(target)
    if target.exists():
        raise FileExistsError(f"{target} exists")
    with closing(open_database(target, MIGRATIONS, shrinks=True)) as db:
        saved: dict[str, int] = {}
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old:
            old.text_factory = lambda raw: raw.decode(errors="replace")
            for table, columns in _TABLES.items():
                db.execute("BEGIN IMMEDIATE")
                holes = ", ".join("?" * (columns.count(",") + 1))
                saved[table] = 0
                for row in _readable(old, table, columns):
                    if table != "blocks" or _is_block(row):
                        db.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({holes})", row)
                        saved[table] += 1
                db.execute("COMMIT")
    return ", ".join(f"{count} {table}" for table, count in saved.items()) + " saved"


def set_aside_and_salvage(path: Path, why: str) -> str:
    """Move a damaged file out of the way and begin a new one with what could be saved; says so."""
    aside = next(p for n in range(1, 10_000) if not (p := path.with_name(f"{path.name}.damaged-{n}")).exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + suffix))
    fresh = path.with_name(path.name + ".salvage")
    for left in path.parent.glob(fresh.name + "*"):
        left.unlink()
    words = salvage(aside, fresh)
    with closing(sqlite3.connect(fresh)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(fresh, path)
    said = f"{path} was damaged ({why}); it is kept as {aside.name}; {words}"
    log.error("store set aside and salvaged", extra={"error": said})
    return said


def _readable(db: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[object, ...]]:
    """Row by row, over what cannot be read."""
    at, failed = 0, 0
    while failed < _GIVE_UP:
        try:
            rows = db.execute(f"SELECT {columns} FROM {table} WHERE id > ? ORDER BY id LIMIT 1", (at,)).fetchall()
        except sqlite3.Error:
            at, failed = at + 1, failed + 1
            continue
        if not rows:
            return
        at, failed = rows[0][0], 0
        yield rows[0]


def _is_block(row: tuple[object, ...]) -> bool:
    try:
        expand(int(row[-2]), bytes(row[-1]))  # type: ignore[call-overload]
    except (Damaged, TypeError, ValueError):
        return False
    return True
