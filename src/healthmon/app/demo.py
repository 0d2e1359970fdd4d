"""The demo: a simulated hospital on loopback beside an ordinary `healthmon up` that does not know it is one.

The child process is given a site file and nothing else; the demo cuts links, and reads the public API as any
user would. What it prints is what the API said.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from healthmon.app.agent import AgentRuntime
from healthmon.app.roles import known_broker
from healthmon.config import SiteConfig, load, plan_for
from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Broker, Plan
from healthmon.model.ports import Clock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import DEVICES, PCS, WAKING, Hospital, open_hospital, site_file, ward_way

Say = Callable[[str], None]
FIRST_INCIDENT_S = 60.0
#: The symptoms behind a root come in over the next seconds.
GATHER_S = 8.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """fault: a device id whose link is cut, or `random`; keep_s: how long the board stays open afterwards."""

    fault: str = "sw-ward7"
    keep_s: float = 120.0
    listen: str = "127.0.0.1:8470"
    store: Any = "embedded"
    folder: Path | None = None


class Api:
    """The public API as a user reads it: GET over loopback."""

    def __init__(self, url: str, session: Any) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str) -> Any:
        """The JSON answer of `/api/v1/<path>`."""
        async with self._session.get(f"{self.url}/api/v1/{path}") as response:
            return await response.json()

    async def incidents(self) -> list[dict[str, Any]]:
        """All incidents, newest first."""
        return list((await self.get("incidents"))["items"])

    async def settled(self, clock: Clock) -> None:
        """Wait until every watched target is ok and every agent is up; raises HealthmonError after a minute."""
        late: list[str] = []
        for _ in range(120):
            targets = (await self.get("targets?limit=500"))["items"]
            agents = (await self.get("agents?limit=500"))["items"]
            late = [f"{t['id']} {t['outcome']} {t['reason']}" for t in targets if t["outcome"] != "ok"]
            late += [f"agent {a['agent']} {a['state']}" for a in agents if a["state"] != "up"]
            if targets and not late:
                return
            await clock.sleep(0.5)
        raise HealthmonError("the simulated hospital did not come up in 60 s: " + ", ".join(late[:8]))


async def run_demo(options: DemoOptions, *, clock: Clock, say: Say) -> int:
    """Run the whole story; 0 when the first incident came within a minute and recovered, else 1."""
    with tempfile.TemporaryDirectory(prefix="healthmon-demo-") as temporary:
        folder = options.folder or Path(temporary)
        hospital = await open_hospital()
        try:
            config = write_site(hospital, folder, options)
            say(f"simulated hospital: {len(DEVICES)} devices and {len(PCS)} ward PCs on {hospital.net}.0.0/16")
            async with child_up(config) as url:
                return await _story(hospital, load(config), url, options, clock=clock, say=say)
        finally:
            await hospital.stop()


def write_site(hospital: Hospital, folder: Path, options: DemoOptions) -> Path:
    """The site file of the simulated hospital."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "healthmon.yaml"
    site = site_file(
        hospital,
        listen=options.listen,
        data_dir=str(folder / "data"),
        inbox=str(folder / "inbox.jsonl"),
        store=options.store,
    )
    path.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True))
    waking = folder / "packs" / "alerting" / "waking" / "default.yaml"
    waking.parent.mkdir(parents=True, exist_ok=True)
    waking.write_text(yaml.safe_dump(WAKING))
    return path


@contextlib.asynccontextmanager
async def child_up(config: Path) -> AsyncIterator[str]:
    """`healthmon up -c CONFIG` as a process of its own; yields the board's URL once it says that it is up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "healthmon", "up", "-c", str(config), "--json", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line:
            raise HealthmonError("`healthmon up` ended before it was up; its message is above")
        yield str(json.loads(line)["url"])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _story(
    hospital: Hospital, site: SiteConfig, url: str, options: DemoOptions, *, clock: Clock, say: Say
) -> int:
    import aiohttp

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        api = Api(url, session)
        agents = [
            spawn(group, f"ward agent {plan.agent}", AgentRuntime(plan, clock=clock).run())
            for plan in await ward_plans(hospital, site)
        ]
        try:
            await api.settled(clock)
            say(f"system up: board at {url}/")
            code = await _faults(hospital, api, options, clock=clock, say=say)
            if options.keep_s:
                say(f"the board stays open for {options.keep_s:.0f} s: {url}/   (Ctrl-C ends the demo)")
                await clock.sleep(options.keep_s)
            return code
        finally:
            for agent in agents:
                agent.cancel()


async def ward_plans(hospital: Hospital, site: SiteConfig) -> list[Plan]:
    """Plans of the ward agents, with broker and patient record reached over the ward's own links."""
    broker = known_broker(site)
    plans = []
    host, port = broker.url.removeprefix("mqtt://").split(":")
    ehr = hospital.addresses["ehr-web"]
    for pc, _, via in PCS:
        near = await ward_way(hospital, pc, to=(host, int(port)), via=via, last=None)
        record = await ward_way(hospital, pc, to=hospital.ehr_behind, via=via, last="ehr-web")
        plan = plan_for(
            site, pc, broker=Broker(f"mqtt://{near[0]}:{near[1]}", broker.username, broker.password, mqtt5=broker.mqtt5)
        )
        jobs = tuple(
            replace(job, address=job.address.replace(f"{ehr}:8080", f"{record[0]}:{record[1]}")) for job in plan.jobs
        )
        plans.append(replace(plan, jobs=jobs, spool_path=str(site.data_dir / f"{pc}-spool.sqlite")))
    return plans


async def _faults(hospital: Hospital, api: Api, options: DemoOptions, *, clock: Clock, say: Say) -> int:
    device = options.fault if options.fault != "random" else random.choice(DEVICES).id
    teller = Teller(api, clock, say)
    say(f"fault: the link of {device} is cut")
    hospital.links[device].sever()
    raised = await teller.incident(known=set())
    hospital.links[device].mend()
    if raised is None:
        say(f"no incident within {FIRST_INCIDENT_S:.0f} s")
        return 1
    say(f"repair: the link of {device} is back")
    recovered = await teller.recovery(raised)
    say("fault: the patient record answers slowly (3 s)")
    hospital.ehr.mood.delay_s = 3.0
    slow = await teller.incident(known={raised})
    hospital.ehr.mood.delay_s = 0.02
    say("repair: the patient record is quick again")
    return 0 if recovered and slow is not None and await teller.recovery(slow) else 1


@dataclass(frozen=True, slots=True)
class Teller:
    """Waits for what the API says and tells it."""

    api: Api
    clock: Clock
    say: Say

    async def incident(self, *, known: set[str]) -> str | None:
        """The id of the next incident, told when it is raised and again when its symptoms are in."""
        began = self.clock.mono()
        while self.clock.mono() - began < FIRST_INCIDENT_S:
            for incident in await self.api.incidents():
                if incident["id"] not in known and incident["state"] in ("open", "acknowledged"):
                    self.say(f"incident after {self.clock.mono() - began:.1f} s: {incident['title']}")
                    await self.clock.sleep(GATHER_S)
                    self.say(describe(await self.api.get(f"incidents/{incident['id']}")))
                    return str(incident["id"])
            await self.clock.sleep(0.25)
        return None

    async def recovery(self, incident_id: str) -> bool:
        """Whether it was mitigated within a minute."""
        began = self.clock.mono()
        while self.clock.mono() - began < FIRST_INCIDENT_S:
            incident = await self.api.get(f"incidents/{incident_id}")
            if incident["state"] in ("mitigated", "resolved"):
                words = [entry["text"] for entry in incident["timeline"] if entry["what"] == "mitigated"]
                self.say(f"recovered after {self.clock.mono() - began:.1f} s: {' '.join(words[-1:])}")
                return True
            await self.clock.sleep(0.25)
        self.say(f"not recovered within {FIRST_INCIDENT_S:.0f} s: {incident['plain_text']}")
        return False


def describe(incident: dict[str, Any]) -> str:
    """An incident in some lines of terminal text."""
    root = incident["root"]
    lines = [f"    severity {incident['severity']}: {incident['plain_text']}"]
    if root:
        lines.append(f"    root: {root['target']} ({root['reason']})")
    for line in incident["impact"][:12]:
        lines.append(f"      {line['area']:12} {line['service']:10} {line['state']}")
    behind = len(incident["suppressed"])
    lines.append(
        f"    {len(incident['members'])} symptoms, {behind} of them behind the root and not paged by themselves"
    )
    for notice in incident["notices"]:
        lines.append(f"    page to {notice['channel']}: {notice['result']}")
    return "\n".join(lines)
