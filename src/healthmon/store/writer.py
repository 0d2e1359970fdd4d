"""A bounded queue in front of a store: what it takes it writes until it is durable, whatever the store does."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from healthmon.model.errors import StoreDown
from healthmon.model.ports import Clock, Store
from healthmon.model.sample import Row
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.queue import BoundedQueue, FullPolicy
from healthmon.runtime.supervise import spawn

log = logging.getLogger(__name__)

Done = Callable[[], None]
_EXPIRE_EVERY_S = 3600.0
_EXPIRE_FIRST_S = 60.0
_MOST_PUTS = 256


@runtime_checkable
class Expires(Protocol):
    """A store that deletes old points itself."""

    async def expire(self, now: float) -> int: ...


@runtime_checkable
class AnswersEarly(Protocol):
    """A store that may answer `hold_ack_s` before its disk has the rows; `incarnation` changes when it restarts."""

    hold_ack_s: float

    async def incarnation(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Put:
    rows: Sequence[Row]
    done: Done
    key: Hashable | None


@dataclass(frozen=True, slots=True)
class WriterStats:
    """accepted and rejected count rows, retried counts attempts, refused counts batches not taken.

    queued: batches that wait or are held; ok: the last attempt worked; error: the store's words if not.
    """

    queued: int
    accepted: int
    rejected: int
    retried: int
    refused: int
    expired: int
    ok: bool
    error: str = ""


class StoreWriter:
    """`put` never waits: a full queue refuses and the sender's spool keeps the batch.

    A store that answers before its disk has the rows (VictoriaMetrics) makes `done` wait `hold_ack_s`, its own word
    when None is given; `done` comes only if the store was not restarted meanwhile, else the rows are written again.
    """

    def __init__(
        self, store: Store, *, clock: Clock, limit: int = 4096, most_rows: int = 5000, hold_ack_s: float | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._most_rows = most_rows
        self._early = store if isinstance(store, AnswersEarly) else None  # asked once: the question is a slow one
        self._fixed_hold_s = hold_ack_s
        self._queue: BoundedQueue[_Put] = BoundedQueue(name="store", limit=limit, policy=FullPolicy.REFUSE)
        self._held: deque[tuple[float, str, list[_Put]]] = deque()
        self._held_puts = 0
        self._holding = asyncio.Event()
        self._incarnation: str | None = None
        self._writing = asyncio.Lock()
        self._keys: set[Hashable] = set()
        self._backoff = Backoff()
        self._accepted = self._rejected = self._retried = self._refused = self._expired = 0
        self._error = ""
        #: The last rows that the store refused for good, with its words.
        self.refusals: deque[tuple[Row, str]] = deque(maxlen=100)

    def put(self, rows: Sequence[Row], done: Done, *, key: Hashable | None = None) -> bool:
        """Take rows; `done` is called once they are durable. False: the queue is full, nothing was taken.

        A key that waits already is not queued twice; its first `done` answers for both.
        """
        if key is not None and key in self._keys:
            return True
        if self._held_puts >= self._queue.limit or not self._queue.offer(_Put(rows, done, key)):
            self._refused += 1
            return False
        if key is not None:
            self._keys.add(key)
        return True

    @property
    def queued(self) -> int:
        """Batches that wait to be written."""
        return len(self._queue)

    async def run(self) -> None:
        """Write for ever, and let the store expire its old points once an hour."""
        async with asyncio.TaskGroup() as group:
            spawn(group, "store-write", self._write_queue())
            spawn(group, "store-hold", self._release_held())
            if isinstance(self._store, Expires):
                spawn(group, "store-expire", self._expire(self._store))

    def stats(self) -> WriterStats:
        """What happened so far."""
        return WriterStats(
            queued=len(self._queue) + self._held_puts,
            accepted=self._accepted,
            rejected=self._rejected,
            retried=self._retried,
            refused=self._refused,
            expired=self._expired,
            ok=not self._error,
            error=self._error,
        )

    async def _write_queue(self) -> None:
        while True:
            taken = deque(self._groups(await self._queue.take(_MOST_PUTS)))
            try:
                while taken:
                    await self._write_until_durable(taken.popleft())
            finally:
                self._forget(put for group in taken for put in group)

    def _groups(self, puts: Sequence[_Put]) -> Iterator[list[_Put]]:
        """Several puts make one commit, up to so many rows."""
        group: list[_Put] = []
        rows = 0
        for put in puts:
            if group and rows + len(put.rows) > self._most_rows:
                yield group
                group, rows = [], 0
            group.append(put)
            rows += len(put.rows)
        if group:
            yield group

    async def _write_until_durable(self, puts: list[_Put]) -> None:
        written = False
        try:
            async with self._writing:
                while not await self._write([row for put in puts for row in put.rows]):
                    pass
            written = True
        finally:
            if not written:
                self._forget(puts)
        hold_s = self.hold_s
        if hold_s > 0:
            self._hold(puts, hold_s)
        else:
            self._release(puts)

    def _forget(self, puts: Iterable[_Put]) -> None:
        """Cancelled or crashed before they were durable: whoever sent them offers them again."""
        self._keys.difference_update(put.key for put in puts)

    async def _write(self, rows: Sequence[Row]) -> bool:
        try:
            if self._incarnation is None:
                self._incarnation = await self._current_incarnation()
            written = await self._store.write(rows)
        except StoreDown as down:
            await self._wait_out(down)
            return False
        if self._error:
            log.warning("store takes rows again")
        self._error = ""
        self._backoff.reset()
        self._accepted += written.accepted
        self._rejected += len(written.rejected)
        if written.rejected and not self.refusals:
            log.warning("store refuses rows for good", extra={"error": written.rejected[0][1]})
        self.refusals.extend(written.rejected)
        return True

    async def _wait_out(self, down: StoreDown) -> None:
        if not self._error:
            log.warning("store does not take rows; they are kept", extra={"error": str(down)})
        self._error = str(down)
        self._incarnation = None  # it may come back as another one
        self._retried += 1
        await self._clock.sleep(max(self._backoff.next_s(), down.retry_after_s))

    def _release(self, puts: Sequence[_Put]) -> None:
        for put in puts:
            self._keys.discard(put.key)
            put.done()

    @property
    def hold_s(self) -> float:
        """How long `done` waits after a write, because the store answers before its disk has the rows."""
        if self._fixed_hold_s is not None:
            return self._fixed_hold_s
        return self._early.hold_ack_s if self._early is not None else 0.0

    def _hold(self, puts: list[_Put], hold_s: float) -> None:
        self._held.append((self._clock.mono() + hold_s, self._incarnation or "", puts))
        self._held_puts += len(puts)
        self._holding.set()

    async def _release_held(self) -> None:
        while True:
            while not self._held:
                self._holding.clear()
                await self._holding.wait()
            due, incarnation, puts = self._held[0]
            await self._clock.sleep(due - self._clock.mono())
            same = await self._still(incarnation)
            self._held.popleft()
            self._held_puts -= len(puts)
            if same:
                self._release(puts)
            else:
                await self._write_until_durable(puts)

    async def _still(self, incarnation: str) -> bool:
        """Whether the store has run without a restart since then; what it held in memory is on disk by now."""
        try:
            self._incarnation = await self._current_incarnation()
        except StoreDown:
            self._incarnation = None
        return self._incarnation == incarnation

    async def _current_incarnation(self) -> str:
        return await self._early.incarnation() if self._early is not None else ""

    async def _expire(self, store: Expires) -> None:
        await self._clock.sleep(_EXPIRE_FIRST_S)
        while True:
            try:
                self._expired += await store.expire(self._clock.now())
            except StoreDown as down:
                log.warning("store could not expire old points", extra={"error": str(down)})
            await self._clock.sleep(_EXPIRE_EVERY_S)
