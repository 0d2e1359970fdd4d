"""The journal under a power cut: what commit returned from is there, and never half of anything."""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemons.paging import MORNING, incident, notice
from healthmon.alerting.journal import Journal
from healthmon.model.incident import Entry, LedgerRow
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Sample

WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24


def changes(number: int) -> Changes:
    """Something of every kind, all of it marked with the number of the commit."""
    at = MORNING + number
    reading = Reading("sw-ward7", "icmp", "poller", at, 0.1, Outcome.OK, samples=(Sample("icmp", "n", float(number)),))
    timeline = tuple(Entry(MORNING + n, "note", f"commit {n}") for n in range(number + 1))
    return Changes(
        at=at,
        readings=(reading,),
        incidents=(incident(timeline=timeline),),
        notices=(notice(f"{number:016x}", incident="inc-1"),),
        ledger=(LedgerRow(at, "inc-1", f"k{number}", "pager", "shadow", "because"),),
        epochs=(Epoch("pc", "9f3c0d5e7a1b2c48", 0.0, at, at, ((1, number + 1),)),),
        presence={"pc": ("up", at)},
    )


def commits_in(restored: Restored, journal: Journal) -> int:
    """How many commits the journal holds; every part of it must agree."""
    if restored.at is None:
        assert restored == Restored()
        return 0
    count = int(restored.at - MORNING) + 1
    assert restored.presence == {"pc": ("up", restored.at)}
    assert [r.started for r in restored.readings.values()] == [restored.at]
    assert len(restored.incidents["inc-1"].timeline) == count
    assert set(restored.notices) == {f"{n:016x}" for n in range(count)}
    assert restored.ledgered == {f"k{n}" for n in range(count)}
    assert [e.received for e in restored.epochs.values()] == [((1, count),)]
    assert [event.body["text"] for event in journal.events("timeline")] == [f"commit {n}" for n in range(count)]
    return count


def frame_ends(wal: bytes) -> list[int]:
    """Every boundary between two writes of the log: after its header, each frame's header and each frame's page."""
    (page_bytes,) = struct.unpack(">I", wal[8:12])
    ends = [0, WAL_HEADER_BYTES]
    while ends[-1] < len(wal):
        ends += [ends[-1] + FRAME_HEADER_BYTES, ends[-1] + FRAME_HEADER_BYTES + page_bytes]
    return ends


def test_a_log_cut_off_at_any_write_holds_whole_commits_only(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()  # the tables are in the main file
    journal = Journal(path)
    wal = path.with_name(path.name + "-wal")
    durable = {0: 0}  # bytes of log -> commits in it
    for number in range(6):
        journal.commit(changes(number))
        durable[wal.stat().st_size] = number + 1
    main, log = path.read_bytes(), wal.read_bytes()
    cuts = frame_ends(log)
    assert cuts[-1] == len(log)
    assert len(cuts) > 50
    for number, cut in enumerate([*cuts, *(end - 1 for end in cuts[1:])]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / path.name).write_bytes(main)
        (folder / wal.name).write_bytes(log[:cut])
        reopened = Journal(folder / path.name)
        found = commits_in(reopened.restore(), reopened)
        assert found == max(count for size, count in durable.items() if size <= cut)
        assert reopened.check() == "ok"
        reopened.commit(changes(found))
        assert commits_in(reopened.restore(), reopened) == found + 1, "it goes on from there"
        reopened.close()
        shutil.rmtree(folder)
    journal.close()


CHILD = """
import sys
sys.path[:0] = [{tests!r}, {faults!r}]
from test_journal_crash import changes
from healthmon.alerting.journal import Journal
journal = Journal({path!r})
for number in range({start}, 100000):
    journal.commit(changes(number))
    print(number, flush=True)
"""


@pytest.mark.slow
def test_kill_9_loses_no_commit_that_was_reported(tmp_path: Path) -> None:
    path, faults = tmp_path / "journal.sqlite", Path(__file__).parent
    held = 0
    for after in (1, 17, 40, 9):
        code = CHILD.format(tests=str(faults.parent), faults=str(faults), path=str(path), start=held)
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        reported = held
        for line in child.stdout:
            reported = int(line) + 1
            if reported >= held + after:
                child.send_signal(signal.SIGKILL)
                break
        reported = max([reported, *(int(line) + 1 for line in child.stdout)])
        child.wait()
        journal = Journal(path)
        held = commits_in(journal.restore(), journal)
        journal.close()
        assert reported <= held <= reported + 1, "all that was reported, and at most the one under way"
        assert held >= after


def test_many_threads_commit_and_read_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")

    def work(worker: int) -> None:
        for number in range(20):
            key = f"{worker:08x}{number:08x}"
            journal.commit(Changes(at=MORNING, notices=(notice(key),), presence={f"pc-{worker}": ("up", number)}))
            assert key in {n.key for n in journal.notices("inc-1")}

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.notices("inc-1")) == 120
    assert set(journal.restore().presence) == {f"pc-{n}" for n in range(6)}
    assert all(state == ("up", 19) for state in journal.restore().presence.values())
