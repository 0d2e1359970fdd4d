"""The one way healthmon opens sqlite: WAL, FULL, a schema version, forward migrations after a copy."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from healthmon.model.errors import FileFromNewerVersion


def open_database(path: str | Path, migrations: Sequence[str], *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open or make a database at the newest schema version (= len(migrations), kept in `user_version`).

    Each migration is an SQL script; an older file is copied beside itself first, a newer one refused.
    The connection may be used from worker threads one at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.execute("PRAGMA busy_timeout=5000")
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        db.close()
        raise FileFromNewerVersion(
            f"{path}: schema version {version} is newer than this program's {len(migrations)}; "
            "upgrade healthmon or restore a backup"
        )
    if 0 < version < len(migrations):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy2(path, path.with_name(f"{path.name}.v{version}"))
    for number in range(version, len(migrations)):
        db.executescript(f"BEGIN;\n{migrations[number]}\nPRAGMA user_version={number + 1};\nCOMMIT;")
    return db


def check_database(db: sqlite3.Connection) -> str:
    """`ok`, or sqlite's own words on what is wrong."""
    return str(db.execute("PRAGMA quick_check").fetchone()[0])
