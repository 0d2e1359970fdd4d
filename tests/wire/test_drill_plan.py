"""Planned drills of a real server on a manual clock: once a moment, not at night after a restart, not in an incident,
overdue once a day. No broker is there, so each one names that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemons.paging import incident
from healthmon.alerting.notify.inbox import read_inbox
from healthmon.app.server import Server
from healthmon.config import load
from healthmon.model.alert import Alert, Phase
from healthmon.model.drill import Drill, DrillState, Hop
from healthmon.model.errors import Conflict
from healthmon.model.journal import Changes
from healthmon.model.plan import Broker
from healthmon.runtime.clock import ManualClock, settle
from healthmon.web.boardmodel import strip
from healthmon.web.words import LocalTime

pytestmark = pytest.mark.wire
SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London}}
data_dir: {folder}/data
areas: [{{id: ward-7, name: Ward 7, kind: ward, beds: 28}}]
targets: [{{id: pc-1, kind: ward-workstation, address: 192.0.2.1, area: ward-7}},
          {{id: pc-2, kind: ward-workstation, address: 192.0.2.2, area: ward-7}}]
agents: [{{id: pc-1, target: pc-1}}, {{id: pc-2, target: pc-2}}]
alerting: {{mode: {mode}}}
notify: {{channels: {{desk: {{kind: inbox, path: {folder}/inbox.jsonl}}}}}}
drills: {{at: "tue 10:30", channels: [desk], reports: [desk]}}
"""


def alerts(server: Server) -> list[Alert]:
    return [one for one in server.view().alerts if one.key.rule == "drill-overdue"]


def london(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/London")).timestamp()


@asynccontextmanager
async def served(folder: Path, at: float, mode: str = "live") -> AsyncIterator[tuple[Server, ManualClock]]:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "healthmon.yaml").write_text(SITE.format(folder=folder, mode=mode))
    clock = ManualClock(at)
    server = Server(load(folder / "healthmon.yaml", env={}), clock=clock, broker=Broker("mqtt://127.0.0.1:9"))
    sending = asyncio.create_task(server.dispatcher.run())
    try:
        yield server, clock
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await server.store.close()
        server.journal.close()


async def at(server: Server, clock: ManualClock, when: float) -> list[Drill]:
    clock.step_wall(when - clock.now())
    await server.drills.look()
    async with asyncio.timeout(30):
        while not server.dispatcher.idling:
            await settle()
            await asyncio.sleep(0.01)
    return sorted(server.drills.drills(), key=lambda one: one.started)


def told(folder: Path) -> list[str]:
    return [one["subject"] for one in read_inbox(folder / "inbox.jsonl")]


@pytest.mark.parametrize("day", ["2027-01-12", "2027-03-30", "2027-11-02"])  # the latter two after a change of clocks
async def test_it_runs_once_at_its_moment_and_agents_take_turns(day: str, tmp_path: Path) -> None:
    due = london(f"{day}T10:30")
    async with served(tmp_path, due - 7200.0) as (server, clock):
        assert await at(server, clock, due - 1.0) == []
        (first,) = await at(server, clock, due)
        assert (first.agent, first.scheduled, first.by) == ("pc-1", due, "the plan")
        (first,) = await at(server, clock, due + 11.0)
        assert (first.state, first.missing) == (DrillState.FAILED, Hop.ASKED)
        assert "the broker did not take" in first.because
        assert len(await at(server, clock, due + 3000.0)) == 1
        assert "Fire drill failed: server -> broker: the broker did not take the server's question" in told(tmp_path)
        assert [one.agent for one in await at(server, clock, due + 7 * 86_400.0)] == ["pc-1", "pc-2"]


async def test_a_missed_one_is_left_out_and_one_that_was_cut_says_so(tmp_path: Path) -> None:
    due = london("2027-01-12T10:30")
    async with served(tmp_path, due - 60.0) as (server, clock):
        (running,) = await at(server, clock, due)
        assert running.running
    async with served(tmp_path, due + 7 * 86_400.0 + 3700.0) as (server, clock):
        (cut,) = await at(server, clock, clock.now())
        assert (cut.state, cut.because) == (DrillState.FAILED, "the server was started again meanwhile")
        assert len(await at(server, clock, clock.now() + 60.0)) == 1, "no drill an hour late"


async def test_none_begins_in_a_real_incident(tmp_path: Path) -> None:
    due = london("2027-01-12T10:30")
    async with served(tmp_path, due - 60.0) as (server, clock):
        await server.commit(Changes(at=clock.now(), incidents=(incident(2, at=clock.now()),)))
        await server.adopt(server.site)
        assert await at(server, clock, due) == []
        with pytest.raises(Conflict, match="not while an incident of severity 1 or 2 is open"):
            await server.drills.begin(None, "Desk")


async def test_none_begins_in_the_shadow_and_one_at_a_time(tmp_path: Path) -> None:
    due = london("2027-01-12T10:30")
    async with served(tmp_path, due - 60.0, mode="shadow") as (server, clock):
        assert await at(server, clock, due) == []
        with pytest.raises(Conflict, match="shadow"):
            await server.drills.begin(None, "Desk")
        server.site = replace(server.site, alerting=replace(server.site.alerting, mode="live"))
        made = await server.drills.begin("pc-2", "Desk")
        with pytest.raises(Conflict, match=f"{made.id} is running"):
            await server.drills.begin(None, "Desk")


async def test_an_overdue_drill_is_told_once_a_day_and_shown(tmp_path: Path) -> None:
    start = london("2027-01-13T12:00")
    async with served(tmp_path, start) as (server, clock):
        await at(server, clock, start + 7 * 86_400.0)
        assert not server.health().drill_overdue
        assert alerts(server) == []
        await at(server, clock, start + 8 * 86_400.0 + 3600.0)
        assert server.health().drill_overdue
        assert server.health().drill_age_s is None
        (alert,) = alerts(server)
        assert (alert.phase, alert.since) == (Phase.FIRING, start + 8 * 86_400.0)
        assert alert.detail.startswith("No fire drill has passed for 8 days")
        items = strip(server.view(), server.health(), LocalTime("UTC", clock.now())).items
        assert ("Fire drill", False) in [item[:2] for item in items]
        await at(server, clock, start + 8 * 86_400.0 + 7200.0)
        assert told(tmp_path).count("Fire drill overdue") == 1
        await at(server, clock, start + 9 * 86_400.0 + 3600.0)
        assert told(tmp_path).count("Fire drill overdue") == 2
        spots = server.drills.watch.coverage([])["blind_spots"]
        assert [spot["kind"] for spot in spots] == ["never_drilled"]
