"""Three nodes of one broker cluster: any of them is killed under load, and nothing is lost or raised."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from daemons.fleet import ended, make_agent
from daemons.natscluster import NODES, Cluster, cluster
from daemons.onesite import AGENTS, CLOCK, ORGANISATION, OneSite, one_site, reading
from healthmon.model.sample import Query
from healthmon.store.looking import StoreFile

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(240)]

EVERY_S = 0.1


class LoadedAgent:
    """A real spool and publisher under one name, fed with numbered readings; `sent` is what the spool confirmed."""

    def __init__(self, made: Cluster, folder: Path, name: str) -> None:
        self.name = name
        agent = make_agent(made.broker, folder / f"{name}.sqlite", name, site=ORGANISATION, resend_s=2.0)
        self.spool, self.publisher = agent.spool, agent.publisher
        self.sent: list[float] = []
        self.longest_s = 0.0  # that anything waited for its acknowledgement
        self.full = False

    async def feed(self) -> None:
        while not self.full:
            at = round(CLOCK.now(), 6)
            await self.spool.append([reading(self.name, started=at)])
            self.sent.append(at)
            self.publisher.wake()
            await asyncio.sleep(EVERY_S)

    async def watch(self) -> None:
        since: float | None = None
        while True:
            since = None if not self.spool.batches else since or CLOCK.mono()
            acked = self.publisher.stats().acked
            await asyncio.sleep(0.2)
            if self.publisher.stats().acked != acked:
                since = None
            self.longest_s = max(self.longest_s, CLOCK.mono() - since if since else 0.0)


Waits = tuple[float, float]


async def drained(agents: list[LoadedAgent], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while any(agent.spool.batches for agent in agents):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def test_any_node_killed_under_load_loses_nothing_and_raises_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as made:
        broker = {"url": made.broker.url, "username": "tester", "password": "a-password"}
        with one_site(tmp_path / "site", role_name="server", broker=broker) as site:
            sent, stalls = asyncio.run(loaded(made, tmp_path))
            incidents = site.incidents()
            told = site.metric("healthmon_broker_stalls_total")
            said = site.log.read_text().count("nothing came from the broker for a while")
        stored = in_store(site)
    print(f"{len(sent)} readings, {len(sent - set(stored))} lost, "
          f"{sum(n - 1 for n in stored.values())} doubled; longest wait for an acknowledgement after each kill: "
          f"{', '.join(f'{most:.1f} s' for most, _ in stalls)}")  # fmt: skip
    assert len(sent) > 300
    assert sent == set(stored)
    assert max(stored.values()) == 1
    assert [one["title"] for one in incidents] == []
    assert told == said, "each stall stands in the log and in the metrics"
    assert said >= sum(least > 8.0 for _, least in stalls), "whenever all waited long the server noticed"


async def loaded(made: Cluster, folder: Path) -> tuple[set[tuple[str, float]], list[Waits]]:
    """What three agents spooled while each node was killed in turn, all of it acknowledged; the waits."""
    agents = [LoadedAgent(made, folder, name) for name in AGENTS]
    tasks = [asyncio.ensure_future(agent.publisher.run()) for agent in agents]
    tasks += [asyncio.ensure_future(agent.watch()) for agent in agents]
    feeds = [asyncio.ensure_future(agent.feed()) for agent in agents]
    stalls = await kill_each(made, agents)
    for agent in agents:
        agent.full = True  # cut off in the middle of an append nobody would know whether it was made
    await asyncio.gather(*feeds)
    await drained(agents, 90.0)
    for task in tasks:
        await ended(task)
    for agent in agents:
        await agent.spool.close()
    return {(agent.name, at) for agent in agents for at in agent.sent}, stalls


async def kill_each(made: Cluster, agents: list[LoadedAgent]) -> list[Waits]:
    """Each node in turn: killed, away for a while, back; the longest wait of the worst and of the best agent each time.

    One whose node died sends again what was under way, while the server hears the others.
    """
    stalls = list[Waits]()
    for number in range(NODES):
        await asyncio.sleep(1.0)
        for agent in agents:
            agent.longest_s = 0.0
        await asyncio.to_thread(made.kill, number)
        await asyncio.sleep(2.0)
        await asyncio.to_thread(made.nodes[number].start)
        await asyncio.to_thread(made.settle, number)
        await drained_once(agents)
        waits = [agent.longest_s for agent in agents]
        stalls.append((max(waits), min(waits)))
    return stalls


async def drained_once(agents: list[LoadedAgent]) -> None:
    """Everything that was there a moment ago is acknowledged."""
    before = {agent.name: agent.publisher.stats().acked + agent.spool.batches for agent in agents}
    async with asyncio.timeout(60):
        while any(agent.publisher.stats().acked < before[agent.name] for agent in agents):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def in_store(site: OneSite) -> Counter[tuple[str, float]]:
    """(agent, when) of every stored reading of ours."""
    found: Counter[tuple[str, float]] = Counter()
    with StoreFile(site.data / "store.sqlite") as file:
        for series in file.query(Query("probe", "duration_seconds", {"check": "cpu"})):
            found.update((series.tags["vantage"], round(at, 6)) for at, _ in series.points)
    return found
