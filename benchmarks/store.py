"""The embedded store beside InfluxDB 1.x and VictoriaMetrics: the same points, one day of 2,000 series at 30 s.

500 targets with four fields each: a ratio of four decimals, a duration in microseconds, a counter in bytes and a state
that is nearly always 1.0; looks are jittered by about a millisecond. Ours are written through the store's port and are
durable when a write returns. Ready-made lines are posted to the peers; making the lines is not counted. VictoriaMetrics
answers before its disk has the points, and keeps milliseconds and about twelve digits.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import child, free_port, need
from healthmon.model.sample import Query, Row
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.lineproto import encode
from healthmon.store.rescue import check

TARGETS = 500
FIELDS = ("busy_ratio", "in_bytes", "rtt_seconds", "up")
STEPS = 2_880
EVERY_S = 30.0
START = float(1_790_000_000 // 86_400 * 86_400)
DAY_S = 86_400.0
ROUNDS = 5
BATCH = 5_000
POINTS = TARGETS * len(FIELDS) * STEPS


class Device:
    """One target's walk through the day."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.tags = (("area", f"ward-{number % 5}"), ("check", "up"), ("kind", "server"), ("site", "main"),
                     ("target", f"t{number}"), ("vantage", "poller"))  # fmt: skip
        self.rng, self.offset, self.busy, self.octets = rng, rng.uniform(0, EVERY_S - 1), rng.random(), 0.0

    def row(self, step: int) -> Row:
        rng = self.rng
        self.busy = min(1.0, max(0.0, self.busy + rng.gauss(0.0, 0.02)))
        self.octets += float(int(rng.expovariate(1 / 40_000)))
        rtt = 0.0008 + rng.expovariate(1 / 0.0004)
        fields = ((FIELDS[0], round(self.busy, 4)), (FIELDS[1], self.octets), (FIELDS[2], round(rtt, 6)),
                  (FIELDS[3], 0.0 if rng.random() < 0.001 else 1.0))  # fmt: skip
        return Row("server", self.tags, fields, START + self.offset + step * EVERY_S + rng.gauss(0.0, 0.001))


def batches() -> Iterator[list[Row]]:
    """Batches in time order; the same at every call."""
    rng = random.Random(7)
    devices, batch = [Device(number, rng) for number in range(TARGETS)], []
    for step in range(STEPS):
        batch += [device.row(step) for device in devices]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


async def ours(folder: Path) -> None:
    store = EmbeddedStore(folder / "store.sqlite")
    wall_s, cpu_s = 0.0, time.process_time()
    made_s = 0.0
    source = batches()
    while True:
        began, cpu = time.perf_counter(), time.process_time()
        batch = next(source, None)
        made_s += time.process_time() - cpu
        if not batch:
            break
        began = time.perf_counter()
        written = await store.write(batch)
        wall_s += time.perf_counter() - began
        assert not written.rejected
    began = time.perf_counter()
    await asyncio.to_thread(store._seal)
    sealed_s = time.perf_counter() - began
    cpu_s = time.process_time() - cpu_s - made_s
    print(f"healthmon: {POINTS:,} points, {POINTS / (wall_s + sealed_s):,.0f} points/s durable and sealed "
          f"({POINTS / wall_s:,.0f} until the last acknowledgement), {cpu_s / POINTS * 1e6:.2f} CPU-us/point, "
          f"{size(folder) / POINTS:.2f} B/point")  # fmt: skip
    await store.write([Row("server", (("target", "later"),), (("up", 1.0),), START + 2 * DAY_S)])
    began = time.perf_counter()
    await store.expire(START + 2 * DAY_S)
    print(f"healthmon: the day rolled up in {time.perf_counter() - began:.1f} s, "
          f"{size(folder) / POINTS:.2f} B/point with its hours")  # fmt: skip
    await questions(store)
    await store.close()
    began = time.perf_counter()
    store = EmbeddedStore(folder / "store.sqlite")
    opened_s = time.perf_counter() - began
    await timed("the same, first after a restart", store, newest(), rounds=1)
    print(f"healthmon: opened in {opened_s * 1e3:.0f} ms")
    await store.close()
    began = time.perf_counter()
    checked = check(folder / "store.sqlite")
    print(f"healthmon: every value checked in {time.perf_counter() - began:.1f} s: {checked.ok}, {checked.points:,}")


def newest() -> list[Query]:
    return [Query("server", field, newest=True) for field in FIELDS]


def day(step_s: float) -> list[Query]:
    """One field of the hundred targets of an area."""
    return [Query("server", "rtt_seconds", {"area": "ward-3"}, START, START + DAY_S, step_s)]


async def questions(store: EmbeddedStore) -> None:
    await timed("last values of 2,000 series", store, newest())
    await timed("24 h by 5 min of 100 series", store, day(300.0))
    await timed("24 h by 1 h of 100 series", store, day(3600.0))
    await timed("24 h raw of one series", store, [Query("server", "up", {"target": "t3"}, START, START + DAY_S)])


async def timed(what: str, store: EmbeddedStore, queries: list[Query], *, rounds: int = ROUNDS) -> None:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        found = [series for query in queries for series in await store.query(query)]
        took.append(time.perf_counter() - began)
    points = sum(len(series.points) for series in found)
    print(f"healthmon: {what}: {statistics.median(took) * 1e3:.1f} ms ({len(found)} series, {points:,} points)")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def lines(folder: Path) -> Path:
    """All batches as line protocol, one file."""
    path = folder / "lines"
    with path.open("wb") as out:
        for batch in batches():
            out.write(encode(batch) + b"\n\n")
    return path


def post(url: str, path: Path) -> float:
    """Points a second until the last answer, over one connection at a time."""
    took = 0.0
    for body in path.read_bytes().split(b"\n\n")[:-1]:
        began = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=60) as answer:
            answer.read()
        took += time.perf_counter() - began
    return POINTS / took


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def ask(what: str, name: str, question: Callable[[], object]) -> None:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        question()
        took.append(time.perf_counter() - began)
    print(f"{name}: {what}: {statistics.median(took) * 1e3:.1f} ms")


def influxdb(source: Path, folder: Path) -> None:
    binary = need("influxd")
    if not binary:
        return
    http, rpc = free_port(), free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{folder}/meta"\n[data]\n'
        f'dir = "{folder}/data"\nwal-dir = "{folder}/wal"\nquery-log-enabled = false\n[http]\n'
        f'bind-address = "127.0.0.1:{http}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
    )
    url = f"http://127.0.0.1:{http}"
    with child([binary, "-config", str(config)], log=folder / "log", url=f"{url}/ping") as process:
        made = urllib.parse.urlencode({"q": "CREATE DATABASE b"}).encode()
        urllib.request.urlopen(f"{url}/query", data=made).close()
        rate = post(f"{url}/write?db=b&precision=n", source)
        cpu_s = sum(process.cpu_times()[:2])

        def sql(text: str) -> Any:
            return get(f"{url}/query?" + urllib.parse.urlencode({"db": "b", "q": text, "epoch": "u"}))

        ask("last values of 2,000 series", "InfluxDB", lambda: sql("SELECT last(*) FROM server GROUP BY *"))
        ask("24 h by 5 min of 100 series", "InfluxDB", lambda: sql(
            f"SELECT mean(rtt_seconds) FROM server WHERE area = 'ward-3' AND time >= {int(START)}s "
            f"AND time < {int(START + DAY_S)}s GROUP BY time(5m), target"))  # fmt: skip
    with child([binary, "-config", str(config)], log=folder / "log", url=f"{url}/ping"):
        time.sleep(20)  # its cache goes to compacted files when nothing is written for a while or it starts anew
    print(f"InfluxDB: {rate:,.0f} points/s, {cpu_s / POINTS * 1e6:.2f} CPU-us/point, "
          f"{size(folder) / POINTS:.2f} B/point, {size(folder / 'data') / POINTS:.2f} without its log")  # fmt: skip


def victoria(source: Path, folder: Path) -> None:
    binary = need("victoria-metrics")
    if not binary:
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [binary, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/vm", "-retentionPeriod=100y"]
    with child(argv, log=folder / "log", url=f"{url}/health") as process:
        rate = post(f"{url}/write?db=b&precision=n", source)
        cpu_s = sum(process.cpu_times()[:2])
        urllib.request.urlopen(f"{url}/internal/force_flush").close()
        prom = urllib.parse.urlencode({
            "query": 'avg_over_time(server_rtt_seconds{area="ward-3"}[5m])', "start": START + 300,
            "end": START + DAY_S, "step": "300", "nocache": "1"})  # fmt: skip
        ask("24 h by 5 min of 100 series", "VictoriaMetrics", lambda: get(f"{url}/api/v1/query_range?{prom}"))
    print(f"VictoriaMetrics: {rate:,.0f} points/s, {cpu_s / POINTS * 1e6:.2f} CPU-us/point, "
          f"{size(folder / 'vm') / POINTS:.2f} B/point")  # fmt: skip


def main() -> None:
    for measure in (influxdb, victoria):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            measure(lines(Path(other)), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ours(Path(folder)))
