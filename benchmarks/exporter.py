"""What a scrape of 10,000 series costs the event loop, and how long the answer takes.

The rendering runs in a thread. `loop` is the CPU time of the loop's own thread over one scrape; `longest wait` is how
late a task that wants to run each millisecond was, at worst: the thread that renders shares the interpreter with it.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.topology import Check, Estate, Organisation, Site, Target
from healthmon.model.view import Health, View
from healthmon.runtime.clock import ManualClock
from healthmon.web.exporter import Exporter

SERIES, PER_READING, ROUNDS = 10_000, 20, 15
NOW = 1_790_000_000.0
ACCEPT = {"text": "text/plain; version=0.0.4", "OpenMetrics": "application/openmetrics-text; version=1.0.0"}


def main() -> None:
    """A table by format."""
    print(f"{SERIES:,} series of readings and their cores; {ROUNDS} scrapes, median and worst")
    for name, accept in ACCEPT.items():
        rounds = asyncio.run(_rounds(accept))
        loop_ms, took_ms, wait_ms, size = (list(column) for column in zip(*rounds, strict=True))
        print(
            f"{name:12} loop {statistics.median(loop_ms):6.2f} ms (worst {max(loop_ms):.2f})  "
            f"answer {statistics.median(took_ms):6.1f} ms  longest wait {statistics.median(wait_ms):5.1f} ms "
            f"(worst {max(wait_ms):.1f})  {size[0] / 1e6:.2f} MB"
        )


async def _rounds(accept: str) -> list[tuple[float, float, float, int]]:
    clock = ManualClock(NOW)
    exporter = Exporter(clock=clock, series_cap=20_000)
    view = _view()
    found = []
    for _ in range(ROUNDS):
        found.append(await _once(exporter, clock, view, accept))
    return found[1:]


async def _once(exporter: Exporter, clock: ManualClock, view: View, accept: str) -> tuple[float, float, float, int]:
    """One scrape by itself, and one beside a task that always wants to run (which costs the loop something too)."""
    await clock.advance(20.0)  # never from the kept answer
    cpu, began = time.thread_time(), time.perf_counter()
    body, _ = await exporter.exposition(view, view.health, accept=accept)
    loop_ms, took_ms = (time.thread_time() - cpu) * 1e3, (time.perf_counter() - began) * 1e3
    waits: list[float] = []
    ticking = asyncio.ensure_future(_tick(waits))
    await clock.advance(20.0)
    await exporter.exposition(view, view.health, accept=accept)
    ticking.cancel()
    return loop_ms, took_ms, max(waits) * 1e3, len(body)


async def _tick(waits: list[float]) -> None:
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        waits.append(max(0.0, time.perf_counter() - due))


def _view() -> View:
    count = SERIES // PER_READING
    targets = {f"t-{n}": Target(f"t-{n}", f"t-{n}", "host", "192.0.2.1", "main", None,
                                checks=(Check("tcp", "tcp", 60.0, 10.0),)) for n in range(count)}  # fmt: skip
    readings = {}
    for name in targets:
        samples = tuple(Sample("host_disk", f"field{n}_bytes", float(n), {"mount": "/"}) for n in range(PER_READING))
        readings[(name, "tcp", "poller")] = Reading(name, "tcp", "poller", NOW + 1e6, 0.1, Outcome.OK, samples=samples)
    estate = Estate(
        Organisation("o", "O", "Europe/London"),
        sites={"main": Site("main", "Main", "Europe/London")},
        areas={},
        services={},
        targets=targets,
        teams={},
        agents={},
    )
    health = Health("ok", NOW, 0.0, True, 0, True, "shadow")
    return View(1, NOW, estate, {}, {}, (), (), readings, {}, health)


if __name__ == "__main__":
    main()
