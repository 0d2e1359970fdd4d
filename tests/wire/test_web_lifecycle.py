"""The life cycle as people act it out: accept, pass on, merge, split, note and close; on the page, by link, by API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar, web

from daemons.paging import incident, member, notice
from daemons.process import free_port
from healthmon.alerting.journal import Journal
from healthmon.alerting.oncall.tokens import make_token
from healthmon.app.private import token_of
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.webapp import application
from healthmon.config import load
from healthmon.model.incident import Entry, Incident, NoticeResult
from healthmon.model.journal import Changes
from healthmon.model.plan import Broker
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire
SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London, holidays: GB-ENG}}
data_dir: {data}
teams: {{network: {{rota: net}}, apps: {{}}}}
targets:
  - {{id: sw-ward7, kind: switch, address: 192.0.2.7}}
  - {{id: pc-w7-01, kind: pc, address: 192.0.2.71}}
notify: {{channels: {{sms: {{kind: gateway, url: "http://127.0.0.1:9/"}}}}}}
oncall:
  users:
    - {{id: ann, name: Ann Engineer, phone: "+44 7700 900001", channels: [sms]}}
    - {{id: bob, name: Bob Engineer, phone: "+44 7700 900002", channels: [sms]}}
  duty_manager: user:bob
  rotas: [{{id: net, people: [ann]}}]
web: {{listen: "127.0.0.1:{port}"}}
"""
CLOCK = SystemClock()


@asynccontextmanager
async def served(folder: Path, *incidents: Incident) -> AsyncIterator[tuple[ClientSession, Server]]:
    """A server that has known these incidents since before its start."""
    now, port, config = CLOCK.now(), free_port(), folder / "healthmon.yaml"
    (folder / "data").mkdir(exist_ok=True)
    journal = Journal(folder / "data" / "journal.sqlite")
    page = notice("a" * 16, channel="sms", to="+44 7700 900001", person="ann", due=now - 20.0, result=NoticeResult.SENT)
    journal.commit(Changes(at=now - 10.0, incidents=incidents, notices=(page,)))
    journal.close()
    config.write_text(SITE.format(data=folder / "data", port=port))
    site = load(config, env={}, today=datetime.now(UTC).date())
    server = Server(site, clock=CLOCK, broker=Broker("mqtt://127.0.0.1:9"))
    runner = web.AppRunner(application(server, Surface(server)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with ClientSession(f"http://127.0.0.1:{port}", cookie_jar=CookieJar(unsafe=True)) as http:
            yield http, server
    finally:
        await runner.cleanup()
        await server.store.close()
        server.journal.close()


async def signed_in(http: ClientSession, server: Server, name: str = "Dana Desk") -> None:
    form = {"name": name, "token": token_of(server.site.web.token_file), "next": "/"}
    async with http.post("/login", data=form, allow_redirects=False) as answer:
        assert answer.status == 303


async def text(http: ClientSession, path: str) -> str:
    async with http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def press(http: ClientSession, page: str, action: str, **fields: str) -> tuple[int, str, str]:
    """Send the form of the page that goes to `action`: (status, place, text)."""
    form = next(f for f in re.findall(r"<form.*?</form>", page, re.DOTALL) if f'action="{action}"' in f)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    origin = {"Origin": str(http._base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    async with http.post(action, data=hidden | fields, headers=origin, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", ""), await answer.text()


def link(server: Server) -> str:
    claims = {"incident": "inc-1", "channel": "sms", "to": "+44 7700 900001"}
    return "/ack/" + make_token(server.ack_secret, expires_at=CLOCK.now() + 600.0, **claims)


def recent(**changes: object) -> Incident:
    return replace(incident(2, at=CLOCK.now() - 30.0, team="network"), **changes)  # type: ignore[arg-type]


def lines(server: Server, id_: str = "inc-1") -> list[tuple[str, str]]:
    found = next(one for one in server.view().incidents if one.id == id_)
    return [(entry.what, entry.by) for entry in found.timeline]


async def test_seen_not_mine_by_the_link(tmp_path: Path) -> None:
    async with served(tmp_path, recent()) as (http, server):
        path = link(server)
        page = await text(http, path)
        assert "Seen, not mine" in page
        assert "Bob Engineer" not in page, "a link may be read by others: it names teams, no colleagues"
        async with http.post(path, data={"known": "Ann Engineer", "do": "pass", "to": ""}) as answer:
            assert answer.status == 400, "passing to nobody is not accepting"
        async with http.post(path, data={"known": "Ann Engineer", "do": "pass", "to": "team:apps"}) as answer:
            assert answer.status == 409
            assert "nobody answers for" in await answer.text()
        assert lines(server) == []
        async with http.post(path, data={"known": "Ann Engineer", "do": "pass", "to": "duty-manager"}) as answer:
            assert answer.status == 200
            assert "Passed to the duty manager" in await answer.text()
        found = server.view().incidents[0]
        assert (found.owner, found.passed_to) == (None, "duty-manager")
        assert ("passed", "Ann Engineer") in lines(server)
        async with http.post(path, data={"known": "Ann Engineer"}) as answer:
            assert answer.status in (403, 409, 410), "each link is one answer"


async def test_the_same_by_the_api(tmp_path: Path) -> None:
    async with served(tmp_path, recent()) as (http, server):
        body = {"by": "Ann Engineer", "pass_to": "duty-manager"}
        async with http.post(f"/api/v1{link(server)}", json=body) as answer:
            assert answer.status == 200
            assert (await answer.json())["owner"] is None
        assert server.view().incidents[0].passed_to == "duty-manager"


async def test_accepting_owns_and_passing_on_gives_it_up(tmp_path: Path) -> None:
    async with served(tmp_path, recent()) as (http, server):
        await signed_in(http, server)
        page = await text(http, "/incident/inc-1")
        assert "Last asked: Ann Engineer by sms" in page
        assert (await press(http, page, "/incident/inc-1/ack"))[:2] == (303, "/incident/inc-1")
        page = await text(http, "/incident/inc-1")
        assert "Dana Desk has it since" in page
        assert "Ann Engineer" in page, "colleagues are choices for somebody who is signed in"
        assert (await press(http, page, "/incident/inc-1/pass", to=""))[0] == 400
        status, _, _ = await press(http, page, "/incident/inc-1/pass", to="user:ann", text="It is the core")
        assert status == 303
        page = await text(http, "/incident/inc-1")
        assert "Nobody has it." in page
        assert "passed to user:ann: It is the core" in page


async def test_merge_and_split_on_the_page(tmp_path: Path) -> None:
    other = replace(recent(), id="inc-2", title="Ward 8: Patient record not available", members=(member("sw-ward8"),))
    async with served(tmp_path, recent(), other) as (http, server):
        await signed_in(http, server)
        page = await text(http, "/incident/inc-2")
        assert (await press(http, page, "/incident/inc-2/merge", into="inc-1"))[:2] == (303, "/incident/inc-1")
        merged = {one.id: one for one in server.view().incidents}
        assert merged["inc-2"].merged_into == "inc-1"
        assert "sw-ward8" in {m.key.target for m in merged["inc-1"].members}

        page = await text(http, "/incident/inc-1")
        assert (await press(http, page, "/incident/inc-1/split"))[0] == 400, "nothing was ticked"
        status, place, _ = await press(http, page, "/incident/inc-1/split", members="sw-ward8")
        assert status == 303
        page = await text(http, place)
        assert "Split from inc-1" in page
        assert {m.key.target for m in server.view().incidents[0].members} != set()


async def test_the_link_of_an_incident_that_went_into_another_leads_there(tmp_path: Path) -> None:
    other = replace(recent(), id="inc-2", title="Core switch does not answer", members=(member("sw-core"),))
    async with served(tmp_path, recent(), other) as (http, server):
        await signed_in(http, server)
        page = await text(http, "/incident/inc-1")
        assert (await press(http, page, "/incident/inc-1/merge", into="inc-2"))[0] == 303
        path = link(server)
        assert "Core switch does not answer" in await text(http, path)
        async with http.post(path, data={"known": "Ann Engineer"}) as answer:
            assert answer.status == 200
        assert {one.id: one.owner for one in server.view().incidents}["inc-2"] == "Ann Engineer"


async def test_a_severity_2_is_not_closed_without_what_it_meant_for_care(tmp_path: Path) -> None:
    async with served(tmp_path, recent(members=())) as (http, server):
        await signed_in(http, server)
        page = await text(http, "/incident/inc-1")
        status, _, said = await press(http, page, "/incident/inc-1/resolve", reason="cable replaced")
        assert status == 409
        assert "what it meant for care" in said
        done = await press(http, page, "/incident/inc-1/resolve", reason="cable replaced", impact="one round on paper")
        assert done[0] == 303
        page = await text(http, "/incident/inc-1")
        assert "one round on paper" in page
        assert "Dana Desk" in page


async def test_an_incident_of_ten_days_stays_readable_and_loses_no_line(tmp_path: Path) -> None:
    began = CLOCK.now() - 10 * 86400.0
    story = [Entry(began + 150.0 * n, "reopened" if n % 2 else "mitigated", f"line {n}") for n in range(5000)]
    old = recent(opened_at=began, first_evidence_at=began, timeline=tuple(story), episode=2500)
    async with served(tmp_path, old) as (http, server):
        cut = replace(server.view().incidents[0], timeline=tuple(story[:50] + story[-150:]))
        server.room.engine._incidents["inc-1"] = cut  # as it is after days of work
        page = await text(http, "/incident/inc-1")
        assert len(page) < 200_000
        assert page.count("<time") < 800
        assert re.search(r"\d{2,} lines by healthmon: \d+ times (failed|reachable) again", page)
        assert len(server.journal.timeline("inc-1")) >= 5000
        async with http.get("/api/v1/incidents/inc-1/report") as answer:
            report = await answer.text()
        assert "line 0 " in report
        assert "more." in report
