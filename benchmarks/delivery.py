"""Agents at full speed -> broker -> a real `healthmon server` -> embedded store, until the server's acknowledgement.

Each of the publishers keeps a window of batches that are not acknowledged yet; an acknowledgement means durable in
store and journal. Age is from the making of a batch to its acknowledgement: first at full speed (a closed loop, so
that the age is mostly the queue the agents make), then at a hundred batches a second over all. Everything shares this
machine's cores.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from benchmarks.measuring import child, free_port, healthmon, listens, wait_for
from healthmon.model.plan import Broker
from healthmon.model.ports import Bus
from healthmon.model.sample import Batch, Outcome, Reading, Sample
from healthmon.runtime.ranges import contains, merge
from healthmon.store.looking import StoreFile
from healthmon.transport import codec, mqtt, topics

AGENTS = 20
WINDOW = 16
SECONDS = 10.0
CALM_S = 5.0
CALM_EVERY_S = 0.2
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
    bus: Bus
    began: float = field(default_factory=time.time)
    seq: int = 0
    made_at: dict[int, float] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish_until(self, deadline: float, *, every_s: float = 0.0) -> None:
        """Publish as fast as the acknowledgements allow, or every so often."""
        topic = topics.batch(SITE, self.name)
        while time.monotonic() < deadline:
            while len(self.made_at) >= WINDOW:
                self.room.clear()
                await self.room.wait()
            self.seq += 1
            self.made_at[self.seq] = time.monotonic()
            await self.bus.publish(topic, self._payload(), qos=1)
            if every_s:
                await asyncio.sleep(every_s * random.uniform(0.5, 1.5))

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
    agents, full = asyncio.run(publish(broker, processes))
    report(name, agents, full, folder)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True)
class Phase:
    """Some seconds of publishing: ages in seconds, cores by process, batches never acknowledged."""

    wall_s: float
    ages: list[float]
    cores: dict[str, float]
    lost: int


async def publish(broker: Broker, processes: dict[str, psutil.Process]) -> tuple[list[Agent], list[Phase]]:
    """All agents at once, at full speed and then calmly."""
    agents: list[Agent] = []
    async with asyncio.TaskGroup() as group:
        for number in range(AGENTS):
            group.create_task(one_agent(broker, number, agents))
        await until(lambda: len(agents) == AGENTS, 20.0)
        phases = [
            await phase(agents, processes, SECONDS),
            await phase(agents, processes, CALM_S, every_s=CALM_EVERY_S),
        ]
        for agent in agents:
            agent.done.set()
    return agents, phases


async def phase(
    agents: list[Agent], processes: dict[str, psutil.Process], seconds: float, *, every_s: float = 0.0
) -> Phase:
    before, began = {role: cpu_s(process) for role, process in processes.items()}, time.monotonic()
    for agent in agents:
        agent.ages = []
    sending = asyncio.gather(*(agent.publish_until(began + seconds, every_s=every_s) for agent in agents))
    await asyncio.wait([sending], timeout=seconds + 30.0)
    await until(lambda: not any(agent.made_at for agent in agents), 20.0)
    wall_s = time.monotonic() - began
    cores = {role: (cpu_s(process) - before[role]) / wall_s for role, process in processes.items()}
    ages = sorted(age for agent in agents for age in agent.ages)
    return Phase(wall_s, ages, cores, sum(len(agent.made_at) for agent in agents))


async def until(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait until true, or for so long."""
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


async def one_agent(broker: Broker, number: int, agents: list[Agent]) -> None:
    name = f"a{number}"
    async with mqtt.connector(broker, client_id=f"bench-{name}")() as bus, asyncio.TaskGroup() as group:
        agent = Agent(name, f"{number:016x}", bus)
        hearing = group.create_task(agent.hear())
        agents.append(agent)
        await agent.done.wait()
        hearing.cancel()


def report(name: str, agents: list[Agent], phases: list[Phase], folder: Path) -> None:
    acknowledged = sum(len(phase.ages) for phase in phases)
    missing = acknowledged * POINTS - stored(folder / "data" / "store.sqlite")
    for what, phase in zip(("full speed", "calm"), phases, strict=True):
        rate, ages = len(phase.ages) / phase.wall_s, phase.ages
        cores = ", ".join(f"{role} {share:.2f}" for role, share in sorted(phase.cores.items()))
        print(f"{name:21} {what:11} {rate:6,.0f} batches/s, {rate * POINTS:8,.0f} points/s durable; "
              f"age p50 {statistics.median(ages) * 1e3:.0f} ms, p99 {ages[int(len(ages) * 0.99)] * 1e3:.0f} ms; "
              f"cores: {cores}; not acknowledged {phase.lost}")  # fmt: skip
    print(f"{'':21} points acknowledged and not in the store: {missing}")


def stored(path: Path) -> int:
    """What the store holds of the agents' looks, read beside the server that still has it open."""
    with StoreFile(path) as file:
        return sum(len(row.fields) for row in file.rows() if ("check", "cpu") in row.tags)
