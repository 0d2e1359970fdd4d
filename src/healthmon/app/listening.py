"""How long somebody was silent, counted only while we could have heard them."""

from __future__ import annotations

from healthmon.model.ports import Clock

#: Of what passed between two looks so much counts at most: more means that we ourselves stood still.
LOOK_MOST_S = 2.0


class Listening:
    """`seconds` grows with each look, but not while our own line was away, and hardly while we stood still.

    What arrived meanwhile still waits to be read: whoever judged by the clock would call the whole crew lost.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock.mono()
        self.seconds = 0.0

    def look(self, *, connected: bool) -> float:
        """Call about every second; the seconds that were listened so far."""
        passed_s, self._looked = self._clock.mono() - self._looked, self._clock.mono()
        if connected:
            self.seconds += min(passed_s, LOOK_MOST_S)
        return self.seconds
