"""Where a server's ceiling is: the fleet looks ever more often until what is stored grows old."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from healthmon.app.loadfleet import Fleet

STEP = 1.25  # as often as before, each time
STEPS_MOST = 16
MEASURED_S = 30.0
SETTLING_S = 15.0
#: What a step may not exceed: the p99 age of live batches (the aim of a catch-up too).
AGE_S = 5.0
#: Of what the fleet sends so much must be acknowledged meanwhile; the rest may be on its way.
TAKEN = 0.95
_FULL = 0.9  # of a core, or of all


class Measuring(Protocol):
    """What it needs of a run."""

    fleet: Fleet

    async def until(self, condition: Callable[[], bool], seconds: float, name: str) -> bool: ...

    async def figures(self, seconds: float, name: str) -> dict[str, Any]: ...


async def climb(run: Measuring) -> dict[str, Any]:
    """Step by step; the last rate that held, every step's figures, and what was full when it no longer did."""
    fleet, began = run.fleet, run.fleet.load
    steps: list[dict[str, Any]] = []
    try:
        while len(steps) < STEPS_MOST and (not steps or holds(steps[-1])):
            before_s = fleet.load.every_s
            fleet.load = replace(fleet.load, every_s=before_s / STEP)
            wanted = fleet.load.agents / fleet.load.every_s
            name = f"{wanted:.0f} batches/s"
            await run.until(lambda: False, max(SETTLING_S, before_s), f"climbing to {name}")
            steps.append(await run.figures(MEASURED_S, name) | {"wanted_per_s": round(wanted, 1)})
    finally:
        fleet.load = began
    held = [step for step in steps if holds(step)]
    return {
        "held_messages_per_s": held[-1]["messages_per_s"] if held else 0.0,
        "held_points_per_s": held[-1]["points_per_s"] if held else 0,
        "limiter": limiter(steps[-1]["cores"], os.cpu_count() or 1),
        "steps": steps,
    }


def holds(step: Mapping[str, Any]) -> bool:
    """Whether a server carries this for ever, as far as one can see."""
    return bool(
        step["messages_per_s"] >= TAKEN * step["wanted_per_s"] and step["age_s"] and step["age_s"]["p99"] <= AGE_S
    )


def limiter(cores: Mapping[str, float], of: int) -> str:
    """What was full: the machine, or one process that has one core at most."""
    if sum(cores.values()) >= _FULL * of:
        return f"all {of} cores of the machine"
    fullest = max(cores, key=lambda name: cores[name], default="")
    if fullest and cores[fullest] >= _FULL:
        return f"one core, by {fullest}"
    return "no processor: what is waited for is a disk or another process"
