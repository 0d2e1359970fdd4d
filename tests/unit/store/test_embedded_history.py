"""What the embedded store does with points after they came: sealed, rolled up, asked for, read again in order."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from healthmon.model.sample import Query, Row, Value
from healthmon.store import blocks
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.filing import HOUR, MINUTE, RAW
from healthmon.store.lineproto import micros_of
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check
from healthmon.store.upkeep import Retention

DAY = 86_400.0
MIDNIGHT = 20_000 * DAY

Key = tuple[str, tuple[tuple[str, str], ...], str, int]


def row(at: float, *, family: str = "icmp", target: str = "t", kind: str = "switch", **fields: Value) -> Row:
    return Row(family, (("kind", kind), ("target", target)), tuple(sorted((fields or {"rtt": 1.0}).items())), at)


def points(rows: list[Row]) -> dict[Key, Value]:
    return {(r.family, r.tags, name, micros_of(r.at)): value for r in rows for name, value in r.fields}


async def everything(store: EmbeddedStore) -> list[Row]:
    return [one async for rows in store.replay(0.0, 9e9) for one in rows]


def tiers(store: EmbeddedStore) -> set[tuple[int, int]]:
    return set(store._db.execute("SELECT tier, day FROM blocks").fetchall())


async def test_any_order_of_writes_seals_rollups_and_restarts_holds_the_same_points(tmp_path: Path) -> None:
    """Against a plain dictionary: doubles, corrections, late points, rows whose fields come and go."""
    rng, oracle = random.Random(5), dict[Key, Value]()
    path = tmp_path / "s.sqlite"
    store = EmbeddedStore(path, seal_points=60)
    sent: list[Row] = []
    for step in range(150):
        doing = rng.random()
        if doing < 0.75:
            now = MIDNIGHT + step * 2_500.0
            rows = [
                row(
                    now - rng.choice([0.0, 0.0, rng.uniform(0, 2 * DAY)]) + rng.randrange(5),
                    target=f"t{rng.randrange(3)}",
                    **{name: rng.choice([1.0, 0.25, rng.random(), True, "x"]) for name in rng.sample("abc", 2)},
                )
                for _ in range(rng.randrange(1, 8))
            ] + rng.sample(sent, min(len(sent), 2))
            assert (await store.write(rows)).rejected == ()
            sent += rows
            oracle |= points(rows)
        elif doing < 0.85:
            await store.expire(MIDNIGHT + step * 2_500.0)
        elif doing < 0.95:
            store._seal()
        else:
            await store.close()
            store = EmbeddedStore(path, seal_points=60)
    assert points(await everything(store)) == oracle
    await store.expire(MIDNIGHT + 30 * DAY)
    assert points(await everything(store)) == oracle
    with StoreFile(path) as file:
        assert points(list(file.rows())) == oracle
    assert (RAW, 20_001) in tiers(store)
    assert (HOUR, 20_001) in tiers(store)
    await store.close()
    checked = check(path)
    assert checked.ok
    assert checked.points == len(oracle)


AGGREGATES = ("mean", "min", "max", "count", "last")


async def filled(path: Path, **more: object) -> EmbeddedStore:
    """Four days and a bit: every 10 s (rolled up by the minute), and every 5 min with text beside it."""
    rng = random.Random(3)
    store = EmbeddedStore(path, **more)  # type: ignore[arg-type]
    for day in range(4):
        start = MIDNIGHT + day * DAY
        await store.write([row(start + n * 10.0, target="often", rtt=rng.random()) for n in range(8640)])
        await store.write(
            [row(start + n * 300.0 + 1, target="seldom", rtt=rng.random(), word=rng.choice("ab")) for n in range(288)]
        )
    await store.write([row(MIDNIGHT + 4 * DAY + 7200.0 + n, target="often") for n in range(3)])
    return store


@pytest.mark.parametrize("step_s", [60.0, 300.0, 3600.0, 7200.0, 7 * 3600.0])
async def test_rollups_answer_as_the_raw_points_do(tmp_path: Path, step_s: float) -> None:
    store = await filled(tmp_path / "s.sqlite")
    queries = [
        Query("icmp", field, {}, MIDNIGHT + start, MIDNIGHT + end, step_s, aggregate)
        for field in ("rtt", "word")
        for aggregate in AGGREGATES
        for start, end in ((0.0, 5 * DAY), (1234.5, 3 * DAY + 777.0), (DAY, 2 * DAY))
    ]
    raw = [await store.query(query) for query in queries]
    await store.expire(MIDNIGHT + 4 * DAY + 7300.0)
    assert {(HOUR, 20_000), (HOUR, 20_003), (MINUTE, 20_000)} <= tiers(store)
    for query, before in zip(queries, raw, strict=True):
        after = await store.query(query)
        assert [series.tags for series in after] == [series.tags for series in before]
        for old, new in zip(before, after, strict=True):
            assert [at for at, _ in new.points] == [at for at, _ in old.points]
            for (_, was), (_, now) in zip(old.points, new.points, strict=True):
                assert now == (pytest.approx(was, rel=1e-12) if isinstance(was, float) else was), query
    await store.close()


async def test_when_raw_points_are_gone_the_minutes_and_hours_answer(tmp_path: Path) -> None:
    store = await filled(tmp_path / "s.sqlite", retention=Retention(raw=2, minutes=3, hours=396))
    hourly = Query("icmp", "rtt", {}, MIDNIGHT, MIDNIGHT + 4 * DAY, 3600.0, "max")
    minutely = Query("icmp", "rtt", {"target": "seldom"}, MIDNIGHT + DAY, MIDNIGHT + 4 * DAY, 60.0)
    before = [await store.query(query) for query in (hourly, minutely)]
    assert await store.expire(MIDNIGHT + 4 * DAY + 7300.0) == 2 * (8640 + 2 * 288)
    assert {tier for tier, day in tiers(store) if day == 20_001} == {MINUTE, HOUR}
    assert [await store.query(query) for query in (hourly, minutely)] == before
    await store.write([row(MIDNIGHT + 7 * DAY)])
    await store.expire(MIDNIGHT + 7 * DAY)
    assert {tier for tier, day in tiers(store) if day == 20_001} == {HOUR}
    assert await store.query(hourly) == before[0]
    await store.close()


async def test_a_late_point_is_in_the_next_rollup_and_at_once_in_the_answer(tmp_path: Path) -> None:
    store = await filled(tmp_path / "s.sqlite")
    await store.expire(MIDNIGHT + 5 * DAY)
    query = Query("icmp", "rtt", {"target": "often"}, MIDNIGHT, MIDNIGHT + DAY, 3600.0, "max")
    for _ in range(2):
        await store.write([row(MIDNIGHT + 1800.5, target="often", rtt=9.0)])
        (series,) = await store.query(query)
        assert series.points[0] == (MIDNIGHT, 9.0)
        store._seal()
        assert (await store.query(query))[0].points[0] == (MIDNIGHT, 9.0)
        await store.expire(MIDNIGHT + 5 * DAY)
        assert (await store.query(query))[0].points[0] == (MIDNIGHT, 9.0)
    assert tiers(store) >= {(HOUR, 20_000)}
    await store.close()


async def test_what_a_persons_workplace_gave_goes_earlier(tmp_path: Path) -> None:
    retention = Retention(raw=30, minutes=90, hours=396, endpoints=90)
    store = EmbeddedStore(tmp_path / "s.sqlite", retention=retention)
    ward_pc = [row(MIDNIGHT + day * DAY, target="pc", kind="ward-workstation") for day in range(3)]
    switch = [row(MIDNIGHT + day * DAY, target="sw") for day in range(3)]
    await store.write([*ward_pc, *switch])
    await store.expire(MIDNIGHT + 2 * DAY)
    await store.write([row(MIDNIGHT + 100 * DAY, target="sw")])
    await store.expire(MIDNIGHT + 100 * DAY)
    kept = await store.query(Query("icmp", "rtt", {}, MIDNIGHT, MIDNIGHT + 2 * DAY, 3600.0))
    assert [series.tags["target"] for series in kept] == ["sw"]
    await store.close()


@pytest.mark.parametrize("reopened", [False, True])
async def test_the_newest_point_of_each_series(tmp_path: Path, reopened: bool) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    await store.write([row(MIDNIGHT + n, target=f"t{n % 3}", rtt=float(n)) for n in range(9)])
    store._seal()
    await store.write([row(MIDNIGHT + 20, target="t0", rtt=20.0), row(MIDNIGHT + 2, target="t1", rtt=-1.0)])
    await store.write([row(MIDNIGHT + 8, target="t2", rtt=8.5)])
    if reopened:
        await store.close()
        store = EmbeddedStore(tmp_path / "s.sqlite")

    async def newest(start: float, end: float) -> dict[str, Value]:
        found = await store.query(Query("icmp", "rtt", {}, MIDNIGHT + start, MIDNIGHT + end, newest=True))
        assert all(len(series.points) == 1 for series in found)
        return {series.tags["target"]: series.points[0][1] for series in found}

    assert await newest(0, 100) == {"t0": 20.0, "t1": 7.0, "t2": 8.5}
    assert await newest(8, 100) == {"t0": 20.0, "t2": 8.5}
    assert await newest(0, 7) == {"t0": 6.0, "t1": 4.0, "t2": 5.0}
    await store.close()


async def test_replay_is_in_time_order_and_half_open(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    rows = [row(MIDNIGHT + n * 4000.0, target=f"t{n % 4}", rtt=float(n), ok=n % 2 == 0) for n in range(60)]
    await store.write(rows[::-1][:30])
    store._seal()
    await store.write(rows[:35])
    got = await everything(store)
    assert got == rows
    part = [one async for some in store.replay(rows[7].at, rows[9].at) for one in some]
    assert part == rows[7:9]
    await store.close()


async def test_without_zstandard_everything_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BEST", blocks.ZLIB)
    store = EmbeddedStore(tmp_path / "s.sqlite")
    await store.write([row(MIDNIGHT + n, rtt=math.sqrt(n)) for n in range(100)])
    store._seal()
    await store.write([row(MIDNIGHT + 200 + n, rtt=math.sqrt(n)) for n in range(100)])
    monkeypatch.undo()
    await store.close()
    store = EmbeddedStore(tmp_path / "s.sqlite")
    assert len(await everything(store)) == 200
    await store.close()


async def test_rows_pile_up_no_further_than_twice_the_limit(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite", seal_points=100)
    for batch in range(40):
        await store.write([row(MIDNIGHT + batch * 50 + n) for n in range(50)])
        assert sum(hot.points for hot in store._hots) <= 400
    await store.close()
    assert check(tmp_path / "s.sqlite").points == 2000
