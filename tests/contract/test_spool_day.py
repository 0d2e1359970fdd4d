"""A day without a broker fits into an agent's spool as it comes: nothing is given up, and far less room is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from healthmon.config.forms import AgentForm
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.runtime.clock import ManualClock
from healthmon.transport.spool import Spool

EVERY_S = 15
BATCHES = 86_400 // EVERY_S
TOGETHER = 96  # commits that a fast disk would make one by one: how they are cut does not change what is kept


def look(number: int, batch: int) -> Reading:
    """Four points, each with figures of its own, as a host's or a network card's."""
    samples = tuple(
        Sample("host", f"metric_{number}_{field}", 0.1 * (batch * 7 + number * 3 + field) % 97) for field in range(4)
    )
    return Reading(
        "pc-ward-1-1", f"check-{number}", "pc-1", 1000.0 + batch * EVERY_S, 0.1, Outcome.OK, None, "", samples
    )


async def test_a_day_of_a_ward_pc_without_a_broker_is_kept_whole_in_a_tenth_of_the_room(tmp_path: Path) -> None:
    clock = ManualClock()
    most = AgentForm(id="pc-1").spool_max_bytes
    spool = Spool(tmp_path / "spool.sqlite", agent="pc-1", max_bytes=most, clock=clock)
    try:
        for first in range(0, BATCHES, TOGETHER):
            await asyncio.gather(
                *(spool.append([look(n, batch) for n in range(5)]) for batch in range(first, first + TOGETHER))
            )
            clock.step_wall(EVERY_S * TOGETHER)
        kept = spool.stats()
    finally:
        await spool.close()
    assert (kept.state, kept.batches, kept.readings, kept.dropped_readings) == ("ok", BATCHES, BATCHES * 5, 0)
    assert (tmp_path / "spool.sqlite").stat().st_size < most / 10
