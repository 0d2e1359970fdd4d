"""The way from the spool to store, journal, acknowledgement and page, stopped at every single effect of it.

One server of real parts (spool, reception, pipeline, engine, journal, embedded store, dispatcher) lives through a fault
and its end in virtual time. At the n-th thing that it does to the world the power goes, before or just after it, or
that one thing fails and life goes on. Then it is started again and the agent sends what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest

from daemons.onesite import OneSite
from healthmon.app.server import Server
from healthmon.config import SiteConfig, load
from healthmon.model.errors import JournalDown, StoreDown
from healthmon.model.incident import Notice
from healthmon.model.plan import Broker
from healthmon.model.ports import Retry, Sent
from healthmon.model.sample import Outcome, Query, Reading, Reason
from healthmon.runtime.clock import ManualClock
from healthmon.store.looking import StoreFile
from healthmon.transport import codec
from healthmon.transport.codec import Ack
from healthmon.transport.spool import Spool

START = 1_795_514_400.0
#: What the poller sees of the emergency department's server, one look a chapter.
STORY = ".xxxx.."
CHAPTER_S = 1.0
Done = TypeVar("Done")


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it."""


@dataclass
class World:
    """What outlives the server: its files, the agent with its spool, the pager, and where the story stands."""

    site: SiteConfig
    spool: Spool
    clock: ManualClock
    cut_at: int = 0
    how: str = "before"  # before, after, or once: that one effect fails and nothing else
    chapter: int = 0
    effects: int = 0
    dead: bool = False
    arrived: list[Notice] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    taken: dict[str, tuple[str, int]] = field(default_factory=dict)  # the look's time -> its batch

    async def effect(self, happen: Callable[[], Awaitable[Done]], fail: Callable[[], Done]) -> Done:
        """One thing done to the world. `fail`: how it goes wrong when it does not work once."""
        mine = self._begins()
        if mine and self.how == "once":
            return fail()
        done = await happen()
        self._ends(mine)
        return done

    def acknowledge(self, ack: Ack) -> None:
        """The same for what nobody waits for; it gets lost when it does not work."""
        mine = self._begins()
        if not (mine and self.how == "once"):
            self.acks.append(ack)
            self._ends(mine)

    def _begins(self) -> bool:
        self.effects += 1
        mine = self.effects == self.cut_at
        if self.dead or (mine and self.how == "before"):
            self.dead = True
            raise PowerCut
        return mine

    def _ends(self, mine: bool) -> None:
        if mine:
            self.dead = True
            raise PowerCut


@dataclass
class Pager:
    world: World

    async def send(self, notice: Notice) -> Sent | Retry:
        async def arrive() -> Sent | Retry:
            self.world.arrived.append(notice)
            return Sent()

        return await self.world.effect(arrive, lambda: Retry("busy"))


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def born(world: World) -> Server:
    """A server on the same files, each of whose effects counts."""
    server = Server(world.site, clock=world.clock, broker=Broker("mqtt://127.0.0.1:1"))
    commit, write = server.commits.commit, server.store.write

    async def counted_commit(changes: Any) -> None:
        if not changes.empty():
            await world.effect(lambda: commit(changes), failing(sqlite3.OperationalError("disk I/O error")))

    async def counted_write(rows: Any) -> Any:
        return await world.effect(lambda: write(rows), failing(StoreDown("busy")))

    def counted_acks(acks: Sequence[tuple[str, Ack]]) -> None:
        for _, ack in acks:
            world.acknowledge(ack)

    async def nobody(*_: object) -> None:
        pass

    server.commits.commit = counted_commit  # type: ignore[method-assign]
    server.dispatcher._commit = counted_commit
    server.store.write = counted_write  # type: ignore[method-assign]
    server.inbox.send_acks = counted_acks  # type: ignore[method-assign]
    server.inbox.send_ask = server.inbox.announce = nobody  # type: ignore[method-assign,assignment]
    server.dispatcher.adopt({"inbox": Pager(world)}, {})
    return server


async def live(world: World) -> None:
    """From a start to the end of the story, or to the power cut."""
    server = born(world)
    server.dispatcher.put(server._unfinished)
    tasks = [asyncio.ensure_future(run()) for run in (server.writer.run, server.dispatcher.run)]
    try:
        while world.chapter < len(STORY) or world.spool.batches:
            if world.chapter < len(STORY):
                await look(world)
                world.chapter += 1
            await deliver(world, server)
            await world.clock.advance(CHAPTER_S)
        for _ in range(6):
            await work(world, server)
            await world.clock.advance(CHAPTER_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.store.close()
        server.journal.close()
        server.links.close()


async def look(world: World) -> None:
    bad = STORY[world.chapter] == "x"
    outcome, reason = (Outcome.FAILED, Reason.REFUSED) if bad else (Outcome.OK, None)
    at = world.clock.now()
    seen = [Reading(f"srv-{area}", "greet", "poller", at, 0.01, outcome if area == "ed" else Outcome.OK,
                    reason if area == "ed" else None) for area in ("ed", "icu")]  # fmt: skip
    await world.spool.append(seen)


async def deliver(world: World, server: Server) -> None:
    """Everything that is not acknowledged, as the broker would give it again."""
    for batch in reversed(await world.spool.pending(100)):
        payload = codec.envelop(
            batch.body, agent="poller", epoch=batch.epoch, seq=batch.seq, sent=world.clock.now(),
            mono=world.clock.mono(), live=True, dropped=(), clock=batch.clock,
        )  # fmt: skip
        await server.reception.handle("batch", "poller", payload)
    await work(world, server)


async def work(world: World, server: Server) -> None:
    """Steps until nothing moves; what is acknowledged leaves the spool."""
    for _ in range(4):
        with suppress(JournalDown):
            await server.step()
        for _ in range(3):
            await asyncio.sleep(0.0005)
        if world.dead:
            raise PowerCut
        while world.acks:
            await world.spool.acknowledge(world.acks.pop())


async def survive(folder: Path, site: SiteConfig, cut_at: int, how: str) -> World:
    """The whole story with one cut; the world afterwards."""
    clock = ManualClock(START)
    world = World(
        site, Spool(folder / "spool.sqlite", agent="poller", max_bytes=1 << 24, clock=clock), clock, cut_at, how
    )
    for _ in range(3):
        try:
            await live(world)
            break
        except PowerCut:
            world.dead, world.cut_at = False, 0
            world.acks.clear()
            await clock.advance(CHAPTER_S)
    await world.spool.close()
    return world


def stored(site: SiteConfig) -> Counter[tuple[str, float]]:
    with StoreFile(site.data_dir / "store.sqlite") as file:
        series = file.query(Query("probe", "duration_seconds", {"vantage": "poller"}))
    return Counter((one.tags["target"], round(at - START, 3)) for one in series for at, _ in one.points)


def site_in(folder: Path) -> SiteConfig:
    made = OneSite(folder)
    made.data.mkdir()
    return load(made.config, today=date(2026, 1, 1))


def said(world: World) -> list[str]:
    """What people were told, each thing once, in order."""
    first = dict.fromkeys((notice.key, notice.why.value) for notice in world.arrived)
    return [why for _, why in first]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the process dies here, not the machine, so no disk is waited for."""
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shm if shm.is_dir() else tmp_path))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["before", "after", "once"])
async def test_stopped_at_any_effect_nothing_is_lost_or_said_twice_unmarked(memory: Path, how: str) -> None:
    (memory / "calm").mkdir()
    calm_site = site_in(memory / "calm" / "site")
    calm = await survive(memory / "calm", calm_site, 0, how)
    assert said(calm) == ["opened", "mitigated"]
    expected = stored(calm_site)
    assert set(expected.values()) == {1}
    assert len(expected) == 2 * len(STORY)
    assert calm.effects > 30
    for number in range(1, calm.effects + 1):
        folder = memory / str(number)
        folder.mkdir()
        site = replace(calm_site, data_dir=folder)
        world = await survive(folder, site, number, how)
        at = f"{how} effect {number} of {calm.effects}"
        held = {target for target, _ in stored(site)}
        assert held == {"srv-ed", "srv-icu"}, at
        assert world.spool.batches == 0, f"{at}: not everything was acknowledged"
        assert said(world) == said(calm), at
        copies = Counter(notice.key for notice in world.arrived)
        assert sum(copies.values()) - len(copies) <= (how != "once"), f"{at}: more repeats than kills"
        heard: set[str] = set()
        for notice in world.arrived:
            assert notice.key not in heard or notice.repeat, f"{at}: an unmarked repeat"
            heard.add(notice.key)
        found = stored(site)
        assert set(found.values()) == {1}, at
        assert len(found) == 2 * len(STORY), f"{at}: {len(found)} readings are stored"
