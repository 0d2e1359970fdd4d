"""backup_evidence: the traces that good backups leave: files and their age, a copy elsewhere, a test of restoring."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from glob import iglob
from pathlib import Path
from typing import Any, ClassVar

from healthmon.collectors.look import Unseen, look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (
    Family(
        "backup_evidence",
        frozenset({"found", "age_seconds", "size_bytes", "files", "succeeded"})
        | {"off_site", "off_site_age_seconds", "immutable", "restore_test_age_seconds"},
        frozenset({"backup"}),
    ),
)
#: What a status file may tell: flags, and moments (Unix seconds or ISO 8601) that become ages.
FLAGS = ("succeeded", "off_site", "immutable")
MOMENTS = ("finished", "off_site_at", "restore_test")
_AGES = {"finished": "age_seconds", "off_site_at": "off_site_age_seconds", "restore_test": "restore_test_age_seconds"}
_MOST_FILES = 20_000
_MOST_STATUS_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. Any of:

    files: a pattern; the newest file that matches (and has `least_bytes`) is the last backup
    status: a JSON file that the backup program writes, `keys` saying where in it what stands (`a.b.c`)
    off_site_files, restore_test_files: patterns whose newest file proves a copy elsewhere, a test of restoring
    """

    name: str
    files: str | None = None
    least_bytes: int = 1
    status: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    off_site_files: str | None = None
    restore_test_files: str | None = None

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 100:
            raise ValueError("name: each backup needs a short name")
        if self.files is None and self.status is None:
            raise ValueError(f"{self.name}: needs files or status")
        unknown = sorted(set(self.keys) - {*FLAGS, *MOMENTS, "size_bytes"})
        if unknown:
            raise ValueError(f"keys: {unknown[0]} (allowed: {', '.join((*FLAGS, *MOMENTS, 'size_bytes'))})")


@dataclass(frozen=True, slots=True)
class Params:
    """`backups`: what this host can see evidence of."""

    backups: tuple[Backup, ...]

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        names = [backup.name for backup in self.backups]
        if not names or len(set(names)) != len(names):
            raise ValueError("backups: at least one, and each with a name of its own")


class BackupCollector:
    """Reads times, sizes and the named keys; contents and file names stay where they are."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            now = sight.clock.now()
            return [
                Sample("backup_evidence", name, value, {"backup": backup.name})
                for backup in params_of(job, Params).backups
                for name, value in evidence(backup, now).items()
            ]

        return await look(job, sight, see)


def evidence(backup: Backup, now: float) -> dict[str, float]:
    """Blocking. What speaks for this backup; `found` 0 when nothing does. Raises Unseen."""
    facts: dict[str, float] = {}
    if backup.files is not None:
        facts |= _newest(backup.files, backup.least_bytes, now)
    if backup.status is not None:
        facts |= _status(Path(backup.status), backup.keys, now)
    for pattern, name in ((backup.off_site_files, "off_site"), (backup.restore_test_files, "restore_test")):
        age_s = _newest(pattern, 0, now).get("age_seconds") if pattern else None
        if age_s is not None:
            facts[f"{name}_age_seconds"] = age_s
    if backup.off_site_files is not None:
        facts["off_site"] = float("off_site_age_seconds" in facts)
    return {"found": float("age_seconds" in facts), **facts}


def _newest(pattern: str, least_bytes: int, now: float) -> dict[str, float]:
    """Age and size of the newest file that is large enough, and how many there are."""
    newest: tuple[float, int] | None = None
    number = 0
    for path in iglob(pattern, recursive=True):
        try:
            stats = os.stat(path)
        except FileNotFoundError:  # deleted in between
            continue
        if stats.st_size < least_bytes or os.path.isdir(path):
            continue
        number += 1
        if number > _MOST_FILES:
            raise Unseen(Reason.BAD_PARAMS, f"more than {_MOST_FILES} files match: name them more narrowly")
        if newest is None or stats.st_mtime > newest[0]:
            newest = (stats.st_mtime, stats.st_size)
    if newest is None:
        return {"files": 0.0}
    return {"files": float(number), "age_seconds": max(0.0, now - newest[0]), "size_bytes": float(newest[1])}


def _status(file: Path, keys: Mapping[str, str], now: float) -> dict[str, float]:
    """The named keys of a status file; without `finished` its own age counts. A missing file is no evidence."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_STATUS_BYTES + 1)
            age_s = max(0.0, now - os.fstat(opened.fileno()).st_mtime)
    except FileNotFoundError:
        return {}
    return (
        parse_status(content, keys, now)
        if "finished" in keys
        else {"age_seconds": age_s, **parse_status(content, keys, now)}
    )


def parse_status(content: bytes, keys: Mapping[str, str], now: float) -> dict[str, float]:
    """Raises Unseen for what is not JSON; keys that are not there, or are of another kind, are left out."""
    if not keys:
        return {}
    try:
        data = json.loads(content) if len(content) <= _MOST_STATUS_BYTES else None
    except (ValueError, RecursionError):
        data = None
    if data is None:
        raise Unseen(Reason.NO_ANSWER, "the status file is not JSON, or larger than 1 MiB")
    found: dict[str, float] = {}
    for name, path in keys.items():
        value = _at_path(data, path)
        if name in FLAGS:
            if isinstance(value, bool):
                found[name] = float(value)
        elif name == "size_bytes":
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                found[name] = float(value)
        elif (at := _moment(value)) is not None:
            found[_AGES[name]] = max(0.0, now - at)
    if "off_site_age_seconds" in found:
        found.setdefault("off_site", 1.0)
    return found


def _at_path(data: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(data, list) and step.lstrip("-").isdigit() and -len(data) <= int(step) < len(data):
            data = data[int(step)]
        elif isinstance(data, dict):
            data = data.get(step)
        else:
            return None
    return data


def _moment(value: Any) -> float | None:
    """Unix seconds (or milliseconds) or ISO 8601; a time without a zone is taken as UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000.0 if value > 1e11 else float(value)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
