"""host_processes: whether the programs a host is there for are running. Only names from the config are ever sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_processes", frozenset({"running", "processes", "memory_bytes"}), frozenset({"process"})),)


@dataclass(frozen=True, slots=True)
class Params:
    """`names`: programs as the process list shows them, without regard to case or a trailing `.exe`."""

    names: tuple[str, ...]

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not self.names or any(not name.strip() for name in self.names):
            raise ValueError("names needs at least one program name, and none may be empty")


class ProcessesCollector:
    """Command lines and owners are not read: they can hold patient data."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: _see(job))


def _see(job: Job) -> list[Sample]:
    params = params_of(job, Params)
    sizes: dict[str, list[float]] = {plain_name(name): [] for name in params.names}
    for process in psutil.process_iter(["name"]):
        name = plain_name(process.info["name"] or "")
        if name in sizes:
            sizes[name].append(_memory_bytes(process))
    return [sample for name in params.names for sample in _samples(name, sizes[plain_name(name)])]


def plain_name(name: str) -> str:
    """How names are compared."""
    return name.strip().lower().removesuffix(".exe")


def _memory_bytes(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0


def _samples(name: str, sizes: Iterable[float]) -> list[Sample]:
    found = list(sizes)
    labels = {"process": name}
    return [
        Sample("host_processes", "running", 1.0 if found else 0.0, labels),
        Sample("host_processes", "processes", float(len(found)), labels),
        Sample("host_processes", "memory_bytes", sum(found, 0.0), labels),
    ]
