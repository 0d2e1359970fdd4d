"""Files that earlier versions wrote are opened, moved forward after a copy, and hold the same points.

`store-v1.sqlite.gz` was written by the first form of the embedded store (one row a point), `store-v2.sqlite.gz` by the
second, with some rows in blocks and the others in its journal.
"""

from __future__ import annotations

import gzip
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from healthmon.model.sample import Row, Value
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check

START = 1_789_992_000.0


def written() -> list[Row]:
    """What was written into every file of this folder."""
    made = []
    for n in range(40):
        at = START + n * 1800.0 + 0.000123 * n
        for target in ("sw-1", "ehr-web"):
            tags = (("area", "ward-7"), ("check", "up"), ("kind", "switch"), ("site", "main"), ("target", target),
                    ("vantage", "poller"))  # fmt: skip
            failed = n % 9 == 0
            fields: list[tuple[str, Value]] = [("duration_seconds", 0.0125 + n / 7)]
            fields += [("outcome", "failed" if failed else "ok"), ("success", 0.0 if failed else 1.0)]
            if failed:
                fields.insert(2, ("reason", "timeout"))
            made.append(Row("probe", tags, tuple(fields), at))
        host = (("interface", "Gi1/0/24 日本"), ("target", "sw-1"))
        ratio = -0.0 if n == 0 else n / 3
        net = (("octets", float(2**53 + 2 * n)), ("rate_ratio", ratio), ("up", n % 2 == 0))
        made.append(Row("host_net", host, net, at))
    return made


def bits(rows: list[Row]) -> set[tuple[object, ...]]:
    return {
        (row.family, row.tags, name, round(row.at * 1e6), type(value), struct.pack("<d", value) if type(value) is float
         else value) for row in rows for name, value in row.fields
    }  # fmt: skip


def unpacked(tmp_path: Path, name: str = "store-v1.sqlite.gz") -> Path:
    path = tmp_path / "store.sqlite"
    path.write_bytes(gzip.decompress((Path(__file__).parent / name).read_bytes()))
    return path


async def test_version_2_is_read_as_it_is_and_written_on(tmp_path: Path) -> None:
    path = unpacked(tmp_path, "store-v2.sqlite.gz")
    store = EmbeddedStore(path, retention_days=3650)
    with StoreFile(path) as file:
        assert bits(list(file.rows())) == bits(written())
    await store.expire(START + 30 * 86_400.0)
    got = [row async for some in store.replay(START - 1, START + 1e6) for row in some]
    assert bits(got) == bits(written())
    await store.close()
    assert check(path).ok
    assert not (tmp_path / "store.sqlite.v2").exists(), "nothing had to be moved"


async def test_version_1_is_moved_forward_after_a_copy(tmp_path: Path) -> None:
    path = unpacked(tmp_path)
    store = EmbeddedStore(path, retention_days=3650)
    await store.close()
    with StoreFile(path) as file:
        assert bits(list(file.rows())) == bits(written())
    assert check(path).ok
    with closing(sqlite3.connect(tmp_path / "store.sqlite.v1")) as copy:
        assert copy.execute("SELECT count(*) FROM points").fetchone() == (370,)
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)


async def test_what_is_written_after_the_move_joins_what_was_there(tmp_path: Path) -> None:
    store = EmbeddedStore(unpacked(tmp_path), retention_days=3650)
    rows = written()
    await store.write(rows[:30])
    await store.write([Row(rows[0].family, rows[0].tags, (("success", 0.5),), rows[0].at)])
    await store.expire(START + 30 * 86_400.0)
    got = [row async for some in store.replay(START - 1, START + 1e6) for row in some]
    assert len(bits(got)) == 370
    assert dict(next(row for row in got if row.tags == rows[0].tags).fields)["success"] == 0.5
    await store.close()


def test_a_move_that_is_interrupted_leaves_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = unpacked(tmp_path)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("healthmon.store.filing.insert", stopped)
        with pytest.raises(KeyboardInterrupt):
            EmbeddedStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM points").fetchone() == (370,)
    EmbeddedStore(path)
    with StoreFile(path) as file:
        assert bits(list(file.rows())) == bits(written())
