"""Back-off on timeouts, by a manual clock: who is asked less, how much less, and what ends it."""

from __future__ import annotations

import itertools
import socket
from contextlib import AbstractAsyncContextManager

import pytest

from daemons.scripted import running
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.ports import Sight
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.guard import Guard
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault
from healthmon.probes.rests import MOST_GAP_S, MOST_INTERVALS, PATIENCE, runs_left_out
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import ManualClock, settle


class Hosts:
    """One runner over hosts that answer what `says` holds for their check (None: well)."""

    def __init__(self, *, recheck_hz: float = 20.0) -> None:
        self.clock = ManualClock()
        self.says: dict[str, Reason | None] = {}
        self.readings: list[tuple[float, Reading]] = []
        self.guard = Guard(Safety(rates=Rates(per_target_hz=1000.0)), self.clock, lookup=_somewhere)
        self.runner = Runner(
            vantage="poller",
            guard=self.guard,
            clock=self.clock,
            probes=lambda kind: self,
            on_reading=lambda reading: self.readings.append((self.clock.mono(), reading)),
            recheck_hz=recheck_hz,
            local_fault=lambda address: None,
        )

    async def probe(self, job: Job, sight: Sight) -> Reading:
        look = Look(job, sight)
        await sight.resolve("host", 80)
        reason = self.says.get(job.check)
        return look.ok() if reason is None else look.bad(Fault(reason))

    def running(self, *jobs: Job) -> AbstractAsyncContextManager[None]:
        return running(self.runner, *jobs)

    def times(self, check: str = "c") -> list[float]:
        return [at for at, reading in self.readings if reading.check == check]

    def gaps(self, check: str = "c") -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.times(check))]

    def newest(self, check: str = "c") -> Reading:
        return [reading for _, reading in self.readings if reading.check == check][-1]


async def _somewhere(host: str) -> list[tuple[int, str]]:
    return [(socket.AF_INET, "192.0.2.1")]


def job(check: str = "c", *, every_s: float = 10.0, target: str = "t") -> Job:
    return Job(target, check, "scripted", "host", every_s, 1.0, recheck=0)


@pytest.mark.parametrize("every_s", [1.0, 5.0, 10.0, 14.9, 15.0, 20.0, 29.9, 30.0, 45.0, 60.0, 300.0, 3600.0])
def test_the_gap_grows_and_stays_under_both_limits(every_s: float) -> None:
    gaps = [(1 + runs_left_out(streak, every_s)) * every_s for streak in range(200)]
    assert gaps == sorted(gaps)
    assert set(gaps[:PATIENCE]) == {every_s}
    assert max(gaps) <= max(every_s, min(MOST_INTERVALS * every_s, MOST_GAP_S))


async def test_a_target_that_times_out_again_and_again_is_asked_less() -> None:
    hosts = Hosts()
    hosts.says["c"] = Reason.TIMEOUT
    async with hosts.running(job()):
        await hosts.clock.advance(400.0)
    assert hosts.gaps()[:9] == pytest.approx([10.0] * 4 + [20.0] + [40.0] * 4)
    assert [r.rest_s for _, r in hosts.readings[:8]] == pytest.approx([0.0] * 4 + [10.0] + [30.0] * 3)
    stats = hosts.runner.stats()
    assert stats["resting"] == 1
    assert stats["rested"] == pytest.approx(40 - len(hosts.times()), abs=1)
    assert stats["late"] == 0


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.BAD_STATUS, Reason.PACKET_LOSS, Reason.NAME_SERVICE])
async def test_only_timeouts_are_backed_off_from(reason: Reason) -> None:
    hosts = Hosts()
    hosts.says["c"] = reason
    async with hosts.running(job()):
        await hosts.clock.advance(200.0)
    assert hosts.gaps() == pytest.approx([10.0] * 19)
    assert all(reading.rest_s == 0.0 for _, reading in hosts.readings)


async def test_slow_checks_never_rest() -> None:
    hosts = Hosts()
    hosts.says["c"] = Reason.TIMEOUT
    async with hosts.running(job(every_s=60.0)):
        await hosts.clock.advance(1200.0)
    assert len(hosts.times()) == 20


async def test_an_answer_ends_the_rest_at_once() -> None:
    hosts = Hosts()
    hosts.says["c"] = Reason.TIMEOUT
    async with hosts.running(job()):
        await hosts.clock.advance(200.0)
        hosts.says["c"] = None
        await hosts.clock.advance(41.0)
        assert hosts.newest().outcome is Outcome.OK
        assert hosts.newest().rest_s == 0.0
        seen = len(hosts.times())
        await hosts.clock.advance(30.0)
        assert len(hosts.times()) == seen + 3
    assert hosts.runner.stats()["resting"] == 0


async def test_a_sign_of_life_wakes_the_other_checks_of_the_target_and_no_other_target() -> None:
    hosts = Hosts()
    hosts.says |= {"ping": Reason.TIMEOUT, "web": Reason.TIMEOUT, "far": Reason.TIMEOUT}
    async with hosts.running(job("ping"), job("web"), job("far", target="other")):
        await hosts.clock.advance(300.0)
        assert hosts.runner.stats()["resting"] == 3
        hosts.says |= {"ping": None, "web": None}
        seen = {check: len(hosts.times(check)) for check in hosts.says}
        while len(hosts.times("ping")) == seen["ping"] and len(hosts.times("web")) == seen["web"]:
            await hosts.clock.advance(0.5)
        assert (hosts.newest("ping").outcome, hosts.newest("web").outcome) == (Outcome.OK, Outcome.OK)
        assert hosts.runner.stats()["woken"] == 1
        assert hosts.runner.stats()["resting"] == 1


async def test_one_that_answers_all_the_time_does_not_keep_a_hung_one_awake() -> None:
    hosts = Hosts()
    hosts.says["web"] = Reason.TIMEOUT
    async with hosts.running(job("ping"), job("web")):
        await hosts.clock.advance(400.0)
    assert len(hosts.times("ping")) == 40
    assert max(hosts.gaps("web")) == pytest.approx(40.0)


async def test_waking_many_keeps_to_the_budget() -> None:
    hosts = Hosts(recheck_hz=1.0)
    checks = [f"c{n}" for n in range(30)]
    hosts.says |= dict.fromkeys(checks, Reason.TIMEOUT)
    async with hosts.running(*map(job, checks)):
        await hosts.clock.advance(300.0)
        hosts.says.clear()
        await hosts.clock.advance(20.0)
        assert hosts.runner.stats()["woken"] <= 4
        assert {reading.outcome for reading in map(hosts.newest, checks)} == {Outcome.OK}


async def test_an_ask_is_answered_during_a_rest_and_its_reading_says_how_long_it_goes_on() -> None:
    hosts = Hosts()
    hosts.says["c"] = Reason.TIMEOUT
    async with hosts.running(job()):
        await hosts.clock.advance(200.0)
        seen = len(hosts.times())
        assert hosts.runner.ask("t", "c")
        await settle()
        assert len(hosts.times()) == seen + 1
        assert hosts.newest().rest_s == pytest.approx(30.0)


async def test_the_stop_button_neither_ends_nor_lengthens_a_rest() -> None:
    hosts = Hosts()
    hosts.says["c"] = Reason.TIMEOUT
    async with hosts.running(job()):
        await hosts.clock.advance(200.0)
        hosts.guard.stop("duty manager")
        await hosts.clock.advance(80.0)
        assert hosts.newest().reason is Reason.PROBING_STOPPED
        assert hosts.newest().rest_s == pytest.approx(30.0)
        hosts.guard.resume("duty manager")
        await hosts.clock.advance(80.0)
    assert max(hosts.gaps()) == pytest.approx(40.0)
