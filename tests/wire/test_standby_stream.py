"""A standby's copy of the journal and the stream together: whatever the copy missed is taken from the stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
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
from healthmon.transport.journalline import JournalLine
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
