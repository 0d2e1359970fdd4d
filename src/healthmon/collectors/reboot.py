"""host_reboot: whether a host waits for a restart to finish its updates."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from healthmon.collectors.look import look, params_of
from healthmon.collectors.windows import registry_key_exists, registry_value
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_reboot", frozenset({"pending", "asked_by_packages", "newer_kernel", "waiting_seconds"})),)

_MARK = "run/reboot-required"
_WINDOWS_KEYS = (
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
)
_SESSION_MANAGER = r"SYSTEM\CurrentControlSet\Control\Session Manager"


@dataclass(frozen=True, slots=True)
class Params:
    """`renames`: on Windows, files waiting to be renamed count too (installers leave them behind for weeks)."""

    renames: bool = False

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class RebootCollector:
    """Linux: the mark that Debian and Ubuntu packages leave, and a newer kernel on disk. Windows: the registry."""

    def __init__(self, root: Path = Path("/"), release: Callable[[], str] | None = None) -> None:
        self._root = root
        self._release = release or _running_kernel

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params = params_of(job, Params)
            found = windows_facts(params) if sys.platform == "win32" else self._linux(sight.clock.now())
            return [Sample("host_reboot", field, value) for field, value in found.items()]

        return await look(job, sight, see)

    def _linux(self, now: float) -> dict[str, float]:
        mark = self._root / _MARK
        asked = mark.exists()
        installed = [folder.parent.name for folder in self._root.glob("lib/modules/*/kernel")]
        newer = newer_kernel(self._release(), installed)
        found = {"pending": float(asked or newer), "asked_by_packages": float(asked), "newer_kernel": float(newer)}
        if asked:
            found["waiting_seconds"] = max(0.0, now - mark.stat().st_mtime)
        return found


def _running_kernel() -> str:
    return Path("/proc/sys/kernel/osrelease").read_text().strip()


def newer_kernel(running: str, installed: list[str]) -> bool:
    """Whether a kernel of the same flavour (`-amd64`, `.el9.x86_64`) with a higher version is installed."""
    mine = _version(running)
    return any(_flavour(name) == _flavour(running) and _version(name) > mine for name in installed)


def _flavour(release: str) -> str:
    return re.sub(r"\d+", "", release).strip(".-+")


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release))


def windows_facts(params: Params) -> dict[str, float]:
    """What Windows keeps in its registry."""
    asked = any(registry_key_exists(key) for key in _WINDOWS_KEYS)
    renames = params.renames and bool(registry_value(_SESSION_MANAGER, "PendingFileRenameOperations"))
    return {"pending": float(asked or renames), "asked_by_packages": float(asked)}
