"""Silence is counted in seconds that were listened: a server that stood still calls nobody lost."""

from __future__ import annotations

from healthmon.app.handover import Crew
from healthmon.app.listening import LOOK_MOST_S, Listening
from healthmon.app.workshift import LIFE_S
from healthmon.runtime.clock import ManualClock
from healthmon.transport.hands import Beat


async def silence(passed_s: float, *, connected: bool = True, looks: int = 1) -> int:
    """How many are lost after so many looks, each so long after the one before; one worker was heard first."""
    clock, crew = ManualClock(), Crew()
    listening = Listening(clock)
    crew.heard(Beat("a", "run"), listening.seconds)
    for _ in range(looks):
        await clock.advance(passed_s)
        crew.missed(listening.look(connected=connected))
    return crew.lost


async def test_a_worker_that_says_nothing_for_its_whole_life_is_lost() -> None:
    assert await silence(1.0, looks=int(LIFE_S)) == 0
    assert await silence(1.0, looks=int(LIFE_S) + 1) == 1


async def test_who_stood_still_reads_what_has_arrived_before_it_judges() -> None:
    assert await silence(60.0) == 0
    assert await silence(60.0, looks=int(LIFE_S / LOOK_MOST_S) + 1) == 1


async def test_while_the_line_is_away_nobody_is_lost() -> None:
    assert await silence(1.0, connected=False, looks=600) == 0
