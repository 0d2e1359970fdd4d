"""On-call duty through a real server's API and the command line: stand-ins, swaps, calendars, replies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from typer.testing import CliRunner

from daemons.paging import incident, notice
from daemons.process import free_port
from healthmon.alerting.journal import Journal
from healthmon.alerting.notify.webhook import signature
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.webapp import application
from healthmon.cli import commands
from healthmon.config import load
from healthmon.model.incident import NoticeResult
from healthmon.model.journal import Changes
from healthmon.model.plan import Broker
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire
SECRET = "a secret of the gateway"
SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London, holidays: GB-ENG}}
data_dir: {data}
teams: {{network: {{rota: net}}}}
notify:
  channels:
    sms: {{kind: gateway, url: "http://127.0.0.1:9/", reply_secret: "a secret of the gateway"}}
    mail: {{kind: mail, host: mail.example, sender: hm@st.example, to: [it@st.example]}}
oncall:
  users:
    - {{id: ann, name: Ann Engineer, phone: "+44 7700 900001", email: ann@st.example, channels: [sms, mail]}}
    - {{id: bob, name: Bob Engineer, phone: "+44 7700 900002", email: bob@st.example, channels: [sms, mail]}}
  duty_manager: user:bob
  rotas:
    - {{id: net, people: [ann, bob]}}
web: {{listen: "127.0.0.1:{port}"}}
"""


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, Path, Server]]:
    from aiohttp import web

    port = free_port()
    config = folder / "healthmon.yaml"
    config.write_text(SITE.format(data=folder / "data", port=port))
    site = load(config, env={}, today=datetime.now(UTC).date())
    (folder / "data").mkdir(exist_ok=True)
    server = Server(site, clock=SystemClock(), broker=Broker("mqtt://127.0.0.1:9"))
    runner = web.AppRunner(application(server, Surface(server)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/api/v1", config, server
    finally:
        await runner.cleanup()
        await server.store.close()
        server.journal.close()


async def said(*arguments: str) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, commands.app, ["oncall", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


async def standing(config: Path) -> dict[str, Any]:
    (one,) = json.loads(await said("now", "-c", str(config), "--json"))
    return dict(one)


async def test_who_is_on_call_and_who_stands_in(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, config, _server):
        usual = (await standing(config))["now"]["user"]["id"]
        other = {"ann": "bob", "bob": "ann"}[usual]
        made = await said(
            "override", "--rota", "net", "--user", other, "--for", "8h", "-c", str(config), "--by", "Desk"
        )
        assert (await standing(config))["now"]["user"]["id"] == other
        assert "override" in await said("schedule", "--rota", "net", "-c", str(config))
    async with served(tmp_path) as (_, config, _server):
        assert (await standing(config))["now"]["user"]["id"] == other, "a restart forgets nothing"
        await said("end", made.partition(":")[0], "-c", str(config), "--by", "Desk")
        assert (await standing(config))["now"]["user"]["id"] == usual


async def test_a_calendar_out_and_in_again(tmp_path: Path) -> None:
    """What the export says, the import takes: every shift becomes an override of the same person."""
    file = tmp_path / "net.ics"
    async with served(tmp_path) as (_, config, server):
        await said("export", "--rota", "net", "-c", str(config), "-o", str(file))
        first = await said("import", str(file), "--rota", "net", "-c", str(config), "--by", "Desk")
        assert first.startswith(("27 added", "26 added"))
        again = await said("import", str(file), "--rota", "net", "-c", str(config), "--by", "Desk")
        assert again.startswith("0 added")
        now = server.clock.now()
        shifts = server.roster.shifts("net", now, now + 20 * 604_800.0)
        assert {shift.via.partition(" ")[0] for shift in shifts} == {"override"}


async def test_a_swap_is_whole(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, _config, server), ClientSession() as http:
        token = {"Authorization": f"Bearer {(tmp_path / 'data' / 'token').read_text().strip()}"}
        now = server.clock.now()
        one, two = [s for s in server.roster.shifts("net", now, now + 15 * 86_400.0) if s.user][1:3]
        halves = [{"user": s.user, "starts_at": iso(s.start), "ends_at": iso(s.end)} for s in (one, two)]
        body = {"first": halves[0], "second": halves[1], "by": "Desk"}
        async with http.post(f"{url}/oncall/net/swaps", json=body, headers=token) as answer:
            made = (await answer.json())["overrides"]
            assert answer.status == 201
        assert (server.roster.now("net", one.start).user, server.roster.now("net", two.start).user) == (
            two.user, one.user,
        )  # fmt: skip
        async with http.post(f"{url}/oncall/net/swaps", json=body, headers=token) as answer:
            assert answer.status == 409, "they are not on call there any more"
        ending = f"{url}/oncall/overrides/{made[0]['id']}/end"
        async with http.post(ending, json={"by": "Desk"}, headers=token) as answer:
            assert answer.status == 200
        assert server.roster.now("net", two.start).user == two.user


async def test_only_a_signed_reply_is_read(tmp_path: Path) -> None:
    raw = b'{"from": "+447700900001", "text": "1"}'
    async with served(tmp_path) as (url, _config, _server), ClientSession() as http:
        for channel, signed, status in (
            ("sms", "", 403),
            ("sms", signature("another secret", raw), 403),
            ("mail", signature(SECRET, raw), 404),
            ("sms", signature(SECRET, raw), 404),  # signed, but nothing was sent to this number
        ):
            headers = {"X-Healthmon-Signature": signed}
            async with http.post(f"{url}/replies/{channel}", data=raw, headers=headers) as answer:
                assert answer.status == status, await answer.text()


async def test_an_answer_by_sms_accepts_and_proves_delivery(tmp_path: Path) -> None:
    """A severity 2 incident from the journal, paged to Ann: her `1` makes her the owner, once, whatever is repeated."""
    now = SystemClock().now()
    kept = incident(2, at=now - 30.0, team="network")
    page = notice("a" * 16, channel="sms", to="+44 7700 900001", person="ann", due=now - 20.0, result=NoticeResult.SENT)
    (tmp_path / "data").mkdir()
    journal = Journal(tmp_path / "data" / "journal.sqlite")
    journal.commit(Changes(at=now - 10.0, incidents=(kept,), notices=(page,)))
    journal.close()
    async with served(tmp_path) as (url, _config, server), ClientSession() as http:

        async def says(**body: str) -> tuple[int, dict[str, Any]]:
            raw = json.dumps(body).encode()
            headers = {"X-Healthmon-Signature": signature(SECRET, raw)}
            async with http.post(f"{url}/replies/sms", data=raw, headers=headers) as answer:
                return answer.status, await answer.json()

        assert (await says(**{"from": "+447700900009", "text": "1"}))[0] == 404, "a number that nothing was sent to"
        assert (await says(**{"from": "+447700900001", "text": "yes please"}))[0] == 409
        assert server.view().incidents[0].owner is None
        said = await says(**{"from": "+447700900001", "text": " 1 ", "id": "m-1"})
        assert said == (200, {"said": "Ann Engineer has it"})
        found = server.view().incidents[0]
        assert (found.owner, found.accepted_by) == ("Ann Engineer", ("Ann Engineer",))
        (told,) = [one for one in server.journal.notices("inc-1") if one.key == page.key]
        assert told.result is NoticeResult.ACKNOWLEDGED
        assert told.delivered_at is not None
        assert (await says(**{"from": "+447700900001", "text": " 1 ", "id": "m-1"}))[1] == {"said": "known already"}


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
