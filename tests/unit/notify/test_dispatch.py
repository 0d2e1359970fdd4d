"""The dispatcher by a manual clock: order, waiting, giving up, what is written and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from daemons.paging import notice
from healthmon.alerting.journal_rows import SENDING
from healthmon.alerting.notify import dispatch
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.model.incident import LedgerRow, Notice, NoticeResult, Why
from healthmon.model.journal import Changes
from healthmon.model.ports import Dead, Notifier, Retry, Sent
from healthmon.runtime.clock import ManualClock, settle

Answers = Callable[[Notice], Sent | Retry | Dead]


@dataclass
class Channel:
    """Answers as told; `gate` closed means that it hangs."""

    answers: Answers = lambda notice: Sent()
    arrived: list[Notice] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        if self.gate:
            await self.gate.wait()
        self.arrived.append(notice)
        return self.answers(notice)

    def keys(self) -> list[str]:
        return [n.key for n in self.arrived]


@dataclass
class Desk:
    """Records every commit and every result."""

    clock: ManualClock = field(default_factory=ManualClock)
    commits: list[Changes] = field(default_factory=list)
    results: list[Notice] = field(default_factory=list)
    broken: Exception | None = None

    async def commit(self, changes: Changes) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise self.broken
        self.commits.append(changes)

    def dispatcher(self, **channels: Notifier) -> Dispatcher:
        return Dispatcher(
            channels=channels, journal_commit=self.commit, clock=self.clock, on_result=self.results.append
        )

    def written(self, key: str) -> list[tuple[NoticeResult, int, str]]:
        return [(n.result, n.attempts, n.detail) for c in self.commits for n in c.notices if n.key == key]

    def ledger(self) -> list[LedgerRow]:
        return [row for c in self.commits for row in c.ledger]


@contextlib.asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run())
        await settle(60)
        yield
        task.cancel()


def key(number: int) -> str:
    return f"{number:016x}"


async def test_the_mark_is_on_disk_before_the_sending_and_the_result_after() -> None:
    desk = Desk()
    seen: list[list[tuple[NoticeResult, int, str]]] = []

    def look(sent: Notice) -> Sent:
        seen.append(desk.written(sent.key))
        return Sent("HTTP 200")

    dispatcher = desk.dispatcher(pager=Channel(look))
    dispatcher.put([notice()])
    async with running(dispatcher):
        await dispatcher.idle()
    assert seen == [[(NoticeResult.RETRYING, 1, SENDING)]]
    assert desk.written(notice().key)[1:] == [(NoticeResult.SENT, 1, "HTTP 200")]
    assert [(n.result, n.at) for n in desk.results] == [(NoticeResult.SENT, desk.clock.now())]
    assert dispatcher.counters()['notice_total{channel="pager",result="sent"}'] == 1


async def test_the_same_key_is_taken_once_and_finished_ones_not_at_all() -> None:
    desk, pager = Desk(), Channel(gate=asyncio.Event())
    dispatcher = desk.dispatcher(pager=pager)
    done = [notice(key(n), result=result) for n, result in enumerate((NoticeResult.SENT, NoticeResult.DEAD))]
    dispatcher.put([notice(), notice(), *done])
    async with running(dispatcher):
        dispatcher.put([notice()])
        assert pager.gate
        pager.gate.set()
        await dispatcher.idle()
    assert pager.keys() == [notice().key]


async def test_retries_wait_longer_and_longer_and_end_after_two_hours_in_the_ledger() -> None:
    desk, pager = Desk(), Channel(lambda n: Retry("HTTP 503"))
    dispatcher = desk.dispatcher(pager=pager)
    dispatcher.put([notice()])
    async with running(dispatcher):
        for _ in range(719):
            await desk.clock.advance(10.0)
        await desk.clock.advance(9.0)
        assert not [n for n in desk.results if n.result is NoticeResult.DEAD]
        assert 20 < len(pager.arrived) < 200
        await desk.clock.advance(2.0)
        await dispatcher.idle()
    last = desk.results[-1]
    assert last.result is NoticeResult.DEAD
    assert last.attempts == len(pager.arrived)
    assert [n.attempts for n in pager.arrived] == list(range(1, len(pager.arrived) + 1))
    assert not any(n.repeat for n in pager.arrived)
    assert [(row.cause, row.key) for row in desk.ledger()] == [("dead_channel", notice().key)]
    assert "HTTP 503" in desk.ledger()[0].because


async def test_retry_after_is_kept() -> None:
    desk, pager = Desk(), Channel(lambda n: Retry("HTTP 429", after_s=900.0) if n.attempts == 1 else Sent())
    dispatcher = desk.dispatcher(pager=pager)
    dispatcher.put([notice()])
    async with running(dispatcher):
        await desk.clock.advance(899.0)
        assert len(pager.arrived) == 1
        await desk.clock.advance(1.0)
        await dispatcher.idle()
    assert len(pager.arrived) == 2


async def test_a_refused_message_is_dead_at_once() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher(pager=Channel(lambda n: Dead("HTTP 404")))
    dispatcher.put([notice()])
    async with running(dispatcher):
        await dispatcher.idle()
    assert desk.results[-1].result is NoticeResult.DEAD
    assert [row.cause for row in desk.ledger()] == ["dead_channel"]
    assert dispatcher.totals["pager", "dead"] == 1


async def test_a_channel_that_does_not_exist_is_dead_at_once() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher(pager=Channel())
    dispatcher.put([notice(channel="fax")])
    async with running(dispatcher):
        await dispatcher.idle()
    assert "no such channel" in desk.ledger()[0].because


async def test_a_full_queue_refuses_visibly() -> None:
    desk, pager = Desk(), Channel()
    dispatcher = Dispatcher(
        channels={"pager": pager},
        journal_commit=desk.commit,
        clock=desk.clock,
        on_result=desk.results.append,
        limit=3,
    )
    dispatcher.put([notice(key(n), incident=f"inc-{n}") for n in range(5)])
    async with running(dispatcher):
        await dispatcher.idle()
    assert sorted(pager.keys()) == [key(n) for n in range(3)]
    assert sorted(row.key for row in desk.ledger()) == [key(3), key(4)]


async def test_a_hanging_channel_delays_no_other() -> None:
    desk, mail = Desk(), Channel()
    pager = Channel(gate=asyncio.Event())
    dispatcher = desk.dispatcher(pager=pager, mail=mail)
    dispatcher.put([notice(key(n), incident=f"inc-{n}") for n in range(50)])
    dispatcher.put([notice(key(100 + n), incident=f"inc-{n}", channel="mail") for n in range(50)])
    async with running(dispatcher):
        await settle(500)
        assert len(mail.arrived) == 50
        assert pager.arrived == []


async def test_one_reader_hears_of_one_incident_in_order_and_of_another_meanwhile() -> None:
    desk = Desk()
    pager = Channel(lambda n: Retry("HTTP 503") if n.key == key(1) and n.attempts == 1 else Sent())
    dispatcher = desk.dispatcher(pager=pager)
    dispatcher.put(
        [notice(key(1)), notice(key(2), why=Why.MITIGATED), notice(key(3), incident="inc-2"), notice(key(4), to="x")]
    )
    async with running(dispatcher):
        await settle(200)
        assert sorted(pager.keys()) == [key(1), key(3), key(4)], "good news waits for the bad news before it"
        await desk.clock.advance(2.0)
        await dispatcher.idle()
    assert pager.keys()[3:] == [key(1), key(2)]


async def test_the_worst_goes_first() -> None:
    desk, pager = Desk(), Channel()
    dispatcher = Dispatcher(
        channels={"pager": pager},
        journal_commit=desk.commit,
        clock=desk.clock,
        on_result=desk.results.append,
        concurrency=1,
    )
    dispatcher.put([notice(key(n), incident=f"inc-{n}", severity=severity) for n, severity in enumerate((3, 2, 1, 2))])
    async with running(dispatcher):
        await dispatcher.idle()
    assert [n.severity for n in pager.arrived] == [1, 2, 2, 3]


async def test_what_was_on_the_wire_is_repeated_and_says_so_until_it_is_through() -> None:
    desk = Desk()
    pager = Channel(lambda n: Retry("HTTP 503") if n.attempts == 2 else Sent())
    dispatcher = desk.dispatcher(pager=pager)
    on_the_wire = notice(result=NoticeResult.RETRYING, attempts=1, detail=SENDING)
    failed = notice(key(2), incident="inc-2", result=NoticeResult.RETRYING, attempts=2, detail="HTTP 503")
    dispatcher.put([on_the_wire, failed, notice(key(3), incident="inc-3")])
    async with running(dispatcher):
        await settle(100)
        await desk.clock.advance(5.0)
        await dispatcher.idle()
    repeats = {n.key: {m.repeat for m in pager.arrived if m.key == n.key} for n in pager.arrived}
    assert repeats == {on_the_wire.key: {True}, key(2): {False}, key(3): {False}}
    assert dispatcher.totals["pager", "repeated"] >= 1


async def test_a_faulty_channel_is_tried_again_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def faulty(sent: Notice) -> Sent:
        if sent.attempts == 1:
            raise KeyError("bug in a channel")
        return Sent()

    desk, mail = Desk(), Channel()
    dispatcher = desk.dispatcher(pager=Channel(faulty), mail=mail)
    dispatcher.put([notice(), notice(key(2), channel="mail")])
    async with running(dispatcher):
        await settle(100)
        await desk.clock.advance(2.0)
        await dispatcher.idle()
    assert [n.result for n in desk.results if n.channel == "pager"] == [NoticeResult.RETRYING, NoticeResult.SENT]
    assert mail.keys() == [key(2)]


async def test_a_journal_that_fails_does_not_stop_the_paging_and_is_caught_up() -> None:
    desk, pager = Desk(), Channel(lambda n: Dead("HTTP 404") if n.key == key(2) else Sent())
    desk.broken = sqlite3.OperationalError("database or disk is full")
    dispatcher = desk.dispatcher(pager=pager)
    dispatcher.put([notice(key(1)), notice(key(2), incident="inc-2")])
    async with running(dispatcher):
        await dispatcher.idle()
        assert sorted(pager.keys()) == [key(1), key(2)]
        assert desk.commits == []
        assert dispatcher.commit_failures > 0
        desk.broken = None
        await desk.clock.advance(6.0)
    assert desk.written(key(1))[-1][0] is NoticeResult.SENT
    assert desk.written(key(2))[-1][0] is NoticeResult.DEAD
    assert [row.key for row in desk.ledger()] == [key(2)]


async def test_after_a_crash_of_its_own_it_goes_on_where_it_was() -> None:
    desk, pager = Desk(), Channel()
    dispatcher = desk.dispatcher(pager=pager)
    dispatcher.put([notice(key(n), incident=f"inc-{n}") for n in range(3)])
    desk.broken = RuntimeError("a bug, not a disk")
    with pytest.raises(ExceptionGroup):
        await dispatcher.run()
    desk.broken = None
    async with running(dispatcher):
        await dispatcher.idle()
    assert sorted(n.key for n in pager.arrived) == [key(n) for n in range(3)]


async def test_a_crash_in_the_listener_after_a_result_repeats_nothing() -> None:
    desk, pager = Desk(), Channel()
    crashes = iter([True])

    def listener(result: Notice) -> None:
        desk.results.append(result)
        if next(crashes, False):
            raise RuntimeError("listener")

    dispatcher = Dispatcher(channels={"pager": pager}, journal_commit=desk.commit, clock=desk.clock, on_result=listener)
    dispatcher.put([notice(key(1)), notice(key(2))])
    with pytest.raises(ExceptionGroup):
        await dispatcher.run()
    async with running(dispatcher):
        await dispatcher.idle()
    assert pager.keys() == [key(1), key(2)]


async def test_a_planned_stop_waits_for_the_wire_and_begins_nothing() -> None:
    desk = Desk()
    pager = Channel(gate=asyncio.Event())
    dispatcher = Dispatcher(
        channels={"pager": pager},
        journal_commit=desk.commit,
        clock=desk.clock,
        on_result=desk.results.append,
        concurrency=1,
    )
    dispatcher.put([notice(key(n), incident=f"inc-{n}") for n in range(3)])
    async with running(dispatcher), asyncio.TaskGroup() as group:
        stopped = group.create_task(dispatcher.wind_down())
        await settle()
        assert not stopped.done()
        assert pager.gate
        pager.gate.set()
        await stopped
        assert len(pager.arrived) == 1
    assert desk.written(pager.arrived[0].key)[-1][0] is NoticeResult.SENT


async def test_a_planned_stop_leaves_a_receiver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start sends its page again, marked as a repeat."""
    monkeypatch.setattr(dispatch, "WIND_DOWN_S", 0.0)
    desk, pager = Desk(), Channel(gate=asyncio.Event())
    dispatcher = Dispatcher(
        channels={"pager": pager}, journal_commit=desk.commit, clock=desk.clock, on_result=desk.results.append
    )
    dispatcher.put([notice(key(1))])
    async with running(dispatcher):
        await settle()
        async with asyncio.timeout(30):
            await dispatcher.wind_down()
    result, attempts, *_ = desk.written(key(1))[-1]
    assert (result, attempts) == (NoticeResult.RETRYING, 1)


async def test_the_link_to_acknowledge_is_sent_but_not_written_down() -> None:
    desk, pager = Desk(), Channel()
    dispatcher = Dispatcher(
        channels={"pager": pager},
        journal_commit=desk.commit,
        clock=desk.clock,
        on_result=desk.results.append,
        ack_link=lambda n: "https://board.example/ack/T0KEN" if n.why is Why.OPENED else None,
    )
    dispatcher.put([notice(), notice(key(2), why=Why.MITIGATED)])
    async with running(dispatcher):
        await dispatcher.idle()
    assert pager.arrived[0].text.endswith("Take it: https://board.example/ack/T0KEN")
    assert pager.arrived[0].body["ack_url"] == "https://board.example/ack/T0KEN"
    assert "T0KEN" not in pager.arrived[1].text
    assert not any("T0KEN" in repr(c) for c in desk.commits)


async def test_channels_are_closed_at_the_end() -> None:
    @dataclass
    class Closing(Channel):
        closed: bool = False

        async def close(self) -> None:
            self.closed = True

    pager, desk = Closing(), Desk()
    async with running(desk.dispatcher(pager=pager)):
        assert not pager.closed
    assert pager.closed
