"""Time in which this process stood still, by a manual clock: what counts, and what does not run meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from healthmon.runtime.clock import ManualClock, settle
from healthmon.runtime.deadline import Deadline, within
from healthmon.runtime.standstill import BEAT_S, LEAST_S


async def test_a_beat_that_comes_late_is_time_that_we_stood_still() -> None:
    clock = ManualClock()
    with clock.standstill.watching():
        await clock.advance(1.0)
        assert clock.standstill.seconds == 0.0
        clock.stand_still(3.0)
        overdue = clock.standstill.seconds
        await clock.advance(1.0)
    assert overdue == clock.standstill.seconds == pytest.approx(3.0, abs=BEAT_S)
    assert clock.standstill.turns_s() == pytest.approx(2.0, abs=BEAT_S)


async def test_what_is_ordinary_work_of_others_does_not_count() -> None:
    clock = ManualClock()
    with clock.standstill.watching():
        await clock.advance(BEAT_S)
        clock.stand_still(BEAT_S + LEAST_S / 2)
        await clock.advance(1.0)
    assert clock.standstill.seconds == 0.0


async def test_a_second_in_one_piece_is_long_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    with caplog.at_level(logging.WARNING), clock.standstill.watching():
        for _ in range(5):
            clock.stand_still(0.9)
            await clock.advance(0.5)
        assert clock.standstill.long == 0
        clock.stand_still(1.2)
        assert clock.standstill.long == 1, "also before the beat has come"
        await clock.advance(5.0)
    assert clock.standstill.long == 1
    assert [record.message for record in caplog.records] == ["this process stood still"]


async def test_nobody_watches_and_nothing_beats() -> None:
    clock = ManualClock()
    with clock.standstill.watching():
        pass
    await clock.advance(BEAT_S)
    clock.stand_still(60.0)
    assert clock.standstill.seconds == 0.0
    with clock.standstill.watching():
        assert clock.standstill.seconds == 0.0, "what was before nobody wants to know"


def test_a_new_loop_is_measured_anew() -> None:
    clock = ManualClock()

    async def a_while() -> float:
        with clock.standstill.watching():
            await settle()
            clock.stand_still(5.0)
            return clock.standstill.seconds

    assert asyncio.run(a_while()) == pytest.approx(5.0, abs=BEAT_S)
    before = clock.standstill.seconds
    assert asyncio.run(a_while()) - before == pytest.approx(5.0, abs=2 * BEAT_S)


async def test_a_deadline_does_not_run_while_we_stand_still() -> None:
    clock, called = ManualClock(), []
    with clock.standstill.watching():
        deadline = Deadline(clock, 2.0, lambda: called.append(clock.mono()))
        await clock.advance(1.0)
        clock.stand_still(30.0)
        await clock.advance(0.8)
        assert not called
        assert not deadline.passed
        await clock.advance(0.2)
    assert called
    assert deadline.passed


async def test_a_deadline_that_was_held_up_gives_what_has_come_a_moment() -> None:
    """Also when nobody measures how long we stood still."""
    clock, called = ManualClock(), []
    Deadline(clock, 2.0, lambda: called.append(clock.mono()))
    clock.stand_still(30.0)
    await clock.advance(0.0)
    assert not called
    await clock.advance(0.1)
    assert called == [pytest.approx(30.05)]


async def test_a_deadline_in_time_is_exact() -> None:
    clock, called = ManualClock(), []
    with clock.standstill.watching():
        Deadline(clock, 2.0, lambda: called.append(clock.mono()))
        cancelled = Deadline(clock, 1.0, lambda: called.append(-1.0))
        cancelled.cancel()
        await clock.advance(3.0)
    assert called == [pytest.approx(2.0)]


async def test_within_ends_a_block_as_asyncio_does() -> None:
    clock = ManualClock()

    async def block() -> str:
        try:
            async with within(1.0, clock):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return "over"
        raise AssertionError("unreachable")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(block())
        await settle()
        await clock.advance(1.0)
        assert await task == "over"
    async with within(1.0, clock):
        pass
    await clock.advance(5.0)  # and nobody is cancelled later


async def test_a_cancellation_from_outside_passes_through() -> None:
    clock = ManualClock()

    async def block() -> None:
        async with within(1.0, clock):
            await asyncio.get_running_loop().create_future()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(block())
        await settle()
        task.cancel()
        await settle()
    assert task.cancelled()
