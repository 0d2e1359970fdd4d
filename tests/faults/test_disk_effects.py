"""One effect on the disk fails below sqlite (no room, half a write, a sync), and life goes on: journal, spool, store.

Then the machine is as one to which nothing happened; and one that lost its power at that very moment has everything
that was promised until then. HEALTHMON_EVERY_EFFECT=1 tries every effect there is, by default each fifth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemons.failing_disk import Disk, failing_disk
from daemons.journals import changes, everything
from daemons.paging import MORNING
from healthmon.alerting.journal import Journal
from healthmon.model.errors import StoreDown
from healthmon.model.sample import Outcome, Reading, Row
from healthmon.runtime.clock import ManualClock
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.looking import StoreFile
from healthmon.store.rescue import check
from healthmon.transport import codec, spool
from healthmon.transport.codec import Ack
from healthmon.transport.spool import Spool

COMMITS = 6
STEP = 1 if os.environ.get("HEALTHMON_EVERY_EFFECT") else 5
MIDNIGHT = 20_000 * 86_400.0


@pytest.fixture
def disk() -> Iterator[Disk]:
    with failing_disk() as made:
        yield made


def tried(disk: Disk, folder: Path, live: Callable[[Path, int, bool], None]) -> int:
    """A life for each effect that there is, failing in either way; how many there were."""
    points, at = 0, 1
    while True:
        for torn in (False, True):
            mine = folder.with_name(f"{folder.name}-{at}-{torn}")
            live(mine, at, torn)
            shutil.rmtree(mine)
            if not disk.failed:
                print(f"{points} points")
                return points
            points += 1
            if disk.failed != "write":
                break
        at += STEP


def copied(path: Path, into: Path) -> None:
    """What a power cut at this moment leaves; what was never synced is there too."""
    into.mkdir()
    for part in path.parent.glob(f"{path.name}*"):
        if not part.name.endswith("-shm"):
            shutil.copyfile(part, into / part.name)


# --- the journal


def committed(journal: Journal, disk: Disk, promised: list[int]) -> None:
    """As the engine does: what the journal refuses is committed again; what it took is promised."""
    journal._db.execute("PRAGMA wal_autocheckpoint=16")  # the log is taken up into the file within the story
    for number in range(COMMITS):
        for _ in range(3):
            with contextlib.suppress(sqlite3.Error):
                journal.commit(changes(random.Random(number), number))
                break
        else:
            raise AssertionError(f"commit {number} is refused although the disk works again")
        promised.append(number)
        for _ in range(2):
            with contextlib.suppress(sqlite3.Error):
                journal.append("person", at=MORNING + number, body={"n": number}, key=f"once-{number}")
                break


def test_the_journal_is_as_if_nothing_had_failed(disk: Disk, tmp_path: Path) -> None:
    with contextlib.closing(Journal(tmp_path / "calm.sqlite")) as calm:
        committed(calm, disk, [])
        expected = everything(calm)

    def live(folder: Path, at: int, torn: bool) -> None:
        path, promised, before = folder / "journal.sqlite", [], []
        folder.mkdir()
        with contextlib.closing(Journal(path)) as journal:

            def cut() -> None:
                before.extend(promised)
                copied(path, folder / "cut")

            disk.fail(at, torn=torn, cut=cut)
            committed(journal, disk, promised)
            where = f"effect {at} ({disk.failed}, torn {torn})"
            assert journal.check() == "ok", where
            assert everything(journal) == expected, where
        with contextlib.closing(Journal(path)) as again:
            assert everything(again) == expected, f"{where}, started again"
        if disk.failed:
            with contextlib.closing(Journal(folder / "cut" / path.name)) as other:
                assert other.check() == "ok", f"{where}, power cut"
                held = other.restore().at
                assert (held or MORNING - 1) >= MORNING + max(before, default=-1), f"{where}, power cut"
                committed(other, disk, [])
                assert everything(other)[0] == expected[0], f"{where}, power cut, and on from there"

    assert tried(disk, tmp_path / "life", live) > 30, "the story is long enough"


# --- the spool


def test_the_spool_gives_up_nothing_that_it_does_not_count(disk: Disk, tmp_path: Path) -> None:
    def live(folder: Path, at: int, torn: bool) -> None:
        asyncio.run(spooled(disk, folder, at, torn))

    assert tried(disk, tmp_path / "life", live) > 10


async def spooled(disk: Disk, folder: Path, at: int, torn: bool) -> None:
    folder.mkdir()
    clock, path = ManualClock(), folder / "spool.sqlite"
    made = Spool(path, agent="pc-1", max_bytes=1 << 20, clock=clock)
    promised: dict[str, tuple[str, int]] = {}
    acknowledged: set[tuple[str, int]] = set()
    before: dict[str, tuple[str, int]] = {}

    def cut() -> None:
        before.update({name: one for name, one in promised.items() if one not in acknowledged})
        copied(path, folder / "cut")

    disk.fail(at, torn=torn, cut=cut)
    for number in range(12):
        seq = await made.append([Reading(f"t{number}", "c", "v", 0.0, 0.0, Outcome.OK, None, "x" * 300)], live=False)
        promised[f"t{number}"] = (made.epoch, seq)
        if number % 4 == 3:
            for batch in await made.stored(1):
                acknowledged.add((batch.epoch, batch.seq))
                await made.acknowledge(Ack(batch.epoch, 0, ((batch.seq, batch.seq),)))
        if number == 8:
            await clock.advance(spool.DISK_RETRY_S + 1)
    where = f"effect {at} ({disk.failed}, torn {torn})"
    held, dropped = await held_by(made), made.stats().dropped_readings
    await made.close()
    missing = {one for name, one in promised.items() if name not in held} - acknowledged
    assert len(missing) <= dropped, f"{where}: {sorted(missing)} are gone and were not counted"
    assert len(set(promised.values())) == len(promised), f"{where}: a number was given twice"
    if disk.failed:
        again = Spool(folder / "cut" / path.name, agent="pc-1", max_bytes=1 << 20, clock=clock)
        found = await held_by(again)
        await again.close()
        assert not {one for name, one in before.items() if name not in found}, f"{where}, power cut"


async def held_by(kept: Spool) -> set[str]:
    return {one.target for batch in await kept.stored(10_000) for one in codec.decode_readings(batch.body)}


# --- the store


def batch(number: int) -> list[Row]:
    at = MIDNIGHT + (number % 3) * 86_400.0 + number
    return [Row("icmp", (("target", f"t{number}"),), (("rtt", float(number)), ("word", "x")), at),
            Row("icmp", (("target", "first"),), (("rtt", 0.5),), MIDNIGHT)]  # fmt: skip


def points(path: Path) -> set[tuple[object, ...]]:
    with StoreFile(path) as file:
        return of(list(file.rows()))


def of(rows: list[Row]) -> set[tuple[object, ...]]:
    return {(row.tags, name, value, row.at) for row in rows for name, value in row.fields}


def test_the_store_holds_what_it_acknowledged(disk: Disk, tmp_path: Path) -> None:
    def live(folder: Path, at: int, torn: bool) -> None:
        asyncio.run(stored(disk, folder, at, torn))

    assert tried(disk, tmp_path / "life", live) > 10


async def stored(disk: Disk, folder: Path, at: int, torn: bool) -> None:
    folder.mkdir()
    path = folder / "store.sqlite"
    store, acknowledged, before = EmbeddedStore(path), [], []

    def cut() -> None:
        before.extend(acknowledged)
        copied(path, folder / "cut")

    disk.fail(at, torn=torn, cut=cut)
    for number in range(6):
        for _ in range(3):  # as the writer in front of it does
            with contextlib.suppress(StoreDown):
                await store.write(batch(number))
                acknowledged.append(number)
                break
        with contextlib.suppress(StoreDown, sqlite3.Error):
            if number in (1, 4):
                await asyncio.to_thread(store._seal)
            if number == 3:
                await store.expire(MIDNIGHT + 6 * 86_400.0)
    where = f"effect {at} ({disk.failed}, torn {torn})"
    assert acknowledged == list(range(6)), f"{where}: refused although the disk works again"
    expected = of([row for number in acknowledged for row in batch(number)])
    assert points(path) == expected, where
    await store.close()
    assert check(path).ok, where
    if disk.failed:
        again = EmbeddedStore(folder / "cut" / path.name)
        await again.close()
        held = points(folder / "cut" / path.name)
        assert held >= of([row for number in before for row in batch(number)]), f"{where}, power cut"
        assert held <= expected, f"{where}, power cut"
