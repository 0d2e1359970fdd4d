"""The runner by a manual clock: hanging targets, deadlines, rechecks, asks, bugs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from contextlib import AbstractAsyncContextManager

import pytest

from daemons.scripted import Answer, Scripted, running
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.ports import Address, Probe, Sight
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.guard import Guard
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault, Finding
from healthmon.probes.runner import GRACE_S, Runner
from healthmon.runtime.clock import ManualClock, settle


class Bench:
    """A runner over one scripted probe; `readings` is what came out and when."""

    def __init__(self, answer: Answer, *, rates: Rates | None = None, **options: object) -> None:
        self.clock = ManualClock()
        self.readings: list[tuple[float, Reading]] = []
        self.guard = Guard(Safety(rates=rates or Rates(per_target_hz=1000.0)), self.clock, lookup=nowhere)
        self.runner = Runner(
            vantage="poller",
            guard=self.guard,
            clock=self.clock,
            probes=lambda kind: Scripted(answer),
            on_reading=lambda reading: self.readings.append((self.clock.mono(), reading)),
            local_fault=options.pop("local_fault", lambda address: None),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )

    def running(self, *jobs: Job) -> AbstractAsyncContextManager[None]:
        return running(self.runner, *jobs)

    def times(self, target: str) -> list[float]:
        return [at for at, reading in self.readings if reading.target == target]

    def outcomes(self, target: str = "t") -> list[str]:
        return [reading.outcome.value for _, reading in self.readings if reading.target == target]


async def nowhere(host: str) -> list[tuple[int, str]]:
    return [(socket.AF_INET, "192.0.2.1")]


def job(target: str = "t", *, every_s: float = 10.0, timeout_s: float = 5.0, recheck: int = 0) -> Job:
    return Job(target, "c", "scripted", "host", every_s, timeout_s, recheck=recheck)


async def fine(job: Job, sight: Sight) -> Reading:
    return Look(job, sight).ok()


async def refused(job: Job, sight: Sight) -> Reading:
    return Look(job, sight).bad(Fault(Reason.REFUSED))


async def hangs(job: Job, sight: Sight) -> Reading:
    await sight.clock.sleep(1e9)
    raise AssertionError("unreachable")


async def once(bench: Bench, what: Job, seconds: float) -> Reading:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.runner.run_once(what))
        await settle()
        await bench.clock.advance(seconds)
    return task.result()


async def test_a_run_that_does_not_end_is_failed_timeout() -> None:
    bench = Bench(hangs)
    reading = await once(bench, job(timeout_s=2.0), 10.0)
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert reading.took == pytest.approx(2.0 + GRACE_S)
    assert bench.runner.stats()["timeouts"] == 1


async def test_hanging_targets_leave_the_others_on_time() -> None:
    async def answer(job: Job, sight: Sight) -> Reading:
        return await (hangs if job.target.startswith("hang") else fine)(job, sight)

    bench = Bench(answer)
    jobs = [job(f"hang{n}", every_s=10.0, timeout_s=9.0) for n in range(50)] + [job("good", every_s=1.0)]
    async with bench.running(*jobs):
        await bench.clock.advance(60.0)
    times = bench.times("good")
    assert len(times) == 60
    assert all(after - before == pytest.approx(1.0) for before, after in itertools.pairwise(times))
    assert all(len(bench.times(f"hang{n}")) >= 5 for n in range(50))
    assert bench.runner.stats()["late"] == 0


async def test_a_run_over_its_interval_is_skipped_and_counted_never_stacked() -> None:
    flying, most = 0, 0

    async def slow(job: Job, sight: Sight) -> Reading:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await sight.clock.sleep(25.0)
        flying -= 1
        return Look(job, sight).ok()

    bench = Bench(slow)
    async with bench.running(job(every_s=10.0, timeout_s=30.0)):
        await bench.clock.advance(120.0)
    assert most == 1
    assert bench.runner.stats()["late"] == pytest.approx(8, abs=1)


async def test_the_gate_bounds_what_runs_at_once() -> None:
    flying, most = 0, 0

    async def slow(job: Job, sight: Sight) -> Reading:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await sight.clock.sleep(1.0)
        flying -= 1
        return Look(job, sight).ok()

    bench = Bench(slow, concurrency=3)
    async with asyncio.TaskGroup() as group:
        for n in range(9):
            group.create_task(bench.runner.run_once(job(f"t{n}")))
        await settle()
        await bench.clock.advance(3.0)
    assert most == 3
    assert bench.runner.stats()["gate_waits"] == 6


async def test_starts_are_spread_and_the_same_after_a_restart() -> None:
    firsts = []
    for _ in range(2):
        bench = Bench(fine)
        async with bench.running(*(job(f"t{n}", every_s=60.0) for n in range(60))):
            await bench.clock.advance(60.0)
        firsts.append([bench.times(f"t{n}")[0] for n in range(60)])
    assert firsts[0] == firsts[1]
    busiest = max(sum(1 for at in firsts[0] if start <= at < start + 6.0) for start in range(0, 60, 6))
    assert busiest < 20


async def test_time_held_back_by_the_rates_is_neither_took_nor_timeout() -> None:
    async def answer(job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        await sight.resolve("host", 80)
        await sight.clock.sleep(1.5)
        return look.ok()

    bench = Bench(answer, rates=Rates(per_target_hz=1.0))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bench.runner.run_once(job(timeout_s=2.0))) for _ in range(3)]
        await settle()
        await bench.clock.advance(10.0)
    assert [task.result().outcome.value for task in tasks] == ["ok", "ok", "ok"]
    assert [task.result().took for task in tasks] == pytest.approx([1.5, 1.5, 1.5])


async def test_a_timeout_in_the_resolver_says_nothing_about_the_target() -> None:
    async def answer(job: Job, sight: Sight) -> Reading:
        await sight.resolve("host", 80)
        raise AssertionError("unreachable")

    bench = Bench(answer)

    async def never(host: str) -> list[tuple[int, str]]:
        await bench.clock.sleep(1e9)
        return []

    bench.guard.lookup = never
    reading = await once(bench, job(timeout_s=2.0), 10.0)
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NAME_SERVICE)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyError("y"), RuntimeError("z")])
async def test_a_bug_is_unknown_and_its_traceback_is_logged_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(job: Job, sight: Sight) -> Reading:
        raise error

    bench = Bench(broken)
    with caplog.at_level(logging.ERROR):
        for target in ("a", "b", "a"):
            reading = await bench.runner.run_once(job(target))
            assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.PROBE_BUG)
    logged = [record for record in caplog.records if record.message == "probe bug"]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert bench.runner.stats()["probe_bugs"] == 3


async def test_a_finding_of_the_probe_is_its_reading() -> None:
    async def finds(job: Job, sight: Sight) -> Reading:
        raise Finding(Reason.BAD_RESPONSE, "not a printer")

    reading = await Bench(finds).runner.run_once(job())
    assert (reading.outcome, reading.reason, reading.detail) == (Outcome.FAILED, Reason.BAD_RESPONSE, "not a printer")


async def test_a_missing_library_is_unknown() -> None:
    def missing(kind: str) -> Probe:
        raise ModuleNotFoundError("No module named 'pynetdicom'", name="pynetdicom")

    bench = Bench(fine)
    runner = Runner(vantage="v", guard=bench.guard, clock=bench.clock, probes=missing, on_reading=lambda r: None)
    reading = await runner.run_once(job())
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NO_LIBRARY)
    assert "pynetdicom" in reading.detail


async def test_cancellation_passes_through() -> None:
    bench = Bench(hangs)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.runner.run_once(job()))
        await settle()
        task.cancel()
    assert task.cancelled()
    assert bench.runner.stats()["runs"] == 0


async def test_without_a_route_of_our_own_silence_is_unknown() -> None:
    async def dead(job: Job, sight: Sight) -> Reading:
        await sight.resolve("host", 80)
        return Look(job, sight).bad(Fault(Reason.TIMEOUT))

    asked: list[Address] = []

    def fault(address: Address) -> str | None:
        asked.append(address)
        return "interface eth0 of this machine has no link"

    reading = await Bench(dead, local_fault=fault).runner.run_once(job())
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NO_ROUTE)
    assert "eth0" in reading.detail
    assert [address.ip for address in asked] == ["192.0.2.1"]


async def test_a_first_failure_is_confirmed_quickly_and_only_once() -> None:
    bench = Bench(refused)
    async with bench.running(job(every_s=60.0, recheck=2)):
        await bench.clock.advance(180.0)
    first, *others = bench.times("t")
    assert [at - first for at in others] == pytest.approx([7.5, 15.0, 60.0, 120.0])
    assert bench.runner.stats()["rechecks"] == 2


async def test_a_look_that_waited_for_its_timeout_has_waited_enough() -> None:
    bench = Bench(hangs)
    async with bench.running(job(every_s=60.0, timeout_s=8.75, recheck=2)):
        await bench.clock.advance(90.0)
    first, *others = bench.times("t")
    assert [at - first for at in others[:2]] == pytest.approx([9.0, 18.0]), "nothing is waited for besides"


async def test_rechecks_stand_in_for_the_run_that_they_kept_out() -> None:
    bench = Bench(hangs)
    async with bench.running(job(every_s=2.0, timeout_s=0.75, recheck=2)):
        await bench.clock.advance(8.0)
    first, *others = bench.times("t")
    assert [at - first for at in others[:2]] == pytest.approx([1.0, 2.0]), "not at 4.0, the next turn"


async def test_rechecks_of_short_intervals_spread_over_a_second_at_least() -> None:
    bench = Bench(refused)
    async with bench.running(job(every_s=2.0, recheck=2)):
        await bench.clock.advance(4.0)
    times = bench.times("t")
    assert [at - times[0] for at in times[:3]] == pytest.approx([0.0, 0.5, 1.0])


async def test_rechecks_end_at_the_first_good_answer() -> None:
    outcomes = iter([False, True, True, True])

    async def flaky(job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        return look.ok() if next(outcomes) else look.bad(Fault(Reason.RESET))

    bench = Bench(flaky)
    async with bench.running(job(every_s=60.0, recheck=3)):
        await bench.clock.advance(61.0)
    assert bench.outcomes()[:2] == ["failed", "ok"]
    assert bench.runner.stats()["rechecks"] == 1


async def test_over_budget_rechecks_are_skipped_and_counted() -> None:
    bench = Bench(refused, recheck_hz=1.0)
    async with bench.running(*(job(f"t{n}", every_s=4.0, recheck=1) for n in range(100))):
        await bench.clock.advance(8.0)
    stats = bench.runner.stats()
    assert stats["rechecks"] + stats["rechecks_skipped"] == 100
    assert stats["rechecks"] <= 10
    assert all(len(bench.times(f"t{n}")) >= 1 for n in range(100))


async def test_a_recheck_that_the_rates_refuse_is_not_news() -> None:
    async def careful(job: Job, sight: Sight) -> Reading:
        await sight.resolve("host", 80)
        return Look(job, sight).bad(Fault(Reason.REFUSED))

    bench = Bench(careful, rates=Rates(per_target_hz=1.0 / 60.0))
    async with bench.running(job(every_s=120.0, recheck=2)):
        await bench.clock.advance(120.0)
    assert bench.outcomes() == ["failed"]


async def test_unknown_is_not_rechecked_and_does_not_hide_a_failure() -> None:
    answers = iter([Reason.REFUSED, Reason.NAME_SERVICE, Reason.REFUSED, Reason.REFUSED])

    async def answer(job: Job, sight: Sight) -> Reading:
        return Look(job, sight).bad(Fault(next(answers)))

    bench = Bench(answer)
    async with bench.running(job(every_s=60.0, recheck=1)):
        await bench.clock.advance(150.0)
    assert bench.runner.stats()["rechecks"] == 1


async def test_an_ask_is_answered_now() -> None:
    bench = Bench(fine)
    async with bench.running(job("a", every_s=3600.0), job("b", every_s=3600.0)):
        assert bench.runner.ask("a", "c")
        assert bench.runner.ask("b")
        assert not bench.runner.ask("nobody", "c")
        await settle()
        assert bench.times("a") == bench.times("b") == [0.0]


async def test_an_ask_for_what_is_being_probed_does_not_probe_twice() -> None:
    bench = Bench(hangs)
    async with bench.running(job("a", every_s=3600.0, timeout_s=5.0)):
        for _ in range(5):
            bench.runner.ask("a", "c")
        await settle()
        await bench.clock.advance(6.0)
        assert len(bench.times("a")) == 1


async def test_stopping_makes_every_probe_unknown_until_resumed() -> None:
    async def careful(job: Job, sight: Sight) -> Reading:
        await sight.resolve("host", 80)
        return Look(job, sight).ok()

    bench = Bench(careful)
    async with bench.running(job(every_s=10.0)):
        await bench.clock.advance(20.0)
        bench.guard.stop("duty manager")
        await bench.clock.advance(20.0)
        bench.guard.resume("duty manager")
        await bench.clock.advance(20.0)
    assert bench.outcomes() == ["ok", "ok", "unknown", "unknown", "ok", "ok"]
    assert bench.readings[2][1].reason is Reason.PROBING_STOPPED
