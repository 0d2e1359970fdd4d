"""One suite for the spool over both places it can keep batches: a file, and memory while the disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec, spool
from healthmon.transport.codec import Ack
from healthmon.transport.shelf import Shelf
from healthmon.transport.spool import Spool


def reading(number: int, *, pad: int = 0) -> Reading:
    samples = (Sample("icmp", "rtt_avg_seconds", float(number)),)
    return Reading(f"t{number}", "icmp", "pc-1", 1000.0 + number, 0.1, Outcome.OK, None, "x" * pad, samples)


def targets(batch: spool.Pending) -> list[str]:
    return [one.target for one in codec.decode_readings(batch.body)]


class Kept:
    """A spool under test with its clock and a way to open it again."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.clock = ManualClock()
        self.path = path
        self.max_bytes = max_bytes
        self.spool = self.open()

    def open(self) -> Spool:
        return Spool(self.path, agent="pc-1", max_bytes=self.max_bytes, clock=self.clock)


MakeKept = Callable[..., Kept]


@pytest.fixture(params=["file", "memory"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeKept]:
    """Makes spools on a working disk, and on a path that cannot be a file."""
    made: list[Kept] = []
    path = tmp_path / "spool.sqlite"
    if request.param == "memory":
        (tmp_path / "taken").write_text("a file, so that no directory can be made here")
        path = tmp_path / "taken" / "spool.sqlite"

    def one(max_bytes: int = 1 << 20) -> Kept:
        made.append(Kept(path, max_bytes))
        return made[-1]

    yield one
    for kept in made:
        await kept.spool.close()


async def test_seqs_start_at_one_and_rise(make: MakeKept) -> None:
    kept = make()
    assert [await kept.spool.append([reading(n)]) for n in range(3)] == [1, 2, 3]
    assert len(kept.spool.epoch) == 16
    assert set(kept.spool.epoch) <= set("0123456789abcdef")


async def test_live_comes_first_then_the_rest_newest_first(make: MakeKept) -> None:
    kept = make()
    for number, live in enumerate([False, True, False, True, False], start=1):
        assert await kept.spool.append([reading(number)], live=live) == number
    pending = await kept.spool.pending(10)
    assert [(one.seq, one.live) for one in pending] == [(4, True), (2, True), (5, False), (3, False), (1, False)]
    assert [targets(one) for one in pending] == [["t4"], ["t2"], ["t5"], ["t3"], ["t1"]]
    assert [one.seq for one in await kept.spool.pending(3)] == [4, 2, 5]


async def test_what_was_sent_stays_but_is_live_no_more(make: MakeKept) -> None:
    kept = make()
    await kept.spool.append([reading(1)])
    await kept.spool.append([reading(2)])
    kept.spool.sent(kept.spool.fresh(1))
    assert [(one.seq, one.live) for one in await kept.spool.pending(10)] == [(1, True), (2, False)]
    assert kept.spool.stats().batches == 2


async def test_a_live_batch_that_waits_too_long_becomes_catch_up(make: MakeKept) -> None:
    kept = make()
    await kept.spool.append([reading(1)])
    await kept.clock.advance(9.0)
    assert [one.seq for one in kept.spool.fresh(10)] == [1]
    await kept.clock.advance(2.0)
    assert kept.spool.fresh(10) == []
    assert [(one.seq, one.live) for one in await kept.spool.pending(10)] == [(1, False)]


async def test_a_wall_clock_step_does_not_age_live_batches(make: MakeKept) -> None:
    kept = make()
    await kept.spool.append([reading(1)])
    kept.clock.step_wall(-7200.0)
    assert [one.seq for one in kept.spool.fresh(10)] == [1]
    kept.clock.step_wall(86400.0)
    assert [one.seq for one in kept.spool.fresh(10)] == [1]


async def test_acknowledged_ranges_are_deleted_exactly(make: MakeKept) -> None:
    kept = make()
    for number in range(1, 11):
        await kept.spool.append([reading(number)])
    assert await kept.spool.acknowledge(Ack(kept.spool.epoch, 2, ((5, 6), (9, 9)))) == 5
    assert sorted(one.seq for one in await kept.spool.pending(20)) == [3, 4, 7, 8, 10]
    assert await kept.spool.acknowledge(Ack(kept.spool.epoch, 2, ((5, 6), (9, 9)))) == 0
    assert kept.spool.stats().batches == 5
    assert kept.spool.stats().readings == 5


async def test_an_ack_of_another_epoch_deletes_nothing(make: MakeKept) -> None:
    kept = make()
    await kept.spool.append([reading(1)])
    assert await kept.spool.acknowledge(Ack("0" * 16, 1)) == 0
    assert kept.spool.stats().batches == 1


async def test_stored_skips_what_it_is_told_to(make: MakeKept) -> None:
    kept = make()
    for number in range(1, 1201):  # more than two pages
        await kept.spool.append([reading(number)], live=False)
    skip = {(kept.spool.epoch, seq) for seq in range(40, 1199)}
    assert [one.seq for one in await kept.spool.stored(5, skip)] == [1200, 1199, 39, 38, 37]
    assert await kept.spool.stored(5, {(kept.spool.epoch, seq) for seq in range(1, 1201)}) == []


async def test_appends_at_once_get_their_own_seqs_and_are_all_kept(make: MakeKept) -> None:
    kept = make()
    seqs = await asyncio.gather(*(kept.spool.append([reading(n)]) for n in range(100)))
    assert sorted(seqs) == list(range(1, 101))
    held = {one.seq: targets(one) for one in await kept.spool.pending(200)}
    assert held == {seq: [f"t{n}"] for n, seq in enumerate(seqs)}


async def test_a_cancelled_append_harms_nobody(make: MakeKept) -> None:
    kept = make()
    tasks = [asyncio.ensure_future(kept.spool.append([reading(n)])) for n in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {f"t{n}" for n in range(1, 20)} <= {targets(one)[0] for one in await kept.spool.pending(50)}


async def test_the_size_limit_drops_the_oldest_declares_and_counts_them(make: MakeKept) -> None:
    kept = make(max_bytes=20_000)
    for number in range(1, 41):
        await kept.spool.append([reading(number, pad=900), reading(number, pad=0)], live=False)
    stats = kept.spool.stats()
    assert stats.bytes <= 20_000
    left = [one.seq for one in await kept.spool.pending(100)]
    assert left == list(range(40, 40 - len(left), -1)), "the oldest went, the newest stayed"
    assert kept.spool.dropped(kept.spool.epoch) == ((1, 40 - len(left)),)
    assert stats.dropped_readings == 2 * (40 - len(left))
    assert stats.readings == 2 * len(left)
    assert 10 < len(left) < 20


async def test_dropped_ranges_skip_what_was_acknowledged(make: MakeKept) -> None:
    kept = make(max_bytes=10_000)
    for number in range(1, 9):
        await kept.spool.append([reading(number, pad=900)], live=False)
    await kept.spool.acknowledge(Ack(kept.spool.epoch, 0, ((2, 3),)))
    for number in range(9, 15):
        await kept.spool.append([reading(number, pad=900)], live=False)
    dropped = kept.spool.dropped(kept.spool.epoch)
    assert dropped[0] == (1, 1)
    assert dropped[1][0] == 4
    assert kept.spool.stats().dropped_readings == sum(high - low + 1 for low, high in dropped)


async def test_declared_ranges_are_forgotten_later_ones_stay(make: MakeKept) -> None:
    kept = make(max_bytes=10_000)
    for number in range(1, 15):
        await kept.spool.append([reading(number, pad=900)], live=False)
    declared = kept.spool.dropped(kept.spool.epoch)
    for number in range(15, 18):
        await kept.spool.append([reading(number, pad=900)], live=False)
    await kept.spool.declared(kept.spool.epoch, declared)
    (rest,) = kept.spool.dropped(kept.spool.epoch)
    assert rest[0] == declared[0][1] + 1


async def test_one_batch_larger_than_the_limit_is_still_kept(make: MakeKept) -> None:
    kept = make(max_bytes=1_000)
    await kept.spool.append([reading(1, pad=5_000)])
    assert [one.seq for one in await kept.spool.pending(5)] == [1]
    await kept.spool.append([reading(2, pad=5_000)])
    assert [one.seq for one in await kept.spool.pending(5)] == [2]


async def test_readings_that_do_not_fit_one_batch_are_split(make: MakeKept) -> None:
    kept = make(max_bytes=4 << 20)
    await kept.spool.append([reading(n, pad=1_000) for n in range(1, 601)])
    pending = await kept.spool.pending(50)
    assert len(pending) > 1
    assert all(len(one.body) <= spool.MAX_BODY_BYTES for one in pending)
    assert [t for one in reversed(pending) for t in targets(one)] == [f"t{n}" for n in range(1, 601)]


async def test_a_reading_too_large_for_any_batch_is_refused_and_counted(make: MakeKept) -> None:
    kept = make()
    await kept.spool.append([reading(1), reading(2, pad=spool.MAX_BODY_BYTES), reading(3)])
    assert [t for one in reversed(await kept.spool.pending(5)) for t in targets(one)] == ["t1", "t3"]
    assert kept.spool.stats().refused_readings == 1


async def test_samples_that_no_server_takes_are_left_out(make: MakeKept) -> None:
    kept = make()
    bad = Reading("t", "c", "v", 0.0, 0.0, Outcome.OK, samples=(Sample("a", "b", float("nan")), Sample("a", "c", 1.0)))
    await kept.spool.append([bad])
    (batch,) = await kept.spool.pending(1)
    assert codec.decode_readings(batch.body)[0].samples == (Sample("a", "c", 1.0),)


async def test_an_empty_batch_is_a_batch(make: MakeKept) -> None:
    kept = make()
    assert await kept.spool.append([]) == 1
    (batch,) = await kept.spool.pending(5)
    assert targets(batch) == []


# -- what only a file can do


async def test_a_restart_keeps_epoch_seq_batches_and_counters(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 5_000)
    for number in range(1, 11):
        await kept.spool.append([reading(number, pad=900)])
    epoch, stats, dropped = kept.spool.epoch, kept.spool.stats(), kept.spool.dropped(kept.spool.epoch)
    before = {one.seq: one.body for one in await kept.spool.pending(20)}
    await kept.spool.close()
    again = kept.open()
    assert (again.epoch, again.stats(), again.dropped(epoch)) == (epoch, stats, dropped)
    pending = await again.pending(20)
    assert {one.seq: one.body for one in pending} == before
    assert not any(one.live for one in pending), "nobody knows how old they are"
    assert await again.append([reading(11)]) == 11
    await again.close()


async def test_seqs_are_not_used_again_when_everything_was_acknowledged(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    for number in range(1, 4):
        await kept.spool.append([reading(number)])
    await kept.spool.acknowledge(Ack(kept.spool.epoch, 3))
    await kept.spool.close()
    again = kept.open()
    assert await again.append([reading(4)]) == 4
    await again.close()


async def test_two_spools_have_two_epochs(tmp_path: Path) -> None:
    one, other = Kept(tmp_path / "a.sqlite", 1 << 20), Kept(tmp_path / "b.sqlite", 1 << 20)
    assert one.spool.epoch != other.spool.epoch
    await one.spool.close()
    await other.spool.close()


async def test_a_file_rolled_back_by_a_snapshot_gets_a_new_epoch_and_loses_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    old = kept.spool.epoch
    for number in range(1, 4):
        await kept.spool.append([reading(number)])
    # the server has 10 of this epoch durable: what we hold as 3 is not what it holds as 3
    assert await kept.spool.acknowledge(Ack(old, 10)) == 0
    assert kept.spool.epoch != old
    assert [(one.epoch == old, one.seq, targets(one)) for one in await kept.spool.pending(5)] == [
        (False, 3, ["t3"]),
        (False, 2, ["t2"]),
        (False, 1, ["t1"]),
    ]
    renewed = kept.spool.epoch
    assert await kept.spool.acknowledge(Ack(old, 11)) == 0
    assert kept.spool.epoch == renewed, "late acks of the old epoch change nothing more"
    assert await kept.spool.append([reading(4)]) == 4
    await kept.spool.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at" * 40, b"SQLite format 3\0"]
)
async def test_a_corrupt_file_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(content)
    kept = Kept(path, 1 << 20)
    assert kept.spool.stats().set_aside == 1
    assert "corrupt" in kept.spool.stats().detail
    assert (tmp_path / "spool.sqlite.corrupt-1").read_bytes() == content
    assert await kept.spool.append([reading(1)]) == 1
    assert kept.spool.state == "ok"
    await kept.spool.close()


async def test_a_full_disk_turns_to_memory_and_back_without_loss(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    await kept.spool.append([reading(1)], live=False)
    first = kept.spool.epoch
    file = kept.spool._file
    assert isinstance(file, Shelf)
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    file._db.execute(f"PRAGMA max_page_count={pages}")  # sqlite's own SQLITE_FULL, as on a full disk
    for number in range(2, 5):
        await kept.spool.append([reading(number, pad=8_000)], live=False)
    stats = kept.spool.stats()
    assert (stats.state, stats.batches) == ("memory", 4)
    assert "full" in stats.detail
    second = kept.spool.epoch
    assert second != first
    assert [(one.epoch, one.seq) for one in await kept.spool.pending(9)] == [
        (second, 3),
        (second, 2),
        (second, 1),
        (first, 1),
    ]
    await kept.clock.advance(spool.DISK_RETRY_S + 1)
    assert await kept.spool.append([reading(5)], live=False) == 4
    assert (kept.spool.state, kept.spool.epoch, kept.spool.stats().batches) == ("ok", second, 5)
    assert await kept.spool.acknowledge(Ack(first, 1)) == 1
    await kept.spool.close()
    again = kept.open()
    assert [targets(one) for one in await again.pending(9)] == [["t5"], ["t4"], ["t3"], ["t2"]]
    assert again.epoch == second
    assert await again.append([reading(6)]) == 5
    await again.close()


async def test_a_read_only_disk_keeps_a_bounded_ring_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MEMORY_MAX_BYTES", 5_000)
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    file = kept.spool._file
    assert isinstance(file, Shelf)
    file._db.execute("PRAGMA query_only=1")
    for number in range(1, 21):
        await kept.spool.append([reading(number, pad=900)], live=False)
    stats = kept.spool.stats()
    assert stats.state == "memory"
    assert "readonly" in stats.detail
    assert stats.bytes <= 5_000
    assert stats.dropped_readings == 20 - stats.readings
    assert kept.spool.dropped(kept.spool.epoch) == ((1, stats.dropped_readings),)
    await kept.spool.close()


async def test_acks_on_a_disk_that_fails_are_remembered(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    await kept.spool.append([reading(1)], live=False)
    file = kept.spool._file
    assert isinstance(file, Shelf)
    file._db.execute("PRAGMA query_only=1")
    first = kept.spool.epoch
    assert await kept.spool.acknowledge(Ack(first, 1)) == 1
    assert await kept.spool.acknowledge(Ack(first, 1)) == 0, "counted once"
    assert (kept.spool.state, kept.spool.stats().why, kept.spool.batches) == ("memory", "read_only", 0)
    assert await kept.spool.pending(5) == [], "not sent again"
    file._db.execute("PRAGMA query_only=0")
    await kept.clock.advance(spool.DISK_RETRY_S + 1)
    await kept.spool.append([reading(2)], live=False)
    assert (kept.spool.state, kept.spool.batches) == ("ok", 1)
    await kept.spool.close()
    again = kept.open()
    assert [targets(one) for one in await again.pending(9)] == [["t2"]]
    await again.close()


def _epochs_with_batches(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT DISTINCT epoch FROM epochs JOIN batches ON batches.key >> 40 = epochs.number")
        return {epoch for (epoch,) in rows}


async def test_a_disk_full_of_acknowledged_batches_is_emptied_and_used_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 30_000)
    for number in range(1, 41):  # some of it given up for the size limit, and not yet declared
        await kept.spool.append([reading(number, pad=900)], live=False)
    first, dropped, given_up = kept.spool.epoch, kept.spool.dropped(kept.spool.epoch), kept.spool.stats()
    file = kept.spool._file
    assert isinstance(file, Shelf)
    assert dropped
    file._db.execute("PRAGMA query_only=1")  # as a full disk: reads, and neither grows nor deletes
    await kept.spool.append([reading(50)], live=False)
    assert await kept.spool.acknowledge(Ack(first, 40)) == given_up.batches
    assert [targets(one) for one in await kept.spool.pending(9)] == [["t50"]]
    await kept.clock.advance(spool.DISK_RETRY_S + 1)
    await kept.spool.append([reading(51)], live=False)
    stats = kept.spool.stats()
    assert (stats.state, stats.batches, stats.dropped_readings) == ("ok", 2, given_up.dropped_readings)
    assert first not in _epochs_with_batches(kept.path), "a new file"
    assert kept.spool.dropped(first) == dropped, "what was given up is still declared"
    await kept.spool.close()


async def test_a_disk_that_comes_and_goes_is_tried_ever_less_often(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "spool.sqlite", 1 << 20)
    epochs = set()
    for number in range(1, 200):  # 200 s, a reading each second, and never a write that works
        file = kept.spool._file
        if isinstance(file, Shelf):
            file._db.execute("PRAGMA query_only=1")
        await kept.spool.append([reading(number)], live=False)
        epochs.add(kept.spool.epoch)
        await kept.clock.advance(1.0)
    assert len(epochs) <= 6
    assert kept.spool.batches == 199
    assert kept.spool.stats().dropped_readings == 0
    await kept.spool.close()


def test_a_shelf_that_is_closed_raises_the_family_the_spool_catches(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "spool.sqlite", max_bytes=1_000)
    shelf.close()
    with pytest.raises(sqlite3.Error):
        shelf.append([(b"", 0, None)])


async def test_a_day_without_a_broker_fits_the_cap_of_a_ward_pc(tmp_path: Path) -> None:
    """20 points every 15 s for 24 hours under the default cap; newest first when the broker is back."""
    kept = Kept(tmp_path / "spool.sqlite", 268_435_456)
    day = range(24 * 3600 // 15)
    names = ("cpu", "memory", "disk", "network", "agent")
    samples = tuple(Sample("host_cpu", f"utilisation_{n}_ratio", 0.123456789, {"mount": "/var"}) for n in range(4))
    readings = [Reading("pc-1", n, "pc-1", 1.8e9, 0.01, Outcome.OK, None, "", samples) for n in names]
    for start in range(0, len(day), 480):  # two hours in one transaction; each is a batch of its own
        await asyncio.gather(*(kept.spool.append(readings, live=False) for _ in day[start : start + 480]))
    stats = kept.spool.stats()
    assert (stats.batches, stats.dropped_readings, stats.state) == (len(day), 0, "ok")
    assert stats.bytes < 0.1 * 268_435_456
    print(f"a day of 20 points every 15 s: {stats.bytes} bytes, {stats.bytes / stats.readings:.0f} a reading")
    assert [one.seq for one in await kept.spool.stored(3)] == [len(day), len(day) - 1, len(day) - 2]
    await kept.spool.close()
