"""A power cut at every effect of paging: nothing intended is lost, every repeat is marked, one per cut at most."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemons.paging import AT_ONCE, MORNING, PAGER, Answer, Receiver, estate, incident, mitigated
from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_rows import is_final
from healthmon.alerting.notify import make_channel
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.oncall.escalation import due
from healthmon.model.incident import Incident, Notice, NoticeResult, Why
from healthmon.model.journal import Changes
from healthmon.model.ports import Dead, Notifier, Retry, Sent
from healthmon.runtime.clock import ManualClock, SystemClock, settle

#: Opened, nobody takes it (next step), over.
STORY: tuple[tuple[float, Incident], ...] = (
    (MORNING, incident()),
    (MORNING + 300.0, incident()),
    (MORNING + 400.0, mitigated(incident(), MORNING + 400.0)),
)
TOLD = {("pager", Why.OPENED), ("mail", Why.ESCALATED), ("pager", Why.MITIGATED), ("mail", Why.MITIGATED)}


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it."""


@dataclass
class World:
    """What outlives the process: the file, what receivers got, and where the story stands."""

    path: Path
    arrived: list[Notice] = field(default_factory=list)
    chapter: int = 0
    effects: int = 0
    cut_at: int = 0
    cut_after: bool = False  # the effect happens, then the power goes

    def effect(self, happen: object) -> None:
        """Count one effect; at its number the power goes before or after it, and later ones find no power."""
        self.effects += 1
        if self.cut_at and (self.effects > self.cut_at or (self.effects == self.cut_at and not self.cut_after)):
            raise PowerCut
        assert callable(happen)
        happen()
        if self.effects == self.cut_at:
            raise PowerCut


@dataclass
class Channel:
    world: World

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        await asyncio.sleep(0)
        if notice.channel == "mail" and notice.attempts == 1:
            return Retry("greylisted")
        self.world.effect(lambda: self.world.arrived.append(notice))
        return Sent()


async def live(world: World) -> None:
    """One life of the process, from the journal to the end of the story or a power cut."""
    journal, clock = Journal(world.path), ManualClock(MORNING)
    try:
        restored = journal.restore()
        told = dict(restored.notices)

        async def commit(changes: Changes) -> None:
            world.effect(lambda: journal.commit(changes))

        dispatcher = Dispatcher(
            channels={"pager": Channel(world), "mail": Channel(world)},
            journal_commit=commit,
            clock=clock,
            on_result=lambda notice: told.update({notice.key: notice}),
        )
        dispatcher.put(restored.notices.values())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(dispatcher.run())
            while world.chapter < len(STORY):
                now, now_incident = STORY[world.chapter]
                notices, rows = due(
                    now_incident, policies=(PAGER,), told=told, mode="live", now=now, estate=estate(), waking=AT_ONCE
                )
                await commit(Changes(at=now, incidents=(now_incident,), notices=notices, ledger=rows))
                told |= {notice.key: notice for notice in notices}
                dispatcher.put(notices)
                await finish(dispatcher, clock)
                world.chapter += 1
            task.cancel()
    finally:
        journal.close()


async def finish(dispatcher: Dispatcher, clock: ManualClock) -> None:
    done = asyncio.get_running_loop().create_task(dispatcher.idle())
    while not done.done():
        await settle()
        await clock.advance(1.0)


async def survive(world: World, *cuts: tuple[int, bool]) -> int:
    """Live through the cuts (n-th effect of each life, before or after it) and then to the end; how many happened."""
    happened = 0
    for cut_at, cut_after in [*cuts, (0, False)]:
        world.effects, world.cut_at, world.cut_after = 0, cut_at, cut_after
        try:
            await live(world)
            break
        except BaseExceptionGroup as group:
            rest = group.split(PowerCut)[1]
            if rest is not None:
                raise rest from group
            happened += 1
        except PowerCut:
            happened += 1
    return happened


def judge(world: World, cuts: int) -> None:
    journal = Journal(world.path)
    intended = {notice.key: notice for notice in journal.notices("inc-1")}
    assert {(n.channel, n.why) for n in intended.values()} == TOLD
    assert len(intended) == len(TOLD), "no second key for the same message"
    assert {n.result for n in intended.values()} == {NoticeResult.SENT}
    assert not [n for n in journal.restore().notices.values() if not is_final(n)]
    journal.close()
    for key in intended:
        copies = [n for n in world.arrived if n.key == key]
        assert len(copies) >= 1, "lost"
        assert all(copy.repeat for copy in copies[1:]), "a second copy that does not say so"
        assert sum(copy.repeat for copy in copies) <= cuts, "more repeats than cuts"
    assert set(intended) == {n.key for n in world.arrived}
    for channel in ("pager", "mail"):
        whys = [n.why for n in world.arrived if n.channel == channel]
        assert set(whys[whys.index(Why.MITIGATED) :]) == {Why.MITIGATED}, "bad news after the good"


async def effects_of_a_quiet_life(folder: Path) -> int:
    world = World(folder / "quiet.sqlite")
    assert await survive(world) == 0
    judge(world, 0)
    assert len(world.arrived) == len(TOLD)
    return world.effects


async def test_a_cut_at_every_effect(tmp_path: Path) -> None:
    count = await effects_of_a_quiet_life(tmp_path)
    assert count > 15
    repeats = 0
    for number in range(1, count + 1):
        for after in (False, True):
            world = World(tmp_path / f"{number}-{after}.sqlite")
            assert await survive(world, (number, after)) == 1
            judge(world, 1)
            repeats += len(world.arrived) - len(TOLD)
    assert repeats > 0, "some cut must have fallen between a sending and its result"


@pytest.mark.slow
async def test_two_cuts_in_a_row(tmp_path: Path) -> None:
    count = await effects_of_a_quiet_life(tmp_path)
    most: Counter[str] = Counter()
    for first in range(1, count + 1):
        for second in range(1, 6):
            world = World(tmp_path / f"{first}-{second}.sqlite")
            cuts = await survive(world, (first, True), (second, True))
            judge(world, cuts)
            most |= Counter(n.key for n in world.arrived)
            world.path.unlink()
    assert max(most.values()) == 3, "both cuts can fall on the same sending; then, and only then, there are three"


CHILD = """
import asyncio, sys
sys.path[:0] = [{tests!r}, {faults!r}]
from test_dispatch_crash import page_over_http
asyncio.run(page_over_http({path!r}, {url!r}))
"""
MANY = 12


async def page_over_http(path: str, url: str) -> None:
    """The child: journal, dispatcher and a real webhook, with many incidents at once."""
    journal = Journal(path)
    restored = journal.restore()
    channel: Notifier = make_channel("webhook", {"url": url})

    async def commit(changes: Changes) -> None:
        await asyncio.to_thread(journal.commit, changes)

    dispatcher = Dispatcher(
        channels={"pager": channel}, journal_commit=commit, clock=SystemClock(), on_result=lambda notice: None
    )
    dispatcher.put(restored.notices.values())
    if not restored.incidents:
        incidents = tuple(incident(id=f"inc-{n}") for n in range(MANY))
        notices = [
            notice
            for i in incidents
            for notice in due(i, policies=(PAGER,), told={}, mode="live", now=MORNING, estate=estate(), waking=AT_ONCE)[
                0
            ]
        ]
        await commit(Changes(at=MORNING, incidents=incidents, notices=tuple(notices)))
        dispatcher.put(notices)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run())
        await dispatcher.idle()
        task.cancel()


@pytest.mark.slow
def test_kill_9_in_the_middle_of_sending(tmp_path: Path) -> None:
    path, faults = tmp_path / "journal.sqlite", Path(__file__).parent
    child: list[subprocess.Popen[bytes]] = []
    kill_on = {3, 9}  # the receiver kills the sender while it waits for the answer

    def answer(number: int) -> Answer:
        if number in kill_on:
            kill_on.discard(number)
            os.kill(child[-1].pid, signal.SIGKILL)
        time.sleep(0.01)
        return Answer()

    receiver = Receiver(answer)
    code = CHILD.format(tests=str(faults.parent), faults=str(faults), path=str(path), url=receiver.url)
    kills = 0
    for _ in range(5):
        child.append(subprocess.Popen([sys.executable, "-c", code]))
        if child[-1].wait(60) == 0:
            break
        assert child[-1].returncode == -signal.SIGKILL
        kills += 1
    receiver.stop()
    assert (kills, kill_on) == (2, set())
    bodies = [post.json for post in receiver.posted]
    journal = Journal(path)
    intended = {key: notice for n in range(MANY) for notice in journal.notices(f"inc-{n}") for key in [notice.key]}
    assert len(intended) == MANY
    assert {n.result for n in intended.values()} == {NoticeResult.SENT}
    assert {body["key"] for body in bodies} == set(intended)
    for key in intended:
        copies = [body for body in bodies if body["key"] == key]
        assert all(copy["repeat"] for copy in copies[1:])
        assert sum(copy["repeat"] for copy in copies) <= kills
