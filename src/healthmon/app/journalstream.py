"""The journal on a cluster as well: every commit goes there first, so a server goes on from it on any machine.

The file stays what is read. It says how far the stream was written with each commit, and that the stream lacks some
while the cluster was away: paging does not wait for it. Then, and from time to time, the whole goes there as one copy.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock
from healthmon.runtime.sqlite import backup_database
from healthmon.transport.jetline import Overtaken
from healthmon.transport.journalline import Copied, JournalLine, Stand, pieces_of

log = logging.getLogger(__name__)

#: A page waits at most so long for the cluster.
PUT_S = 2.0
COPY_EVERY_S, COPY_BYTES, LOOK_S = 600.0, 64 << 20, 1.0
_PREFIX = "stream_"

_pack = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the stream was written when the file was. behind: the file has more than the stream.

    commit: how many this journal has seen, here and wherever it was copied from; so of two copies of one journal it
    is known which has more, also where the stream lacked some for a while.
    """

    made: float = 0.0
    at: int = 0
    behind: bool = False
    writer: float = 0.0
    commit: int = 0

    def rows(self) -> dict[str, float]:
        """As the journal keeps it."""
        names = ("made", "at", "behind", "writer", "commit")
        return {f"{_PREFIX}{name}": float(getattr(self, name)) for name in names}

    @classmethod
    def of(cls, rows: dict[str, float]) -> Mark:
        """As it was kept; one that never was is all zero."""
        found = {name.removeprefix(_PREFIX): value for name, value in rows.items() if name.startswith(_PREFIX)}
        return cls(found.get("made", 0.0), int(found.get("at", 0)), bool(found.get("behind")),
                   found.get("writer", 0.0), int(found.get("commit", 0)))  # fmt: skip


class JournalStream:
    """`put` before each commit; `run` until cancelled. It never raises: a page twice rather than never."""

    def __init__(self, line: JournalLine, path: Path, *, clock: Clock, begun: Mark) -> None:
        self._line = line
        self._path = path
        self._clock = clock
        self._writer = float(secrets.randbits(48))
        self._made, self._at, self._commit = begun.made, begun.at, begun.commit
        self._writers = (self._writer, begun.writer)
        self._copied_mono, self._since_copy = float("-inf"), 0
        self._aside = path.with_name("journal.streamed")
        #: Commits, with their numbers, while a copy of what was before them is on its way.
        self._meanwhile: list[tuple[bytes, int]] | None = None
        self.journal: Journal | None = None
        self.lock = asyncio.Lock()
        self.ok = self.overtaken = False
        self.behind = 0

    async def put(self, changes: Changes) -> None:
        """On a majority of the nodes when this returns, or counted as behind."""
        self._commit += 1
        if self.ok:
            try:
                async with asyncio.timeout(PUT_S):
                    await self._write(_pack.encode(changes), self._commit)
            except (Overtaken, TransportDown, TimeoutError) as error:
                self.ok = False
                why = str(error) or type(error).__name__
                log.error("the journal's stream cannot be written; paging goes on without it", extra={"error": why})
        elif self._meanwhile is not None:
            self._meanwhile.append((_pack.encode(changes), self._commit))
        self.behind += not self.ok
        assert self.journal is not None
        self.journal.marks = Mark(self._made, self._at, not self.ok, self._writer, self._commit).rows()

    async def _write(self, body: bytes, commit: int) -> None:
        for payload in pieces_of(self._writer, body, commit):
            self._at = await self._line.put(payload, after=self._at)
        self._since_copy += len(body)

    async def run(self) -> None:
        """Bring the stream up to what the file has, and keep a copy of the whole beside it."""
        try:
            while True:
                try:
                    await self._look()
                except (Overtaken, TransportDown, MalformedBatch, OSError, sqlite3.Error) as error:
                    log.debug("journal not copied, tried again", extra={"error": str(error)})
                await self._clock.sleep(LOOK_S)
        finally:
            await self._line.close()

    def counters(self) -> dict[str, float]:
        """For health and metrics."""
        return {"journal_stream_behind_total": float(self.behind)}

    async def _look(self) -> None:
        if self.overtaken:
            return
        if not self.ok:
            await self._line.open()
            await self._catch_up()
        elif self._since_copy > COPY_BYTES or (
            self._since_copy and self._clock.mono() - self._copied_mono > COPY_EVERY_S
        ):
            await self.copy()

    async def copy(self) -> None:
        """Put the whole beside the stream, which is cut behind it. Raises TransportDown, OSError, sqlite3.Error."""
        stand = await self._line.stand()
        async with self.lock:
            await asyncio.to_thread(backup_database, self._path, self._aside)
            copied, self._since_copy = Copied(stand.made, self._at, self._commit), 0
        await self._copy(copied)

    async def _catch_up(self) -> None:
        """The stream lacks something: the whole goes there, and what is committed meanwhile behind it."""
        try:
            stand = await self._line.stand()
            if not await self._ours(stand):
                self.overtaken = True
                log.error("somebody else has written the journal's stream; ours goes on without it")
                return
            async with self.lock:
                await asyncio.to_thread(backup_database, self._path, self._aside)
                self._meanwhile = []
                copied = Copied(stand.made, stand.last, self._commit)
            await self._copy(copied)
            self._made, self._at = stand.made, stand.last
            async with self.lock, asyncio.timeout(PUT_S):  # pages wait for it
                for body, commit in self._meanwhile:
                    await self._write(body, commit)
                self.ok = True
            log.warning("the journal's stream has everything", extra={"number": self._at})
        finally:
            self._meanwhile = None

    async def _copy(self, copied: Copied) -> None:
        body = await asyncio.to_thread(lambda: gzip.compress(self._aside.read_bytes(), compresslevel=1))
        self._aside.unlink()
        await self._line.keep(body, copied)
        self._copied_mono = self._clock.mono()

    async def _ours(self, stand: Stand) -> bool:
        """Nobody else has written since we did last, or since we took up what was there."""
        if not stand.last or (stand.made == self._made and stand.last == self._at):
            return True
        newest = await self._line.newest()
        return (newest.writer if newest else None) in self._writers
