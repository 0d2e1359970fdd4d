"""One worker of several: takes its share of the agents' batches, stores them, and hands them to the leader."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from healthmon.app.private import usable
from healthmon.app.quarantine import Quarantine
from healthmon.app.reload import Reloader
from healthmon.app.roles import Reread, reloading
from healthmon.app.seats import Seats
from healthmon.app.stores import open_store
from healthmon.app.wiring import line_of
from healthmon.app.workbench import WorkBench
from healthmon.app.workshift import WorkShift
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.ports import Clock
from healthmon.runtime.supervise import Unit, spawn
from healthmon.store.writer import StoreWriter
from healthmon.transport.seatline import SeatLine
from healthmon.transport.workline import WorkLine

log = logging.getLogger(__name__)


async def run_worker(
    site: SiteConfig,
    *,
    name: str,
    clock: Clock,
    ready: Callable[[], None],
    reread: Reread | None = None,
    watch: bool = False,
) -> None:
    """Work until cancelled. Raises ConfigError without the block `workers`."""
    if site.workers is None:
        raise ConfigError(["worker: needs the block `workers:` in the configuration (docs/scaling.md)"])
    usable(site.data_dir)
    line = line_of(site.workers, site.estate.organisation.id, f"worker {name}")
    store = open_store(site.store, site.data_dir)
    writer = StoreWriter(store, clock=clock)
    quarantine = Quarantine(site.data_dir / "quarantine" / f"worker-{name}", clock=clock)
    bench = WorkBench(site, name=name, line=line, writer=writer, quarantine=quarantine, clock=clock)
    if site.workers.detection:
        bench.seats = Seats(site, SeatLine(line), name=name, clock=clock, until_done=bench.until_done,
                            heard=bench.heard, aside=quarantine.set_aside)  # fmt: skip

    def word() -> tuple[bool, dict[str, float]]:
        stats = writer.stats()
        stored = {
            "store_rows_accepted_total": float(stats.accepted),
            "store_rows_rejected_total": float(stats.rejected),
            "store_retries_total": float(stats.retried),
        }
        judging = bench.seats.counters if bench.seats is not None else Counter[str]()
        counted = {key: float(value) for key, value in (bench.counters | judging | bench.pipeline.counts()).items()}
        return stats.ok, stored | counted | quarantine.counters

    async def take(found: SiteConfig) -> None:
        bench.adopt(found)

    reloader = Reloader(site, reread, take, clock) if reread is not None else None
    try:
        await _opened(line, clock)
        shift = WorkShift(line, bench, name=name, clock=clock, word=word)
        async with asyncio.TaskGroup() as group, reloading(group, reloader, watch=watch):
            spawn(group, "store writer", Unit("store writer", writer.run, clock=clock).supervise())
            spawn(group, "bench", Unit("bench", bench.run, clock=clock).supervise())
            if bench.seats is not None:
                spawn(group, "memory", Unit("memory", bench.seats.keep, clock=clock).supervise())
            spawn(group, "shift", Unit("shift", shift.run, clock=clock).supervise())
            ready()
            await asyncio.Event().wait()
    finally:
        await line.close()
        await store.close()


async def _opened(line: WorkLine, clock: Clock) -> None:
    """Until the cluster answers; said once."""
    said = False
    while True:
        try:
            await line.open()
            return
        except TransportDown as error:
            if not said:
                log.warning("the workers' line cannot be reached; asked again", extra={"error": str(error)})
            said = True
            await clock.sleep(1.0)
