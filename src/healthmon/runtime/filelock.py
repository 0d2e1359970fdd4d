"""One process for one file or folder: a lock that the system drops when its holder dies, however it dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO


def take_lock(file: Path) -> IO[bytes]:
    """Hold `file` until the returned handle is closed; raises BlockingIOError when another process has it."""
    handle = file.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise BlockingIOError(f"{file} is held by another process") from error
    return handle


def wait_for_lock(handle: IO[bytes]) -> None:
    """Lock an open file after whoever holds it now; closing it lets go, and so does the death of the process."""
    if sys.platform == "win32":
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
