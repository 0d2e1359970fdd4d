"""Readings and the clock they were taken under: a step of the wall clock must not move what was taken before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from healthmon.model.ports import Clock
from healthmon.model.sample import Reading

#: A wall clock that moves by less against the monotonic one is being slewed, or the machine was suspended for a moment.
STEP_S = 2.0


@dataclass(frozen=True, slots=True)
class Timed:
    """A reading, and the wall clock less the monotonic one (s) that its time is told by."""

    reading: Reading
    clock: float


class ClockSteps:
    """Puts every reading on the clock of the moment it arrives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.mono()
        self._step_s = 0.0

    def timed(self, reading: Reading) -> Timed:
        """A look that was under way during a step has its start told by the clock from before; that is mended here."""
        now = self._clock.now()
        offset = now - self._clock.mono()
        if abs(offset - self._offset) > STEP_S:
            self._step_s = offset - self._offset
        self._offset = offset
        late_s = now - reading.took - reading.started
        if self._step_s and abs(late_s - self._step_s) <= STEP_S < abs(late_s):
            reading = replace(reading, started=reading.started + self._step_s)
        return Timed(reading, self._offset)


def by_clock(taken: Iterable[Timed]) -> Iterator[tuple[float, list[Reading]]]:
    """Runs of readings of one clock, in order."""
    clock, found = 0.0, list[Reading]()
    for one in taken:
        if found and abs(one.clock - clock) > STEP_S:
            yield clock, found
            found = []
        if not found:
            clock = one.clock
        found.append(one.reading)
    if found:
        yield clock, found
