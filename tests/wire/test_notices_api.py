"""The told-log through a real server's API and the command line: dead letters, sending again, previews."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemons.paging import Answer, Receiver, incident, notice
from daemons.process import free_port
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.webapp import application
from healthmon.cli import commands
from healthmon.config import load
from healthmon.model.journal import Changes
from healthmon.model.plan import Broker
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire
SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London}}
data_dir: {data}
areas: [{{id: ward-7, name: Ward 7, kind: ward, beds: 28, needs: [sw]}}]
targets: [{{id: sw, kind: switch, address: 192.0.2.7}}]
services: [{{id: ehr, name: Patient record, tier: 1, used_in: all, needs: [sw]}}]
alerting: {{mode: {mode}}}
notify:
  channels:
    sms: {{kind: gateway, url: "{url}", fallback: mail}}
    mail: {{kind: mail, host: 127.0.0.1, port: 9, security: none, sender: hm@st.example, to: [it@st.example]}}
    nms: {{kind: snmptrap, host: 127.0.0.1, port: 9, community: hidden-word}}
web: {{listen: "127.0.0.1:{port}"}}
"""


@asynccontextmanager
async def served(folder: Path, url: str, mode: str = "live") -> AsyncIterator[tuple[Path, Server]]:
    from aiohttp import web

    port = free_port()
    config = folder / "healthmon.yaml"
    config.write_text(SITE.format(data=folder / "data", port=port, url=url, mode=mode))
    (folder / "data").mkdir(exist_ok=True)
    server = Server(load(config, env={}), clock=SystemClock(), broker=Broker("mqtt://127.0.0.1:9"))
    runner = web.AppRunner(application(server, Surface(server)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    sending = asyncio.create_task(server.dispatcher.run())
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield config, server
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await runner.cleanup()
        await server.store.close()
        server.journal.close()


async def said(config: Path, *arguments: str, code: int = 0) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, commands.app, ["notices", *arguments, "-c", str(config)])
    assert result.exit_code == code, result.output
    return result.output


async def tell(server: Server, key: str, **changes: object) -> None:
    one = replace(notice(key, channel="sms"), to="+44 1632 960001", due=server.clock.now(), **changes)  # type: ignore[arg-type]
    await server.commit(Changes(at=server.clock.now(), incidents=(incident(),), notices=(one,)))
    server.dispatcher.put([one])
    async with asyncio.timeout(30):
        await server.dispatcher.idle()


async def test_a_dead_notice_is_listed_and_sent_again_once(tmp_path: Path) -> None:
    receiver = Receiver(lambda number: Answer(404 if number <= 2 else 200))
    try:
        async with served(tmp_path, receiver.url) as (config, server):
            await tell(server, "0" * 16)
            await tell(server, "1" * 16, incident="inc-2")
            await tell(server, "2" * 16, incident="inc-3")
            dead = json.loads(await said(config, "--dead", "--json"))
            assert [one["key"] for one in dead] == ["1" * 16, "0" * 16]
            assert {one["detail"] for one in dead} == {"HTTP 404"}
            assert "HTTP 404" in await said(config, "--dead")
            done = json.loads(await said(config, "--resend", "0" * 16, "--json", "--by", "Desk"))["resent"]
            async with asyncio.timeout(30):
                await server.dispatcher.idle()
            again = server.journal.notice(done[0]["key"])
            assert again is not None
            assert again.result.value == "sent"
            assert again.text.startswith("SENT LATE by Desk: this was first tried at ")
            assert "sent again already" in await said(config, "--resend", "0" * 16, "--by", "Desk", code=1)
            rest = json.loads(await said(config, "--resend", "all", "--json", "--by", "Desk"))
            assert [one["incident"] for one in rest["resent"]] == ["inc-2"]
            assert len(rest["refused"]) == 1
            async with asyncio.timeout(30):
                await server.dispatcher.idle()
            assert len(receiver.posted) == 5
            assert len(json.loads(await said(config, "--json"))) == 5
            assert len(json.loads(await said(config, "--json", "--incident", "inc-3"))) == 1
            assert [event.body["by"] for event in server.journal.events("resend")] == ["Desk", "Desk"]
    finally:
        await asyncio.to_thread(receiver.stop)


async def test_what_is_not_dead_or_not_there_is_not_sent_again(tmp_path: Path) -> None:
    receiver = Receiver()
    try:
        async with served(tmp_path, receiver.url) as (config, server):
            await tell(server, "0" * 16)
            assert "not dead but sent" in await said(config, "--resend", "0" * 16, code=1)
            assert "no notice" in await said(config, "--resend", "nothing", code=1)
            assert "none is dead" in await said(config, "--resend", "all")
    finally:
        await asyncio.to_thread(receiver.stop)


async def test_in_shadow_mode_nothing_is_sent_again(tmp_path: Path) -> None:
    receiver = Receiver(lambda number: Answer(404))
    try:
        async with served(tmp_path, receiver.url, mode="shadow") as (config, server):
            await tell(server, "0" * 16)
            assert "shadow" in await said(config, "--resend", "0" * 16, code=1)
    finally:
        await asyncio.to_thread(receiver.stop)


async def test_pages_of_the_list_go_on_where_they_ended(tmp_path: Path) -> None:
    from aiohttp import ClientSession

    receiver = Receiver()
    try:
        async with served(tmp_path, receiver.url) as (config, server), ClientSession() as http:
            for number in range(5):
                await tell(server, f"{number}" * 16, incident=f"inc-{number}")
            base, found, cursor = f"http://127.0.0.1:{load(config, env={}).web.port}/api/v1/notices", [], ""
            while cursor is not None:
                async with http.get(f"{base}?limit=2{cursor}") as answer:
                    page = await answer.json()
                found += [one["key"] for one in page["items"]]
                cursor = f"&cursor={page['next']}" if page["next"] else None
            assert found == [f"{number}" * 16 for number in (4, 3, 2, 1, 0)]
            async with http.get(f"{base}?result=lost") as answer:
                assert answer.status == 400
    finally:
        await asyncio.to_thread(receiver.stop)


async def test_a_preview_shows_the_words_of_every_channel_and_sends_nothing(tmp_path: Path) -> None:
    receiver = Receiver()
    try:
        async with served(tmp_path, receiver.url) as (config, server):
            shown = await said(config, "preview")
            assert "EXAMPLE: Patient record not available in Ward 7" in shown
            assert "hidden-word" not in shown
            items = {one["channel"]: one for one in json.loads(await said(config, "preview", "--json"))}
            assert set(items) == {"sms", "mail", "nms"}
            assert items["sms"]["one_sms"]
            assert "Reply 1" in items["sms"]["text"]
            await server.commit(Changes(at=server.clock.now(), incidents=(incident(),)))
            over = await said(config, "preview", "--incident", "inc-1", "--why", "mitigated", "--channel", "mail")
            assert "REACHABLE AGAIN" in over
            assert "no incident" in await said(config, "preview", "--incident", "inc-9", code=1)
            assert not receiver.posted
    finally:
        await asyncio.to_thread(receiver.stop)
