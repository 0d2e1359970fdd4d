"""Points a second through the ingest pipeline into the embedded store, and our line-protocol encoder beside Point.

A batch is 20 readings of 5 samples. `durable` counts points whose write has returned. Medians of several rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healthmon.ingest.pipeline import Admitted, Pipeline
from healthmon.model.sample import Batch, Family, Outcome, Reading, Row, Sample
from healthmon.model.topology import Agent, Check, Estate, Organisation, Site, Target
from healthmon.store.embedded import EmbeddedStore
from healthmon.transport import codec

AGENTS = 100
BATCHES = 40
ROUNDS = 5
FIELDS = ("a_seconds", "b_seconds", "c_bytes", "d_ratio", "e_ratio")
START = 1_790_000_000.0


def estate() -> Estate:
    targets = {f"t{n}": Target(f"t{n}", f"t{n}", "server", "192.0.2.1", "main") for n in range(AGENTS)}
    agents = {f"a{n}": Agent(f"a{n}", f"t{n}") for n in range(AGENTS)}
    check = Check("c", "bench", 30.0, 5.0)
    targets = {key: Target(t.id, t.name, t.kind, t.address, t.site, checks=(check,)) for key, t in targets.items()}
    site = {"main": Site("main", "Main", "UTC")}
    return Estate(Organisation("o", "O", "UTC"), site, {}, {}, targets, {}, agents)


def payloads() -> list[tuple[str, float, bytes]]:
    """(agent, when it arrives, encoded batch), seq by seq over all agents."""
    made = []
    for seq in range(1, BATCHES + 1):
        for number in range(AGENTS):
            at = START + seq * 30.0
            readings = tuple(
                Reading(f"t{number}", "c", f"a{number}", at + r, 0.01, Outcome.OK,
                        samples=tuple(Sample("bench", name, float(seq + r)) for name in FIELDS))
                for r in range(20)
            )  # fmt: skip
            batch = Batch(f"a{number}", f"{number:016x}", seq, at + 20.0, at, True, readings)
            made.append((f"a{number}", at + 20.0, codec.encode(batch)))
    return made


async def measure(batches: list[tuple[str, float, bytes]], folder: Path) -> tuple[float, float, float]:
    """(points/s, CPU us a point, bytes a point) of one new store."""
    pipeline = Pipeline(estate=estate(), families={"bench": Family("bench", frozenset(FIELDS))}, epochs={})
    store = EmbeddedStore(folder / "store.sqlite")
    points = 0
    cpu, began = time.process_time(), time.perf_counter()
    rows: list[Row] = []
    for agent, at, payload in batches:
        admitted = pipeline.admit(codec.decode(payload), topic_agent=agent, received_at=at)
        assert isinstance(admitted, Admitted), admitted
        rows += admitted.rows
        if len(rows) >= 5000:
            points += await durable(store, rows)
            rows = []
    points += await durable(store, rows)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    assert pipeline.counts() == {"batches_admitted": len(batches), "readings_admitted": 20 * len(batches)}
    await store.close()
    size = sum(path.stat().st_size for path in folder.glob("store.sqlite*"))
    return points / wall_s, cpu_s / points * 1e6, size / points


def pipeline_and_store() -> None:
    batches, rounds = payloads(), []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(asyncio.run(measure(batches, Path(folder))))
    rate, cost_us, size = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"pipeline + embedded store: {rate:,.0f} points/s durable, {cost_us:.1f} CPU-us/point, {size:.1f} B/point")


async def durable(store: EmbeddedStore, rows: list[Row]) -> int:
    written = await store.write(rows)
    assert not written.rejected
    return sum(len(row.fields) for row in rows)


def encoders() -> None:
    from influxdb_client import Point

    from healthmon.store import lineproto

    tags = (("area", "ward-7"), ("check", "up"), ("kind", "switch"), ("target", "sw-1"), ("vantage", "poller"))
    rows = [Row("icmp", tags, (("rtt_seconds", 0.01 * n), ("loss_ratio", 0.0)), START + n) for n in range(50_000)]
    ours = statistics.median(_rate(lambda: lineproto.encode(rows), len(rows)) for _ in range(ROUNDS))
    theirs = statistics.median(_rate(lambda: _points(Point, rows[:5000]), 5000) for _ in range(ROUNDS))
    print(f"line protocol: {ours:,.0f} lines/s, influxdb-client Point {theirs:,.0f} lines/s, ratio {ours / theirs:.1f}")


def _rate(work: Callable[[], object], lines: int) -> float:
    began = time.perf_counter()
    work()
    return lines / (time.perf_counter() - began)


def _points(kind: Any, rows: list[Row]) -> None:
    for row in rows:
        point = kind(row.family).time(int(row.at * 1e9))
        for key, value in row.tags:
            point.tag(key, value)
        for key, number in row.fields:
            point.field(key, number)
        point.to_line_protocol()


def main() -> None:
    pipeline_and_store()
    encoders()
