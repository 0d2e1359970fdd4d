"""One look of a probe as the runner makes it, for wire tests of any kind."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import Any

from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Reading
from healthmon.probes import PROBES, load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.probes.transcript import Transcript
from healthmon.runtime.clock import SystemClock

_NUMBERS = itertools.count(1)
FAST = Rates(10_000.0, 10_000.0, 10_000.0)


async def look(
    kind: str,
    address: str,
    *,
    timeout_s: float = 5.0,
    target: str | None = None,
    safety: Safety | None = None,
    transcript: Transcript | None = None,
    **params: Any,
) -> Reading:
    """Run it; every sample must be declared by the kind's families.

    Probes are kept for the life of the process and remember targets: each look has its own unless one is given.
    """
    clock = SystemClock()
    runner = Runner(
        vantage="v",
        guard=Guard(safety or Safety(rates=FAST), clock),
        clock=clock,
        probes=load_probe,
        on_reading=lambda reading: None,
    )
    reading = await runner.run_once(
        Job(target or f"t{next(_NUMBERS)}", "c", kind, address, 30.0, timeout_s, params), transcript
    )
    known = {family.name: family for family in import_module(PROBES[kind].partition(":")[0]).FAMILIES}
    for sample in reading.samples:
        assert sample.field in known[sample.family].fields, sample
        assert set(sample.labels) <= known[sample.family].labels, sample
    return reading


def fields(reading: Reading, family: str) -> dict[str, Any]:
    """The samples of one family by field (the last of each)."""
    return {sample.field: sample.value for sample in reading.samples if sample.family == family}
