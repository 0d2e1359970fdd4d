"""Looks of a monitor that stood still: its own slowness is never told as a target's fault."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager

import pytest

from daemons.scripted import Answer, Scripted, running
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.ports import Probe, Sight
from healthmon.model.sample import UNKNOWN_REASONS, Outcome, Reading, Reason
from healthmon.probes.guard import Guard
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault
from healthmon.probes.runner import GRACE_S, Runner
from healthmon.runtime.clock import ManualClock, settle
from healthmon.runtime.standstill import BEAT_S


class Monitor:
    """A runner over one scripted probe, on a machine that may stand still."""

    def __init__(self, answer: Answer) -> None:
        self.clock = ManualClock()
        self.readings: list[Reading] = []
        probe: Probe = Scripted(answer)
        self.runner = Runner(
            vantage="poller",
            guard=Guard(Safety(rates=Rates(per_target_hz=1000.0)), self.clock, lookup=_nowhere),
            clock=self.clock,
            probes=lambda kind: probe,
            on_reading=self.readings.append,
            local_fault=lambda address: None,
        )

    def running(self, *jobs: Job) -> AbstractAsyncContextManager[None]:
        return running(self.runner, *jobs)

    async def once(self, *parts: float) -> Reading:
        """One look; negative seconds pass while nobody gets a turn."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.runner.run_once(job()))
            await settle()
            for seconds in parts:
                if seconds < 0.0:
                    self.clock.stand_still(-seconds)
                else:
                    await self.clock.advance(seconds)
        return task.result()


async def _nowhere(host: str) -> list[tuple[int, str]]:
    return [(socket.AF_INET, "192.0.2.1")]


def job(target: str = "t", *, every_s: float = 10.0, recheck: int = 0) -> Job:
    return Job(target, "c", "scripted", "host", every_s, 2.0, recheck=recheck)


async def hangs(job: Job, sight: Sight) -> Reading:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


def fails_after(seconds: float, reason: Reason) -> Answer:
    async def answer(job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        await sight.clock.sleep(seconds)
        return look.bad(Fault(reason, "as it is"))

    return answer


async def test_a_timeout_over_a_second_of_standing_still_is_unknown() -> None:
    monitor = Monitor(hangs)
    reading = await monitor.once(0.5, -5.0, 10.0)
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.STARVED)
    assert "stand still" in reading.detail
    assert Reason.STARVED in UNKNOWN_REASONS
    stats = monitor.runner.stats()
    assert (stats["starved"], stats["timeouts"], stats["failed"], stats["unknown"]) == (1, 0, 0, 1)


async def test_a_look_has_its_whole_time_in_spite_of_small_stops() -> None:
    """Stops below a second move the deadline: who says nothing in the whole time of the look has failed."""
    monitor = Monitor(hangs)
    reading = await monitor.once(0.5, -0.8, 0.5, -0.8, 10.0)
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert reading.took == pytest.approx(2.0 + GRACE_S, abs=2 * BEAT_S)


async def test_an_answer_that_comes_after_the_stop_counts_and_is_not_called_slow() -> None:
    async def answer(job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        await sight.clock.sleep(0.2)  # the answer comes while we stand still, and is read afterwards
        await sight.clock.sleep(0.1)  # a second question
        return look.ok()

    reading = await Monitor(answer).once(0.1, -8.0, 1.0)
    assert reading.outcome is Outcome.OK
    assert reading.took <= 0.3 + BEAT_S


@pytest.mark.parametrize("reason", [Reason.PARTIAL, Reason.PACKET_LOSS, Reason.RESET, Reason.CLOSED])
async def test_a_peer_that_gave_us_up_meanwhile_has_not_failed(reason: Reason) -> None:
    reading = await Monitor(fails_after(1.0, reason)).once(0.5, -4.0, 1.0)
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.STARVED)
    assert "as it is" in reading.detail


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.BAD_STATUS, Reason.CERT_EXPIRED])
async def test_a_clear_answer_stays_what_it_is(reason: Reason) -> None:
    reading = await Monitor(fails_after(1.0, reason)).once(0.5, -4.0, 1.0)
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, reason)


async def test_a_stop_before_the_look_excuses_nothing() -> None:
    monitor = Monitor(hangs)
    first = await monitor.once(0.5, -5.0, 10.0)
    second = await monitor.once(10.0)
    assert (first.reason, second.reason) == (Reason.STARVED, Reason.TIMEOUT)


async def test_all_are_looked_at_again_after_the_stop_and_none_has_failed() -> None:
    """Forty looks wait when the machine stops for six seconds; their answers are lost. All answer afterwards."""
    seen: set[str] = set()

    async def answer(job: Job, sight: Sight) -> Reading:
        seen.add(job.target)
        return await hangs(job, sight) if sight.clock.mono() <= 1.0 else Look(job, sight).ok()

    monitor = Monitor(answer)
    jobs = [job(f"t{number}", every_s=2.0, recheck=2) for number in range(30)]
    async with monitor.running(*jobs):
        await monitor.clock.advance(1.0)
        waiting = len(seen)
        monitor.clock.stand_still(6.0)
        await monitor.clock.advance(12.0)
    assert waiting > 5
    assert not [reading for reading in monitor.readings if reading.outcome is Outcome.FAILED]
    assert sum(reading.reason is Reason.STARVED for reading in monitor.readings) == waiting
    last = {reading.target: reading.outcome for reading in monitor.readings}
    assert last == {one.target: Outcome.OK for one in jobs}


async def test_the_look_after_the_stop_comes_soon_and_says_what_is_so() -> None:
    """Every 60 s, and dead for good: not a minute passes before somebody looks without a stop."""
    monitor = Monitor(hangs)
    async with monitor.running(job(every_s=60.0, recheck=2)):
        while not monitor.runner.stats()["in_flight"]:
            await monitor.clock.advance(0.5)
        monitor.clock.stand_still(5.0)
        await monitor.clock.advance(20.0)
    assert [reading.reason for reading in monitor.readings][:2] == [Reason.STARVED, Reason.TIMEOUT]
