"""The spool stopped before every single thing it does to its file: nothing promised is lost without being counted."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec, spool
from healthmon.transport.codec import Ack
from healthmon.transport.spool import Spool

MAX_BYTES = 9_000  # so that some are given up on the way


class Failing:
    """A connection that fails at its n-th use; `at_failure` runs at that moment."""

    def __init__(self, db: sqlite3.Connection, at: int, at_failure: Callable[[], None]) -> None:
        self._db, self._at, self._at_failure = db, at, at_failure
        self.used = 0

    def _use(self) -> None:
        self.used += 1
        if self.used == self._at:
            self._at_failure()
            raise sqlite3.OperationalError("disk I/O error")

    def disarm(self) -> None:
        self._at = 0

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if arguments[0] != "ROLLBACK":  # sqlite undoes by itself what a dead process left
            self._use()
        return self._db.execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._use()
        return self._db.executemany(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class Day:
    """What one spool goes through, and what it has promised so far."""

    def __init__(self, folder: Path, at: int) -> None:
        folder.mkdir()
        self.clock = ManualClock()
        self.path = folder / "spool.sqlite"
        self.copy = folder / "copy"
        self.promised: dict[str, tuple[str, int]] = {}  # reading -> (epoch, seq)
        self.acknowledged: set[tuple[str, int]] = set()
        self.at_death: set[str] | None = None  # what was promised when the n-th use came
        self.spool = self.open(self.path)
        file = self.spool._file
        assert file is not None
        self.failing = Failing(file._db, at, self._die)
        file._db = self.failing  # type: ignore[assignment]

    def open(self, path: Path) -> Spool:
        return Spool(path, agent="pc-1", max_bytes=MAX_BYTES, clock=self.clock)

    def _die(self) -> None:
        """What a power cut at this moment leaves."""
        self.at_death = set(self.promised)
        shutil.copytree(self.path.parent, self.copy, ignore=shutil.ignore_patterns("copy"))

    async def live(self) -> None:
        """Appends, acknowledgements, the size limit, a declaration, a disk that is tried again."""
        for number in range(1, 31):
            name = f"t{number}"
            seq = await self.spool.append([Reading(name, "c", "v", 0.0, 0.0, Outcome.OK, None, "x" * 500)], live=False)
            self.promised[name] = (self.spool.epoch, seq)
            if number % 7 == 0:
                await self._acknowledge()
            if number == 20:
                await self.clock.advance(spool.DISK_RETRY_S + 1)

    async def _acknowledge(self) -> None:
        for batch in await self.spool.stored(2):
            self.acknowledged.add((batch.epoch, batch.seq))
            await self.spool.acknowledge(Ack(batch.epoch, 0, ((batch.seq, batch.seq),)))
        await self.spool.declared(self.spool.epoch, self.spool.dropped(self.spool.epoch)[:1])


async def held_by(kept: Spool) -> set[str]:
    return {one.target for batch in await kept.stored(10_000) for one in codec.decode_readings(batch.body)}


async def test_a_use_that_fails_costs_nothing_and_a_death_there_costs_nothing_promised(tmp_path: Path) -> None:
    at = points = 0
    while True:
        at += 1
        day = Day(tmp_path / f"{at}", at)
        await day.live()
        day.failing.disarm()  # what we look at from here on is no part of the day
        dropped = day.spool.stats().dropped_readings
        held = await held_by(day.spool)
        kept = {number for name, number in day.promised.items() if name in held}
        missing = set(day.promised.values()) - kept - day.acknowledged
        assert len(missing) <= dropped, f"use {at}: {sorted(missing)} are gone and were not counted"
        assert len(set(day.promised.values())) == len(day.promised), f"use {at}: a number was given twice"
        await day.spool.close()
        if day.at_death is None:
            break
        points += 1
        again = day.open(day.copy / "spool.sqlite")
        found = await held_by(again)
        given_up = again.stats().dropped_readings
        lost = {n for n in day.at_death - found if day.promised[n] not in day.acknowledged}
        assert len(lost) <= given_up, f"use {at}: {sorted(lost)} were promised and are gone"
        await again.close()
        shutil.rmtree(tmp_path / f"{at}")
    assert points > 100, "the day is long enough"
    print(f"{points} points")
