"""How an agent's last run ended, by a note beside its spool: open while it runs, closed by a clean stop."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from pathlib import Path

import psutil

from healthmon.model.about import Ended

log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Where the system gives a boot no name its time is told, which clock corrections move a little.
_BOOT_SLACK_S = 120.0


class RunNote:
    """`ended`: the run before; `run`, `boot`: names of this one and of the machine's boot.

    A disk that takes no note costs this knowledge and nothing else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._boot, named = this_boot()
        self.run = secrets.token_hex(8)
        self.boot = hashlib.sha256(self._boot.encode()).hexdigest()[:16] if named else ""
        self.ended = _how_ended(file, self._boot)
        process = psutil.Process()
        self._after_boot_s = process.create_time() - psutil.boot_time()
        self._write(clean=False)

    def close(self) -> None:
        """The stop is meant."""
        self._write(clean=True)

    def times(self) -> tuple[float, float]:
        """When this process started and when its machine did, by the clock as it is now: steps move both."""
        booted = psutil.boot_time()
        return booted + self._after_boot_s, booted

    def _write(self, *, clean: bool) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        try:
            with fresh.open("w") as out:
                json.dump({"boot": self._boot, "clean": clean}, out)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._file)
        except OSError as error:
            log.debug("no note of this run", extra={"error": str(error)})


def this_boot() -> tuple[str, bool]:
    """What tells this boot of the machine from the next, and whether it is a name rather than a time."""
    try:
        return _BOOT_ID.read_text().strip(), True
    except OSError:
        return repr(psutil.boot_time()), False


def _how_ended(file: Path, boot: str) -> Ended:
    try:
        note = json.loads(file.read_text())
        before, clean = str(note["boot"]), bool(note["clean"])
    except (OSError, ValueError, TypeError, KeyError):
        return Ended.FIRST
    if clean:
        return Ended.CLEAN
    return Ended.KILLED if _same(before, boot) else Ended.DOWN


def _same(one: str, other: str) -> bool:
    try:
        return abs(float(one) - float(other)) <= _BOOT_SLACK_S
    except ValueError:
        return one == other
