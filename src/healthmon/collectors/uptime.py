"""host_uptime: since when this host runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_uptime", frozenset({"uptime_seconds", "boot_time_seconds"})),)


@dataclass(frozen=True, slots=True)
class Params:
    """host_uptime has nothing to set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class UptimeCollector:
    """`boot_time_seconds` is Unix time."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: _see(job, sight))


def _see(job: Job, sight: Sight) -> list[Sample]:
    params_of(job, Params)
    boot_time_s = float(psutil.boot_time())
    return [
        Sample("host_uptime", "uptime_seconds", max(0.0, sight.clock.now() - boot_time_s)),
        Sample("host_uptime", "boot_time_seconds", boot_time_s),
    ]
