"""The demo as a user runs it, and the simulated hospital with other links cut: the matching root comes out."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemons.process import free_port
from healthmon.app.agent import AgentRuntime
from healthmon.app.demo import Api, DemoOptions, child_up, run_demo, ward_plans, write_site
from healthmon.config import load
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import open_hospital

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_the_whole_story(tmp_path: Path) -> None:
    said: list[str] = []
    options = DemoOptions(keep_s=0.0, listen=f"127.0.0.1:{free_port()}", folder=tmp_path)
    assert await run_demo(options, clock=SystemClock(), say=said.append) == 0, "\n".join(said)
    story = "\n".join(said)
    assert "root: sw-ward7" in story
    assert "ward-7       ehr        lost" in story
    assert story.count("page to inbox: sent") >= 2
    assert "root: ehr-web" in story
    assert story.count("ehr        degraded") == 6, "slow answers are ok readings, and no proof of speed"
    pages = [json.loads(line) for line in (tmp_path / "inbox.jsonl").read_text().splitlines()]
    assert [page["why"] for page in pages][:2] == ["opened", "mitigated"]
    assert {page["incident"]["root"]["target"] for page in pages} == {"sw-ward7", "ehr-web"}


#: link cut -> (root, area x service that must be lost), the rest of the hospital must keep what it has
CUTS: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "sw-icu": ("sw-icu", {("icu", s) for s in ("ehr", "results", "imaging", "labels", "identity")}),
    "lims": ("lims", {(a, "results") for a in ("ward-7", "ward-8", "ed", "icu", "theatres", "pharmacy")}),
    "sw-ed-a": ("sw-ed-a", set()),
    "sw-core-b": ("sw-core-b", set()),
    "ad-1": ("ad-1", set()),
}


@pytest.mark.parametrize("link", CUTS)
async def test_a_cut_link_gives_the_matching_root(link: str, tmp_path: Path) -> None:
    root, lost = CUTS[link]
    hospital = await open_hospital()
    config = write_site(hospital, tmp_path, DemoOptions(listen=f"127.0.0.1:{free_port()}"))
    try:
        async with child_up(config) as url:
            incidents = await incidents_after_cut(hospital, config, url, link)
    finally:
        await hospital.stop()
    assert [incident["root"]["target"] for incident in incidents] == [root]
    impact = {(line["area"], line["service"]) for line in incidents[0]["impact"] if line["state"] == "lost"}
    assert impact == lost


async def incidents_after_cut(hospital: Any, config: Path, url: str, link: str) -> list[dict[str, Any]]:
    """Everything that is open some seconds after the first incident."""
    import aiohttp

    clock = SystemClock()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        agents = [
            spawn(group, plan.agent, AgentRuntime(plan, clock=clock).run())
            for plan in await ward_plans(hospital, load(config))
        ]
        api = Api(url, session)
        await api.settled(clock)
        hospital.links[link].sever()
        async with asyncio.timeout(60):
            while not await api.incidents():
                await clock.sleep(0.2)
        await clock.sleep(8.0)
        found = await api.incidents()
        for agent in agents:
            agent.cancel()
        return found


def test_the_demo_says_how_to_get_influxdb(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "healthmon", "demo", "--store", "influxdb", "--store-url", "http://127.0.0.1:9"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert result.returncode == 3
    assert "apt-get install influxdb" in result.stderr
    assert "Traceback" not in result.stderr
