"""host_cpu: how busy the processors are since the last look, and the load averages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (
    Family(
        "host_cpu",
        frozenset({"utilisation_ratio", "iowait_ratio", "steal_ratio", "load1", "load5", "load15", "cores"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Params:
    """host_cpu has nothing to set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot, over all processors."""

    total: float
    idle: float
    iowait: float
    steal: float


class CpuCollector:
    """Ratios are over the time since the previous look, so the first look has none."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], CpuTimes] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: self._see(job))

    def _see(self, job: Job) -> list[Sample]:
        params_of(job, Params)
        now = read_times()
        before = self._last.get((job.target, job.check))
        found = ratios(before, now) if before else {}
        self._last[job.target, job.check] = now
        found["cores"] = float(psutil.cpu_count() or 1)
        if hasattr(os, "getloadavg"):
            found.update(zip(("load1", "load5", "load15"), os.getloadavg(), strict=True))
        return [Sample("host_cpu", name, value) for name, value in found.items()]


def read_times() -> CpuTimes:
    """The kernel's counters. Guest time is part of user time on Linux, so it is not added again."""
    times = psutil.cpu_times()
    spent = {name: float(getattr(times, name)) for name in times._fields}
    total = sum(value for name, value in spent.items() if not name.startswith("guest"))
    return CpuTimes(total, spent["idle"], spent.get("iowait", 0.0), spent.get("steal", 0.0))


def ratios(before: CpuTimes, after: CpuTimes) -> dict[str, float]:
    """Shares of the time between two looks. Waiting for disks is not work, so it is not in the utilisation.

    The kernel's idle and iowait counters may go back a little; a share is never outside 0 to 1.
    """
    passed = after.total - before.total
    if passed <= 0.0:
        return {}
    iowait = _share(after.iowait - before.iowait, passed)
    idle = _share(after.idle - before.idle, passed)
    return {
        "utilisation_ratio": _share(passed * (1.0 - idle - iowait), passed),
        "iowait_ratio": iowait,
        "steal_ratio": _share(after.steal - before.steal, passed),
    }


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole))
