"""Readings taken around a step of the wall clock: each is told by one clock, and a batch holds those of one."""

from __future__ import annotations

import pytest

from healthmon.app.clocksteps import ClockSteps, by_clock
from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock

HOUR = 3600.0


def look(clock: ManualClock, *, took: float = 0.0) -> Reading:
    return Reading("ehr-web", "up", "pc-1", clock.now() - took, took, Outcome.OK)


@pytest.mark.parametrize("step", [HOUR, -HOUR, 5.0])
async def test_batches_hold_readings_of_one_clock(step: float) -> None:
    clock = ManualClock()
    steps = ClockSteps(clock)
    taken = [steps.timed(look(clock))]
    await clock.advance(1.0)
    taken.append(steps.timed(look(clock)))
    clock.step_wall(step)
    taken.append(steps.timed(look(clock)))
    groups = list(by_clock(taken))
    assert [len(readings) for _, readings in groups] == [2, 1]
    assert groups[1][0] - groups[0][0] == pytest.approx(step)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_look_that_was_under_way_is_put_on_the_new_clock(step: float) -> None:
    clock = ManualClock()
    steps = ClockSteps(clock)
    began = clock.now()
    await clock.advance(3.0)
    clock.step_wall(step)
    await clock.advance(1.0)
    (timed,) = [steps.timed(Reading("ehr-web", "up", "pc-1", began, 4.0, Outcome.OK))]
    assert timed.reading.started == pytest.approx(began + step)
    assert steps.timed(look(clock, took=2.0)).reading.started == clock.now() - 2.0


async def test_a_clock_that_is_slewed_splits_nothing() -> None:
    clock = ManualClock()
    steps = ClockSteps(clock)
    taken = []
    for _ in range(10):
        clock.step_wall(0.1)
        taken.append(steps.timed(look(clock)))
    assert [len(readings) for _, readings in by_clock(taken)] == [10]
