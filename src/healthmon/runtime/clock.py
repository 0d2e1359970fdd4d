"""The only place that reads a wall clock."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from healthmon.runtime.standstill import Standstill


class SystemClock:
    """Real time. `now` is the wall clock (may step), `mono` never goes back."""

    def __init__(self) -> None:
        self.standstill = Standstill(self)

    def now(self) -> float:
        return time.time()

    def mono(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)


class ManualClock:
    """Time that a test moves: `advance` wakes the sleepers in order, without any real waiting."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._mono = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.standstill = Standstill(self)

    def now(self) -> float:
        return self._now

    def mono(self) -> float:
        return self._mono

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock only, as an NTP step does."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        await self._wake_after(seconds)

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.Future[None]:
        waiter = self._wake_after(seconds)
        waiter.add_done_callback(lambda woken: None if woken.cancelled() else call())
        return waiter

    def _wake_after(self, seconds: float) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono + max(0.0, seconds), next(self._order), waiter))
        return waiter

    async def advance(self, seconds: float) -> None:
        """Move both clocks; whoever wakes runs before later sleepers wake."""
        end = self._mono + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._set(max(due, self._mono))
            if not waiter.done():
                waiter.set_result(None)
            await settle()
        self._set(end)
        await settle()

    def stand_still(self, seconds: float) -> None:
        """Time passes and nobody gets a turn; who should have woken wakes late, at the next `advance`."""
        self._set(self._mono + seconds)

    def _set(self, mono: float) -> None:
        self._now += mono - self._mono
        self._mono = mono


async def settle(turns: int = 20) -> None:
    """Let every task that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)
