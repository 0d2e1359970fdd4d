"""A bounded queue in front of a store: what it takes it writes until it is durable, whatever the store does."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from healthmon.model.errors import StoreDown
from healthmon.model.ports import Clock, Store
from healthmon.model.sample import Row
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.queue import BoundedQueue, FullPolicy

log = logging.getLogger(__name__)

Done = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Put:
    rows: Sequence[Row]
    done: Done
    key: Hashable | None


@dataclass(frozen=True, slots=True)
class WriterStats:
    """accepted and rejected count rows, retried counts attempts; `queued` batches wait. ok: the last write worked."""

    queued: int
    accepted: int
    rejected: int
    retried: int
    refused: int
    ok: bool
    error: str = ""


class StoreWriter:
    """`put` never waits; a full queue refuses and the sender's spool keeps the batch."""

    def __init__(self, store: Store, *, clock: Clock, limit: int = 1000, most_rows: int = 5000) -> None:
        self._store = store
        self._clock = clock
        self._most_rows = most_rows
        self._queue: BoundedQueue[_Put] = BoundedQueue(name="store", limit=limit, policy=FullPolicy.REFUSE)
        self._queued_keys: set[Hashable] = set()
        self._backoff = Backoff()
        self._accepted = self._rejected = self._retried = 0
        self._error = ""
        self.refusals: deque[tuple[Row, str]] = deque(maxlen=100)

    def put(self, rows: Sequence[Row], done: Done, *, key: Hashable | None = None) -> bool:
        """Take rows; `done` is called once they are durable. False: the queue is full, nothing was taken.

        A key that waits already is not queued twice; its first `done` answers for both.
        """
        if key is not None and key in self._queued_keys:
            return True
        if not self._queue.offer(_Put(rows, done, key)):
            return False
        if key is not None:
            self._queued_keys.add(key)
        return True

    async def run(self) -> None:
        """Write for ever."""
        while True:
            puts = await self._queue.take(256)
            await self._write_until_durable(puts)

    def stats(self) -> WriterStats:
        """What happened so far."""
        return WriterStats(
            len(self._queue),
            self._accepted,
            self._rejected,
            self._retried,
            self._queue.refused,
            not self._error,
            self._error,
        )

    async def _write_until_durable(self, puts: Sequence[_Put]) -> None:
        rows = [row for put in puts for row in put.rows]
        while not await self._write(rows):
            pass
        for put in puts:
            self._queued_keys.discard(put.key)
            put.done()

    async def _write(self, rows: Sequence[Row]) -> bool:
        try:
            written = await self._store.write(rows)
        except StoreDown as down:
            await self._wait_out(down)
            return False
        if self._error:
            log.warning("store answers again")
        self._error = ""
        self._backoff.reset()
        self._accepted += written.accepted
        self._rejected += len(written.rejected)
        self.refusals.extend(written.rejected)
        return True

    async def _wait_out(self, down: StoreDown) -> None:
        if not self._error:
            log.warning("store does not take rows; they are kept", extra={"error": str(down)})
        self._error = str(down)
        self._retried += 1
        await self._clock.sleep(max(self._backoff.next_s(), down.retry_after_s))
