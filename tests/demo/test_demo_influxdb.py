"""The simulated hospital on InfluxDB: sockets, MQTT, database, and every query of the Grafana board on that run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from daemons.influx import Influx
from daemons.process import free_port, running
from healthmon.app.agent import AgentRuntime
from healthmon.app.demo import Api, DemoOptions, child_up, ward_plans, write_site
from healthmon.config import load
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import open_hospital

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]

BOARDS = sorted((Path(__file__).parents[2] / "grafana" / "dashboards").glob("*.json"))
#: Own conclusions are stored every 15 s.
OWN_ROWS_S = 17.0


async def test_a_real_run_fills_every_panel(tmp_path: Path) -> None:
    with running(Influx(tmp_path / "influx")) as influx:
        assert isinstance(influx, Influx)
        store = {"influxdb": {"url": influx.url, "version": 1, "database": "healthmon"}}
        hospital = await open_hospital()
        options = DemoOptions(listen=f"127.0.0.1:{free_port()}", store=store)
        config = write_site(hospital, tmp_path / "site", options)
        try:
            async with child_up(config) as url:
                answered = await run_with_a_fault(hospital, config, url)
        finally:
            await hospital.stop()
        assert answered, "the API reads its series from InfluxDB"
        for board in BOARDS:
            for panel in json.loads(board.read_text())["panels"]:
                for query in panel["targets"]:
                    assert answers(influx, query["query"]), f"{board.name}: {panel['title']}"


async def run_with_a_fault(hospital: Any, config: Path, url: str) -> list[Any]:
    """A ward switch is cut, then the stop button makes checks unknown; what the API's query answers."""
    import aiohttp

    clock = SystemClock()
    async with aiohttp.ClientSession() as session, _agents(hospital, config, clock):
        api = Api(url, session)
        await api.settled(clock)
        hospital.links["sw-ward7"].sever()
        await clock.sleep(OWN_ROWS_S)
        (config.parent / "data" / "stop-probing").write_text("stopped by the test\n")
        await clock.sleep(5.0)
        return list((await api.get("query?metric=probe.duration_seconds&target=ehr-web&range=5m"))["items"])


def _agents(hospital: Any, config: Path, clock: SystemClock) -> Any:
    """The ward agents while the block runs."""
    import asyncio
    import contextlib

    @contextlib.asynccontextmanager
    async def started() -> Any:
        async with asyncio.TaskGroup() as group:
            plans = await ward_plans(hospital, load(config))
            tasks = [spawn(group, plan.agent, AgentRuntime(plan, clock=clock).run()) for plan in plans]
            yield
            for task in tasks:
                task.cancel()

    return started()


def answers(influx: Influx, query: str) -> bool:
    """Whether the panel has a value; variables say All, the time is the last hour."""
    texts = {"site": ".*", "area": ".*", "ehr": "ehr-web", "__interval": "10s", "timeFilter": "time > now() - 1h"}
    text = re.sub(r"\$(\w+)", lambda match: texts[match.group(1)], query)
    return any(value is not None for series in influx.sql(text) for row in series["values"] for value in row[1:])
