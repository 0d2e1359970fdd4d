"""The database that healthmon makes on a real InfluxDB 1.x: retention policies, and minutes and hours equal to raw."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from daemons.influx import Influx
from daemons.process import running
from healthmon.model.sample import Query, Row
from healthmon.store.influx import InfluxStore
from healthmon.store.tending import Keep, downsampling, windows

pytestmark = pytest.mark.wire

BASE = float(int(time.time()) // 3600 * 3600 - 3 * 3600)


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with running(Influx(tmp_path_factory.mktemp("influx"))) as daemon:
        yield daemon  # type: ignore[misc]


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    return f"d {random.randrange(1 << 40):x}"


async def test_a_first_write_makes_policies_and_continuous_queries(influx: Influx, database: str) -> None:
    store = InfluxStore(influx.url, database=database, keep=Keep(7, 30, 400))
    await store.write([Row("icmp", (("target", "t"),), (("rtt", 1.0),), BASE)])
    (policies,) = influx.sql(f'SHOW RETENTION POLICIES ON "{database}"')
    assert {(name, duration, default) for name, duration, _, _, default in policies["values"]} == {
        ("raw", "168h0m0s", True),
        ("minutes", "720h0m0s", False),
        ("hours", "9600h0m0s", False),
    }
    queries = next(one for one in influx.sql("SHOW CONTINUOUS QUERIES") if one["name"] == database)
    assert [name for name, _ in queries["values"]] == ["minutes", "hours"]
    assert "RESAMPLE EVERY 1h FOR 10h" in queries["values"][1][1]
    await store.close()


@pytest.mark.parametrize("place", [0, 1], ids=["minutes", "hours"])
async def test_what_its_continuous_query_writes_equals_the_raw_points(
    influx: Influx, database: str, place: int
) -> None:
    """The statement is the continuous query's own, run once over the past instead of waiting for its hour."""
    rng, window = random.Random(1), windows(Keep())[place]
    store = InfluxStore(influx.url, database=database)
    rows = [
        Row(
            "icmp",
            (("target", target),),
            (("rtt", rng.random()), ("word", "ok")),
            BASE + n * 20,
        )
        for n in range(360)
        for target in ("a", "b")
    ]
    await store.write(rows)
    past = f" WHERE time >= {int(BASE)}s AND time < {int(BASE) + 7200}s"
    influx.sql(downsampling(database, window, where=past), database)
    step = {"1m": 60.0, "1h": 3600.0}[window.width]
    for kind in ("mean", "min", "max", "count"):
        query = Query("icmp", "rtt", {"target": "a"}, BASE, BASE + 7200, step, kind)
        (raw,) = await store.query(query)
        (rolled,) = influx.sql(f"SELECT {kind}_rtt FROM {window.name}.icmp WHERE target = 'a'", database)
        assert [at / 1e9 for at, _ in rolled["values"]] == [at for at, _ in raw.points]
        assert [value for _, value in rolled["values"]] == pytest.approx([value for _, value in raw.points], rel=1e-12)
    await store.close()


async def test_a_database_that_was_there_is_left_as_it_is(influx: Influx, database: str) -> None:
    influx.sql(f'CREATE DATABASE "{database}"')
    store = InfluxStore(influx.url, database=database)
    await store.write([Row("icmp", (), (("rtt", 1.0),), BASE)])
    (policies,) = influx.sql(f'SHOW RETENTION POLICIES ON "{database}"')
    assert [name for name, *_ in policies["values"]] == ["autogen"]
    await store.close()
