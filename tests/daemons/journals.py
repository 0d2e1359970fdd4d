"""One server's half of a journal on a stream: its file, its connection, and what writes both; nothing else runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from daemons.nats import Nats
from daemons.paging import MORNING, incident, notice
from healthmon.alerting.journal import Journal
from healthmon.app.commits import Commits
from healthmon.app.journalstart import brought_up
from healthmon.app.journalstream import JournalStream
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.incident import Entry, LedgerRow, NoticeResult
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.runtime.clock import SystemClock
from healthmon.transport.journalline import JournalLine

CLOCK = SystemClock()


class Machine:
    """One server's half: its file, its connection, and what writes both."""

    def __init__(self, path: Path, stream: JournalStream, line: JournalLine) -> None:
        self.path = path
        self.stream = stream
        self.line = line
        self.journal = Journal(path)
        self.commits = Commits(self.journal, None, count=lambda _: None, stream=stream)

    async def ok(self, *, wanted: bool = True) -> None:
        """Until the stream has everything (or is known to lack some)."""
        async with asyncio.timeout(60):
            while self.stream.ok is not wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def machine(nats: Nats, organisation: str, folder: Path) -> AsyncIterator[Machine]:
    """It starts, runs, and is killed at the end of the block: nothing is said or copied at the end."""
    folder.mkdir(exist_ok=True)
    path = folder / "journal.sqlite"
    line = JournalLine(nats.url, organisation=organisation, username="tester", password="a-password")
    begun = await brought_up(line, path, CLOCK)
    made = Machine(path, JournalStream(line, path, clock=CLOCK, begun=begun), line)
    running = asyncio.ensure_future(made.stream.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.journal.close()


def changes(chance: random.Random, number: int) -> Changes:
    """Anything that an engine may write, over a few series, incidents and notices."""
    at = MORNING + number
    targets = [f"t{chance.randrange(6)}" for _ in range(3)]
    one = incident(id=chance.choice(["inc-1", "inc-2"]), timeline=(Entry(at, "opened", f"line {number}"),))
    told = notice(key=f"n{chance.randrange(4)}", result=chance.choice(list(NoticeResult)), attempts=number)
    return Changes(
        at=at,
        readings=tuple(Reading(t, "icmp", "poller", at, 0.1, Outcome.OK, samples=(Sample("icmp", "x", 1.5),))
                       for t in targets),
        alerts=tuple(Alert(AlertKey("r", t, "icmp", "poller"), chance.choice([Phase.FIRING, Phase.CLEAR]),
                           Effect.DOWN, at, at) for t in targets),
        incidents=(one,), notices=(told,),
        ledger=(LedgerRow(at, one.id, f"k{number}", "pager", "shadow", "would have paged"),),
        epochs=(Epoch("pc-1", "e", 0.0, MORNING, at, ((1, number + 1),)),),
        presence={"pc-1": ("up", at)}, memory={f"w|{chance.randrange(3)}": bytes([number % 256]) * chance.randrange(3)},
    )  # fmt: skip


def everything(journal: Journal) -> tuple[Restored, list[object]]:
    """What a restart gets, and what people read."""
    told = [journal.notices(id_) for id_ in ("inc-1", "inc-2")]
    read = [journal.timeline("inc-1"), journal.ledger(1000), journal.events("person"), told]
    return journal.restore(), read


async def dropped(nats: Nats, organisation: str) -> None:
    """Its stream and copy are gone: each reserves what it may need, and one node has room for a few dozen."""
    line = JournalLine(nats.url, organisation=organisation, username="tester", password="a-password")
    await line.open()
    await line.jetstream.delete_stream(f"healthmon-journal-{organisation}")
    await line.jetstream.delete_object_store(f"healthmon-journal-{organisation}")
    await line.close()
