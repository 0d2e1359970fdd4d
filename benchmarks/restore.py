"""How long a server takes to go on from its journal: 30,000 targets of which 5,000 fail, 10,000 agents, our estate."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

from benchmarks.growth import FAILED, START, Tree
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.alerting.journal import Journal
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import SeverityTable
from healthmon.model.journal import Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Estate
from healthmon.runtime.memory import settle

AGENTS = 10_000
ROUNDS = 5


def main() -> None:
    """Print the times of reading and of building, and how large the journal is."""
    estate = Tree().estate()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        firing = _fill(estate, path)
        size_mib = path.stat().st_size / 2**20
        times = []
        for _ in range(ROUNDS):
            began, began_cpu = time.perf_counter(), time.process_time()
            journal = Journal(path)
            engine = _engine(estate, journal.restore())
            step = engine.tick(START + 120.0)
            times.append((time.perf_counter() - began, time.process_time() - began_cpu))
            journal.close()
            assert not [one for one in step.notices if not one.repeat], "a restart tells nobody anything new"
    wall, cpu = (sorted(column) for column in zip(*times, strict=True))
    print(f"{len(estate.targets):,} targets, {firing:,} alerts firing, {AGENTS:,} epochs, journal {size_mib:.0f} MiB: "
          f"first step after {cpu[0]:.2f} to {cpu[-1]:.2f} s of CPU, {wall[0]:.2f} to {wall[-1]:.2f} s by "
          f"the clock, n = {ROUNDS}")  # fmt: skip


def _engine(estate: Estate, restored: Restored | None = None) -> Engine:
    return Engine(estate=estate, rules=[FAILED], policies=(), severity=SeverityTable(), settings=EngineSettings(),
                  staffed=Calendar(estate).staffed, restored=restored)  # fmt: skip


def _fill(estate: Estate, path: Path) -> int:
    """A journal as a server leaves it in the middle of a core failure; how many alerts fire."""
    engine, journal = _engine(estate), Journal(path)
    settle()
    for number in range(6):
        now = START + 3.0 * number
        engine.observe([_look(id_, now, failed=number > 1) for id_ in estate.targets], now=now)
        journal.commit(engine.tick(now).changes)
    journal.commit(engine.tick(START + 30.0).changes)
    epochs = tuple(
        Epoch(f"pc-{number}", "0123456789abcdef", 0.0, START, START, received=((1, 999),), durable=((1, 999),))
        for number in range(AGENTS)
    )
    journal.commit(dataclasses.replace(engine.tick(START + 31.0).changes, epochs=epochs))
    firing = len(journal.restore().alerts)
    journal.close()
    return firing


def _look(id_: str, now: float, *, failed: bool) -> Reading:
    if failed and id_.startswith("core-1"):
        return Reading(id_, "up", "poller", now, 1.0, Outcome.FAILED, Reason.TIMEOUT)
    return Reading(id_, "up", "poller", now, 0.01, Outcome.OK)
