"""How long a server takes to go on from its journal: 30,000 targets of which 5,000 fail, 10,000 agents, our estate.

First from its file; then on a machine that has none, from the stream on a nats-server on loopback: the copy of the
whole and what was committed since.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.growth import FAILED, START, Tree
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.alerting.journal import Journal
from healthmon.app.commits import Commits
from healthmon.app.journalstart import brought_up
from healthmon.app.journalstream import JournalStream
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import SeverityTable
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Estate
from healthmon.model.view import Health
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.memory import settle
from healthmon.transport.journalline import JournalLine

AGENTS = 10_000
COMMITS = 120
ROUNDS = 5
HEALTH = Health("ok", START, 0.0, True, 0, True, "live")


def main() -> None:
    """Print the times of reading and of building, and how large the journal is."""
    estate = Tree().estate()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        firing = _fill(estate, path)
        size_mib = path.stat().st_size / 2**20
        about = f"{len(estate.targets):,} targets, {firing:,} alerts firing, {AGENTS:,} epochs"
        _say(f"{about}, journal {size_mib:.0f} MiB", [_timed(estate, path) for _ in range(ROUNDS)])
        with _streamed(Path(folder), path, estate) as (line, sent):
            times = [_timed(estate, Path(folder) / f"{number}.sqlite", line) for number in range(ROUNDS)]
        _say(f"the same from the stream: {sent}", times)


def _say(what: str, times: list[tuple[float, float]]) -> None:
    wall, cpu = (sorted(column) for column in zip(*times, strict=True))
    print(f"{what}: first step after {cpu[0]:.2f} to {cpu[-1]:.2f} s of CPU, {wall[0]:.2f} to {wall[-1]:.2f} s by "
          f"the clock, n = {ROUNDS}")  # fmt: skip


def _timed(estate: Estate, path: Path, line: Callable[[], JournalLine] | None = None) -> tuple[float, float]:
    """Seconds by the clock and of CPU until the engine has made its first step."""
    began, began_cpu = time.perf_counter(), time.process_time()
    if line is not None:
        asyncio.run(brought_up(line(), path, SystemClock()))
    journal = Journal(path)
    engine = _engine(estate, journal.restore())
    step = engine.tick(START + 600.0)
    spent = (time.perf_counter() - began, time.process_time() - began_cpu)
    journal.close()
    assert len(engine.view(START + 600.0, HEALTH).incidents) == 1
    assert not [one for one in step.notices if not one.repeat], "a restart tells nobody anything new"
    return spent


@contextlib.contextmanager
def _streamed(folder: Path, path: Path, estate: Estate) -> Iterator[tuple[Callable[[], JournalLine], str]]:
    """A nats-server that has the copy, and the commits since: a look at a thousand targets each."""
    sys.path[:0] = [str(Path(__file__).parent.parent / "tests")]
    from daemons.nats import Nats

    node = Nats(folder / "nats")
    node.start()

    def line() -> JournalLine:
        return JournalLine(node.url, organisation="bench", username="tester", password="a-password")

    async def fill() -> int:
        own = line()
        stream = JournalStream(own, path, clock=SystemClock(), begun=await brought_up(own, path, SystemClock()))
        journal = Journal(path)
        commits = Commits(journal, None, count=print, stream=stream)
        running = asyncio.ensure_future(stream.run())
        while not stream.ok:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        ids = sorted(estate.targets)
        for number in range(COMMITS):
            some = ids[number * 1_000 % len(ids) :][:1_000]
            looks = tuple(_look(id_, START + 40.0 + number, failed=True) for id_ in some)
            await commits.commit(Changes(at=START + 40.0 + number, readings=looks))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        journal.close()
        return stream.behind

    try:
        assert asyncio.run(fill()) == 0
        yield line, f"a copy and {COMMITS} commits of 1,000 readings"
    finally:
        node.stop()


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
