"""Records in ServiceNow and Jira follow their incident, against servers that we wrote after the public documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemons.paging import notice
from daemons.ticketing import Asked, JiraDesk, ServiceNowDesk, Serving
from daemons.wardsite import SITE
from healthmon.alerting.notify import make_channel
from healthmon.app.server import Server
from healthmon.config import load
from healthmon.model.incident import Command, Incident, IncidentState, Notice, Why
from healthmon.model.plan import Broker
from healthmon.model.ports import Dead, Notifier, Retry, Sent
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.runtime.clock import ManualClock, settle

pytestmark = pytest.mark.wire
MORNING = 1_800_007_200.0  # 2027-01-15, 10:00 in London
SNOW = {"kind": "servicenow", "username": "healthmon", "password": "p", "fields": {"assignment_group": "Network"}}
JIRA = {"kind": "jira", "project": "OPS", "token": "t"}


@pytest.fixture
def snow() -> Iterator[ServiceNowDesk]:
    desk = ServiceNowDesk()
    serving = Serving(desk)
    yield desk
    serving.stop()


@pytest.fixture(params=["server", "cloud"])
def jira(request: pytest.FixtureRequest) -> Iterator[JiraDesk]:
    desk = JiraDesk(cloud=request.param == "cloud")
    serving = Serving(desk)
    yield desk
    serving.stop()


def channel(desk: ServiceNowDesk | JiraDesk, **more: Any) -> Notifier:
    own = SNOW if isinstance(desk, ServiceNowDesk) else JIRA
    return make_channel(own["kind"], {key: value for key, value in own.items() if key != "kind"} | {"url": desk.url})


def word(number: int, why: Why, severity: int = 2, **more: Any) -> Notice:
    body = {"id": "inc-1", "severity": severity, "impact_level": severity, "urgency": severity}
    return notice(f"{number:016x}", why=why, severity=severity, body=body, subject=f"[sev {severity}] word {number}",
                  text=f"text {number}", **more)  # fmt: skip


async def test_a_servicenow_record_is_made_updated_resolved_and_opened_again(snow: ServiceNowDesk) -> None:
    sends = channel(snow)
    assert await sends.send(word(1, Why.OPENED, 3)) == Sent("HTTP 201")
    (record,) = snow.records.values()
    first = (record["correlation_id"], record["impact"], record["urgency"], record["assignment_group"])
    assert first == ("inc-1", "3", "3", "Network")
    assert await sends.send(word(2, Why.WORSE, 1)) == Sent("HTTP 200")
    assert (record["impact"], record["urgency"], record["short_description"]) == ("1", "1", "[sev 1] word 2")
    await sends.send(word(3, Why.MITIGATED))
    assert (record["state"], record["short_description"]) == ("1", "[sev 1] word 2")  # only a person ends it
    await sends.send(word(4, Why.RESOLVED))
    assert (record["state"], record["close_code"], record["close_notes"]) == ("6", "Resolved by request", "text 4")
    await sends.send(word(5, Why.OPENED))
    assert (record["state"], record["impact"], len(snow.records)) == ("2", "2", 1)
    assert [note.rpartition("healthmon ")[2] for note in record["work_notes"]] == [f"{n:016x})" for n in range(2, 6)]
    await sends.close()


async def test_a_servicenow_record_that_is_closed_for_good_is_followed_by_a_new_one(snow: ServiceNowDesk) -> None:
    sends = channel(snow)
    await sends.send(word(1, Why.OPENED))
    (record,) = snow.records.values()
    record["state"] = "7"
    assert await sends.send(word(2, Why.RESOLVED)) == Sent("INC0000001 is closed already")
    assert await sends.send(word(3, Why.OPENED)) == Sent("HTTP 201")
    await sends.send(word(4, Why.WORSE, 1))
    assert [one["impact"] for one in snow.records.values()] == ["2", "1"]
    await sends.close()


async def test_a_jira_issue_is_made_updated_resolved_and_opened_again(jira: JiraDesk) -> None:
    sends = channel(jira)
    assert isinstance(await sends.send(word(1, Why.OPENED, 3)), Sent)
    await sends.send(word(2, Why.WORSE, 1))
    (issue,) = jira.issues.values()
    assert issue["fields"]["labels"] == ["healthmon", "healthmon-inc-1", "severity-1"]
    assert issue["fields"]["summary"] == "[sev 1] word 2"
    await sends.send(word(3, Why.MITIGATED))
    assert issue["status"] == "To Do"
    await sends.send(word(4, Why.RESOLVED))
    assert issue["status"] == "Done"
    await sends.send(word(5, Why.OPENED))
    assert (issue["status"], len(jira.issues)) == ("To Do", 1)
    assert [one.rpartition("healthmon ")[2] for one in issue["comments"]] == [f"{n:016x})" for n in range(2, 6)]
    await sends.close()


async def test_an_issue_that_the_search_does_not_know_yet_gets_no_second_one(jira: JiraDesk) -> None:
    sends = channel(jira)
    await sends.send(word(1, Why.OPENED))
    jira.unseen = 2
    await sends.send(word(2, Why.WORSE, 1))
    await sends.send(word(3, Why.RESOLVED))
    (issue,) = jira.issues.values()
    assert (issue["status"], len(issue["comments"])) == ("Done", 2)
    await sends.close()


async def test_a_jira_workflow_without_these_transitions_is_said(jira: JiraDesk) -> None:
    await (sends := channel(jira)).send(word(1, Why.OPENED))
    jira.issues["OPS-1"]["status"] = "Done"
    lost = make_channel("jira", {"url": jira.url, "project": "OPS", "token": "t", "reopen": ["Wake up"]})
    answer = await lost.send(word(2, Why.WORSE, 1))
    assert answer == Sent("commented; the issue offers none of Wake up")
    await sends.close()
    await lost.close()


@pytest.mark.parametrize("status", [401, 503])
@pytest.mark.parametrize("step", range(4))
async def test_no_step_that_fails_makes_a_second_record(status: int, step: int, jira: JiraDesk) -> None:
    """Each request of the end fails once: what is said again finds what is there, and the comment is made once."""
    await (sends := channel(jira)).send(word(1, Why.OPENED))
    count = 0

    def once(asked: Asked) -> int | None:
        nonlocal count
        count += 1
        return status if count == step + 1 else None

    jira.trouble = once
    first = await sends.send(word(2, Why.RESOLVED))
    assert isinstance(first, (Retry, Dead)) or step >= 4
    again = await sends.send(replace(word(2, Why.RESOLVED), repeat=True))
    assert isinstance(again, Sent)
    (issue,) = jira.issues.values()
    assert (issue["status"], len(issue["comments"])) == ("Done", 1)
    await sends.close()


# --- with a real server that is stopped in between ---------------------------------------------------------------


@asynccontextmanager
async def served(folder: Path, clock: ManualClock, desk: ServiceNowDesk | JiraDesk) -> AsyncIterator[Server]:
    own = ", ".join(f"{key}: {value}" for key, value in (SNOW if isinstance(desk, ServiceNowDesk) else JIRA).items()
                    if key != "fields")  # fmt: skip
    text = SITE.format(data=folder / "data", port=1, inbox=folder / "inbox.jsonl", wards="")
    text = text.replace("notify: {channels: {", f"notify: {{channels: {{tickets: {{{own}, url: '{desk.url}'}}, ")
    text = text.replace("channels: [inbox]", "channels: [inbox, tickets]")
    (folder / "healthmon.yaml").write_text(text)
    (folder / "data").mkdir(exist_ok=True)
    server = Server(load(folder / "healthmon.yaml", env={}), clock=clock, broker=Broker("mqtt://127.0.0.1:9"))
    sending = asyncio.create_task(server.dispatcher.run())
    try:
        yield server
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await server.store.close()
        server.journal.close()
        server.links.close()


async def after(server: Server, clock: ManualClock, seconds: float, outcome: Outcome) -> Incident:
    """Looks at the record every 5 s for so long; what was decided has been sent."""
    for _ in range(int(seconds // 5)):
        clock.step_wall(5.0)
        reason = None if outcome is Outcome.OK else Reason.TIMEOUT
        reading = Reading("ehr-web", "up", "poller", clock.now(), 0.01, outcome, reason)
        server.room.engine.observe([reading], now=clock.now())
        await server.step()
    await sent(server)
    return next(one for one in server.view().incidents if any(m.key.target == "ehr-web" for m in one.members))


async def sent(server: Server) -> None:
    async with asyncio.timeout(30):
        while not server.dispatcher.idling:
            await settle()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [ServiceNowDesk, JiraDesk])
async def test_a_record_is_resolved_by_a_server_that_was_started_again(kind: type[Any], tmp_path: Path) -> None:
    desk, clock = kind(), ManualClock(MORNING)
    serving = Serving(desk)

    def state(id_: str) -> str:
        """Others may be open: nobody looks at the rest of this estate."""
        (record,) = [one for one in (desk.records if isinstance(desk, ServiceNowDesk) else desk.issues).values()
                     if id_ in str(one)]  # fmt: skip
        return str(record.get("state") or record.get("status"))

    new, done = ("1", "6") if kind is ServiceNowDesk else ("To Do", "Done")
    try:
        async with served(tmp_path, clock, desk) as server:
            found = await after(server, clock, 60.0, Outcome.FAILED)
            assert state(found.id) == new
            await server.act(Command("own", found.id, "Duty engineer"))
            await after(server, clock, 40.0, Outcome.FAILED)
        said = [one.body for one in desk.asked if one.body and "Duty engineer" in str(one.body)]
        assert said, "who has it stands in the record"
        async with served(tmp_path, clock, desk) as server:
            back = await after(server, clock, 120.0, Outcome.OK)
            assert (back.state, state(back.id)) == (IncidentState.MITIGATED, new)
            await server.act(Command("resolve", back.id, "Duty engineer", reason="cable", impact="none known"))
            await sent(server)
            assert state(back.id) == done
            told = {one.key: one.why for one in server.journal.notices(back.id) if one.channel == "tickets"}
        wrote = [one for one in desk.asked if one.method in ("POST", "PATCH") and "transitions" not in one.path]
        keys = [one.key for one in wrote if back.id in str(one.body)]
        assert keys == list(told)  # each once, in this order, and never without its key
        assert [why for why in told.values() if why not in (Why.WORSE, Why.NEW_AREA)] == [
            Why.OPENED, Why.CHANGED, Why.MITIGATED, Why.RESOLVED
        ]  # fmt: skip
    finally:
        serving.stop()
