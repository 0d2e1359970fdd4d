"""One TaskGroup per process; connections restart with backoff, units restart and give up loudly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from healthmon.model.ports import Clock
from healthmon.runtime.backoff import Backoff

log = logging.getLogger(__name__)
Result = TypeVar("Result")

#: A unit that ran so long before it crashed is started again without a growing wait.
GOOD_RUN_S = 30.0


def spawn(group: asyncio.TaskGroup, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start named work in a group; nothing else in healthmon creates tasks."""
    return group.create_task(work, name=name)


async def keep(
    name: str,
    connect: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    recoverable: tuple[type[BaseException], ...],
    backoff: Backoff | None = None,
    first_delay_s: float = 0.0,
) -> None:
    """Run `connect` for ever: when it returns or raises a recoverable error, wait and run it again.

    Says once that it was lost and once that it came back; other exceptions pass up.
    """
    backoff = backoff or Backoff()
    down = False
    if first_delay_s:
        await clock.sleep(first_delay_s)
    while True:
        began = clock.mono()
        try:
            with heeded():
                await apart(name, connect)
        except recoverable as error:
            if not down:
                log.warning("connection lost", extra={"connection": name, "error": str(error)})
            down = True
        if clock.mono() - began > 10.0:
            backoff.reset()
            down = False
        await clock.sleep(backoff.next_s())


class Unit:
    """A supervised piece of the server: restarted when it crashes; `crashes` holds the moments (monotonic s)."""

    def __init__(self, name: str, run: Callable[[], Awaitable[None]], *, clock: Clock) -> None:
        self.name = name
        self.crashes: list[float] = []
        self._run = run
        self._clock = clock
        self._backoff = Backoff(first_s=0.2, cap_s=10.0)

    async def supervise(self, on_crash: Callable[[Unit, BaseException], None] | None = None) -> None:
        """Run until it returns by itself; after a crash, tell `on_crash`, wait and run again."""
        while True:
            began = self._clock.mono()
            try:
                await apart(self.name, self._run)
                return
            except Exception as error:  # boundary: one unit's crash must not take the others down
                self._note(began)
                log.exception("unit crashed", extra={"unit": self.name})
                if on_crash:
                    on_crash(self, error)
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from error  # it was told to end, and its last words failed
            await self._clock.sleep(self._backoff.next_s())

    def _note(self, began: float) -> None:
        """One more crash; after a good run the next start comes soon again."""
        now = self._clock.mono()
        if now - began > GOOD_RUN_S:
            self._backoff.reset()
        self.crashes = [*self.crashes[-99:], now]

    def crashes_within(self, seconds: float) -> int:
        """How often it crashed in the last `seconds`."""
        since = self._clock.mono() - seconds
        return sum(1 for at in self.crashes if at >= since)


async def apart(name: str, call: Callable[[], Awaitable[Result]]) -> Result:
    """Do it in a task of its own, which is cancelled with ours.

    A TaskGroup of Python 3.11 whose child fails leaves its task looking cancelled for ever (`cancelling`).
    """

    async def run() -> Result:
        return await call()

    done: Result = await detach(name, run())
    return done


async def heeding(call: Awaitable[Result]) -> Result:
    """Await it, and heed a cancellation that came meanwhile."""
    with heeded():
        return await call


@contextmanager
def heeded() -> Iterator[None]:
    """A cancellation that comes within this block ends the task, whatever a library makes of it.

    `asyncio.wait_for`, which aiomqtt and nats-py use, loses one in its last moment before Python 3.12, and nats-py
    takes one that comes while it flushes for its own: the task would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


_detached: set[asyncio.Task[Any]] = set()


def detach(name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start short work that belongs to no group (a protocol callback); its reference is kept until it ends."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _detached.add(task)
    task.add_done_callback(_detached.discard)
    return task
