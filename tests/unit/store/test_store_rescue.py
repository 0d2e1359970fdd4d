"""Files of older versions, damaged files, and copies made while the store writes."""

from __future__ import annotations

import random
import sqlite3
import threading
from pathlib import Path

import pytest

from healthmon.model.errors import FileFromNewerVersion
from healthmon.model.sample import Query, Row
from healthmon.runtime.sqlite import backup_database
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check, salvage

NOW = 1_800_000_000.0


def rows(count: int = 400, start: float = NOW) -> list[Row]:
    return [Row("icmp", (("target", f"t{n % 20}"),), (("rtt", n / 7),), start + n) for n in range(count)]


async def filled(path: Path, count: int = 4000) -> None:
    store = EmbeddedStore(path)
    for first in range(0, count, 1000):
        await store.write(rows(1000, NOW + first))
        store._seal()
    await store.write(rows(50, NOW + count))
    await store.close()


def points(path: Path) -> int:
    with StoreFile(path) as file:
        return sum(len(row.fields) for row in file.rows())


async def test_a_copy_made_while_it_writes_is_whole(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "s.sqlite", seal_points=500)
    await store.write(rows())
    stop, sizes = threading.Event(), list[int]()

    def copying() -> None:
        while not (sizes and stop.is_set()):  # at least once, however late the thread starts
            backup_database(tmp_path / "s.sqlite", tmp_path / "backup.sqlite")
            assert check(tmp_path / "backup.sqlite").ok
            sizes.append(points(tmp_path / "backup.sqlite"))

    thread = threading.Thread(target=copying)
    thread.start()
    for batch in range(1, 30):
        await store.write(rows(start=NOW + batch * 400))
    stop.set()
    thread.join()
    await store.close()
    assert sizes
    assert {size % 400 for size in sizes} == {0}, "whole writes only"
    restored = EmbeddedStore(tmp_path / "backup.sqlite")
    assert sum(len(s.points) for s in await restored.query(Query("icmp", "rtt"))) == sizes[-1]
    await restored.close()


async def test_a_flipped_byte_costs_one_block_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    await filled(path)
    with sqlite3.connect(path) as db:
        body = bytearray(db.execute("SELECT body FROM blocks WHERE id = 2").fetchone()[0])
        body[len(body) // 2] ^= 255
        db.execute("UPDATE blocks SET body = ? WHERE id = 2", (bytes(body),))
    db.close()
    checked = check(path)
    assert not checked.ok
    assert checked.sqlite == "ok"
    assert [words.split(":")[0] for words in checked.damaged] == ["block 2 (icmp, 1000 points)"]
    store = EmbeddedStore(path)
    assert sum(len(s.points) for s in await store.query(Query("icmp", "rtt"))) == 3050
    assert store.damaged == 1
    await store.close()


@pytest.mark.parametrize("seed", range(6))
async def test_a_file_with_holes_never_stops_the_server_and_most_is_saved(tmp_path: Path, seed: int) -> None:
    path, rng = tmp_path / "s.sqlite", random.Random(seed)
    await filled(path)
    whole = bytearray(path.read_bytes())
    pages = len(whole) // 4096
    for page in rng.sample(range(pages), 3) if seed else [0]:
        whole[page * 4096 : (page + 1) * 4096] = rng.randbytes(4096)
    path.write_bytes(bytes(whole))
    store = EmbeddedStore(path)
    if seed == 0:  # no database at all any more
        assert "kept as s.sqlite.damaged-1" in store.salvaged
        assert (tmp_path / "s.sqlite.damaged-1").read_bytes() == bytes(whole)
    await store.close()
    if not (tmp_path / "s.sqlite.damaged-1").exists():
        words = salvage(path, tmp_path / "saved.sqlite")
        assert "blocks" in words
        assert check(tmp_path / "saved.sqlite").ok
        saved = points(tmp_path / "saved.sqlite")
        assert 0 < saved <= 4050
        with pytest.raises(FileExistsError):
            salvage(path, tmp_path / "saved.sqlite")


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.execute("PRAGMA user_version = 3")
    with pytest.raises(FileFromNewerVersion, match=r"s\.sqlite: schema version 3 is newer than this program's 2"):
        EmbeddedStore(tmp_path / "s.sqlite")
