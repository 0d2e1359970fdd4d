"""A probe whose answer is a function, and a runner at work on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Reading
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import settle

Answer = Callable[[Job, Sight], Awaitable[Reading]]


class Scripted:
    """The probe."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await self._answer(job, sight)


@asynccontextmanager
async def running(runner: Runner, *jobs: Job) -> AsyncIterator[None]:
    """These jobs on their schedules while the block runs."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runner.run(jobs))
        await settle()
        yield
        task.cancel()
