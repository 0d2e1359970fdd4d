"""The simulated hospital on InfluxDB: sockets, MQTT, database, and every query of every Grafana board on that run.

With HEALTHMON_PICTURES=FOLDER the run is longer and what the boards were answered is drawn there (`make pictures`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from boards import drawing
from boards.pages import BOARDS

from daemons.browser import chromium
from daemons.influx import Influx
from daemons.process import free_port, running
from healthmon.app.agent import AgentRuntime
from healthmon.app.demo import Api, DemoOptions, child_up, ward_plans, write_site
from healthmon.config import load
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import Hospital, open_hospital

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(600)]

PICTURES = os.environ.get("HEALTHMON_PICTURES")
#: Own conclusions are stored every 15 s.
OWN_ROWS_S = 17.0
#: How many panels of a board the demo's hospital fills; what it has none of (generators, HL7 ...) says "no data".
FILLED = {
    "healthmon-hospital-overview": 10,
    "healthmon-ward": 9,
    "healthmon-clinical-service": 6,
    "healthmon-ehr-endpoint": 4,
    "healthmon-network": 3,
    "healthmon-ward-workstations": 3,
    "healthmon-minimum-standards": 3,
    "healthmon-fleet": 10,
    "healthmon-alert-quality": 5,
}


async def test_a_real_run_fills_the_boards(tmp_path: Path) -> None:
    clock = SystemClock()
    with running(Influx(tmp_path / "influx")) as influx:
        assert isinstance(influx, Influx)
        store = {"influxdb": {"url": influx.url, "version": 1, "database": "healthmon"}}
        hospital = await open_hospital()
        options = DemoOptions(listen=f"127.0.0.1:{free_port()}", store=store)
        config = write_site(hospital, tmp_path / "site", options)
        try:
            async with child_up(config) as url:
                began, answered = await run_with_a_fault(hospital, config, url)
        finally:
            await hospital.stop()
        assert answered, "the API reads its series from InfluxDB"
        span = drawing.Span(began, clock.now(), 15 if PICTURES else 5)
        pages = {board.uid: drawing.page(board, asking(influx, span), span) for board in BOARDS}
        filled = {uid: count for uid, (_, count) in pages.items()}
        assert {uid: filled[uid] for uid, least in FILLED.items() if filled[uid] < least} == {}, filled
        if PICTURES:
            print(filled)
            await photograph({uid: text for uid, (text, _) in pages.items()}, Path(PICTURES) / "boards", tmp_path)


async def run_with_a_fault(hospital: Hospital, config: Path, url: str) -> tuple[float, list[Any]]:
    """A ward switch is cut, then the stop button makes checks unknown: its start, and what the query answers."""
    clock = SystemClock()
    longer_s = 20.0 if PICTURES else 0.0
    async with aiohttp.ClientSession() as session, _agents(hospital, config, clock):
        api = Api(url, session)
        await api.settled(clock)
        began = clock.now()
        await clock.sleep(longer_s)
        hospital.links["sw-ward7"].sever()
        await clock.sleep(OWN_ROWS_S + longer_s)
        if PICTURES:
            await more_faults(hospital, clock)
        (config.parent / "data" / "stop-probing").write_text("stopped by the test\n")
        await clock.sleep(5.0)
        return began, list((await api.get("query?metric=probe.duration_seconds&target=ehr-web&range=5m"))["items"])


async def more_faults(hospital: Hospital, clock: SystemClock) -> None:
    """The ward comes back, the patient record gets slow, then the switch of Intensive Care goes."""
    hospital.links["sw-ward7"].mend()
    await clock.sleep(30.0)
    hospital.ehr.mood.delay_s = 3.0
    await clock.sleep(30.0)
    hospital.links["sw-icu"].sever()
    await clock.sleep(30.0)


@contextlib.asynccontextmanager
async def _agents(hospital: Hospital, config: Path, clock: SystemClock) -> AsyncIterator[None]:
    """The ward agents while the block runs."""
    async with asyncio.TaskGroup() as group:
        plans = await ward_plans(hospital, load(config))
        tasks = [spawn(group, plan.agent, AgentRuntime(plan, clock=clock).run()) for plan in plans]
        yield
        for task in tasks:
            task.cancel()


def asking(influx: Influx, span: drawing.Span) -> drawing.Ask:
    """As Grafana sends a query: choices say All, the record is the demo's, times are those of the run."""
    texts = {"__interval": f"{span.step_s}s", "ehr": "ehr-web", "service": "ehr", "timeFilter": ""}
    texts["timeFilter"] = f"time >= {int(span.start)}s AND time <= {int(span.end)}s"

    def ask(query: str) -> list[dict[str, Any]]:
        text = query.replace("${__to}", str(int(span.end * 1000)))
        return influx.sql(re.sub(r"\$(\w+)", lambda match: texts.get(match.group(1), ".*"), text))

    return ask


async def photograph(pages: dict[str, str], folder: Path, temporary: Path) -> None:
    """One picture for each board."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for uid, text in pages.items():
            name = uid.removeprefix("healthmon-")
            file = temporary / f"{name}.html"
            file.write_text(text, encoding="utf-8")
            await browser.size(1352, 600)
            await browser.open(file.as_uri())
            await browser.photograph(folder / f"{name}.png")
