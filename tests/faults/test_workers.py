"""Workers on a cluster, real processes: one is killed under load; nothing is lost, doubled, forgotten or told twice.

The first story has three workers, and every connection to the cluster is TLS under an authority of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.fleet import ended, make_agent
from daemons.healthmon import role, until
from daemons.influx import Influx
from daemons.natscluster import NODES, Cluster, cluster
from daemons.onesite import CLOCK, ORGANISATION, OneSite, reading
from daemons.process import Daemon
from healthmon.model.sample import Outcome, Reason

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]

AGENTS = tuple(f"pc-{number}" for number in range(1, 9))
WORKERS = ("worker-1", "worker-2", "worker-3")
#: 8 agents x 5 batches a second x 5 readings: 200 readings a second.
EVERY_S, READINGS = 0.2, 5
#: Of every PC 40 failed logins, some 15 of them before the worker is killed: only who remembers those counts 30 of 60.
FAILS_FROM, FAILS_UNTIL, LOGINS_LEAST = 5, 45, 60
LOGINS = {
    "id": "logins-fail", "on": {"checks": ["login"]}, "mode": "shadow", "effect": "warning", "no_data": "hold",
    "condition": {"of_last": {"n": 30, "of": 60, "condition": {"outcome": "failed"}}}, "keep": "10m",
    "summary": "{target}: logins fail",
}  # fmt: skip


class Loaded:
    """A real spool and publisher; `made` is what the spool has confirmed."""

    def __init__(self, made: Cluster, folder: Path, name: str) -> None:
        self.name = name
        agent = make_agent(made.broker, folder / f"{name}.sqlite", name, site=ORGANISATION, resend_s=2.0)
        self.spool, self.publisher = agent.spool, agent.publisher
        self.made: list[float] = []
        self.logins = 0
        self.feeding = True

    async def feed(self) -> None:
        while self.feeding:
            at = CLOCK.now()
            moments = [round(at + number * 0.001, 6) for number in range(READINGS)]
            fails = FAILS_FROM <= self.logins < FAILS_UNTIL
            login = reading(self.name, check="login", started=at, samples=(),
                            outcome=Outcome.FAILED if fails else Outcome.OK,
                            reason=Reason.TIMEOUT if fails else None)  # fmt: skip
            await self.spool.append([*(reading(self.name, started=moment) for moment in moments), login])
            self.made += moments
            self.logins += 1
            self.publisher.wake()
            await asyncio.sleep(EVERY_S)


class Estate:
    """The server, its workers, and the agents of one small hospital on three nodes and an InfluxDB."""

    def __init__(
        self, folder: Path, made: Cluster, influx: Influx, *, workers: int, detection: bool, speaking: bool
    ) -> None:
        self.made = made
        self.influx = influx
        who = {"username": "tester", "password": "a-password"} | ({"ca_file": made.ca_file} if made.ca_file else {})
        self.site = OneSite(
            folder / "site", broker={"url": made.broker.url, **who},
            store={"influxdb": {"url": influx.url, "version": 1}},
            workers={"line": made.nats, "detection": detection, **who}, journal={"line": made.nats, **who},
        )  # fmt: skip
        rules = folder / "site" / "packs" / "alerting" / "rules" / "logins.yaml"
        rules.parent.mkdir(parents=True)
        rules.write_text(yaml.safe_dump({"rules": [LOGINS]}))
        hosts = [{"id": pc, "kind": "ward-workstation", "address": "127.0.0.1", "area": "ed"} for pc in AGENTS]
        servers = [target for target in self.site.site["targets"] if target["kind"] == "server"]
        agents = [{"id": pc, "target": pc, "roles": ["ward-workstation"]} for pc in AGENTS if speaking]
        self.site.site |= {"targets": servers + hosts, "agents": agents}
        self.site.write()
        self.workers = {name: self._worker(folder, name) for name in WORKERS[:workers]}
        self.agents = [Loaded(made, folder, name) for name in AGENTS if speaking]

    def _worker(self, folder: Path, name: str) -> Daemon:
        log = folder / f"{name}.log"
        return role("worker", "-c", str(self.site.config), "--name", name, "-v", log=log,
                    ready=lambda: "worker up" in log.read_text())  # fmt: skip

    def stored(self) -> Counter[tuple[str, float]]:
        """(agent, when) of every stored reading of ours."""
        found: Counter[tuple[str, float]] = Counter()
        series = self.influx.sql("SELECT duration_seconds FROM probe WHERE \"check\" = 'cpu' GROUP BY vantage")
        for one in series:
            found.update((one["tags"]["vantage"], round(at / 1e9, 6)) for at, _ in one["values"])
        return found

    def pages(self, why: str) -> list[dict[str, Any]]:
        return [page for page in self.site.pages() if page["why"] == why]

    def fired(self) -> set[str]:
        """PCs whose logins are known to fail."""
        alerts = self.site.get("alerts?limit=100")["items"]
        return {one["target"] for one in alerts if one["rule"] == "logins-fail" and one["fired_at"]}

    def incidents(self) -> list[str]:
        """Titles of what is not about logins."""
        return [one["title"] for one in self.site.incidents() if "login" not in one["title"]]


@contextlib.contextmanager
def estate(
    folder: Path, *, workers: int, detection: bool = False, speaking: bool = True, tls: bool = False
) -> Iterator[Estate]:
    """Everything up: both services were seen through the workers. speaking: agents are declared, and so missed."""
    with cluster(folder / "cluster", tls=tls) as made:
        influx = Influx(folder / "influx")
        influx.start()
        found = Estate(folder, made, influx, workers=workers, detection=detection, speaking=speaking)
        for service in found.site.services.values():
            service.up()
        found.site.daemon.ready = lambda: answers(found.site)
        try:
            found.site.daemon.start()
            for worker in found.workers.values():
                worker.start()
            until(lambda: found.site.metric("healthmon_workers") == workers, timeout_s=60, what="all workers are known")
            until(found.site.both_seen, timeout_s=60, what="both services are seen through the workers")
            yield found
        finally:
            for daemon in (found.site.daemon, *found.workers.values(), influx):
                daemon.stop()
            for service in found.site.services.values():
                service.down()


def answers(site: OneSite) -> bool:
    try:
        return bool(site.health())
    except OSError:
        return False


def test_a_killed_worker_and_node_lose_and_double_nothing_and_nobody_is_told_twice(tmp_path: Path) -> None:
    with estate(tmp_path, workers=3, detection=True, tls=True) as found:
        made = asyncio.run(story(found))
        until(lambda: found.incidents() and found.pages("opened"), timeout_s=30, what="a page")
        until(lambda: found.fired() == set(AGENTS), timeout_s=30, what="what the killed worker had counted goes on")
        judged = "healthmon_workers_readings_judged_total"
        until(lambda: found.site.metric(judged) > len(made), timeout_s=60, what="the server to have heard of all")
        unjudged = found.site.metric("healthmon_workers_readings_unjudged_total")
        health, stored = found.site.health(), found.stored()
        lost, left = found.site.metric("healthmon_workers_lost_total"), found.site.metric("healthmon_workers")
        log = found.site.log.read_text()
        incidents = found.incidents()
    print(f"{len(made)} readings, {len(made - set(stored))} lost, {sum(stored.values()) - len(stored)} doubled")
    assert len(made) > 2_000
    assert made == set(stored), "the store holds what the spools have confirmed, all of it acknowledged"
    assert max(stored.values()) == 1
    assert len(incidents) == 1, incidents
    assert len(found.pages("opened")) == 1
    assert unjudged == 0.0
    assert lost == 1.0
    assert left == 2.0
    assert "worker is lost" in log
    assert health["broker_ok"]


async def story(found: Estate) -> set[tuple[str, float]]:
    """Load; a service fails; a worker is killed, then a node of the cluster; everything is acknowledged."""
    running = [asyncio.ensure_future(agent.publisher.run()) for agent in found.agents]
    feeds = [asyncio.ensure_future(agent.feed()) for agent in found.agents]
    await asyncio.sleep(3.0)
    found.site.services["ed"].down()
    await asyncio.sleep(1.0)
    found.workers["worker-1"].kill9()
    await asyncio.sleep(6.0)
    await asyncio.to_thread(found.made.kill, 0)
    await asyncio.sleep(3.0)
    await asyncio.to_thread(found.made.nodes[0].start)
    await asyncio.to_thread(found.made.settle, 0)
    while min(agent.logins for agent in found.agents) < LOGINS_LEAST:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    for agent in found.agents:
        agent.feeding = False  # not cancelled: what the spool took in the last moment is made as well
    await asyncio.gather(*feeds)
    async with asyncio.timeout(90):
        while any(agent.spool.batches for agent in found.agents):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    for task in running:
        await ended(task)
    for agent in found.agents:
        await agent.spool.close()
    return {(agent.name, at) for agent in found.agents for at in agent.made}


def test_the_server_reads_on_where_it_was_killed(tmp_path: Path) -> None:
    with estate(tmp_path, workers=2, speaking=False) as found:
        found.site.services["icu"].down()
        until(lambda: found.pages("opened"), timeout_s=60, what="a page")
        found.site.daemon.kill9()
        found.site.services["icu"].up()
        found.site.daemon.start()
        until(lambda: found.pages("mitigated"), timeout_s=90, what="the server says that it is back")
        found.site.daemon.kill9()
        for file in found.site.data.glob("journal.sqlite*"):
            file.unlink()
        found.site.daemon.start()
        until(found.site.both_seen, timeout_s=60, what="a server without its file goes on from the stream")
        incidents = found.site.incidents()
        missed = found.site.metric("healthmon_workers_hands_missed_total")
        for worker in found.workers.values():
            assert worker.told_to_stop() == 0
        until(lambda: not found.site.health()["broker_ok"], timeout_s=60, what="a server without workers is not well")
        lost = found.site.metric("healthmon_workers_lost_total")
        orphan = found.workers["worker-1"]
        orphan.log.unlink()
        orphan.start()
        for number in range(NODES):
            found.made.kill(number)
        ended = (orphan.told_to_stop(), found.site.daemon.told_to_stop())
    assert ended == (0, 0), "without a single node worker and server end by themselves"
    assert len(incidents) == 1
    assert len(found.pages("opened")) == 1
    assert len(found.pages("mitigated")) == 1
    assert missed == 0.0
    assert lost == 0.0, "who says goodbye is not lost"
