"""The queue in front of a store: nothing is called durable that is not, and nothing taken is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row, Series, Written
from healthmon.runtime.clock import ManualClock, settle
from healthmon.store.writer import StoreWriter


class Shelf:
    """A store in memory that can be down, slow, picky, restarted or broken."""

    def __init__(self, *, hold_ack_s: float = 0.0) -> None:
        self.rows: list[Row] = []
        self.writes: list[int] = []
        self.down: StoreDown | None = None
        self.bad: Callable[[Row], bool] = lambda row: False
        self.bug: Exception | None = None
        self.hold_ack_s = hold_ack_s
        self.started = 1
        self.expired_at: list[float] = []

    async def write(self, rows: Sequence[Row]) -> Written:
        if self.down:
            raise self.down
        if self.bug:
            raise self.bug
        good = [row for row in rows if not self.bad(row)]
        self.rows += good
        self.writes.append(len(rows))
        return Written(len(good), tuple((row, "bad point") for row in rows if self.bad(row)))

    async def query(self, query: Query) -> list[Series]:
        return []

    async def close(self) -> None:
        pass

    async def incarnation(self) -> str:
        if self.down:
            raise self.down
        return str(self.started)

    async def expire(self, now: float) -> int:
        self.expired_at.append(now)
        return 7


@asynccontextmanager
async def running(writer: StoreWriter) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.run())
        await settle()
        yield
        task.cancel()


def rows(n: int, *, start: int = 0) -> list[Row]:
    return [Row("icmp", (), (("rtt", 1.0),), float(start + i)) for i in range(n)]


async def test_done_comes_after_the_write() -> None:
    shelf, clock, seen = Shelf(), ManualClock(), []
    writer = StoreWriter(shelf, clock=clock)
    assert writer.put(rows(3), lambda: seen.append(len(shelf.rows)))
    assert seen == []
    async with running(writer):
        await settle()
    assert seen == [3]
    assert (writer.stats().accepted, writer.stats().queued, writer.stats().ok) == (3, 0, True)


async def test_many_puts_make_one_write_up_to_a_size() -> None:
    shelf = Shelf()
    writer = StoreWriter(shelf, clock=ManualClock(), most_rows=10)
    for _ in range(6):
        writer.put(rows(4), lambda: None)
    async with running(writer):
        await settle()
    assert shelf.writes == [8, 8, 8]


async def test_a_put_larger_than_a_write_still_goes() -> None:
    shelf = Shelf()
    writer = StoreWriter(shelf, clock=ManualClock(), most_rows=2)
    writer.put(rows(9), lambda: None)
    async with running(writer):
        await settle()
    assert len(shelf.rows) == 9


async def test_an_outage_keeps_everything_and_retries_when_told() -> None:
    shelf, clock, done = Shelf(), ManualClock(), []
    shelf.down = StoreDown("503", retry_after_s=60.0)
    writer = StoreWriter(shelf, clock=clock)
    writer.put(rows(2), lambda: done.append(1))
    async with running(writer):
        await clock.advance(59.0)
        assert (writer.stats().ok, writer.stats().error, writer.stats().retried) == (False, "503", 1)
        shelf.down = None
        assert done == []
        await clock.advance(1.0)
        assert (done, writer.stats().ok) == ([1], True)
    assert len(shelf.rows) == 2


async def test_a_full_queue_refuses_and_takes_nothing() -> None:
    shelf = Shelf()
    shelf.down = StoreDown("down")
    writer = StoreWriter(shelf, clock=ManualClock(), limit=2)
    answers = [writer.put(rows(1), lambda: None) for _ in range(3)]
    assert answers == [True, True, False]
    assert (writer.stats().refused, writer.stats().queued) == (1, 2)


async def test_a_batch_that_waits_already_is_not_queued_twice() -> None:
    shelf, done = Shelf(), []
    writer = StoreWriter(shelf, clock=ManualClock())
    assert all(writer.put(rows(1), lambda: done.append(1), key=("a", "e", 1)) for _ in range(5))
    async with running(writer):
        await settle()
        assert (len(shelf.rows), done) == (1, [1])
        assert writer.put(rows(1), lambda: done.append(2), key=("a", "e", 1))
        await settle()
    assert done == [1, 2]


async def test_rows_refused_for_good_do_not_hold_the_batch() -> None:
    shelf, done = Shelf(), []
    shelf.bad = lambda row: row.at == 1.0
    writer = StoreWriter(shelf, clock=ManualClock())
    writer.put(rows(3), lambda: done.append(1))
    async with running(writer):
        await settle()
    assert (writer.stats().accepted, writer.stats().rejected, done) == (2, 1, [1])
    assert [(row.at, why) for row, why in writer.refusals] == [(1.0, "bad point")]


async def test_after_a_crash_the_same_batch_may_be_offered_again() -> None:
    shelf, done = Shelf(), []
    shelf.bug = RuntimeError("bug")
    writer = StoreWriter(shelf, clock=ManualClock(), most_rows=1)
    for seq in (1, 2):
        writer.put(rows(1), lambda: done.append(1), key=seq)
    with pytest.raises(ExceptionGroup):
        await writer.run()
    shelf.bug = None
    for seq in (1, 2):
        assert writer.put(rows(1), lambda: done.append(1), key=seq)
    async with running(writer):
        await settle()
    assert (done, len(shelf.rows)) == ([1, 1], 2)


async def test_an_early_answer_is_held_until_the_disk_has_it() -> None:
    shelf, clock, done = Shelf(hold_ack_s=5.0), ManualClock(), []
    writer = StoreWriter(shelf, clock=clock)
    writer.put(rows(1), lambda: done.append(1), key=1)
    async with running(writer):
        await clock.advance(4.9)
        assert (done, writer.stats().queued) == ([], 1)
        assert writer.put(rows(1), lambda: done.append(2), key=1)
        await clock.advance(0.2)
        assert (done, writer.stats().queued) == ([1], 0)
    assert len(shelf.rows) == 1


async def test_a_restart_during_the_hold_writes_again() -> None:
    shelf, clock, done = Shelf(hold_ack_s=5.0), ManualClock(), []
    writer = StoreWriter(shelf, clock=clock)
    writer.put(rows(1), lambda: done.append(1))
    async with running(writer):
        await clock.advance(2.0)
        shelf.rows.clear()
        shelf.started = 2
        await clock.advance(3.5)
        assert (done, len(shelf.rows)) == ([], 1)
        await clock.advance(5.5)
        assert done == [1]


async def test_an_outage_during_the_hold_writes_again() -> None:
    shelf, clock, done = Shelf(hold_ack_s=5.0), ManualClock(), []
    writer = StoreWriter(shelf, clock=clock)
    writer.put(rows(1), lambda: done.append(1))
    async with running(writer):
        await clock.advance(2.0)
        shelf.down = StoreDown("down")
        await clock.advance(10.0)
        shelf.down = None
        shelf.started = 2
        await clock.advance(40.0)
    assert done == [1]
    assert len(shelf.rows) == 2


async def test_what_is_written_after_an_outage_is_held_once() -> None:
    """The store that came back is another one: its rows are not written again for the restart before them."""
    shelf, clock, done = Shelf(hold_ack_s=5.0), ManualClock(), []
    writer = StoreWriter(shelf, clock=clock)
    writer.put(rows(1), lambda: done.append(1))
    async with running(writer):
        await clock.advance(6.0)
        shelf.down = StoreDown("down")
        writer.put(rows(1, start=1), lambda: done.append(2))
        await settle()
        shelf.down, shelf.started = None, 2
        await clock.advance(1.0)  # the first wait is half a second at most
        assert (done, len(shelf.rows)) == ([1], 2)
        await clock.advance(5.5)
    assert (done, len(shelf.rows)) == ([1, 2], 2)


async def test_held_batches_count_as_queued() -> None:
    shelf, clock = Shelf(hold_ack_s=5.0), ManualClock()
    writer = StoreWriter(shelf, clock=clock, limit=2)
    async with running(writer):
        for _ in range(2):
            assert writer.put(rows(1), lambda: None)
            await settle()
        assert not writer.put(rows(1), lambda: None)
        await clock.advance(5.5)
        assert writer.put(rows(1), lambda: None)


async def test_old_points_are_expired_every_hour() -> None:
    shelf, clock = Shelf(), ManualClock()
    writer = StoreWriter(shelf, clock=clock)
    start = clock.now()
    async with running(writer):
        await clock.advance(3 * 3600.0)
    assert shelf.expired_at == [start + 60.0, start + 3660.0, start + 7260.0]
    assert writer.stats().expired == 21
