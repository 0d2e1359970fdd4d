"""Power cuts and kills: a spool reopens at any write boundary, and what `append` promised is there."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec
from healthmon.transport.shelf import Shelf
from healthmon.transport.spool import Spool

WAL_HEADER, FRAME_HEADER = 32, 24
LIMIT = 1 << 24


def body(number: int) -> bytes:
    return codec.encode_readings([Reading(f"t{number}", "c", "v", 0.0, 0.0, Outcome.OK, None, "x" * (number % 700))])


def held(shelf: Shelf) -> dict[int, bytes]:
    return {one.seq: one.body for one in shelf.newest(10_000)}


def truncations(size: int, page: int) -> list[int]:
    """Every boundary between frames, one byte to either side, and the middle of each frame's page."""
    edges = range(WAL_HEADER, size + 1, FRAME_HEADER + page)
    cuts = {cut for edge in edges for cut in (edge - 1, edge, edge + 1, edge + FRAME_HEADER, edge + page // 2)}
    return sorted(cut for cut in cuts | {0, 1, WAL_HEADER - 1} if 0 <= cut <= size)


def test_reopens_from_copies_truncated_at_every_write_boundary(tmp_path: Path) -> None:
    live = tmp_path / "live"
    shelf = Shelf(live / "spool.sqlite", max_bytes=LIMIT)
    shelf._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shelf._db.execute("PRAGMA wal_autocheckpoint=0")
    page = shelf._db.execute("PRAGMA page_size").fetchone()[0]
    wal = live / "spool.sqlite-wal"
    history: list[tuple[int, dict[int, bytes]]] = [(0, {})]  # size of the WAL after a write, what is held then
    for number in range(1, 31):
        shelf.append([(body(number), 1, None), (body(1000 + number), 1, None)])
        history.append((wal.stat().st_size, held(shelf)))
        if number % 7 == 0:
            shelf.delete(shelf.epoch, ((number - 3, number),))
            history.append((wal.stat().st_size, held(shelf)))
    size = wal.stat().st_size
    cuts = truncations(size, page)
    assert len(cuts) > 200
    for cut in cuts:
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(live / "spool.sqlite", copy)
        (copy / "spool.sqlite-wal").write_bytes(wal.read_bytes()[:cut])
        expected = [state for at, state in history if at <= cut][-1]
        again = Shelf(copy / "spool.sqlite", max_bytes=LIMIT)
        assert held(again) == expected, f"cut at {cut} of {size}"
        assert again.epoch == shelf.epoch
        (seq,) = again.append([(body(1), 1, None)]).seqs
        assert seq > max(expected, default=0)
        again.close()
        shutil.rmtree(copy)
    shelf.close()


async def test_a_main_file_cut_short_is_set_aside_not_fatal(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    shelf = Shelf(path, max_bytes=LIMIT)
    for number in range(200):
        shelf.append([(body(number), 1, None)])
    shelf.close()
    whole = path.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    opened = set_aside = 0
    for cut in range(0, len(whole), page):
        copy = tmp_path / f"cut-{cut}" / "spool.sqlite"
        copy.parent.mkdir()
        copy.write_bytes(whole[:cut])
        spool = Spool(copy, agent="pc-1", max_bytes=LIMIT, clock=ManualClock())
        assert spool.state == "ok"
        assert await spool.append([]) == 1
        set_aside += spool.stats().set_aside
        opened += 1
        await spool.close()
    assert opened == len(whole) // page
    assert set_aside == opened - 1, "only the empty file is as good as none"


async def test_what_still_reads_of_a_damaged_file_is_saved_and_the_rest_declared(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    shelf = Shelf(path, max_bytes=LIMIT)
    for number in range(1, 401):
        shelf.append([(body(number), 1, None)])
    epoch, before = shelf.epoch, held(shelf)
    shelf.close()
    whole = path.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    chance, saved_somewhere = random.Random(7), 0
    for hit in range(2, len(whole) // page):  # each page in turn is overwritten with noise
        copy = tmp_path / f"hit-{hit}" / "spool.sqlite"
        copy.parent.mkdir()
        copy.write_bytes(whole[: hit * page] + chance.randbytes(page) + whole[(hit + 1) * page :])
        spool = Spool(copy, agent="pc-1", max_bytes=LIMIT, clock=ManualClock())
        pending = {one.seq: one.body for one in await spool.stored(1000) if one.epoch == epoch}
        assert pending.items() <= before.items(), "nothing that was not there"
        gone = {seq for low, high in spool.dropped(epoch) for seq in range(low, high + 1)}
        if spool.stats().set_aside and pending:
            assert gone == before.keys() - pending.keys(), "exactly what is not there is declared"
            assert spool.epoch != epoch, "no number is given out twice"
            saved_somewhere += len(pending)
        assert await spool.append([]) >= 1
        await spool.close()
    assert saved_somewhere > 1000


WRITER = """
import asyncio, sys
from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import SystemClock
from healthmon.transport.codec import Ack
from healthmon.transport.spool import Spool

async def work(spool, worker):
    number = 0
    while True:
        number += 1
        name = f"{sys.argv[2]}-{worker}-{number}"
        seq = await spool.append([Reading(name, "c", "v", 0.0, 0.0, Outcome.OK, None, "x" * (number % 900))])
        sys.stdout.write(f"{spool.epoch} {seq} {name}\\n")
        sys.stdout.flush()

async def main():
    spool = Spool(sys.argv[1], agent="pc-1", max_bytes=1 << 28, clock=SystemClock())
    async with asyncio.TaskGroup() as group:
        for worker in range(8):
            group.create_task(work(spool, worker))

asyncio.run(main())
"""


def write_until_killed(path: Path, run: int, seconds: float) -> list[str]:
    """Lines that a child printed after its appends, until SIGKILL met it."""
    argv = [sys.executable, "-c", WRITER, str(path), f"run{run}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # it is under way now
        timer = threading.Timer(seconds, os.kill, (child.pid, signal.SIGKILL))
        timer.start()
        lines += child.stdout.readlines()
        timer.join()
    assert child.returncode == -signal.SIGKILL
    return [line for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_kill_9_loses_no_append_that_returned(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    chance = random.Random(20260114)
    promised: dict[tuple[str, int], str] = {}
    for run in range(8):
        lines = write_until_killed(path, run, chance.uniform(0.05, 0.4))
        for line in lines:
            epoch, seq, name = line.split()
            assert (epoch, int(seq)) not in promised, "a seq was given twice"
            promised[epoch, int(seq)] = name
        shelf = Shelf(path, max_bytes=1 << 28)
        found = {(one.epoch, one.seq): codec.decode_readings(one.body)[0].target for one in shelf.newest(1_000_000)}
        shelf.close()
        assert promised.items() <= found.items()
        assert len(set(found.values())) == len(found), "nothing is there twice"
    assert len({epoch for epoch, _ in promised}) == 1
    assert len(promised) > 100


def test_another_process_writing_the_same_file_is_survived(tmp_path: Path) -> None:
    one, other = (Shelf(tmp_path / "spool.sqlite", max_bytes=LIMIT) for _ in range(2))
    one.append([(b"\x90", 0, None)])
    with pytest.raises(sqlite3.IntegrityError):
        other.append([(b"\x90", 0, None)])
    assert list(one.append([(b"\x90", 0, None)]).seqs) == [2]
    one.close()
    other.close()
