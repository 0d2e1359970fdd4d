"""host_battery: the battery of a laptop or a cart: how full, how long, on mains or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_battery", frozenset({"present", "charge_ratio", "on_mains", "left_seconds"})),)


@dataclass(frozen=True, slots=True)
class Params:
    """host_battery has nothing to set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class BatteryCollector:
    """psutil asks the kernel or Windows; a machine without a battery says `present` 0 and nothing more."""

    def __init__(self, measure: Callable[[], Any] | None = None) -> None:
        platform: Callable[[], Any] = getattr(psutil, "sensors_battery", _none)
        self._measure = measure or platform

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params_of(job, Params)
            return [Sample("host_battery", field, value) for field, value in facts(self._measure()).items()]

        return await look(job, sight, see)


def _none() -> None:
    """psutil knows no batteries on this platform."""


def facts(battery: Any) -> dict[str, float]:
    """psutil's answer in base units. Times left that it does not know (-1) or that never end (-2) are left out."""
    if battery is None:
        return {"present": 0.0}
    found = {"present": 1.0, "charge_ratio": min(1.0, max(0.0, battery.percent / 100.0))}
    if battery.power_plugged is not None:
        found["on_mains"] = float(battery.power_plugged)
    if battery.secsleft is not None and int(battery.secsleft) >= 0 and not battery.power_plugged:
        found["left_seconds"] = float(battery.secsleft)
    return found
