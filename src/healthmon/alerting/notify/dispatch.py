"""Sends what was intended, at least once: the mark before sending and the result after it are on disk.

Each channel has its own lane and workers; messages about one incident to one reader keep their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from healthmon.alerting.journal_rows import SENDING, is_final, progress
from healthmon.alerting.notify.digest import digest
from healthmon.alerting.notify.lane import Lane, Load, Pace
from healthmon.model.incident import LedgerRow, Notice, NoticeResult
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock, Dead, Notifier, Retry, Sent
from healthmon.runtime import stopping
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.supervise import spawn

log = logging.getLogger(__name__)

#: What one channel holds at most; beyond it a notice is dead at once, counted and in the ledger.
QUEUE_LIMIT = 2000
#: How long one message is tried before it is given up: a channel that was gone for an hour loses nothing.
GIVE_UP_S = 2 * 3600.0
#: No channel may keep a worker longer than this, whatever its own timeout.
SEND_LIMIT_S = 90.0
#: Half of what a server has for its stop.
WIND_DOWN_S = 10.0

#: How soon a journal that refused a result is asked again.
JOURNAL_RETRY_S = 5.0

_Result = tuple[Notice, tuple[LedgerRow, ...]]


class Dispatcher:
    """`put` never waits; `run` sends until cancelled. `on_result` hears every result after it is on disk."""

    def __init__(
        self,
        *,
        channels: Mapping[str, Notifier],
        journal_commit: Callable[[Changes], Awaitable[None]],
        clock: Clock,
        on_result: Callable[[Notice], None],
        concurrency: int = 4,
        limit: int = QUEUE_LIMIT,
        ack_link: Callable[[Notice], str | None] | None = None,
        stamp: Callable[[Notice], Notice] | None = None,
        paces: Mapping[str, Pace] | None = None,
    ) -> None:
        self._channels = channels
        self._commit = journal_commit
        self._clock = clock
        self._on_result = on_result
        self._concurrency = concurrency
        self._ack_link = ack_link
        self._stamp = stamp
        self._limit = limit
        self._lanes: dict[str, Lane] = {}
        self._gone: frozenset[str] = frozenset()
        self._group: asyncio.TaskGroup | None = None
        self._open_lanes(channels, paces or {})
        self._refused: asyncio.Queue[tuple[Notice, str]] = asyncio.Queue()
        self._known: set[str] = set()  # keys queued or being sent
        self._began: dict[str, float] = {}  # key -> monotonic seconds of its first attempt
        self._backoffs: dict[str, Backoff] = {}
        self._unrecorded: dict[str, _Result] = {}  # what the journal has still to take
        self._refusals = asyncio.Event()  # the journal refused something
        self._idle = asyncio.Event()
        self._idle.set()
        self._landed = asyncio.Event()  # nothing is on the wire
        self._landed.set()
        self._on_wire = 0
        self._stopping = False
        self.totals: Counter[tuple[str, str]] = Counter()  # (channel, result)
        self.commit_failures = 0

    def put(self, notices: Iterable[Notice]) -> None:
        """Queue what is not finished. One that the last run left on the wire is marked as a repeat."""
        for notice in notices:
            if is_final(notice) or notice.key in self._known:
                continue
            notice = _resumed(notice)
            self._known.add(notice.key)
            self._idle.clear()
            lane = None if notice.channel in self._gone else self._lanes.get(notice.channel)
            if lane is None:
                self._refused.put_nowait((notice, "no such channel"))
            elif not lane.add(notice):
                self._refused.put_nowait((notice, "the channel's queue is full"))
            else:
                self.totals[notice.channel, "queued"] += 1

    async def run(self) -> None:
        """Work all channels until cancelled; may be called again after a crash."""
        self._on_wire, self._stopping = 0, False
        for lane in self._lanes.values():
            lane.start_afresh([_resumed(notice) for notice in lane.waiting()])
        try:
            async with asyncio.TaskGroup() as group:
                spawn(group, "notify refused", self._bury())
                spawn(group, "notify journal", self._write_again())
                self._group = group
                for name, lane in self._lanes.items():
                    self._man(group, name, lane)
        finally:
            self._group = None
            await self._close()

    def adopt(self, channels: Mapping[str, Notifier], paces: Mapping[str, Pace] | None = None) -> None:
        """Other channels from now on. What waits for one that is gone is still sent by it; nothing new goes there."""
        self._gone = frozenset(self._lanes) - frozenset(channels)
        self._channels = {**self._channels, **channels}
        new = self._open_lanes(channels, paces or {})
        if self._group is not None:
            for name in new:
                self._man(self._group, name, self._lanes[name])

    def _open_lanes(self, channels: Iterable[str], paces: Mapping[str, Pace]) -> list[str]:
        new = [name for name in channels if name not in self._lanes]
        for name in channels:
            pace = paces.get(name, Pace())
            if name in new:
                self._lanes[name] = Lane(limit=self._limit, clock=self._clock, pace=pace)
            self._lanes[name].pace = pace
        return new

    def _man(self, group: asyncio.TaskGroup, name: str, lane: Lane) -> None:
        for number in range(self._concurrency):
            spawn(group, f"notify {name} {number}", self._work(name, lane))

    async def idle(self) -> None:
        """Wait until nothing is queued, being sent or waiting for another try."""
        await self._idle.wait()

    @property
    def idling(self) -> bool:
        """Whether nothing is queued, being sent or waiting for another try."""
        return self._idle.is_set()

    async def wind_down(self) -> None:
        """Begin nothing new and wait for what is on the wire, so that a planned stop causes no repeat.

        A receiver that hangs is not waited for longer than `WIND_DOWN_S`: its page goes out again and says so.
        """
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with stopping.within(WIND_DOWN_S):
                await self._landed.wait()

    def counters(self) -> dict[str, float]:
        """For health and metrics: `notice_total{channel,result}`, and what the journal would not take."""
        named = {
            f'notice_total{{channel="{channel}",result="{result}"}}': float(count)
            for (channel, result), count in sorted(self.totals.items())
        }
        return {**named, "notice_commit_failures_total": float(self.commit_failures)}

    async def _work(self, name: str, lane: Lane) -> None:
        while True:
            load = await lane.take()
            if self._stopping:
                return
            with self._counted():
                again_s, firm = await self._attempt(self._channels[name], lane, load)
            lane.settle(load, again_s=again_s, firm=firm)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._on_wire += 1
        self._landed.clear()
        try:
            yield
        finally:
            self._on_wire -= 1
            if not self._on_wire:
                self._landed.set()

    async def _attempt(self, channel: Notifier, lane: Lane, load: Load) -> tuple[float | None, bool]:
        """One try of a load; in how many seconds to try again what is not finished, and whether not sooner."""
        notices = [self._marked(notice) for notice in lane.notices(load)]
        await self._record(*((notice, ()) for notice in notices))
        lane.keep(load, notices)
        for notice in notices:
            if notice.repeat:
                self.totals[notice.channel, "repeated"] += 1
        answer = await self._send(channel, notices)
        if isinstance(answer, Dead) and len(notices) > 1:
            lane.unfold(load.to)
            answer = Retry(f"digest refused: {answer.detail}")
        again_s, results = self._results(notices, answer)
        await self._keep(*results)
        lane.keep(load, results)
        for notice in results:
            if is_final(notice):
                self._forget(notice)
        for notice in results:
            self._on_result(notice)
        return again_s, isinstance(answer, Retry) and answer.after_s is not None

    def _marked(self, notice: Notice) -> Notice:
        self._began.setdefault(notice.key, self._clock.mono())
        notice = replace(notice, result=NoticeResult.RETRYING, detail=SENDING, attempts=notice.attempts + 1)
        return self._stamp(notice) if self._stamp else notice

    def _results(self, notices: Sequence[Notice], answer: Sent | Retry | Dead) -> tuple[float | None, list[Notice]]:
        """What became of each; and the wait of what is tried again, after the one that has waited longest."""
        if not isinstance(answer, Retry):
            told = f"one of {len(notices)} in a digest; " if len(notices) > 1 else ""
            return None, [self._judged(one, replace(answer, detail=f"{told}{answer.detail}")) for one in notices]
        waits = [self._wait_s(notice.key, answer.after_s) for notice in notices]
        results = [
            self._judged(one, answer if wait is not None else _given_up(one, answer))
            for one, wait in zip(notices, waits, strict=True)
        ]
        return max((wait for wait in waits if wait is not None), default=None), results

    async def _send(self, channel: Notifier, notices: Sequence[Notice]) -> Sent | Retry | Dead:
        dressed = [self._dressed(one) for one in notices]
        notice = dressed[0] if len(dressed) == 1 else digest(dressed)
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                return await channel.send(notice)
        except TimeoutError:
            return Retry(f"no answer in {SEND_LIMIT_S:g} s")
        except Exception as error:  # boundary: one notice; a faulty channel must not stop the others
            log.exception("channel failed", extra={"channel": notice.channel, "key": notice.key})
            return Retry(f"channel fault: {type(error).__name__}")

    def _dressed(self, notice: Notice) -> Notice:
        """The link to acknowledge is added on the way out, so that no token lies in the journal."""
        link = self._ack_link(notice) if self._ack_link else None
        if link is None:
            return notice
        return replace(notice, text=f"{notice.text}\nTake it: {link}", body={**notice.body, "ack_url": link})

    def _wait_s(self, key: str, after_s: float | None) -> float | None:
        """Backoff, not before the receiver's Retry-After; None when it was tried for long enough."""
        left_s = self._began[key] + GIVE_UP_S - self._clock.mono()
        if left_s <= 0:
            return None
        backoff = self._backoffs.setdefault(key, Backoff(first_s=1.0, cap_s=300.0, floor_s=0.5))
        return min(max(backoff.next_s(), after_s or 0.0), left_s)

    def _judged(self, notice: Notice, answer: Sent | Retry | Dead) -> Notice:
        result = {Sent: NoticeResult.SENT, Retry: NoticeResult.RETRYING, Dead: NoticeResult.DEAD}[type(answer)]
        self.totals[notice.channel, result.value] += 1
        return replace(notice, result=result, detail=answer.detail, at=self._clock.now())

    async def _bury(self) -> None:
        """Notices that no lane took: dead at once, so that the next step is told instead."""
        while True:
            notice, why = await self._refused.get()
            notice = self._judged(notice, Dead(why))
            await self._keep(notice)
            self._forget(notice)
            self._on_result(notice)

    async def _keep(self, *notices: Notice) -> None:
        """Results on disk; a dead one with its line in the ledger."""
        results: list[_Result] = []
        for notice in notices:
            ledger: tuple[LedgerRow, ...] = ()
            if notice.result is NoticeResult.DEAD:
                log.error("notice is dead", extra={"channel": notice.channel, "key": notice.key, "why": notice.detail})
                ledger = (_dead_row(notice, self._clock.now()),)
            results.append((notice, ledger))
        await self._record(*results)

    async def _record(self, *results: _Result) -> None:
        """Commit; a journal that fails does not stop the paging."""
        if not await self._flush({notice.key: (notice, ledger) for notice, ledger in results}):
            self._refusals.set()

    async def _flush(self, fresh: Mapping[str, _Result]) -> bool:
        pending, self._unrecorded = {**self._unrecorded, **fresh}, {}
        notices = tuple(notice for notice, _ in pending.values())
        rows = tuple(row for _, ledger in pending.values() for row in ledger)
        try:
            await self._commit(Changes(at=self._clock.now(), notices=notices, ledger=rows))
        except (OSError, sqlite3.Error) as error:
            if not self.commit_failures:
                log.error("journal refused a result", extra={"error": str(error)})
            self.commit_failures += 1
            for key, result in pending.items():
                newer = self._unrecorded.get(key)
                if newer is None or progress(newer[0]) < progress(result[0]):
                    self._unrecorded[key] = result
            return False
        return True

    async def _write_again(self) -> None:
        """What the journal refused is offered again until it takes it."""
        while True:
            await self._refusals.wait()
            self._refusals.clear()
            while self._unrecorded:
                await self._clock.sleep(JOURNAL_RETRY_S)
                await self._flush({})

    def _forget(self, notice: Notice) -> None:
        self._known.discard(notice.key)
        self._began.pop(notice.key, None)
        self._backoffs.pop(notice.key, None)
        if not self._known:
            self._idle.set()

    async def _close(self) -> None:
        for channel in self._channels.values():
            close = getattr(channel, "close", None)
            if close is not None:
                await close()


def _resumed(notice: Notice) -> Notice:
    """What was on the wire when the last run ended may have arrived: the next sending is a repeat and says so."""
    on_the_wire = notice.result is NoticeResult.RETRYING and notice.detail == SENDING
    return replace(notice, repeat=True) if on_the_wire else notice


def _given_up(notice: Notice, answer: Retry) -> Dead:
    return Dead(f"given up after {notice.attempts} attempts: {answer.detail}")


def _dead_row(notice: Notice, now: float) -> LedgerRow:
    who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
    because = f"{notice.subject}: not delivered, {notice.detail}"
    return LedgerRow(at=now, incident=notice.incident, key=notice.key, who=who, cause="dead_channel", because=because)
