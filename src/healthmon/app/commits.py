"""Everything that goes into the journal: one writer at a time; the stream has it before, the other of a pair after."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial

from healthmon.alerting.journal import Journal
from healthmon.app.journalstream import JournalStream
from healthmon.app.pair import Leading
from healthmon.model.errors import JournalDown
from healthmon.model.journal import Audit, Changes

log = logging.getLogger(__name__)


class Commits:
    """Writes in the order of the calls. `lock` is held while the journal is written or copied."""

    def __init__(
        self,
        journal: Journal,
        leading: Leading | None,
        *,
        count: Callable[[str], None],
        stream: JournalStream | None = None,
    ) -> None:
        self.stream = stream
        self._journal = journal
        self._leading = leading
        self._count = count
        self._fails = False
        self.lock = asyncio.Lock()
        if stream is not None:
            stream.journal, stream.lock = journal, self.lock

    async def commit(self, changes: Changes) -> None:
        """Raises OSError, sqlite3.Error."""
        if changes.empty():
            return
        async with self.lock:
            if self.stream is not None:
                await self.stream.put(changes)
            await asyncio.to_thread(self._journal.commit, changes)
            if self._leading is not None:
                await self._leading.replicate(changes, self._journal.marks)

    async def step(self, changes: Changes) -> None:
        """The same for a step of the engine: said once when it fails. Raises JournalDown."""
        try:
            await self.commit(changes)
        except (OSError, sqlite3.Error) as error:
            if not self._fails:
                log.error("journal cannot be written, the engine waits", extra={"error": str(error)})
            self._fails = True
            self._count("journal_failures_total")
            raise JournalDown(f"the journal cannot be written: {error}") from error
        if self._fails:
            log.warning("journal can be written again")
            self._fails = False

    async def record(self, line: Audit) -> bool:
        """Add one audit line; False when its key was there. Raises sqlite3.Error."""
        add = partial(self._journal.append, line.kind, at=line.at, body=line.body, incident=line.incident, key=line.key)
        async with self.lock:
            if self.stream is not None:
                await self.stream.put(Changes(at=line.at, audit=(line,)))
            added = await asyncio.to_thread(add)
            if added and self._leading is not None:
                await self._leading.replicate(Changes(at=line.at, audit=(line,)), self._journal.marks)
        return added
