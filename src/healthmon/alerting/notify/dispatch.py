"""Sends what was intended, at least once: the mark before sending and the result after it are on disk.

Each channel has its own queue and workers; messages about one incident to one reader keep their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from healthmon.alerting.journal_rows import SENDING, is_final, progress
from healthmon.model.incident import LedgerRow, Notice, NoticeResult
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock, Dead, Notifier, Retry, Sent
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.supervise import spawn

log = logging.getLogger(__name__)

#: What one channel holds at most; beyond it a notice is dead at once, counted and in the ledger.
QUEUE_LIMIT = 2000
#: How long one message is tried before it is given up.
GIVE_UP_S = 3600.0
#: No channel may keep a worker longer than this, whatever its own timeout.
SEND_LIMIT_S = 90.0

#: How soon a journal that refused a result is asked again.
JOURNAL_RETRY_S = 5.0

_Chain = tuple[str, str]  # (to, incident)
_Result = tuple[Notice, tuple[LedgerRow, ...]]


class _Lane:
    """One channel: chains of notices, of which at most one each is being sent. The worst severity goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.chains: dict[_Chain, deque[Notice]] = {}
        self._ready: asyncio.PriorityQueue[tuple[int, int, _Chain]] = asyncio.PriorityQueue()
        self._order = itertools.count()

    def add(self, notice: Notice) -> bool:
        """Queue it behind what the same reader has still to hear of the same incident; False when full."""
        if self.held >= self.limit:
            return False
        self.held += 1
        chain = (notice.to, notice.incident)
        waiting = self.chains.setdefault(chain, deque())
        waiting.append(notice)
        if len(waiting) == 1:
            self.arm(chain)
        return True

    def arm(self, chain: _Chain) -> None:
        """The head of the chain may be sent."""
        self._ready.put_nowait((self.chains[chain][0].severity, next(self._order), chain))

    async def take(self) -> _Chain:
        """Wait for a chain whose head may be sent."""
        return (await self._ready.get())[2]

    def finish(self, chain: _Chain) -> None:
        """The head of the chain is done; the next one may go."""
        waiting = self.chains[chain]
        waiting.popleft()
        self.held -= 1
        if waiting:
            self.arm(chain)
        else:
            del self.chains[chain]

    def rearm(self) -> None:
        """Start afresh after a crash of the workers: every chain may go, none is being sent."""
        self._ready = asyncio.PriorityQueue()
        for chain, waiting in list(self.chains.items()):
            if is_final(waiting[0]):
                self.finish(chain)
            else:
                waiting[0] = _resumed(waiting[0])
                self.arm(chain)


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
    ) -> None:
        self._channels = channels
        self._commit = journal_commit
        self._clock = clock
        self._on_result = on_result
        self._concurrency = concurrency
        self._ack_link = ack_link
        self._stamp = stamp
        self._limit = limit
        self._lanes = {name: _Lane(limit) for name in channels}
        self._gone: frozenset[str] = frozenset()
        self._group: asyncio.TaskGroup | None = None
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
            lane.rearm()
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

    def adopt(self, channels: Mapping[str, Notifier]) -> None:
        """Other channels from now on. What waits for one that is gone is still sent by it; nothing new goes there."""
        self._gone = frozenset(self._lanes) - frozenset(channels)
        self._channels = {**self._channels, **channels}
        for name in channels:
            if name not in self._lanes:
                self._lanes[name] = _Lane(self._limit)
                if self._group is not None:
                    self._man(self._group, name, self._lanes[name])

    def _man(self, group: asyncio.TaskGroup, name: str, lane: _Lane) -> None:
        for number in range(self._concurrency):
            spawn(group, f"notify {name} {number}", self._work(group, name, lane))

    async def idle(self) -> None:
        """Wait until nothing is queued, being sent or waiting for another try."""
        await self._idle.wait()

    async def wind_down(self) -> None:
        """Begin nothing new and wait for what is on the wire, so that a planned stop causes no repeat."""
        self._stopping = True
        await self._landed.wait()

    def counters(self) -> dict[str, float]:
        """For health and metrics: `notice_total{channel,result}`, and what the journal would not take."""
        named = {
            f'notice_total{{channel="{channel}",result="{result}"}}': float(count)
            for (channel, result), count in sorted(self.totals.items())
        }
        return {**named, "notice_commit_failures_total": float(self.commit_failures)}

    async def _work(self, group: asyncio.TaskGroup, name: str, lane: _Lane) -> None:
        while True:
            chain = await lane.take()
            if self._stopping:
                return
            with self._counted():
                again_s = await self._attempt(self._channels[name], lane, chain)
            if again_s is None:
                lane.finish(chain)
            else:
                spawn(group, f"notify {name} again", self._later(lane, chain, again_s))

    async def _later(self, lane: _Lane, chain: _Chain, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        lane.arm(chain)

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

    async def _attempt(self, channel: Notifier, lane: _Lane, chain: _Chain) -> float | None:
        """One try of a chain's head; in how many seconds to try again (None: it is finished)."""
        notice = lane.chains[chain][0]
        self._began.setdefault(notice.key, self._clock.mono())
        notice = replace(notice, result=NoticeResult.RETRYING, detail=SENDING, attempts=notice.attempts + 1)
        notice = self._stamp(notice) if self._stamp else notice
        await self._record(notice)
        lane.chains[chain][0] = notice
        if notice.repeat:
            self.totals[notice.channel, "repeated"] += 1
        answer = await self._send(channel, notice)
        again_s = None
        if isinstance(answer, Retry):
            again_s = self._wait_s(notice.key, answer.after_s)
            if again_s is None:
                answer = Dead(f"given up after {notice.attempts} attempts: {answer.detail}")
        notice = self._judged(notice, answer)
        await self._keep(notice)
        lane.chains[chain][0] = notice
        if again_s is None:
            self._forget(notice)
        self._on_result(notice)
        return again_s

    async def _send(self, channel: Notifier, notice: Notice) -> Sent | Retry | Dead:
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                return await channel.send(self._dressed(notice))
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
        """Backoff, not before the receiver's Retry-After; None when the hour is over."""
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

    async def _keep(self, notice: Notice) -> None:
        """A result on disk; a dead one with its line in the ledger."""
        ledger: tuple[LedgerRow, ...] = ()
        if notice.result is NoticeResult.DEAD:
            log.error("notice is dead", extra={"channel": notice.channel, "key": notice.key, "why": notice.detail})
            ledger = (_dead_row(notice, self._clock.now()),)
        await self._record(notice, ledger)

    async def _record(self, notice: Notice, ledger: tuple[LedgerRow, ...] = ()) -> None:
        """Commit; a journal that fails does not stop the paging."""
        if not await self._flush({notice.key: (notice, ledger)}):
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


def _dead_row(notice: Notice, now: float) -> LedgerRow:
    who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
    because = f"{notice.subject}: not delivered, {notice.detail}"
    return LedgerRow(at=now, incident=notice.incident, key=notice.key, who=who, cause="dead_channel", because=because)
