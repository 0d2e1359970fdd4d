"""A server with wards behind real HTTP, without broker and agents: what tests of reports and ward pages share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web

from daemons.process import free_port
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.webapp import application
from healthmon.config import load
from healthmon.model.plan import Broker
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.runtime.clock import SystemClock

SITE = """
organisation: {{id: st, name: St Elsewhere, timezone: Europe/London, holidays: GB-ENG}}
sites: [{{id: main, name: Main site}}]
data_dir: {data}
areas:
  - {{id: ward-7, name: Ward 7 Respiratory, kind: ward, acuity: inpatient, beds: 28, contact: {{phone: "2-7117"}}}}
  - {{id: ward-8, name: Ward 8 Stroke, kind: ward, acuity: inpatient, beds: 24, contact: {{phone: "2-7118"}}}}
  - {{id: ed, name: Emergency Department, kind: ed, acuity: critical, beds: 40, contact: {{phone: "2-7100"}}}}
services:
  - {{id: ehr, name: Patient record, tier: 1, used_in: all, needs: [ehr-web], team: apps,
     fallback: {{text: Read-only copy on the downtime PC, proven_by: ehr-copy}}}}
  - {{id: labels, name: Label printing, tier: 2, used_in: [ward-7, ward-8], needs: [label-server], team: apps}}
targets:
  - {{id: ehr-web, kind: server, address: 192.0.2.10, checks: [{{id: up, kind: tcp, port: 443, every: 5s,
     from: [poller, agents]}}]}}
  - {{id: ehr-copy, kind: server, address: 192.0.2.11, checks: [{{id: up, kind: tcp, port: 443, every: 60s,
     from: [poller, agents]}}]}}
  - {{id: label-server, kind: server, address: 192.0.2.12, checks: [{{id: up, kind: tcp, port: 443, every: 5s}}]}}
  - {{id: pc-w7, kind: ward-workstation, address: 127.0.0.7, area: ward-7}}
agents: [{{id: pc-w7, target: pc-w7, roles: [ward-workstation]}}]
teams: {{apps: {{phone: "2-7300"}}}}
alerting: {{mode: live}}
notify: {{channels: {{inbox: {{kind: inbox, path: {inbox}}}}}}}
oncall: {{policies: [{{id: all, severities: [1, 2, 3], steps: [{{after: 0s, channels: [inbox]}}]}}]}}
wards:
  desk: {{name: IT service desk, phone: "2-7000"}}
  {wards}
web: {{listen: "127.0.0.1:{port}", ward_networks: [127.0.0.0/8], anonymous: never}}
"""


@dataclass
class WardSite:
    """`base` is where it answers."""

    base: str
    server: Server
    session: ClientSession
    folder: Path

    async def report(self, body: Any = None, *, status: int = 200, **more: Any) -> dict[str, Any]:
        """One POST; anything that is no mapping goes as it is."""
        kind = {"json": body} if isinstance(body, dict) else {"data": body}
        async with self.session.post(f"{self.base}/api/v1/reports", **kind, **more) as answer:
            said = await answer.json()
            assert answer.status == status, said
            return dict(said)

    async def get(self, path: str, *, token: bool = True) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if token else {}
        async with self.session.get(f"{self.base}{path}", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await (answer.json() if answer.content_type == "application/json" else answer.text())

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.post(f"{self.base}{path}", json=body, headers=headers) as answer:
            said = await answer.json()
            assert answer.status == status, said
            return said

    @property
    def token(self) -> str:
        return (self.folder / "data" / "token").read_text().strip()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """What is due goes to the channels while the block lasts."""
        dispatcher = asyncio.create_task(self.server.dispatcher.run())
        try:
            yield
        finally:
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)

    async def see(
        self, target: str, outcome: Outcome = Outcome.OK, *, check: str = "up", vantage: str = "poller", times: int = 1
    ) -> None:
        """Looks at a target, as they come from a poller or an agent."""
        for _ in range(times):
            now = self.server.clock.now()
            reason = None if outcome is Outcome.OK else Reason.TIMEOUT
            self.server.room.engine.observe([Reading(target, check, vantage, now, 0.01, outcome, reason)], now=now)
            await self.server.step()
            await asyncio.sleep(0.01)

    async def fault(self, target: str = "ehr-web") -> dict[str, Any]:
        """It fails until there is an incident."""
        for _ in range(200):
            await self.see(target, Outcome.FAILED)
            found = [one for one in (await self.get("/api/v1/incidents"))["items"] if one["members"]]
            if found:
                return dict(found[0])
            await asyncio.sleep(0.1)
        raise AssertionError("no incident")


@asynccontextmanager
async def ward_site(folder: Path, *, wards: str = "", clock: Any = None, **changes: str) -> AsyncIterator[WardSite]:
    """It runs until the block ends; a second one in the same folder goes on where the first stopped."""
    port = free_port()
    config = folder / "healthmon.yaml"
    text = SITE.format(data=folder / "data", port=port, inbox=folder / "inbox.jsonl", wards=wards)
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    config.write_text(text)
    site = load(config, env={}, today=datetime.now(UTC).date())
    (folder / "data").mkdir(exist_ok=True)
    server = Server(site, clock=clock or SystemClock(), broker=Broker("mqtt://127.0.0.1:9"))
    runner = web.AppRunner(application(server, Surface(server)), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with ClientSession() as session:
            yield WardSite(f"http://127.0.0.1:{port}", server, session, folder)
    finally:
        await runner.cleanup()
        with contextlib.suppress(Exception):
            await server.store.close()
        server.journal.close()
