"""What one unit of work costs in CPU: per probe, per batch, and per reading in the engine as the estate grows.

CPU is this process's own, the median of several rounds; nothing here waits for a database or a broker.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measuring import need, nginx
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.config import SiteConfig, load
from healthmon.impact.hours import Calendar
from healthmon.ingest.pipeline import Pipeline
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Batch, Family, Outcome, Reading, Reason, Sample
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
from healthmon.transport import codec
from healthmon.transport.spool import Spool

ROUNDS = 5
LANES = 50
SERIES = (1_000, 10_000)
START = 1_790_000_000.0
FIELDS = ("a_seconds", "b_seconds", "c_bytes", "d_ratio", "e_ratio")


def main() -> None:
    asyncio.run(probes())
    messages()
    asyncio.run(spool())
    for series in SERIES:
        engine(series)


# probes


async def probes() -> None:
    """Targets are nginx and this machine's own ICMP, so that their CPU is not counted."""
    if need("nginx"):
        with tempfile.TemporaryDirectory() as folder, nginx(Path(folder)) as port:
            await _probe("tcp", f"127.0.0.1:{port}")
            await _probe("http", f"http://127.0.0.1:{port}/")
    await _probe("icmp", "127.0.0.1", params={"count": 1})


async def _probe(kind: str, address: str, *, count: int = 1_000, params: dict[str, Any] | None = None) -> None:
    loaded = load_probe(kind)
    clock = SystemClock()
    guard = Guard(Safety(rates=Rates(1e6, 1e6, 1e6)), clock)
    runner = Runner(vantage="bench", guard=guard, clock=clock, probes=lambda _: loaded, on_reading=lambda _: None)
    jobs = [Job(f"t{n}", "c", kind, address, 30.0, 5.0, params or {}) for n in range(count)]
    outcomes: list[Outcome] = []

    async def one_round() -> None:
        waiting = iter(jobs)

        async def lane() -> None:
            for job in waiting:
                outcomes.append((await runner.run_once(job)).outcome)

        await asyncio.gather(*(lane() for _ in range(LANES)))

    cost, wall = await _measured(one_round, count)
    assert set(outcomes) == {Outcome.OK}, f"{kind}: not every probe was ok"
    print(f"{f'probe {kind}':30} {cost:7.0f} CPU-us a run, {1 / wall:,.0f} runs/s in {LANES} lanes")


async def _measured(work: Callable[[], Awaitable[None]], units: int) -> tuple[float, float]:
    """(CPU us, wall s) a unit, medians over the rounds."""
    costs, walls = [], []
    for _ in range(ROUNDS):
        cpu, began = time.process_time(), time.perf_counter()
        await work()
        costs.append((time.process_time() - cpu) / units * 1e6)
        walls.append((time.perf_counter() - began) / units)
    return statistics.median(costs), statistics.median(walls)


# messages


def _readings(agent: str = "a", count: int = 20) -> tuple[Reading, ...]:
    samples = tuple(Sample("bench", name, 1.5) for name in FIELDS)
    return tuple(Reading(agent, "c", agent, START + n, 0.01, Outcome.OK, samples=samples) for n in range(count))


def messages() -> None:
    """A batch of 20 readings with 5 samples each: 100 points, 180 with the probes' own."""
    batch = Batch("a", "0" * 16, 1, START, 0.0, True, _readings())
    payload = codec.encode(batch)
    _say("encode a batch", lambda: codec.encode(batch), extra=f"{len(payload):,} bytes")
    _say("decode a batch", lambda: codec.decode(payload))
    pipeline = _pipeline()
    numbers = iter(range(1, 1 << 30))

    def admit() -> None:
        pipeline.admit(replace(batch, seq=next(numbers)), topic_agent="a", received_at=START + 60)

    _say("admit a batch (guard, rows)", admit)


def _pipeline() -> Pipeline:
    from benchmarks.ingest import estate

    site = estate()
    agents = {"a": replace(site.agents["a0"], id="a", target="a")}
    targets = {"a": replace(site.targets["t0"], id="a")}
    families = {"bench": Family("bench", frozenset(FIELDS))}
    return Pipeline(estate=replace(site, agents=agents, targets=targets), families=families, epochs={})


def _say(what: str, work: Callable[[], object], *, extra: str = "") -> None:
    costs = []
    for _ in range(ROUNDS):
        cpu = time.process_time()
        for _ in range(500):
            work()
        costs.append((time.process_time() - cpu) / 500 * 1e6)
    print(f"{what:30} {statistics.median(costs):7.0f} CPU-us {extra}")


async def spool() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Spool(Path(folder) / "spool.sqlite", agent="a", max_bytes=1 << 30, clock=SystemClock())
        readings = _readings()

        async def append() -> None:
            for _ in range(200):
                await shelf.append(readings)

        cost, wall = await _measured(append, 200)
        await shelf.close()
    print(f"{'spool a batch, durable':30} {cost:7.0f} CPU-us, {1 / wall:,.0f} a second")


# the engine


def _site(folder: Path, series: int) -> SiteConfig:
    """A switch for each 50 targets and a ward for each 500, ten services over all of them."""
    wards, switches = max(1, series // 500), series // 50
    check = {"id": "up", "kind": "tcp", "every": "30s"}
    common = {"address": "192.0.2.1:80", "checks": [check]}
    targets: list[dict[str, Any]] = [{"id": f"sw{n}", "kind": "switch", **common} for n in range(switches)]
    for n in range(series - switches):
        place = {"area": f"w{n % wards}", "needs": [f"sw{n % switches}"]}
        targets.append({"id": f"t{n}", "kind": "server", **common, **place})
    services = [{"id": f"s{n}", "name": f"S{n}", "tier": 1, "used_in": "all", "needs": [f"t{n}"]} for n in range(10)]
    site = {
        "organisation": {"id": "bench", "name": "Bench", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [{"id": f"w{n}", "name": f"W{n}", "kind": "ward", "acuity": "inpatient"} for n in range(wards)],
        "services": services,
        "targets": targets,
    }
    path = folder / "healthmon.yaml"
    path.write_text(yaml.safe_dump(site))
    return load(path)


def _engine(site: SiteConfig) -> Engine:
    return Engine(
        estate=site.estate,
        rules=site.rules,
        policies=site.policies,
        severity=site.severity,
        settings=EngineSettings(),
        staffed=Calendar(site.estate, site.holidays).staffed,
    )


def _looks(site: SiteConfig, at: float, failing: int = 0) -> Iterator[Reading]:
    """One reading of every series, over 30 s; the first `failing` plain targets refuse."""
    refused = {f"t{n}" for n in range(failing)}
    ids = sorted(site.estate.targets)
    for number, id_ in enumerate(ids):
        started = at + 30.0 * number / len(ids)
        if id_ in refused:
            yield Reading(id_, "up", "poller", started, 0.01, Outcome.FAILED, Reason.REFUSED)
        else:
            yield Reading(id_, "up", "poller", started, 0.01, Outcome.OK)


def engine(series: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = _site(Path(folder), series)
    for failing in (0, 20, series // 10):
        costs, ticks = [], []
        core = _engine(site)
        for round_ in range(ROUNDS):
            cost, tick = _one_sweep(core, site, START + 30.0 * round_, failing)
            costs.append(cost)
            ticks.append(tick)
        cost, tick = statistics.median(costs), statistics.median(ticks)
        share = cost * series / 30.0 / 1e6
        print(
            f"engine, {series:6,} series, {len(site.rules):2} rules, {failing:5,} failing: "
            f"{cost:6.1f} CPU-us a reading, worst tick {tick * 1e3:6.1f} ms, {share * 100:5.2f} % of a core at 30 s"
        )


def _one_sweep(core: Engine, site: SiteConfig, at: float, failing: int) -> tuple[float, float]:
    """Feed 30 s of readings in batches of half a second with a tick each; (CPU us a reading, worst tick in s)."""
    looks = list(_looks(site, at, failing))
    size, worst = max(1, len(looks) // 60), 0.0
    cpu = time.process_time()
    for first in range(0, len(looks), size):
        part = looks[first : first + size]
        now = part[-1].started + 0.05
        core.observe(part, now=now)
        began = time.process_time()
        core.tick(now)
        worst = max(worst, time.process_time() - began)
    return (time.process_time() - cpu) / len(looks) * 1e6, worst
