"""The journal on a stream stopped at every single thing that it does to file and cluster: nothing committed is lost.

A server with a real JetStream lives through some commits and a copy. At the n-th thing that it does to the world it is
killed, before or just after it, or that one thing fails and life goes on. Then it is started again on its file; and at
the end a machine without a file must know the same.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from daemons.journals import CLOCK, changes, dropped, everything
from daemons.nats import Nats
from daemons.paging import MORNING
from daemons.process import running
from healthmon.alerting.journal import Journal
from healthmon.app.commits import Commits
from healthmon.app.journalstart import brought_up
from healthmon.app.journalstream import JournalStream
from healthmon.model.errors import TransportDown
from healthmon.model.journal import Changes, Restored
from healthmon.transport.journalline import JournalLine

pytestmark = [pytest.mark.wire, pytest.mark.timeout(300)]
#: After which commits the stream is brought up to the file, and after which a copy is made of the whole.
COMMITS, LOOKS_AFTER, COPY_AFTER = 6, (0, 2, 4), 3
Done = TypeVar("Done")
_lives = itertools.count(1)


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


@dataclass
class World:
    """What outlives the server, and what it has promised."""

    nats: Nats
    path: Path
    organisation: str
    cut_at: int = 0
    how: str = "before"  # before, after, or once: that one effect fails and nothing else
    effects: int = 0
    promised: set[int] = field(default_factory=set)  # commits that have returned
    streamed: int = -1  # up to this one on the stream too

    def restored_at(self) -> float | None:
        """When the newest commit in the file was made."""
        with contextlib.closing(Journal(self.path)) as journal:
            return journal.restore().at

    @contextlib.contextmanager
    def effect(self, error: Exception) -> Iterator[None]:
        """One thing done to the world; `error`: how it goes wrong when it does not work once."""
        self.effects += 1
        mine = self.effects == self.cut_at
        if mine and self.how == "before":
            raise Killed
        if mine and self.how == "once":
            raise error
        yield
        if mine:
            raise Killed


class CountedLine(JournalLine):
    """Each question and each write counts."""

    def __init__(self, world: World) -> None:
        super().__init__(world.nats.url, organisation=world.organisation, username="tester", password="a-password")
        self._world = world

    async def open(self) -> None:
        await self._counted(super().open)
        keep, purge = self._objects.put, self.jetstream.purge_stream
        self._objects.put = lambda *given: self._counted(lambda: keep(*given))
        self.jetstream.purge_stream = lambda *given, **more: self._counted(lambda: purge(*given, **more))

    async def stand(self) -> Any:
        return await self._counted(super().stand)

    async def put(self, payload: bytes, *, after: int) -> int:
        write = super().put
        return await self._counted(lambda: write(payload, after=after))

    async def newest(self) -> Any:
        return await self._counted(super().newest)

    async def _counted(self, happen: Callable[[], Awaitable[Done]]) -> Done:
        with self._world.effect(TransportDown("away")):
            return await happen()


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with running(Nats(tmp_path_factory.mktemp("nats"))) as node:
        assert isinstance(node, Nats)
        yield node


def story(number: int) -> Changes:
    """The n-th commit, the same in every life."""
    return changes(random.Random(number), number)


async def live(world: World) -> None:
    """From a start to the end of the story, or to the kill."""
    line = CountedLine(world)
    journal: Journal | None = None
    try:
        stream = JournalStream(line, world.path, clock=CLOCK, begun=await brought_up(line, world.path, CLOCK))
        journal = Journal(world.path)
        commit = journal.commit

        def written(*several: Changes) -> None:
            with world.effect(sqlite3.OperationalError("disk I/O error")):
                commit(*several)

        journal.commit = written  # type: ignore[method-assign]
        await _through(world, stream, Commits(journal, None, count=lambda _: None, stream=stream))
    finally:
        if journal is not None:
            journal.close()
        await line.close()


async def _through(world: World, stream: JournalStream, commits: Commits) -> None:
    at = world.restored_at()
    begin = 0 if at is None else int(at - MORNING) + 1  # an engine goes on from what it was given back
    assert begin > max(world.promised, default=-1), "what was promised is there"
    for number in range(begin, COMMITS):
        for _ in range(2):  # an engine whose commit fails makes it again
            with contextlib.suppress(sqlite3.Error):
                await commits.commit(story(number))
                break
        world.promised.add(number)
        if number in LOOKS_AFTER:
            await _looked(stream)
        world.streamed = number if stream.ok else world.streamed
        if number == COPY_AFTER and stream.ok:
            with contextlib.suppress(TransportDown):
                await stream.copy()
    await _looked(stream)
    await _looked(stream)
    assert stream.ok


async def _looked(stream: JournalStream) -> None:
    """As `run` does every second: what goes wrong is tried again the next time."""
    with contextlib.suppress(TransportDown):
        await stream._look()


async def known_without_a_file(world: World, folder: Path) -> tuple[Restored, list[object]]:
    line = JournalLine(world.nats.url, organisation=world.organisation, username="tester", password="a-password")
    path = folder / f"elsewhere-{world.cut_at}-{len(world.promised)}.sqlite"
    await brought_up(line, path, CLOCK)
    await line.close()
    with contextlib.closing(Journal(path)) as journal:
        return everything(journal)


async def survive(world: World) -> None:
    """The whole story with one cut."""
    try:
        await live(world)
    except Killed:
        world.cut_at = 0
        found, _ = await known_without_a_file(world, world.path.parent)
        assert (found.at or MORNING - 1) >= MORNING + world.streamed, "what the stream had is there at that very moment"
        await live(world)


@pytest.mark.parametrize("how", ["before", "after", "once"])
async def test_stopped_at_any_effect_file_and_stream_say_what_was_committed(
    nats: Nats, tmp_path: Path, how: str
) -> None:
    with contextlib.closing(Journal(tmp_path / "calm.sqlite")) as calm:
        for number in range(COMMITS):
            calm.commit(story(number))
        expected = everything(calm)
    calm_life = World(nats, tmp_path / "journal.sqlite", f"calm-{next(_lives)}")
    await survive(calm_life)
    await dropped(nats, calm_life.organisation)
    for number in range(1, calm_life.effects + 1):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        world = World(nats, folder / "journal.sqlite", f"cut-{next(_lives)}", number, how)
        await survive(world)
        at = f"{how} effect {number} of {calm_life.effects}"
        with contextlib.closing(Journal(world.path)) as journal:
            assert everything(journal) == expected, f"{at}: the file"
        assert await known_without_a_file(world, folder) == expected, f"{at}: the stream"
        await dropped(nats, world.organisation)
    assert calm_life.effects > 20, "the story is long enough"
