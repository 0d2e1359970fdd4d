"""The embedded store stopped before every single thing it does to its file: nothing acknowledged is ever lost."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Row
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check

MIDNIGHT = 20_000 * 86_400.0


class Failing:
    """The store's connection, which stops working at its n-th use; `at_failure` runs at that moment."""

    def __init__(self, db: sqlite3.Connection, at: int, at_failure: Callable[[], None], *, times: int) -> None:
        self._db, self._at, self._at_failure, self._times = db, at, at_failure, times
        self.used = 0

    def _use(self) -> None:
        self.used += 1
        if self._at <= self.used < self._at + self._times:
            if self.used == self._at:
                self._at_failure()
            raise sqlite3.OperationalError("disk I/O error")

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if arguments[0] != "ROLLBACK":  # sqlite undoes by itself what a dead process left
            self._use()
        return self._db.execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._use()
        return self._db.executemany(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def batch(number: int) -> list[Row]:
    """Rows of three days, one of which every batch writes anew and one a doubled delivery."""
    at = MIDNIGHT + (number % 3) * 86_400.0 + number
    return [
        Row("icmp", (("target", f"t{number}"),), (("rtt", float(number)),), at),
        Row("icmp", (("target", "all"),), (("rtt", float(number)), ("word", "x")), at),
        Row("icmp", (("target", "first"),), (("rtt", 0.5),), MIDNIGHT),
    ]


async def work(store: EmbeddedStore, acknowledged: list[int]) -> None:
    """Writes, seals and upkeep; goes on after a failure, as the writer in front of the store does."""
    for number in range(6):
        try:
            await store.write(batch(number))
            acknowledged.append(number)
            if number == 1:
                await asyncio.to_thread(store._seal)
            if number in (3, 4):
                await store.expire(MIDNIGHT + 6 * 86_400.0)
        except (StoreDown, sqlite3.Error):
            pass


def points(rows: list[Row]) -> set[tuple[object, ...]]:
    return {(row.tags, name, value, row.at) for row in rows for name, value in row.fields}


def held(path: Path) -> set[tuple[object, ...]]:
    with StoreFile(path) as file:
        return points(list(file.rows()))


async def effects(folder: Path) -> int:
    store = EmbeddedStore(folder / "count.sqlite")
    counting = Failing(store._db, 1 << 60, lambda: None, times=1)
    store._db = counting  # type: ignore[assignment]
    await work(store, [])
    await store.close()
    return counting.used


@pytest.mark.parametrize("times", [1, 1 << 60], ids=["once", "for good"])
async def test_stopped_before_any_effect_it_holds_what_it_acknowledged(tmp_path: Path, times: int) -> None:
    count = await effects(tmp_path)
    assert count > 40
    for number in range(1, count + 1):
        path, copy = tmp_path / "s.sqlite", tmp_path / "copy.sqlite"
        store = EmbeddedStore(path)
        store._db.execute("PRAGMA synchronous=OFF")  # the copy below is the crash; no disk has to be waited for
        acknowledged: list[int] = []
        before: list[int] = []

        def power_cut(
            path: Path = path, copy: Path = copy, done: list[int] = acknowledged, before: list[int] = before
        ) -> None:
            before.extend(done)
            for suffix in ("", "-wal"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    shutil.copyfile(part, copy.with_name(copy.name + suffix))

        store._db = Failing(store._db, number, power_cut, times=times)  # type: ignore[assignment]
        await work(store, acknowledged)
        expected = points([row for done in acknowledged for row in batch(done)])
        assert held(path) == expected, f"still running after effect {number} failed"
        await store.close()

        certain = points([row for done in before for row in batch(done)])
        reopened = EmbeddedStore(copy)
        reopened._db.execute("PRAGMA synchronous=OFF")
        assert held(copy) >= certain, f"power cut before effect {number}"
        assert held(copy) <= points([row for done in range(6) for row in batch(done)])
        await reopened.write(batch(7))
        await reopened.expire(MIDNIGHT + 6 * 86_400.0)
        assert held(copy) >= certain | points(batch(7))
        await reopened.close()
        assert check(copy).ok
        for left in tmp_path.glob("*.sqlite*"):
            left.unlink()
