"""Checks run again and again by one runner, some at a time, as a poller looks at its targets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Outcome, Reading
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock


def lanes(
    jobs: Sequence[Job], width: int, right: Callable[[Reading], bool] = lambda reading: True
) -> Callable[[], Awaitable[int]]:
    """A round looks at every job once and gives how many were ok and right."""
    probe, clock = load_probe(jobs[0].kind), SystemClock()
    guard = Guard(Safety(rates=Rates(1e6, 1e6, 1e6)), clock)
    runner = Runner(vantage="bench", guard=guard, clock=clock, probes=lambda _: probe, on_reading=lambda _: None)

    async def one_round() -> int:
        waiting, good = iter(jobs), 0

        async def lane() -> None:
            nonlocal good
            for job in waiting:
                reading = await runner.run_once(job)
                good += reading.outcome is Outcome.OK and right(reading)

        await asyncio.gather(*(lane() for _ in range(width)))
        return good

    return one_round
