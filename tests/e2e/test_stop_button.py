"""The stop button reaches agents on other machines: retained at the broker, kept over a restart, released from afar."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daemons.onesite import CLOCK, OneSite
from healthmon.app.agent import AgentRuntime, read_plan
from healthmon.app.roles import broker_of
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.config import load, plan_for, plan_to_json
from healthmon.model.plan import Broker, Job
from healthmon.model.sample import Reason
from healthmon.runtime.supervise import spawn

pytestmark = [pytest.mark.wire, pytest.mark.slow]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def agent_elsewhere(site: OneSite, broker: Broker) -> AsyncIterator[AgentRuntime]:
    """An agent as another machine has it: its own folder, nothing shared with the server but the broker."""
    folder = site.folder / "elsewhere"
    folder.mkdir(exist_ok=True)
    (folder / "pc-1.json").write_text(plan_to_json(plan_for(load(site.config), "pc-1", broker=broker)))
    agent = AgentRuntime(read_plan(folder / "pc-1.json"), clock=CLOCK)
    async with asyncio.TaskGroup() as group:
        task = spawn(group, "agent", agent.run())
        await agent.publisher.connected.wait()
        yield agent
        task.cancel()


async def test_it_stops_agents_elsewhere_and_releases_only_what_it_stopped(tmp_path: Path) -> None:
    site = OneSite(tmp_path)
    site.data.mkdir()
    config = load(site.config)
    async with broker_of(config, clock=CLOCK) as broker, asyncio.TaskGroup() as group:
        server = Server(config, clock=CLOCK, broker=broker)
        task = spawn(group, "server", server.run())
        async with agent_elsewhere(site, broker) as agent:
            await Surface(server).probing(resume=False, by="Duty manager")
            await until(lambda: agent.guard.stopped)
            assert agent.guard.stopped_by == "server: stopped by Duty manager"
            job = Job("ed-app", "tcp", "tcp", f"127.0.0.1:{site.services['ed'].port}", every_s=5.0, timeout_s=2.0)
            assert (await agent.runner.run_once(job)).reason is Reason.PROBING_STOPPED
        assert not server.health().probing
        async with agent_elsewhere(site, broker) as agent:
            assert agent.guard.stopped, "from its first moment, before the broker has said a word"
            await Surface(server).probing(resume=True, by="Duty manager")
            await until(lambda: not agent.guard.stopped)
            agent.guard.stop("the ward's technician")
            await Surface(server).probing(resume=False, by="Duty manager")
            await until(lambda: not server.health().probing)
            await Surface(server).probing(resume=True, by="Duty manager")
            await asyncio.sleep(2.0)  # long enough for a release to have come, had there been one
            assert agent.guard.stopped_by == "the ward's technician"
        task.cancel()
