"""One budget for a stop: whatever still has to be said shares it, and what waits beyond it is named and left.

What was promised is on disk before it is promised, so a stop that is cut short repeats something; it loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Coroutine
from math import inf
from typing import Any, NoReturn

from healthmon.runtime.supervise import detach

log = logging.getLogger(__name__)

#: An agent, a poller, a worker: less than the 10 s after which most supervisors kill.
STOP_S = 8.0
#: A server has pages on the wire, a pair and a broker of its own to end; systemd's unit of ours gives it 30 s.
SERVER_STOP_S = 20.0
#: After the budget each task is told once more; after this the process ends whatever it waits for.
LAST_S = 1.0
#: A Ctrl-C reaches a child twice, from the terminal and from its parent: within so long it is one wish.
SAME_S = 1.0
#: Even at the end of the budget a step that needs no waiting gets done.
LEAST_S = 0.1


class Stop:
    """The stop of one process. `within` bounds a step: by itself before the stop, by what is left of it after."""

    def __init__(self) -> None:
        self._deadline = inf  # monotonic s
        self._over = threading.Event()
        self._code = 0

    @property
    def begun(self) -> bool:
        """Somebody has told this process to stop."""
        return self._deadline < inf

    def begin(self, budget_s: float) -> None:
        """From here on it ends within so many seconds and `LAST_S`, whatever happens."""
        if self.begun:
            return
        self._deadline = time.monotonic() + budget_s
        threading.Thread(target=self._see_to_it, args=(budget_s + LAST_S,), name="stop", daemon=True).start()

    def within(self, most_s: float) -> asyncio.Timeout:
        """`async with stop.within(2.0):` raises TimeoutError after that, or when the budget is used up."""
        return asyncio.timeout(max(LEAST_S, min(most_s, self._deadline - time.monotonic())))

    def over(self, code: int) -> None:
        """The work has ended: threads that still wait for somebody hold nothing that anybody needs."""
        self._code = code
        self._over.set()

    def _see_to_it(self, within_s: float) -> None:
        """In a thread of its own: the event loop may be what does not end."""
        if self._over.wait(within_s):
            time.sleep(LAST_S)
            _leave(self._code)
        log.critical("did not stop in time and ends now; nothing is lost by that", extra={"waits": threads_wait()})
        _leave(1)


#: This process's.
STOP = Stop()
within = STOP.within


async def until_stopped(work: Coroutine[Any, Any, Any], stop: asyncio.Event, *, budget_s: float) -> None:
    """Await `work`; once `stop` is set it is cancelled, and that is a clean end.

    What does not heed it within the budget, or until `stop` is set once more, is told again.
    """
    task, code = detach("main", work), 3
    try:
        await _either(task, stop)
        if stop.is_set():
            stop.clear()
            STOP.begin(budget_s)
            await _ended(task, stop, budget_s)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        code = 0
    finally:
        if STOP.begun:
            STOP.over(code)


async def _ended(task: asyncio.Task[Any], hurry: asyncio.Event, budget_s: float) -> None:
    task.cancel()
    await asyncio.wait((task,), timeout=min(SAME_S, budget_s))
    hurry.clear()
    await _either(task, hurry, within_s=max(0.0, budget_s - SAME_S))
    if not task.done():
        log.error("the stop takes too long and is cut short", extra={"waits": tasks_wait()})
        for one in asyncio.all_tasks() - {asyncio.current_task()}:
            one.cancel()
        await asyncio.wait((task,))


async def _either(task: asyncio.Task[Any], event: asyncio.Event, *, within_s: float | None = None) -> None:
    """Until one has ended or the other is set."""
    told = detach("told to stop", event.wait())
    try:
        await asyncio.wait((task, told), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()


def tasks_wait() -> list[str]:
    """Every task with the place at which it waits."""
    return sorted(f"{task.get_name()}: {_place(task.get_coro())}" for task in asyncio.all_tasks())


def threads_wait() -> list[str]:
    """The same of every thread."""
    frames = sys._current_frames()
    found = ((one.name, frames.get(one.ident or 0)) for one in threading.enumerate())
    return [f"{name}: {_line(traceback.extract_stack(frame)[-1])}" for name, frame in found if frame is not None]


def _place(coroutine: Any) -> str:
    """Where the innermost of what it awaits stands."""
    where = "?"
    while coroutine is not None:
        if (frame := getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)) is not None:
            where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return where


def _line(frame: traceback.FrameSummary) -> str:
    return f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}"


def _leave(code: int) -> NoReturn:
    """Without waiting for threads: what they write is whole or not there."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(code)
