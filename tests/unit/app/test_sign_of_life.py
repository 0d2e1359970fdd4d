"""A poller that has nothing to look at is still heard, so that nobody misses it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from healthmon.app.agent import SELF_EVERY_S, AgentRuntime
from healthmon.model.plan import Broker, Job, Plan
from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock


def runtime(folder: Path, clock: ManualClock, *jobs: Job) -> AgentRuntime:
    plan = Plan("org", "poller", Broker("mqtt://127.0.0.1:1"), jobs, spool_path=str(folder / "spool.sqlite"))
    return AgentRuntime(plan, clock=clock)


async def settled(agent: AgentRuntime, batches: int) -> None:
    async with asyncio.timeout(20):
        while agent.spool.batches < batches:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_empty_batch_says_that_it_is_there(tmp_path: Path) -> None:
    clock = ManualClock()
    agent = runtime(tmp_path, clock)
    talking = asyncio.ensure_future(agent._report_self())
    await settled(agent, 1)
    await clock.advance(SELF_EVERY_S + 0.1)
    await settled(agent, 2)
    assert agent.spool.stats().readings == 0
    talking.cancel()
    await agent.spool.close()


async def test_whoever_sends_readings_needs_no_sign(tmp_path: Path) -> None:
    clock = ManualClock()
    agent = runtime(tmp_path, clock)
    agent.take(Reading("sw", "icmp", "poller", clock.now(), 0.0, Outcome.OK))
    talking = asyncio.ensure_future(agent._report_self())
    await asyncio.sleep(0.05)
    assert agent.spool.batches == 0
    talking.cancel()
    await agent.spool.close()
