"""Take docs/board.png from a real run of the simulated hospital with one ward switch cut (needs Chromium)."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from healthmon.app.agent import AgentRuntime
from healthmon.app.demo import Api, DemoOptions, child_up, ward_plans, write_site
from healthmon.config import load
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import open_hospital

PICTURE = Path(__file__).parents[1] / "docs" / "board.png"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=3000 --window-size=1280,860"
).split()


async def main() -> None:
    import aiohttp

    chromium = shutil.which("chromium") or sys.exit("chromium is not installed")
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as temporary:
        hospital = await open_hospital()
        config = write_site(hospital, Path(temporary), DemoOptions(listen="127.0.0.1:8478"))
        async with child_up(config) as url, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            plans = await ward_plans(hospital, load(config))
            agents = [spawn(group, plan.agent, AgentRuntime(plan, clock=clock).run()) for plan in plans]
            api = Api(url, session)
            await api.settled(clock)
            hospital.links["sw-ward7"].sever()
            while not await api.incidents():
                await clock.sleep(0.2)
            await clock.sleep(40.0)
            argv = [chromium, *FLAGS, f"--user-data-dir={temporary}/chromium", f"--screenshot={PICTURE}", f"{url}/"]
            process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
            await asyncio.wait_for(process.wait(), 60)
            for agent in agents:
                agent.cancel()
        await hospital.stop()


asyncio.run(main())
