"""The embedded store's own promises: expiry, readers beside the writer, a disk that fails."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from healthmon.model.errors import FileFromNewerVersion, StoreDown
from healthmon.model.sample import Query, Row
from healthmon.store import reading, upkeep
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.looking import StoreFile

NOW = 1_800_000_000.0
DAY = 86_400.0


def row(at: float, *, target: str = "t", **fields: float) -> Row:
    return Row("icmp", (("target", target),), tuple((fields or {"rtt": 1.0}).items()), at)


async def values(store: EmbeddedStore) -> list[float]:
    return [at for series in await store.query(Query("icmp", "rtt")) for at, _ in series.points]


async def test_old_points_go_and_young_ones_stay(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite", retention_days=2)
    await store.write([row(NOW - age * DAY) for age in (0, 1, 1.9, 2.1, 2.4, 3, 30)])
    assert await store.expire(NOW) == 3, "whole days go: 2.1 days ago was on the day that still has younger points"
    assert len(await values(store)) == 4
    assert await store.expire(NOW) == 0
    await store.close()


async def test_the_longest_month_is_whole_when_its_report_is_made(tmp_path: Path) -> None:
    """By default: on the fourth day after a month of 31 days its first point is still there as it came."""
    store = EmbeddedStore(tmp_path / "s.sqlite")
    first = NOW - NOW % DAY
    made_at = first + (31 + 3.9) * DAY
    await store.write([row(first), row(made_at)])
    assert await store.expire(made_at) == 0
    assert await values(store) == [first, made_at]
    await store.close()


async def test_expiry_goes_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_EXPIRE_BLOCKS", 7)
    store = EmbeddedStore(tmp_path / "s.sqlite", retention_days=1)
    await store.write([row(NOW - (3 + i) * DAY) for i in range(30)] + [row(NOW)])
    assert await store.expire(NOW) == 30
    assert await values(store) == [NOW]
    await store.close()


async def test_a_clock_that_jumps_ahead_does_not_empty_the_file(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite", retention_days=30)
    await store.write([row(NOW - DAY), row(NOW)])
    assert await store.expire(NOW + 3650 * DAY) == 0
    assert len(await values(store)) == 2
    await store.close()


async def test_expiring_an_empty_file(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    assert await store.expire(NOW) == 0
    await store.close()


async def test_another_reader_sees_whole_writes_while_it_writes(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    counts = []

    def count() -> int:
        with StoreFile(tmp_path / "s.sqlite") as other:
            return sum(1 for _ in other.rows())

    for batch in range(10):
        writing = asyncio.ensure_future(store.write([row(NOW + batch + i / 1000) for i in range(200)]))
        while not writing.done():
            counts.append(await asyncio.to_thread(count))
    counts.append(count())
    assert counts[-1] == 2000
    assert {count % 200 for count in counts} == {0}
    await store.close()


async def test_a_failed_write_leaves_nothing_and_may_be_made_again(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    store._db.execute("PRAGMA max_page_count = 20")
    rows = [row(NOW + i, target=f"target-{i}", rtt=1.0, loss=0.0) for i in range(5000)]
    with pytest.raises(StoreDown, match="full"):
        await store.write(rows)
    assert await values(store) == []
    store._db.execute("PRAGMA max_page_count = 1000000")
    await store.write(rows)
    assert len(await values(store)) == 5000
    await store.close()


async def test_a_query_that_would_answer_too_much_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_POINTS", 10)
    store = EmbeddedStore(tmp_path / "s.sqlite")
    await store.write([row(NOW + i) for i in range(11)])
    with pytest.raises(ValueError, match="narrow the time"):
        await store.query(Query("icmp", "rtt"))
    assert len(await store.query(Query("icmp", "rtt", {}, 0, 0, 60.0))) == 1
    await store.close()


async def test_closed_means_down(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite")
    await store.close()
    await store.close()
    with pytest.raises(StoreDown, match="closed"):
        await store.write([row(NOW)])


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FileFromNewerVersion):
        EmbeddedStore(tmp_path / "s.sqlite")


async def test_series_are_found_again_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        store = EmbeddedStore(tmp_path / "s.sqlite")
        await store.write([row(NOW), row(NOW, target="u")])
        await store.close()
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        assert db.execute("SELECT count(*) FROM series").fetchone() == (2,)
