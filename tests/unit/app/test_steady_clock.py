"""The server's clock through steps of the wall clock: it never goes back, never stands still, and finds back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.onesite import OneSite
from healthmon.alerting.oncall.roster import Roster
from healthmon.app.handover import Handover
from healthmon.app.pushing import Pushing
from healthmon.app.server import Server
from healthmon.app.steadyclock import SLOWER, SteadyClock
from healthmon.config import load
from healthmon.model.journal import Epoch
from healthmon.model.judged import Judged
from healthmon.model.oncall import Handover as Turn
from healthmon.model.oncall import Layer, OncallPlan, OncallUser, Rota
from healthmon.model.plan import Broker
from healthmon.model.sample import Batch, Outcome, Reading, Reason
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec
from healthmon.transport.hands import Hand, Handed, encode_hand
from healthmon.transport.workline import Place, WorkLine

START = 1_795_514_400.0
HOUR = 3600.0


def test_without_a_step_it_is_the_wall_clock() -> None:
    wall = ManualClock(START)
    clock = SteadyClock(wall)
    for drift_s in (0.0, 0.4, -0.4, 1.0):
        wall.stand_still(10.0)
        wall.step_wall(drift_s)
        assert clock.now() == wall.now()
    assert (clock.ahead_s, clock.slowed_s, set(clock.counters().values())) == (0.0, 0.0, {0.0})


def test_a_step_forward_is_followed_and_counted() -> None:
    wall = ManualClock(START)
    clock = SteadyClock(wall)
    wall.step_wall(HOUR)
    assert clock.now() == START + HOUR
    assert clock.counters() == {"clock_steps_total.forward": 1.0, "clock_steps_total.back": 0.0}


def test_after_a_step_back_time_goes_on_and_comes_back_to_the_wall_clock() -> None:
    wall = ManualClock(START)
    clock = SteadyClock(wall)
    wall.step_wall(-HOUR)
    assert clock.now() == START
    assert clock.ahead_s == pytest.approx(HOUR)
    wall.stand_still(60.0)
    assert clock.now() == pytest.approx(START + 60.0 * (1.0 - SLOWER))
    for _ in range(int(HOUR / SLOWER / 60.0) + 1):
        wall.stand_still(60.0)
        clock.now()
    assert clock.now() == wall.now()
    assert clock.ahead_s == 0.0
    assert clock.counters()["clock_steps_total.back"] == 1.0


def test_a_start_behind_the_journal_goes_on_from_there() -> None:
    wall = ManualClock(START)
    clock = SteadyClock(wall, at_least=START + HOUR)
    assert clock.now() == START + HOUR
    assert (clock.told(START), clock.told(START + HOUR)) == (START + HOUR, START + HOUR)
    wall.step_wall(2 * HOUR)  # the wall clock was wrong, not the journal
    assert (clock.now(), clock.ahead_s) == (START + 2 * HOUR, 0.0)


@given(st.lists(st.tuples(st.floats(0.0, 600.0), st.floats(-7_200.0, 7_200.0)), max_size=20))
def test_whatever_the_wall_clock_does_it_neither_goes_back_nor_stands_still(moves: list[tuple[float, float]]) -> None:
    wall = ManualClock(START)
    clock = SteadyClock(wall)
    before = clock.now()
    for passed_s, step_s in moves:
        wall.step_wall(step_s)
        wall.stand_still(passed_s)
        after = clock.now()
        assert after >= wall.now() - 1e-6
        assert after - before >= passed_s * (1.0 - SLOWER) - 2.0 - 1e-6  # what is no step is waited for
        before = after


class Site:
    """A server on real files, without a broker, and a poller whose own clock is right all the while."""

    def __init__(self, folder: Path) -> None:
        made = OneSite(folder, line_protocol={"measurements": {"cpu": {"fields": ["usage_idle"]}}})
        push = {"id": "telegraf", "kind": "push", "from": ["pc-1"], "every": "10s"}
        next(one for one in made.site["targets"] if one["id"] == "pc-1")["checks"] = [push]
        made.write()
        made.data.mkdir()
        self._config = made.config
        self.wall = ManualClock(START)
        self.true = START
        self._seq = 0
        self.server = self._born()

    def _born(self) -> Server:
        server = Server(
            load(self._config, today=date(2026, 1, 1)), clock=self.wall, broker=Broker("mqtt://127.0.0.1:1")
        )
        self._writing = asyncio.ensure_future(server.writer.run())
        return server

    async def restart(self) -> None:
        await self.end()
        self.server = self._born()

    async def end(self) -> None:
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self.server.store.close()
        self.server.journal.close()
        self.server.links.close()

    async def look(self, *, fails: bool = False, times: int = 1) -> None:
        """Each quarter of a minute one look of the poller comes in, live."""
        for _ in range(times):
            self.wall.stand_still(15.0)
            self.true += 15.0
            self._seq += 1
            outcome, reason = (Outcome.FAILED, Reason.REFUSED) if fails else (Outcome.OK, None)
            reading = Reading("srv-ed", "greet", "poller", self.true - 0.1, 0.01, outcome, reason)
            batch = Batch("poller", "0" * 16, self._seq, self.true, self.true - START, True, (reading,),
                          clock=START)  # fmt: skip
            await self.server.reception.handle("batch", "poller", codec.encode(batch))
            await self.server.step()

    def incidents(self) -> list[str]:
        """Of what the poller looks at; the ward PCs of this site say nothing at all."""
        found = (one for one in self.server.view().incidents if one.open)
        return [one.title for one in found if any(member.key.target == "srv-ed" for member in one.members)]

    def alarmed(self) -> bool:
        return any(one.active for one in self.server.view().alerts if one.key.target == "srv-ed")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "site")
    yield made
    await made.end()


async def glitch(site: Site) -> None:
    """The wall clock is an hour ahead for one look, as that of a machine that keeps local time."""
    site.wall.step_wall(HOUR)
    await site.look()
    site.wall.step_wall(-HOUR)


async def started_late(site: Site) -> None:
    """The journal was written under a clock a day ahead; it is put right while the server is down."""
    site.wall.step_wall(24 * HOUR)
    await site.look(times=4)
    site.wall.step_wall(-24 * HOUR)
    await site.restart()


async def back(site: Site) -> None:
    """The wall clock, that was right, goes back by an hour and stays there."""
    site.wall.step_wall(-HOUR)


async def forward(site: Site) -> None:
    """The server starts under a clock an hour slow, which is set right later."""
    site.wall.step_wall(HOUR)


@pytest.mark.parametrize("happens", [glitch, started_late, back, forward])
async def test_a_fault_after_a_step_of_the_servers_clock_is_told_as_soon_as_ever(
    site: Site, happens: Callable[[Site], Awaitable[None]]
) -> None:
    if happens is forward:
        site.wall.step_wall(-HOUR)
        await site.restart()
    await site.look(times=8)
    await happens(site)
    await site.look(times=1)  # the first word after it says whose clock moved
    await site.look(fails=True, times=4)
    assert len(site.incidents()) == 1
    await site.look(times=4)
    assert not site.alarmed()


async def test_while_the_servers_time_finds_back_looks_stay_of_the_present(site: Site) -> None:
    await site.look(times=4)
    await back(site)
    await site.look(times=200)
    counts = site.server.health().counters
    assert {name: n for name, n in counts.items() if "late" in name or "future" in name or "bad_time" in name} == {}
    await site.look(fails=True, times=4)
    assert len(site.incidents()) == 1


@pytest.mark.parametrize("happens", [glitch, back])
async def test_what_workers_hand_over_is_brought_to_the_servers_clock(
    site: Site, happens: Callable[[Site], Awaitable[None]]
) -> None:
    """Workers live on machines of their own, whose clocks are right; what they found goes with its reading."""
    await happens(site)
    await site.look()
    handover = Handover(site.server, site.server.fleet, cast(WorkLine, None), after=Place())
    for number in range(1, 5):
        site.wall.stand_still(15.0)
        site.true += 15.0
        look = Reading("srv-ed", "greet", "poller", site.true - 0.1, 0.01, Outcome.FAILED, Reason.REFUSED)
        epoch = Epoch("poller", "1" * 16, 0.0, START, site.true, received=((1, number),))
        handed = Handed(epoch, number, site.true, site.true, True, (look,), judged=(Judged(0, bad=True, usual=True),))
        handover._take(Place("line", number), encode_hand(Hand("a", (handed,), ())))
        await site.server.step()
    assert handover.counters["workers_readings_judged_total"] == 4
    assert len(site.incidents()) == 1


@pytest.mark.parametrize("happens", [glitch, back])
async def test_lines_that_tell_their_time_are_brought_to_the_servers_clock(
    site: Site, happens: Callable[[Site], Awaitable[None]]
) -> None:
    await happens(site)
    await site.look(times=2)
    site.server.lines.take("pc-1", f"cpu usage_idle=50 {int((site.true - 1.0) * 1e9)}".encode())
    await site.server.step()
    (found,) = (one for one in site.server.view().latest.values() if one.check == "telegraf")
    assert found.started == pytest.approx(site.server.clock.now() - 1.0, abs=10.0)


async def test_readings_that_are_pushed_are_brought_to_the_servers_clock(site: Site) -> None:
    await glitch(site)
    await site.look()
    for started in (site.true, site.server.clock.now() + 1.0):  # by a clock that is right, or by ours
        pushed = Reading("pc-1", "telegraf", "pc-1", started, 0.0, Outcome.OK)
        await Pushing(site.server).push("pc-1", (pushed,))
        (found,) = (one for one in site.server.view().latest.values() if one.check == "telegraf")
        assert found.started == pytest.approx(site.server.clock.now(), abs=10.0)


async def test_duty_and_opening_hours_go_by_the_clock_on_the_wall(site: Site) -> None:
    """After a step back of a day the person of today is called, not the one of tomorrow; a reload changes nothing."""
    days = [Layer("days", ("ann", "bob"), tuple(Turn(day, 0) for day in range(7)), first=date(2026, 1, 1))]
    users = {name: OncallUser(name, name) for name in ("ann", "bob")}
    plan = OncallPlan(users=users, rotas={"net": Rota("net", "Network", "UTC", tuple(days))})
    today = Roster(plan).meant("rota:net", None, START)
    site.wall.step_wall(24 * HOUR)
    await site.look(times=2)
    site.wall.step_wall(-24 * HOUR)
    await site.look(times=2)
    assert site.server.clock.now() > START + 23 * HOUR
    for _ in range(2):
        roster = replace(site.server.roster, plan=plan)
        assert roster.meant("rota:net", None, site.server.clock.now()) == today
        assert Roster(plan).meant("rota:net", None, site.server.clock.now()) != today
        await site.server.adopt(site.server.site)


async def test_a_server_that_is_ahead_of_its_machine_says_so(site: Site) -> None:
    await site.look(times=2)
    assert site.server.health().clock_ahead_s == 0.0
    await back(site)
    await site.look()
    health = site.server.health()
    assert health.clock_ahead_s == pytest.approx(HOUR, abs=5.0)
    assert health.status == "degraded"
    assert health.counters["clock_steps_total.back"] == 1.0
