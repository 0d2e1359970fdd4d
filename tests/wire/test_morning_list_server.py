"""The 07:30 list from the waking table to the inbox: the engine's own ledger, a server's duty book, a manual clock."""

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
from healthmon.alerting.oncall.escalation import due
from healthmon.app.server import Server
from healthmon.config import load
from healthmon.model.incident import Incident
from healthmon.model.journal import Changes
from healthmon.model.plan import Broker
from healthmon.runtime.clock import ManualClock, settle

pytestmark = pytest.mark.wire
SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London}}
data_dir: {folder}/data
areas: [{{id: ward-7, name: Ward 7, kind: ward, beds: 28}}]
alerting: {{mode: live}}
notify: {{channels: {{desk: {{kind: inbox, path: {folder}/inbox.jsonl}}}}}}
oncall: {{morning_list: {{channels: [desk]}}}}
"""


def london(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/London")).timestamp()


@asynccontextmanager
async def served(folder: Path, at: float) -> AsyncIterator[tuple[Server, ManualClock]]:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "healthmon.yaml").write_text(SITE.format(folder=folder))
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


async def night(server: Server, at: float, number: int) -> None:
    """A severity 3 of a ward at night: the waking table puts it on the list, as the engine writes it."""
    found: Incident = incident(3, id=f"inc-{number}", at=at, title=f"fault {number}")
    site = server.site
    notices, rows = due(
        found, policies=site.policies, told={}, mode="live", now=at, estate=site.estate, waking=site.waking
    )
    assert not notices
    await server.commit(Changes(at=at, incidents=(found,), ledger=rows))


async def look(server: Server) -> list[str]:
    await server.duty.look()
    async with asyncio.timeout(30):
        while not server.dispatcher.idling:
            await settle()
            await asyncio.sleep(0.01)
    return [line for one in read_inbox(server.data_dir.parent / "inbox.jsonl") for line in one["text"].splitlines()]


@pytest.mark.parametrize("day", ["2027-01-15", "2027-03-28", "2027-10-31"])
async def test_what_was_held_at_night_is_on_the_list_of_the_morning(day: str, tmp_path: Path) -> None:
    async with served(tmp_path, london(f"{day}T00:10")) as (server, clock):
        await night(server, london(f"{day}T00:30"), 1)
        await night(server, london(f"{day}T06:00"), 2)
        clock.step_wall(london(f"{day}T07:29") - clock.now())
        assert await look(server) == []
        clock.step_wall(london(f"{day}T07:30") - clock.now())
        said = await look(server)
        assert said[0] == "Held back over night: 2 for everybody"
        assert "00:30 fault 1" in said[1]
        assert "06:00 fault 2" in said[2]
        clock.step_wall(600.0)
        assert await look(server) == said, "once"


async def test_a_morning_that_nobody_was_here_for_is_on_the_next_list(tmp_path: Path) -> None:
    async with served(tmp_path, london("2027-01-14T22:30")) as (server, clock):
        await night(server, london("2027-01-14T23:00"), 0)
        clock.step_wall(london("2027-01-15T07:31") - clock.now())
        assert "fault 0" in (await look(server))[1]
        await night(server, london("2027-01-15T23:00"), 1)
    async with served(tmp_path, london("2027-01-16T16:00")) as (server, clock):
        before = await look(server)
        assert not any("fault 1" in line for line in before), "no list of the morning in the afternoon"
        await night(server, london("2027-01-17T01:00"), 2)
        clock.step_wall(london("2027-01-17T07:30") - clock.now())
        said = (await look(server))[len(before) :]
        assert [line for line in said if "fault" in line] == [line for line in said if line.startswith("- ")]
        assert ["fault 1" in said[1], "fault 2" in said[2]] == [True, True]
        assert not any("fault 0" in line for line in said)


async def test_shadow_sends_no_list(tmp_path: Path) -> None:
    async with served(tmp_path, london("2027-01-15T00:10")) as (server, clock):
        server.site = replace(server.site, alerting=replace(server.site.alerting, mode="shadow"))
        await night(server, london("2027-01-15T00:30"), 1)
        clock.step_wall(london("2027-01-15T07:30") - clock.now())
        assert await look(server) == []
