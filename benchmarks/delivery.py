"""Agents at full speed -> broker -> a real `healthmon server` -> embedded store, until the server's acknowledgement.

Each of the publishers keeps a window of batches that are not acknowledged yet; an acknowledgement means durable in
store and journal. Age is from the making of a batch to its acknowledgement. Everything shares this machine's cores.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from benchmarks.measuring import child, free_port, healthmon, listens, wait_for
from healthmon.model.plan import Broker
from healthmon.model.sample import Batch, Outcome, Reading, Sample
from healthmon.runtime.ranges import contains, merge
from healthmon.transport import codec, mqtt, topics

AGENTS = 20
WINDOW = 16
SECONDS = 12.0
READINGS = 20
FIELDS = ("utilisation_ratio", "iowait_ratio", "load1", "load5", "load15")
#: What is stored of one batch: the samples, and duration, outcome and success of each look.
POINTS = READINGS * (len(FIELDS) + 3)
SITE = "bench"


@dataclass
class Agent:
    """One publisher with a window; `ages` in seconds."""

    name: str
    epoch: str
    bus: mqtt.Bus
    began: float = field(default_factory=time.time)
    seq: int = 0
    made_at: dict[int, float] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish_until(self, deadline: float) -> None:
        """Publish as fast as the acknowledgements allow."""
        topic = topics.batch(SITE, self.name)
        while time.monotonic() < deadline:
            while len(self.made_at) >= WINDOW:
                self.room.clear()
                await self.room.wait()
            self.seq += 1
            self.made_at[self.seq] = time.monotonic()
            await self.bus.publish(topic, self._payload(), qos=1)

    def _payload(self) -> bytes:
        now = time.time()
        first = self.began + 2e-4 * READINGS * self.seq  # no two looks at the same microsecond
        samples = tuple(Sample("host_cpu", name, 0.5) for name in FIELDS)
        readings = tuple(
            Reading(f"h-{self.name}", "cpu", self.name, first + 2e-4 * number, 1e-4, Outcome.OK, samples=samples)
            for number in range(READINGS)
        )
        return codec.encode(Batch(self.name, self.epoch, self.seq, now, time.monotonic(), True, readings))

    async def hear(self) -> None:
        """Take acknowledgements, for ever."""
        await self.bus.subscribe(topics.ack(SITE, self.name))
        async for message in self.bus.messages():
            ack = codec.decode_ack(message.payload)
            durable, now = merge(ack.ranges, ((1, ack.upto),)), time.monotonic()
            for seq in [seq for seq in self.made_at if contains(durable, seq)]:
                self.ages.append(now - self.made_at.pop(seq))
            self.room.set()


def site(folder: Path, board: int, broker: str | None) -> dict[str, object]:
    names = [f"a{number}" for number in range(AGENTS)]
    return {
        "organisation": {"id": SITE, "name": "Bench", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "targets": [{"id": f"h-{name}", "kind": "server", "address": "127.0.0.1"} for name in names],
        "agents": [{"id": name, "target": f"h-{name}", "roles": ["linux-server"]} for name in names],
        "data_dir": str(folder / "data"),
        "web": {"listen": f"127.0.0.1:{board}"},
        **({"broker": {"url": broker}} if broker else {}),
    }


def main() -> None:
    for name in ("embedded nats-server", "mosquitto"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            run(name, Path(folder), stack)


def run(name: str, folder: Path, stack: ExitStack) -> None:
    url, processes = None, {}
    if name == "mosquitto":
        binary = shutil.which("mosquitto")
        if not binary:
            print("NOT MEASURED: mosquitto is not installed")
            return
        port = free_port()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        processes["broker"] = stack.enter_context(child([binary, "-c", str(config)], log=folder / "broker.log"))
        wait_for(lambda: listens(port), what="mosquitto")
        url = f"mqtt://127.0.0.1:{port}"
    board = free_port()
    config = folder / "healthmon.yaml"
    config.write_text(yaml.safe_dump(site(folder, board, url)))
    ready = f"http://127.0.0.1:{board}/api/v1/health"
    server = child(healthmon("server", "-c", str(config)), log=folder / "server.log", url=ready)
    processes["server"] = stack.enter_context(server)
    if url is None:
        processes["broker"] = processes["server"].children(recursive=True)[0]
    broker = Broker(url) if url else Broker(**json.loads((folder / "data" / "broker.json").read_text()))
    before = {role: cpu_s(process) for role, process in processes.items()}
    agents, wall_s = asyncio.run(publish(broker))
    spent = {role: (cpu_s(process) - before[role]) / wall_s for role, process in processes.items()}
    report(name, agents, wall_s, spent, folder)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def publish(broker: Broker) -> tuple[list[Agent], float]:
    """All agents at once; (agents, seconds until the last acknowledgement)."""
    agents: list[Agent] = []
    async with asyncio.TaskGroup() as group:
        for number in range(AGENTS):
            group.create_task(one_agent(broker, number, agents))
        while len(agents) < AGENTS:
            await asyncio.sleep(0.05)
        began = time.monotonic()
        sending = [group.create_task(agent.publish_until(began + SECONDS)) for agent in agents]
        await asyncio.wait(sending, timeout=SECONDS + 30.0)
        while any(agent.made_at for agent in agents) and time.monotonic() < began + SECONDS + 40.0:
            await asyncio.sleep(0.01)
        wall_s = time.monotonic() - began
        for agent in agents:
            agent.done.set()
    return agents, wall_s


async def one_agent(broker: Broker, number: int, agents: list[Agent]) -> None:
    name = f"a{number}"
    async with mqtt.connector(broker, client_id=f"bench-{name}")() as bus, asyncio.TaskGroup() as group:
        agent = Agent(name, f"{number:016x}", bus)
        hearing = group.create_task(agent.hear())
        agents.append(agent)
        await agent.done.wait()
        hearing.cancel()


def report(name: str, agents: list[Agent], wall_s: float, spent: dict[str, float], folder: Path) -> None:
    ages = sorted(age for agent in agents for age in agent.ages)
    lost = sum(len(agent.made_at) for agent in agents)
    found = stored(folder / "data" / "store.sqlite")
    missing = len(ages) * POINTS - found
    print(f"{name:21} {len(ages) / wall_s:6,.0f} batches/s, {len(ages) * POINTS / wall_s:8,.0f} points/s durable; "
          f"age p50 {statistics.median(ages) * 1e3:.0f} ms, p99 {ages[int(len(ages) * 0.99)] * 1e3:.0f} ms; "
          f"cores: server {spent['server']:.2f}, broker {spent['broker']:.2f}; "
          f"not acknowledged {lost}, points missing in the store {missing}")  # fmt: skip


def stored(path: Path) -> int:
    """What the store holds of the agents' looks, read beside the server that still has it open."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        marked = "tags LIKE '%\"check\": \"cpu\"%'"
        query = f"SELECT count(*) FROM points WHERE series IN (SELECT id FROM series WHERE {marked})"
        return int(db.execute(query).fetchone()[0])
