"""A database that is killed while it is written to: what was called durable is there, and there once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemons.influx import Influx
from daemons.process import Daemon, running
from daemons.victoria import Victoria
from healthmon.model.sample import Query, Row
from healthmon.runtime.clock import SystemClock
from healthmon.store.influx import InfluxStore
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check
from healthmon.store.writer import StoreWriter

pytestmark = pytest.mark.wire

#: Writes batches for ever and says the number of each once `write` has returned.
_EMBEDDED_WRITER = """
import asyncio, sys
from healthmon.model.sample import Row
from healthmon.store.embedded import EmbeddedStore

async def main():
    store = EmbeddedStore(sys.argv[1])
    for number in range(1_000_000):
        rows = [Row("load", (("target", f"t{i}"),), (("v", float(number)),), 1.8e9 + number) for i in range(50)]
        await store.write(rows)
        print(number, flush=True)

asyncio.run(main())
"""
ROWS = 50


def batch(number: int, base: float) -> list[Row]:
    return [Row("load", (("target", f"t{i}"),), (("v", float(number)),), base + number) for i in range(ROWS)]


@asynccontextmanager
async def writing(writer: StoreWriter) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        yield
        task.cancel()


async def load(daemon: Daemon, store: InfluxStore, base: float, *, batches: int, every_s: float, kills: int) -> int:
    """Offer batches in a steady stream while the database is killed; returns retries once all are called durable."""
    rng, durable, complete = random.Random(1), set[int](), asyncio.Event()
    writer = StoreWriter(store, clock=SystemClock(), limit=batches, most_rows=ROWS * 3)

    def done(number: int) -> Callable[[], None]:
        return lambda: (durable.add(number), complete.set() if len(durable) == batches else None)  # type: ignore[func-returns-value,return-value]

    kill_at = set(rng.sample(range(5, batches - 5), kills))
    async with writing(writer), asyncio.timeout(100):
        for number in range(batches):
            assert writer.put(batch(number, base), done(number))
            await asyncio.sleep(every_s)
            if number in kill_at:
                daemon.kill9()
                daemon.start()
        await complete.wait()
    return writer.stats().retried


async def test_influxdb_killed_under_load_has_every_row_once(tmp_path: Path) -> None:
    base = float(int(time.time()) - 3600)
    with running(Influx(tmp_path / "db")) as daemon:
        assert isinstance(daemon, Influx)
        store = InfluxStore(daemon.url)
        await load(daemon, store, base, batches=200, every_s=0.005, kills=3)
        daemon.kill9()
        daemon.start()
        (count,) = daemon.sql("SELECT count(v) FROM load")
        found = await store.query(Query("load", "v", {"target": "t7"}))
        await store.close()
    assert count["values"][0][1] == 200 * ROWS
    assert [value for _, value in found[0].points] == [float(n) for n in range(200)]


@pytest.mark.slow
async def test_victoriametrics_killed_under_load_has_every_row_once(tmp_path: Path) -> None:
    """It answers before its disk has the rows, so all depends on the held acknowledgements."""
    base = float(int(time.time()) - 3600)
    with running(Victoria(tmp_path / "db")) as daemon:
        assert isinstance(daemon, Victoria)
        store = InfluxStore(daemon.url, version=2, org="o", bucket="b")
        await load(daemon, store, base, batches=100, every_s=0.06, kills=2)
        daemon.kill9()
        daemon.start()
        series = daemon.export("load_v")
        await store.close()
    assert len(series) == ROWS
    for one in series:
        points = set(zip(one["timestamps"], one["values"], strict=True))
        assert points == {(int(base + n) * 1000, n) for n in range(100)}


@pytest.mark.parametrize("lines", [1, 40, 150])
def test_the_embedded_store_killed_while_it_writes_keeps_whole_batches(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "store.sqlite"
    argv = [sys.executable, "-c", _EMBEDDED_WRITER, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    durable = {int(line) for line in said if line.endswith("\n")}
    with StoreFile(path) as file:
        found = Counter(round(row.at) - 1_800_000_000 for row in file.rows())
    assert check(path).ok
    assert durable <= found.keys()
    assert len(found) <= len(durable) + 1  # the one that was durable but not said yet
    assert set(found.values()) == {ROWS}
