"""The server's own clock: the wall clock as long as that does not go back, and slowly back to it when it did."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from healthmon.app.clocksteps import STEP_S
from healthmon.model.ports import Clock, Stillness, Timer

log = logging.getLogger(__name__)

#: While it is ahead of the wall clock it goes slower by this share: an hour is made good within ten.
SLOWER = 0.1


class SteadyClock:
    """Everything in the server lives by it: the engine's time never goes back, and never stands still.

    A step forward is followed at once (a machine that was suspended looks the same). After a step back, or a start
    behind what the journal holds, time goes on from where it was, a tenth slower, until the wall clock has come up.
    """

    def __init__(self, source: Clock, *, at_least: float | None = None) -> None:
        self._source = source
        self._lock = threading.Lock()
        wall, self._mono = source.now(), source.mono()
        self._offset = wall - self._mono
        self._now = wall if at_least is None else max(wall, at_least)
        self._ahead_s = self._now - wall if self._now - wall > STEP_S else 0.0
        self._steps = {"forward": 0.0, "back": 0.0}
        #: Seconds that it gave up so far to come back to the wall clock; grows only.
        self.slowed_s = 0.0
        #: By how much it jumped forward, of the last few times.
        self.jumps: deque[float] = deque(maxlen=8)
        if self._ahead_s:
            log.warning("the journal is ahead of this machine's clock", extra={"seconds": round(self._ahead_s, 1)})

    @property
    def standstill(self) -> Stillness:
        return self._source.standstill

    @property
    def ahead_s(self) -> float:
        """How far it is ahead of the wall clock; 0.0 while the two are one."""
        self.now()
        return self._ahead_s

    def now(self) -> float:
        """Unix seconds; never less than before."""
        with self._lock:
            wall, mono = self._source.now(), self._source.mono()
            self._note_step(wall - mono)
            passed_s, self._mono = mono - self._mono, mono
            jump_s = wall - self._now - passed_s
            if jump_s > STEP_S:
                self.jumps.append(jump_s)
            if not self._ahead_s and jump_s >= -STEP_S:
                self._now = max(self._now, wall)
                return self._now
            self.slowed_s += passed_s * SLOWER
            self._now = max(wall, self._now + passed_s * (1.0 - SLOWER))
            self._ahead_s = self._now - wall
            if not self._ahead_s:
                log.info("the server's time is the wall clock again")
            return self._now

    def wall(self, at: float) -> float:
        """What the clock on the wall says at a time of this one; good for times near now."""
        return at - self._ahead_s

    def told(self, at: float) -> float:
        """What somebody else calls now, or a moment ago, on this clock.

        Of the two that may have been right all the while, the wall clock of today and the one of before its step, it
        is told by the one that it is nearer to.
        """
        late_s = self.now() - at
        return at + self._ahead_s if abs(late_s - self._ahead_s) < abs(late_s) else at

    def mono(self) -> float:
        return self._source.mono()

    async def sleep(self, seconds: float) -> None:
        await self._source.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        return self._source.call_later(seconds, call)

    def counters(self) -> dict[str, float]:
        """Steps of the wall clock since the start, by direction."""
        return {f"clock_steps_total.{way}": count for way, count in self._steps.items()}

    def _note_step(self, offset: float) -> None:
        step_s, self._offset = offset - self._offset, offset
        if abs(step_s) > STEP_S:
            self._steps["forward" if step_s > 0 else "back"] += 1
            log.warning("this machine's clock was moved", extra={"seconds": round(step_s, 1)})
