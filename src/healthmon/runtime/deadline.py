"""Limits in time that do not run while this process stands still: what has come meanwhile is still to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from healthmon.model.ports import Clock, Timer

#: A timer so late was held up: what lies in the sockets gets a moment to be taken.
_LATE_S = 0.02
_MOMENT_S = 0.05
#: Less than this is not waited for again: sums of seconds are not exact.
_FINEST_S = 1e-6


class Deadline:
    """Calls once, when `seconds` have passed in which we had our turns. `held` are seconds that do not count either."""

    __slots__ = ("_call", "_clock", "_due", "_end", "_gave_a_moment", "_held", "_timer", "passed")

    def __init__(
        self, clock: Clock, seconds: float, call: Callable[[], object], *, held: Callable[[], float] | None = None
    ) -> None:
        self.passed = False
        self._clock = clock
        self._call = call
        self._held = held
        self._gave_a_moment = False
        self._end = self._counted() + seconds
        self._timer = self._wait(max(0.0, seconds))

    def cancel(self) -> None:
        """It is not needed any more."""
        self._timer.cancel()

    def _counted(self) -> float:
        return self._clock.standstill.turns_s() - (self._held() if self._held is not None else 0.0)

    def _wait(self, seconds: float) -> Timer:
        self._due = self._clock.mono() + seconds
        return self._clock.call_later(seconds, self._look)

    def _look(self) -> None:
        left_s = self._end - self._counted()
        late = self._clock.mono() - self._due > _LATE_S
        if late and not self._gave_a_moment and left_s < _MOMENT_S:
            self._gave_a_moment = True
            left_s = _MOMENT_S
        if left_s > _FINEST_S:
            self._timer = self._wait(left_s)
            return
        self.passed = True
        self._call()


def within(seconds: float, clock: Clock) -> AbstractAsyncContextManager[None]:
    """`asyncio.timeout` by a `Deadline`: the block gets `seconds` of turns. Raises TimeoutError."""
    return _Within(seconds, clock)


class _Within:
    __slots__ = ("_cancelling", "_clock", "_deadline", "_seconds", "_task")

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._deadline = Deadline(self._clock, self._seconds, task.cancel)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        if not self._deadline.passed:
            return
        if self._task.uncancel() <= self._cancelling and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error
