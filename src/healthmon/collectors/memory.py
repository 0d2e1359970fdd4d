"""host_memory: how much memory and swap there is, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (
    Family(
        "host_memory",
        frozenset(
            {
                "total_bytes",
                "available_bytes",
                "used_bytes",
                "used_ratio",
                "swap_total_bytes",
                "swap_used_bytes",
                "swap_used_ratio",
            }
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Params:
    """host_memory has nothing to set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class MemoryCollector:
    """`used_ratio` counts what programs cannot get: 1 - available / total. No swap gives no swap ratio."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: _see(job))


def _see(job: Job) -> list[Sample]:
    params_of(job, Params)
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    found = {
        "total_bytes": float(memory.total),
        "available_bytes": float(memory.available),
        "used_bytes": float(memory.used),
        "used_ratio": 1.0 - memory.available / memory.total,
        "swap_total_bytes": float(swap.total),
        "swap_used_bytes": float(swap.used),
    }
    if swap.total:
        found["swap_used_ratio"] = swap.used / swap.total
    return [Sample("host_memory", name, value) for name, value in found.items()]
