"""Waiting for a socket with little overhead: watched once for many waits, not registered anew for each."""

from __future__ import annotations

import asyncio

from healthmon.model.ports import Clock
from healthmon.runtime.deadline import Deadline


class Readiness:
    """One file descriptor in the present event loop, which must be one that watches them; `close` it first."""

    __slots__ = ("_loop", "_number", "_waiter", "_watched")

    def __init__(self, number: int) -> None:
        self._number = number
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[bool] | None = None
        self._watched = False

    async def wait(self, *, writable: bool = False) -> None:
        """Until it can be read (or written, too)."""
        self._waiter = self._begin()
        if writable:
            self._loop.add_writer(self._number, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if writable:
                self._loop.remove_writer(self._number)

    async def wait_for(self, limit_s: float, clock: Clock) -> bool:
        """Until it can be read; False when that took longer than the limit."""
        waiter = self._waiter = self._begin()
        deadline = Deadline(clock, limit_s, self._give_up)
        try:
            return await waiter
        finally:
            deadline.cancel()
            self._waiter = None

    def close(self) -> None:
        """Watch it no more."""
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._number)

    def _give_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _begin(self) -> asyncio.Future[bool]:
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._number, self._wake)
        return self._loop.create_future()

    def _wake(self) -> None:
        if self._waiter is None:  # nobody waits: be quiet until somebody does
            self.close()
        elif not self._waiter.done():
            self._waiter.set_result(True)
