"""The outer frame of a run whose state is its own: whatever is raised becomes a reading with what is known so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Reading, Sample
from healthmon.probes.look import Look
from healthmon.probes.phases import Phases
from healthmon.probes.spacing import Spacing


class State(Protocol):
    """What a run has learned so far."""

    @property
    def phases(self) -> Phases: ...

    def samples(self) -> Iterable[Sample]: ...


class Spaced(Protocol):
    """Parameters of a kind that is asked seldom."""

    @property
    def min_every_s(self) -> float: ...


class Held:
    """One for each kind of probe that is asked seldom: books the look, awaits the run, gives the reading."""

    def __init__(self) -> None:
        self._spacing = Spacing()

    async def reading(
        self, job: Job, sight: Sight, params: Spaced, state: State, run: Callable[[], Awaitable[None]]
    ) -> Reading:
        """ok, or the fault of the first thing that was wrong; a bug passes."""
        look = Look(job, sight)
        try:
            self._spacing.enter(job, sight, params.min_every_s)
            await run()
        except (OSError, HealthmonError) as error:
            return look.bad(state.phases.fault_of(error, job.timeout_s), state.samples())
        return look.ok(state.samples())
