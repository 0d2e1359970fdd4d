"""How long this process got no turn: a beat of the event loop that comes late says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

log = logging.getLogger(__name__)

BEAT_S = 0.1
#: A beat that is late by less is ordinary work of others.
LEAST_S = 0.02
#: After so long in one piece others may have given us up, and what they sent may have been dropped.
LONG_S = 1.0


class _Time(Protocol):
    def mono(self) -> float: ...

    def call_later(self, seconds: float, call: Callable[[], object]) -> object: ...


class Standstill:
    """`seconds` and `long` only grow; both count the beat that is overdue at this moment.

    Whatever kept us from running counts: a machine without a free core, a virtual machine that is paused for a
    snapshot, our own long work. It is measured only while somebody is `watching`: an idle ward PC must not wake up
    ten times a second for nothing.
    """

    __slots__ = ("_due", "_long", "_loop", "_past_s", "_time", "_watchers")

    def __init__(self, time: _Time) -> None:
        self._time = time
        self._past_s = 0.0
        self._long = 0
        self._watchers = 0
        self._due: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def seconds(self) -> float:
        """How long in all, while somebody watched."""
        return self._past_s + self._late_s()

    @property
    def long(self) -> int:
        """How many times it lasted LONG_S or more in one piece."""
        return self._long + (self._late_s() >= LONG_S)

    def turns_s(self) -> float:
        """Monotonic seconds in which we had our turns; good for limits, not for the times of others."""
        return self._time.mono() - self.seconds

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure meanwhile."""
        self._watchers += 1
        if self._due is None or (self._loop is not None and self._loop.is_closed()):
            self._loop = asyncio.get_running_loop()
            self._past_s = self.seconds
            self._next()
        try:
            yield
        finally:
            self._watchers -= 1

    def _late_s(self) -> float:
        late_s = 0.0 if self._due is None else self._time.mono() - self._due
        return late_s if late_s >= LEAST_S else 0.0

    def _next(self) -> None:
        self._due = self._time.mono() + BEAT_S
        self._time.call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        late_s = self._late_s()
        self._past_s += late_s
        self._due = None
        if late_s >= LONG_S:
            self._long += 1
            log.warning("this process stood still", extra={"seconds": round(late_s, 1)})
        if self._watchers:
            self._next()
