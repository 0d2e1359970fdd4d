"""Where a server's journal comes from at a start: the file that is there, or the stream on the cluster and its copy."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.app.journalstream import JournalStream, Mark
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError, MalformedBatch, TransportDown
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock
from healthmon.runtime.sqlite import backup_database
from healthmon.transport.journalline import JournalLine, Stand, piece_of

log = logging.getLogger(__name__)

#: A server that has a journal of its own begins without the cluster after this.
PATIENCE_S = 20.0
#: Commits that are brought up in one transaction.
_TOGETHER = 64

_unpack = msgspec.msgpack.Decoder(Changes)


@asynccontextmanager
async def journal_stream(site: SiteConfig, clock: Clock) -> AsyncIterator[JournalStream | None]:
    """The configured one, after the file was brought up to it; None where none is configured."""
    config = site.journal
    if config is None:
        yield None
        return
    line = JournalLine(config.line, organisation=site.estate.organisation.id, username=config.username,
                       password=config.password, ca_file=config.ca_file)  # fmt: skip
    path = site.data_dir / "journal.sqlite"
    try:
        yield JournalStream(line, path, clock=clock, begun=await brought_up(line, path, clock))
    finally:
        await line.close()


async def brought_up(line: JournalLine, path: Path, clock: Clock) -> Mark:
    """The file as the stream has it; while the cluster does not answer, as it is, after a while.

    Without a file it waits: a server that knows nothing would page everything again. Raises ConfigError.
    """
    began, said = clock.mono(), False
    while True:
        try:
            await line.open()
            return await _bring_up(line, path)
        except MalformedBatch as error:
            raise ConfigError(
                [f"journal.line: the stream cannot be read ({error}); is it a newer healthmon's?"]
            ) from None
        except TransportDown as error:
            if path.exists() and clock.mono() - began > PATIENCE_S:
                log.error(
                    "the journal's stream cannot be asked; going on with what is here", extra={"error": str(error)}
                )
                return _mark_in(path)
            if not said:
                log.warning("the journal's stream does not answer; asked again", extra={"error": str(error)})
            said = True
            await clock.sleep(1.0)


async def _bring_up(line: JournalLine, path: Path) -> Mark:
    stand, copied = await line.stand(), await line.copied()
    mark = _mark_in(path)
    if copied is None or (path.exists() and not stand.last):
        return Mark(stand.made, stand.last)  # nothing is there yet: what is here goes there
    ahead = mark.made == stand.made and mark.behind
    if ahead and (stand.last == mark.at or set(await _writers(line, mark.at, stand.last)) == {mark.writer}):
        return Mark(stand.made, stand.last)  # the file has all of it, and more
    if ahead or mark.made != stand.made or mark.at + 1 < stand.first or mark.at > stand.last:
        await _fetched(line, path)
        mark = Mark(stand.made, copied[1] if copied[0] == stand.made else 0)
    await _replayed(line, path, stand, mark.at)
    return Mark(stand.made, stand.last)


def _mark_in(path: Path) -> Mark:
    if not path.exists():
        return Mark()
    with closing(Journal(path)) as journal:
        return Mark.of(journal.marked())


async def _writers(line: JournalLine, at: int, last: int) -> list[float]:
    found: list[float] = []
    await line.replay(at + 1, last, lambda _, payload: found.append(piece_of(payload).writer))
    return found


async def _fetched(line: JournalLine, path: Path) -> None:
    """The newest copy in the place of the file; what was there stays beside it, it may hold what nobody else has."""
    body = await line.copy()
    fresh = path.with_name("journal.incoming")
    await asyncio.to_thread(_write, fresh, body)
    if path.exists():
        await asyncio.to_thread(backup_database, path, path.with_name("journal.before-stream.sqlite"))
        log.warning("the journal comes from its stream; what was here is journal.before-stream.sqlite")
    for tail in ("", "-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    fresh.replace(path)


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(gzip.decompress(body))
        file.flush()
        os.fsync(file.fileno())


async def _replayed(line: JournalLine, path: Path, stand: Stand, at: int) -> None:
    """Everything behind this number into the file."""
    begin = max(at + 1, stand.first)
    if begin > stand.last:
        return
    sets = _Sets()
    await line.replay(begin, stand.last, sets.take)

    def write() -> None:
        with closing(Journal(path)) as journal:
            for some in _in_groups(sets.whole):
                journal.marks = Mark(stand.made, some[-1][0]).rows()
                journal.commit(*(changes for _, changes in some))

    await asyncio.to_thread(write)
    log.warning("the journal was brought up to its stream", extra={"commits": len(sets.whole), "number": stand.last})


def _in_groups(sets: list[tuple[int, Changes]]) -> Iterator[list[tuple[int, Changes]]]:
    for begin in range(0, len(sets), _TOGETHER):
        yield sets[begin : begin + _TOGETHER]


class _Sets:
    """Sets of changes from their pieces; one that was never finished is none."""

    def __init__(self) -> None:
        self.whole: list[tuple[int, Changes]] = []
        self._parts = bytearray()

    def take(self, number: int, payload: bytes) -> None:
        piece = piece_of(payload)
        if piece.offset == 0:
            self._parts.clear()
        if piece.offset != len(self._parts):
            return
        self._parts += piece.body
        if len(self._parts) == piece.size:
            try:
                self.whole.append((number, _unpack.decode(bytes(self._parts))))
            except msgspec.MsgspecError as error:
                raise MalformedBatch("malformed", str(error)) from None
