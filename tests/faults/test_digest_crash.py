"""A storm through a paced channel, cut at every effect: each notice is delivered alone or inside a digest, marked when
it comes twice. And a real process whose channel is gone for a while, with kill -9 in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemons.healthmon import until
from daemons.paging import MORNING, Answer, Receiver, notice
from daemons.process import free_port
from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_rows import is_final
from healthmon.alerting.notify import make_channel, pace_of
from healthmon.alerting.notify.digest import FOLDED
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.notify.lane import Pace
from healthmon.model.incident import Notice, NoticeResult, Why
from healthmon.model.journal import Changes
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.runtime.clock import ManualClock, SystemClock, settle

#: More than the pace allows at once; one of severity 1; one incident with two messages.
STORM = [
    notice(f"{n:016x}", channel="sms", to="+44", incident=f"inc-{n % 9}", severity=1 if n == 4 else 2 + n % 2,
           why=Why.ESCALATED if n >= 9 else Why.OPENED, due=MORNING + n)
    for n in range(11)
]  # fmt: skip


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it."""


@dataclass
class World:
    """What outlives the process: the journal, and (key, repeat) of everything that the receiver got."""

    path: Path
    arrived: list[tuple[str, bool]] = field(default_factory=list)
    messages: int = 0
    effects: int = 0
    cut_at: int = 0
    cut_after: bool = False

    def effect(self) -> bool:
        """Count one effect; whether the power goes after it. Raises PowerCut where it goes before."""
        self.effects += 1
        if self.cut_at and (self.effects > self.cut_at or (self.effects == self.cut_at and not self.cut_after)):
            raise PowerCut
        return self.effects == self.cut_at

    async def send(self, sent: Notice) -> Sent | Retry | Dead:
        await asyncio.sleep(0)
        last = self.effect()
        parts = sent.body.get(FOLDED, [{"key": sent.key, "repeat": sent.repeat}])
        self.arrived += [(part["key"], part["repeat"]) for part in parts]
        self.messages += 1
        if last:
            raise PowerCut
        return Sent()


async def live(world: World) -> None:
    journal, clock = Journal(world.path), ManualClock(MORNING + 60.0)
    try:

        async def commit(changes: Changes) -> None:
            last = world.effect()
            journal.commit(changes)
            if last:
                raise PowerCut

        restored = journal.restore()
        if not journal.notice(STORM[0].key):
            await commit(Changes(at=MORNING, notices=tuple(STORM)))
            restored = journal.restore()
        dispatcher = Dispatcher(
            channels={"sms": world}, journal_commit=commit, clock=clock, on_result=lambda one: None,
            paces={"sms": Pace(3.0, folds=True)}, concurrency=2,
        )  # fmt: skip
        dispatcher.put(sorted(restored.notices.values(), key=lambda one: one.due))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(dispatcher.run())
            for _ in range(200):
                await settle()
                if dispatcher.idling:
                    break
                await clock.advance(1.0)
            task.cancel()
        assert dispatcher.idling
    finally:
        journal.close()


async def survive(world: World, cut_at: int = 0, *, cut_after: bool = False) -> None:
    for at in (cut_at, 0):
        world.effects, world.cut_at, world.cut_after = 0, at, cut_after
        try:
            await live(world)
        except PowerCut:
            continue
        except BaseExceptionGroup as group:
            if group.split(PowerCut)[1] is not None:
                raise
            continue
        return


def judge(world: World, cuts: int) -> None:
    journal = Journal(world.path)
    kept = [journal.notice(one.key) for one in STORM]
    assert {one.result for one in kept if one} == {NoticeResult.SENT}
    assert not [one for one in journal.restore().notices.values() if not is_final(one)]
    journal.close()
    copies = Counter(key for key, _ in world.arrived)
    assert set(copies) == {one.key for one in STORM}, "lost, or invented"
    marked = Counter(key for key, repeat in world.arrived if repeat)
    for key, count in copies.items():
        assert count - 1 <= marked[key] <= cuts, "a second copy that does not say so, or more repeats than cuts"


async def test_a_storm_cut_at_every_effect(tmp_path: Path) -> None:
    quiet = World(tmp_path / "quiet.sqlite")
    await survive(quiet)
    judge(quiet, 0)
    assert quiet.messages < len(STORM), "some of it was folded"
    repeats = 0
    for number in range(1, quiet.effects + 1):
        for after in (False, True):
            world = World(tmp_path / f"{number}-{after}.sqlite")
            await survive(world, number, cut_after=after)
            judge(world, 1)
            repeats += len(world.arrived) - len(STORM)
            world.path.unlink()
    assert repeats > 0, "some cut must have fallen between a sending and its result"


CHILD = """
import asyncio, sys
sys.path[:0] = [{tests!r}, {faults!r}]
from test_digest_crash import page_through_a_gateway
asyncio.run(page_through_a_gateway({path!r}, {port!r}))
"""
MANY = 60


async def page_through_a_gateway(path: str, port: int) -> None:
    """The child: a real gateway channel at its usual pace, a storm of which a few are of severity 1."""
    journal = Journal(path)
    body = {"to": "{to}", "text": "{text}", "all": "{long_text} {key}", "severity": "{severity}"}
    channel = make_channel("gateway", {"url": f"http://127.0.0.1:{port}/", "body": body})

    async def commit(changes: Changes) -> None:
        await asyncio.to_thread(journal.commit, changes)

    dispatcher = Dispatcher(
        channels={"sms": channel}, journal_commit=commit, clock=SystemClock(), on_result=lambda one: None,
        paces={"sms": pace_of("gateway")},
    )  # fmt: skip
    unfinished = [one for one in journal.restore().notices.values() if not is_final(one)]
    if not journal.notice(f"{0:016x}"):
        unfinished = [
            notice(f"{n:016x}", channel="sms", to="+44", incident=f"inc-{n}", severity=1 if n % 20 == 0 else 2)
            for n in range(MANY)
        ]
        await commit(Changes(at=MORNING, notices=tuple(unfinished)))
    dispatcher.put(unfinished)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dispatcher.run())
        await dispatcher.idle()
        task.cancel()


@pytest.mark.slow
def test_a_channel_that_was_gone_comes_back_to_one_digest_through_kill_9(tmp_path: Path) -> None:
    path, port, faults = tmp_path / "journal.sqlite", free_port(), Path(__file__).parent
    code = CHILD.format(tests=str(faults.parent), faults=str(faults), path=str(path), port=port)
    argv = [sys.executable, "-c", code]
    first = subprocess.Popen(argv)  # nobody listens
    try:
        until(lambda: path.exists() and tried(path) >= MANY // 2, timeout_s=60, what="tries against nobody")
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(30)
    receiver = Receiver(lambda number: Answer(), port=port)
    try:
        assert subprocess.run(argv, timeout=300, check=False).returncode == 0
    finally:
        receiver.stop()
    bodies = [post.json for post in receiver.posted]
    keys = Counter(key for body in bodies for key in set(re.findall(r"\b0000[0-9a-f]{12}\b", body["all"])))
    assert set(keys) == {f"{n:016x}" for n in range(MANY)}
    assert max(keys.values()) == 1, "one kill while nobody listened: none arrived twice"
    worst = [body for body in bodies if body["severity"] == "1"]
    assert len(worst) == MANY // 20
    assert len(bodies) - len(worst) <= 12, "57 messages of severity 2 are a handful"


def tried(path: Path) -> int:
    """Notices that were tried at least once."""
    sql = "SELECT count(*) FROM notice WHERE progress > 0"
    url = f"file:{path}?mode=ro"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(url, uri=True)) as db:
        return int(db.execute(sql).fetchone()[0])
    return 0
