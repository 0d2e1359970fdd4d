"""A standby's copy of the journal and the stream together: whatever the copy missed is taken from the stream."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons.journals import CLOCK, changes, everything
from daemons.nats import Nats
from daemons.process import running
from healthmon.alerting.journal import Journal
from healthmon.app.commits import Commits
from healthmon.app.journalstart import brought_up
from healthmon.app.journalstream import JournalStream, Mark
from healthmon.app.pair import Following, Leading
from healthmon.model.errors import TransportDown
from healthmon.transport.journalline import Copied, JournalLine
from healthmon.transport.pairing import PairLink

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]
WHO = {"username": "tester", "password": "a-password"}


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with running(Nats(tmp_path_factory.mktemp("nats"))) as node:
        assert isinstance(node, Nats)
        yield node


@pytest.mark.parametrize("copied_late", [False, True], ids=["copied before the stream had all", "copied after"])
async def test_what_a_standby_missed_is_taken_from_the_stream(nats: Nats, tmp_path: Path, *, copied_late: bool) -> None:
    """The leader is killed while the standby hears nothing; the standby's copy is a file of the leader's."""
    organisation = f"pair-{int(copied_late)}"
    ours, theirs = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    link, other = (PairLink(nats.url, organisation=organisation, holder=name, **WHO) for name in "ab")
    lease = await link.take(await link.look())
    assert lease is not None
    line = JournalLine(nats.url, organisation=organisation, **WHO)
    stream = JournalStream(line, ours, clock=CLOCK, begun=await brought_up(line, ours, CLOCK))
    journal = Journal(ours)
    leading = Leading(link, lease, CLOCK, 10.0)
    commits = Commits(journal, leading, count=lambda _: None, stream=stream)
    answering = asyncio.ensure_future(leading.answer_copies(ours, commits.lock))
    following = Following(other, theirs, clock=CLOCK)
    chance = random.Random(1)

    async def follow() -> asyncio.Future[None]:
        task = asyncio.ensure_future(following.run())
        async with asyncio.timeout(30):
            while not following.synced:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return task

    await commits.commit(changes(chance, 0))  # which the stream lacks
    if copied_late:
        await stream._look()
        await commits.commit(changes(chance, 1))
        heard = await follow()
    else:
        heard = await follow()
        await stream._look()
        await commits.commit(changes(chance, 1))
    assert leading.copied is not copied_late
    await commits.commit(changes(chance, 2))
    assert leading.copied
    heard.cancel()
    await asyncio.gather(heard, return_exceptions=True)
    for number in (3, 4):
        await commits.commit(changes(chance, number))
    assert not leading.copied
    known = everything(journal)

    for task in (answering,):  # killed
        task.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    journal.close()
    fresh = JournalLine(nats.url, organisation=organisation, **WHO)
    begun = await brought_up(fresh, theirs, CLOCK)
    with closing(Journal(theirs)) as found:
        assert everything(found) == known
        assert Mark.of(found.marked()).at == begun.at
    for one in (line, fresh, link, other):
        await one.close()


class Duo:
    """A leader with its file and stream, and a standby that listens while it is told to."""

    def __init__(self, nats: Nats, organisation: str, folder: Path) -> None:
        self.nats, self.organisation = nats, organisation
        self.ours, self.theirs = folder / "a.sqlite", folder / "b.sqlite"
        self.link, self.other = (PairLink(nats.url, organisation=organisation, holder=name, **WHO) for name in "ab")
        self.line = JournalLine(nats.url, organisation=organisation, **WHO)
        self.chance = random.Random(1)
        self.number = 0

    async def __aenter__(self) -> Duo:
        lease = await self.link.take(await self.link.look())
        assert lease is not None
        begun = await brought_up(self.line, self.ours, CLOCK)
        self.stream = JournalStream(self.line, self.ours, clock=CLOCK, begun=begun)
        self.journal = Journal(self.ours)
        leading = Leading(self.link, lease, CLOCK, 10.0)
        self.commits = Commits(self.journal, leading, count=lambda _: None, stream=self.stream)
        self._copies = asyncio.ensure_future(leading.answer_copies(self.ours, self.commits.lock))
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in (self.line, self.link, self.other):
            await one.close()

    async def commit(self, times: int = 1) -> None:
        for _ in range(times):
            await self.commits.commit(changes(self.chance, self.number))
            self.number += 1

    async def commit_alone(self) -> None:
        """The cluster does not take it."""
        self.stream.ok = False
        await self.commit()

    async def catch_up(self) -> None:
        await self.stream._look()
        assert self.stream.ok

    @contextlib.asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """The standby copies at the beginning and listens within the block."""
        following = Following(self.other, self.theirs, clock=CLOCK)
        listening = asyncio.ensure_future(following.run())
        async with asyncio.timeout(30):
            while not following.synced:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    async def taken_over(self) -> object:
        """The leader is killed; what the other machine begins with."""
        self._copies.cancel()
        await asyncio.gather(self._copies, return_exceptions=True)
        self.journal.close()
        fresh = JournalLine(self.nats.url, organisation=self.organisation, **WHO)
        await brought_up(fresh, self.theirs, CLOCK)
        await fresh.close()
        with closing(Journal(self.theirs)) as found:
            return everything(found)


@pytest.mark.parametrize("after", [0, 2], ids=["and nothing after", "and more"])
@pytest.mark.parametrize("behind", [False, True], ids=["a copy that had all", "a copy made behind the stream"])
async def test_a_standby_that_slept_while_the_stream_lacked_some_takes_the_copy(
    nats: Nats, tmp_path: Path, *, behind: bool, after: int
) -> None:
    """What it lacks is under a number that it has: the leader was alone, brought the stream up, and died."""
    async with Duo(nats, f"slept-{int(behind)}-{after}", tmp_path) as duo:
        await duo.catch_up()
        await duo.commit(2)
        if behind:
            await duo.commit_alone()
        async with duo.heard():
            pass
        await duo.commit_alone()
        await duo.catch_up()
        await duo.commit(after)
        known = everything(duo.journal)
        assert await duo.taken_over() == known


async def test_a_standby_that_heard_what_the_stream_never_got_keeps_its_own(nats: Nats, tmp_path: Path) -> None:
    """The leader dies while it brings the stream up: the copy is there, what came meanwhile is not."""
    async with Duo(nats, "half", tmp_path) as duo:
        await duo.catch_up()
        await duo.commit()
        await duo.commit_alone()
        async with duo.heard():
            keep = duo.line.keep

            async def kept(body: bytes, copied: Copied) -> None:
                await keep(body, copied)
                await duo.commit(2)
                raise TransportDown("killed")

            duo.line.keep = kept  # type: ignore[method-assign]
            with pytest.raises(TransportDown):
                await duo.stream._look()
        known = everything(duo.journal)
        assert await duo.taken_over() == known
