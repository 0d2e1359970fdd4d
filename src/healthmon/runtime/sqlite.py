"""The one way healthmon opens sqlite: WAL, FULL, a schema version, forward migrations after a copy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from pathlib import Path

from healthmon.model.errors import FileFromNewerVersion

#: An SQL script, or what does the same in Python; each runs in a transaction of its own.
Migration = str | Callable[[sqlite3.Connection], None]

_BACKUP_PAGES = 2_000
#: Rows of one statement. Python lets go of the interpreter for each step, and beside a busy event loop comes back late:
#: row by row a commit of 400 rows took 20 to 200 ms instead of 15.
_ROWS_A_STATEMENT = (64, 16, 4, 1)


def open_database(
    path: str | Path,
    migrations: Sequence[Migration],
    *,
    synchronous: str = "FULL",
    shrinks: bool = False,
    cache_mib: int = 0,
) -> sqlite3.Connection:
    """Open or make a database at the newest schema version (= len(migrations), kept in `user_version`).

    An older file is copied beside itself first, a newer one refused. shrinks: pages that fall free can be given back
    (`PRAGMA incremental_vacuum`). cache_mib: of pages that may be kept in memory (0: sqlite's own 2), and that the log
    may grow to before they go into the file: for a file whose rows are written again and again. The connection may be
    used from worker threads one at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _refuse_newer(db, path, migrations)  # before anything is written: the file stays as it is
        if shrinks:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of effect in a new file only
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA busy_timeout=5000")
        if cache_mib:
            db.execute(f"PRAGMA cache_size=-{cache_mib << 10}")
            db.execute(f"PRAGMA wal_autocheckpoint={cache_mib << 8}")  # in pages of 4 KiB
        _migrate(db, path, migrations)
    except BaseException:
        db.close()
        raise
    return db


def _refuse_newer(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        raise FileFromNewerVersion(
            f"{path}: schema version {version} is newer than this program's {len(migrations)}; "
            "upgrade healthmon or restore a backup"
        )


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if 0 < version < len(migrations):
        backup_database(path, path.with_name(f"{path.name}.v{version}"))
    for number in range(version, len(migrations)):
        migration = migrations[number]
        if isinstance(migration, str):
            db.executescript(f"BEGIN;\n{migration}\nPRAGMA user_version={number + 1};\nCOMMIT;")
            continue
        db.execute("BEGIN IMMEDIATE")
        migration(db)
        db.execute(f"PRAGMA user_version={number + 1}")
        db.execute("COMMIT")


def put_many(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]]) -> None:
    """`into` (up to the word VALUES) all these rows, several with each statement."""
    at = 0
    for size in _ROWS_A_STATEMENT:
        if len(rows) - at < size:
            continue
        sql = _values(into, size, len(rows[0]))
        while len(rows) - at >= size:
            db.execute(sql, tuple(chain.from_iterable(rows[at : at + size])))
            at += size


@lru_cache(maxsize=64)
def _values(into: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{into} VALUES {', '.join([row] * rows)}"


def check_database(db: sqlite3.Connection) -> str:
    """`ok`, or sqlite's own words on what is wrong."""
    return str(db.execute("PRAGMA quick_check").fetchone()[0])


def backup_database(source: str | Path, target: str | Path) -> int:
    """A consistent copy while others write, whole or not there at all; its size in bytes.

    Raises sqlite3.Error, OSError.
    """
    target = Path(target)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as db, closing(sqlite3.connect(part)) as copy:
        db.execute("PRAGMA busy_timeout=5000")
        db.execute("BEGIN")  # one snapshot: a busy writer would otherwise have the copy begin again and again
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        db.backup(copy, pages=_BACKUP_PAGES, sleep=0.001)
        copy.execute("PRAGMA journal_mode=DELETE")
    _sync(part)
    os.replace(part, target)
    return target.stat().st_size


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
