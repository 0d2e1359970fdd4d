"""The journal: one suite over its file, over its stream alone, and over a copy that the stream was cut behind.

Whatever the form: what `commit` has returned from is what the next server goes on from. On a stream that next server is
another machine, which has no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from daemons.journals import Machine, changes, dropped, everything, machine
from daemons.nats import Nats
from daemons.paging import MORNING, alert, incident, notice, row
from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_rows import SENDING, progress
from healthmon.app.commits import Commits
from healthmon.model.alert import Phase
from healthmon.model.incident import Entry, IncidentState, NoticeResult
from healthmon.model.journal import Audit, Changes, Epoch, Restored
from healthmon.model.mute import MuteEvent
from healthmon.model.sample import Outcome, Reading, Reason, Sample

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]

_names = itertools.count(1)


class Server(Protocol):
    """What writes, and what it reads back."""

    journal: Journal
    commits: Commits


class Kept(Protocol):
    """One form: `server` starts the next one, which knows what this form has kept and nothing else."""

    def server(self) -> AbstractAsyncContextManager[Server]: ...

    async def settle(self, server: Server) -> None:
        """Between two commits: whatever this form does from time to time."""


class OnFile:
    """A server and its successor on one file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.sqlite"

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        with contextlib.closing(Journal(self._path)) as journal:
            yield Plain(journal)

    async def settle(self, server: Server) -> None:
        pass


class Plain:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.commits = Commits(journal, None, count=lambda _: None)


class OnStream:
    """Each server is on a machine of its own. `copies`: the whole goes beside the stream now and again."""

    def __init__(self, nats: Nats, folder: Path, *, copies: bool) -> None:
        self._nats = nats
        self._folder = folder
        self._copies = copies
        self.organisation = f"forms-{next(_names)}"
        self._machines = itertools.count(1)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Server]:
        async with machine(self._nats, self.organisation, self._folder / f"{next(self._machines)}") as made:
            await made.ok()
            yield made

    async def settle(self, server: Server) -> None:
        assert isinstance(server, Machine)
        assert server.stream.ok
        if self._copies:
            await server.stream.copy()


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    node = Nats(tmp_path_factory.mktemp("nats"))
    node.start()
    yield node
    node.stop()


@pytest.fixture(params=["file", "stream", "copy"])
async def kept(request: pytest.FixtureRequest, nats: Nats, tmp_path: Path) -> AsyncIterator[Kept]:
    if request.param == "file":
        yield OnFile(tmp_path)
        return
    form = OnStream(nats, tmp_path, copies=request.param == "copy")
    yield form
    await dropped(nats, form.organisation)


def reading(target: str = "sw-ward7", **more: object) -> Reading:
    samples = (
        Sample("icmp", "rtt_avg_seconds", 1.5),
        Sample("snmp_if", "up", True, {"interface": "Gi0/1"}),
        Sample("tls", "subject", "CN=x"),
    )
    given = Reading(target, "icmp", "poller", MORNING, 0.1, Outcome.FAILED, Reason.TIMEOUT, "no answer", samples)
    return replace(given, **more)  # type: ignore[arg-type]


EPOCH = Epoch("pc-w7-01", "9f3c0d5e7a1b2c48", 0.25, MORNING, MORNING + 9, ((1, 7), (9, 9)), ((1, 7),), ((8, 8),),
              ((1, 0.25, 7.5),))  # fmt: skip
MUTE = MuteEvent(MORNING, "expire", "mute-1", "Duty engineer", 1, "planned work")
EVERYTHING = Changes(
    at=MORNING,
    readings=(reading(),),
    alerts=(alert(), alert(mount="/var")),
    incidents=(incident(timeline=(Entry(MORNING, "opened", "it began"),)),),
    notices=(notice(),),
    ledger=(row(),),
    epochs=(EPOCH,),
    presence={"pc-w7-01": ("up", MORNING)},
    memory={"w|x": b"\x00\x01", "w|gone": b"\x02"},
    mutes=(MUTE,),
    audit=(Audit("person", MORNING, {"who": "on call", "beds": 28, "none": None}, incident="inc-1", key="once"),),
)


async def after(kept: Kept, *several: Changes) -> tuple[Restored, list[object]]:
    """What the next server goes on from, and what people read there."""
    async with kept.server() as server:
        for one in several:
            await server.commits.commit(one)
            await kept.settle(server)
    async with kept.server() as server:
        return everything(server.journal)


async def test_a_first_start_is_empty(kept: Kept) -> None:
    assert (await after(kept))[0] == Restored()


async def test_every_kind_of_thing_comes_back_as_it_was(kept: Kept) -> None:
    await after(kept, EVERYTHING)
    async with kept.server() as server:
        assert server.journal.restore() == Restored(
            at=MORNING,
            readings={("sw-ward7", "icmp", "poller"): reading()},
            alerts={a.key: a for a in EVERYTHING.alerts},
            incidents={"inc-1": EVERYTHING.incidents[0]},
            notices={notice().key: notice()},
            epochs={("pc-w7-01", "9f3c0d5e7a1b2c48"): EPOCH},
            presence={"pc-w7-01": ("up", MORNING)},
            memory={"w|x": b"\x00\x01", "w|gone": b"\x02"},
            mutes=(MUTE,),
            ledgered=frozenset({"k1"}),
        )
        (line,) = server.journal.events("person")
        assert (line.at, line.incident, line.body) == (MORNING, "inc-1", EVERYTHING.audit[0].body)
        assert server.journal.ledger(9) == [row()]


async def test_the_same_changes_twice_are_the_same_as_once(kept: Kept) -> None:
    async with kept.server() as server:
        await server.commits.commit(EVERYTHING)
        once = everything(server.journal)
    assert await after(kept, EVERYTHING, EVERYTHING) == once


async def test_newer_state_replaces_older_and_what_is_over_is_forgotten(kept: Kept) -> None:
    newer = reading(started=MORNING + 1, outcome=Outcome.OK, reason=None)
    found, _ = await after(
        kept,
        EVERYTHING,
        Changes(
            at=MORNING + 1, readings=(newer,), alerts=(alert(Phase.CLEAR),), memory={"w|gone": b"", "w|x": b"\x03"}
        ),
    )
    assert found.at == MORNING + 1
    assert list(found.readings.values()) == [newer]
    assert list(found.alerts.values()) == [alert(mount="/var")]
    assert found.memory == {"w|x": b"\x03"}


async def test_a_notice_only_moves_forward(kept: Kept) -> None:
    life = [
        notice(),
        notice(result=NoticeResult.RETRYING, attempts=1, detail=SENDING),
        notice(result=NoticeResult.RETRYING, attempts=1, detail="HTTP 503"),
        notice(result=NoticeResult.SENT, attempts=2),
    ]
    assert [progress(one) for one in life] == sorted(progress(one) for one in life)
    found, _ = await after(
        kept, *(Changes(at=MORNING, incidents=(incident(),), notices=(one,)) for one in (*life, *life))
    )
    assert found.notices == {life[-1].key: replace(life[-1], body={})}


async def test_the_timeline_is_written_once_whoever_writes_it(kept: Kept) -> None:
    first, second, third = (Entry(MORNING + n, "note", f"line {n}") for n in range(3))
    over = replace(incident(timeline=(first, second, third)), state=IncidentState.RESOLVED, resolved_at=MORNING + 3)
    await after(kept, Changes(at=MORNING, incidents=(incident(timeline=(first, third)),)))
    found, _ = await after(
        kept,
        Changes(at=MORNING, incidents=(incident(timeline=(first, second, third)),)),
        Changes(at=MORNING + 3, incidents=(over,)),
    )
    assert found.incidents == {"inc-1": over}
    async with kept.server() as server:
        assert [entry.text for entry in server.journal.timeline("inc-1")] == ["line 0", "line 1", "line 2"]


async def test_what_may_happen_once_happens_once_whoever_asks_again(kept: Kept) -> None:
    spent = Audit("token", MORNING, {"by": "on call"}, incident="inc-1", key="t1")
    async with kept.server() as server:
        assert await server.commits.record(spent)
        assert not await server.commits.record(replace(spent, body={"by": "somebody else"}))
        await kept.settle(server)
    async with kept.server() as server:
        assert server.journal.knows("token", "t1")
        assert not await server.commits.record(replace(spent, body={"by": "a third"}))
        assert [event.body["by"] for event in server.journal.events("token")] == ["on call"]


async def test_a_commit_that_the_disk_refuses_is_there_once_when_it_comes_again(kept: Kept) -> None:
    async with kept.server() as server:
        await server.commits.commit(EVERYTHING)
        (pages,) = server.journal._db.execute("PRAGMA page_count").fetchone()
        server.journal._db.execute(f"PRAGMA max_page_count = {pages}")
        large = Changes(at=MORNING + 1, ledger=(row("k2", MORNING + 1),), memory={"w|large": bytes(200_000)})
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await server.commits.commit(large)
        assert server.journal.restore().at == MORNING, "all of it or nothing"
        server.journal._db.execute("PRAGMA max_page_count = 1000000")
        await server.commits.commit(large)
        known = everything(server.journal)
    async with kept.server() as server:
        assert everything(server.journal) == known
        assert [one.key for one in server.journal.ledger(9)] == ["k2", "k1"]


async def test_any_history_ends_where_it_would_without_restarts(kept: Kept, tmp_path: Path) -> None:
    chance, again = random.Random(11), random.Random(11)
    with contextlib.closing(Journal(tmp_path / "calm.sqlite")) as calm:
        for number in range(24):
            calm.commit(changes(chance, number))
        expected = everything(calm)
    for begin in range(0, 24, 8):
        found = await after(kept, *(changes(again, number) for number in range(begin, begin + 8)))
    assert found == expected


async def test_nothing_else_writes_meanwhile(kept: Kept) -> None:
    """Commits from many sides at once: each whole, all of them there."""
    async with kept.server() as server:
        await asyncio.gather(
            *(server.commits.commit(Changes(at=MORNING, presence={f"pc-{n}": ("up", n)})) for n in range(20))
        )
        await kept.settle(server)
    async with kept.server() as server:
        assert server.journal.restore().presence == {f"pc-{n}": ("up", float(n)) for n in range(20)}
