"""Units that crash and start again, and cancellations that come in the last moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from healthmon.model.errors import TransportDown
from healthmon.runtime.supervise import GOOD_RUN_S, Unit, heeding, keep


class Ticking:
    """A clock whose every sleep is over at once and moves it on."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.at

    def mono(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        raise NotImplementedError


async def test_a_unit_that_ran_well_starts_again_soon() -> None:
    clock, runs = Ticking(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 40:
            return
        clock.at += GOOD_RUN_S + 1.0 if runs > 20 else 0.0
        raise RuntimeError

    unit = Unit("test", run, clock=clock)
    await unit.supervise()
    assert max(clock.slept[:20]) > 2.0, "crash after crash, the wait grows"
    assert max(clock.slept[21:]) <= 1.0
    assert unit.crashes_within(1e9) == 39


async def test_crashes_are_counted_within_a_time() -> None:
    clock, runs = Ticking(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        clock.at += 100.0
        if runs < 6:
            raise RuntimeError

    unit = Unit("test", run, clock=clock)
    heard: list[str] = []
    await unit.supervise(lambda of, error: heard.append(type(error).__name__))
    assert heard == ["RuntimeError"] * 5
    assert unit.crashes_within(250.0) in (1, 2)


async def swallowing(done: asyncio.Future[int]) -> int:
    """What asyncio.wait_for does before Python 3.12 when the answer and the cancellation come together."""
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if done.done():
            return done.result()
        raise


async def test_a_unit_whose_last_words_fail_ends_all_the_same() -> None:
    clock, begun = Ticking(), 0

    async def run() -> None:
        nonlocal begun
        begun += 1
        if begun > 3:
            return  # a unit that went on would never end
        try:
            await asyncio.Event().wait()
        finally:
            raise TimeoutError  # a goodbye that nobody answers

    task = asyncio.ensure_future(Unit("speaker", run, clock=clock).supervise())
    while not begun:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5.0)
    assert begun == 1


async def test_a_cancellation_that_a_call_has_swallowed_is_heeded() -> None:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(heeding(swallowing(done)))
    await asyncio.sleep(0)
    task.cancel()
    done.set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_without_one_the_answer_comes_and_an_older_one_does_not_count() -> None:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    done.set_result(7)
    assert await heeding(swallowing(done)) == 7

    async def farewell() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await heeding(swallowing(done))  # cleaning up after a cancellation that is known
        return 0

    task = asyncio.ensure_future(farewell())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == 7


async def in_a_group(error: Exception) -> None:
    """As most units and connections are made: all of the work is in children."""

    async def child() -> None:
        await asyncio.sleep(0)
        raise error

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    except* TransportDown:
        pass
    raise TransportDown("lost")


async def test_a_unit_whose_child_crashed_is_started_again() -> None:
    clock, runs = Ticking(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs < 4:
            await in_a_group(RuntimeError("a bug"))

    async with asyncio.timeout(30):
        await Unit("test", run, clock=clock).supervise()
    assert runs == 4


async def test_a_connection_that_a_child_lost_is_made_again() -> None:
    clock, runs = Ticking(), 0

    class Enough(Exception):
        pass

    async def connect() -> None:
        nonlocal runs
        runs += 1
        if runs == 4:
            raise Enough
        await in_a_group(TransportDown("lost"))

    async with asyncio.timeout(30):
        with pytest.raises(Enough):
            await keep("test", connect, clock=clock, recoverable=(TransportDown,))


async def test_a_connection_that_loses_the_word_to_end_is_not_made_again() -> None:
    """As the client of NATS does while it flushes."""
    clock, begun, runs = Ticking(), asyncio.Event(), 0

    async def connect() -> None:
        nonlocal runs
        runs += 1
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        raise TransportDown("lost")

    task = asyncio.ensure_future(keep("test", connect, clock=clock, recoverable=(TransportDown,)))
    await begun.wait()
    task.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert runs == 1
