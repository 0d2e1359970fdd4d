"""A real InfluxDB 1.x that takes some points of a write and refuses others: each is named, the rest is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from daemons.influx import Influx
from daemons.process import running
from healthmon.model.sample import Row
from healthmon.runtime.clock import SystemClock
from healthmon.store.influx import InfluxStore
from healthmon.store.tending import Keep
from healthmon.store.writer import StoreWriter

pytestmark = pytest.mark.wire

BASE = float(int(time.time()) - 3600)
MONTH_S = 30 * 86_400.0


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with running(Influx(tmp_path_factory.mktemp("influx"))) as daemon:
        yield daemon  # type: ignore[misc]


def rows(count: int) -> list[Row]:
    return [Row("icmp", (("target", f"t{n}"),), (("rtt", float(n)),), BASE + n) for n in range(count)]


def held(influx: Influx, database: str) -> set[str]:
    return {series["tags"]["target"] for series in influx.sql('SELECT rtt FROM "icmp" GROUP BY *', database)}


async def test_points_of_another_type_are_named_and_all_others_kept(influx: Influx) -> None:
    store = InfluxStore(influx.url, database="conflict")
    await store.write(rows(1))
    batch = rows(200)
    for n in (3, 77, 199):
        batch[n] = Row("icmp", batch[n].tags, (("rtt", "slow"),), batch[n].at)
    written = await store.write(batch)
    await store.close()
    assert {dict(row.tags)["target"] for row, _ in written.rejected} == {"t3", "t77", "t199"}
    assert all("field type conflict" in why for _, why in written.rejected)
    assert written.accepted == 197
    assert held(influx, "conflict") == {f"t{n}" for n in range(200)} - {"t3", "t77", "t199"}


async def test_points_older_than_its_retention_are_named_and_all_others_kept(influx: Influx) -> None:
    store = InfluxStore(influx.url, database="short", keep=Keep(7, 30, 400))
    batch = rows(40)
    for n in (0, 39):
        batch[n] = Row("icmp", batch[n].tags, batch[n].fields, BASE - MONTH_S)
    written = await store.write(batch)
    await store.close()
    assert {dict(row.tags)["target"] for row, _ in written.rejected} == {"t0", "t39"}
    assert all("retention" in why for _, why in written.rejected)
    assert held(influx, "short") == {f"t{n}" for n in range(1, 39)}


async def test_the_writer_goes_on_behind_points_that_are_refused_and_counts_them(influx: Influx) -> None:
    store = InfluxStore(influx.url, database="counted")
    writer = StoreWriter(store, clock=SystemClock())
    done = asyncio.Event()
    task = asyncio.ensure_future(writer.run())
    writer.put(rows(2), lambda: None)
    bad = Row("icmp", (("target", "t0"),), (("rtt", "slow"),), BASE)
    writer.put([bad], lambda: None)
    writer.put(rows(5), done.set)
    async with asyncio.timeout(30):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()
    assert (writer.stats().rejected, writer.stats().ok, writer.stats().retried) == (1, True, 0)
    assert [(row, "field type conflict" in why) for row, why in writer.refusals] == [(bad, True)]
    assert held(influx, "counted") == {f"t{n}" for n in range(5)}
