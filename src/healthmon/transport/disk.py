"""Why a disk does not take what it is given, in one word that can be shown."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

_BY_ERRNO = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "no_access",
    errno.EPERM: "no_access",
    errno.ENOTDIR: "no_access",
    errno.ENOENT: "no_access",
    errno.EISDIR: "no_access",
}
_BY_SQLITE = {
    "FULL": "disk_full",
    "READONLY": "read_only",
    "CORRUPT": "corrupt",
    "NOTADB": "corrupt",
    "BUSY": "locked",
    "LOCKED": "locked",
}


def disk_word(error: Exception, path: Path) -> str:
    """disk_full, read_only, no_access, corrupt, locked, or disk_error when nobody knows."""
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, "disk_error")
    known = _BY_SQLITE.get(_sqlite_name(error))
    return known or _by_trial(path)


def _sqlite_name(error: Exception) -> str:
    """`FULL` of SQLITE_FULL, `IOERR` of SQLITE_IOERR_WRITE; a message tells where an error has no name of its own."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if not name and isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return "CORRUPT"
    return name.removeprefix("SQLITE_").split("_")[0]


def _by_trial(path: Path) -> str:
    """sqlite says `disk I/O error` for much: a small file beside it says what the disk says."""
    trial = path.with_name(f"{path.name}.trial")
    try:
        with trial.open("wb") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return _BY_ERRNO.get(error.errno or 0, "disk_error")
    finally:
        try:
            trial.unlink(missing_ok=True)
        except OSError:
            pass
    return "disk_error"
