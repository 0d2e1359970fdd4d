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
from msgspec.structs import replace

from healthmon.alerting.journal import Journal
from healthmon.app.journalstream import JournalStream, Mark
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError, MalformedBatch, TransportDown
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock
from healthmon.runtime.sqlite import backup_database
from healthmon.transport.journalline import JournalLine, Piece, Stand, piece_of

log = logging.getLogger(__name__)

#: A server that has a journal of its own begins without the cluster after this.
PATIENCE_S = 20.0
#: Commits that are brought up in one transaction.
_TOGETHER = 64

_unpack = msgspec.msgpack.Decoder(Changes)
#: Number of its last message, number of the commit, and what it changed.
_Set = tuple[int, int, Changes]


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
    stand, copied, newest = await line.stand(), await line.copied(), await line.newest()
    mark = _mark_in(path)
    if copied is None or (path.exists() and not stand.last):
        return Mark(stand.made, stand.last, commit=mark.commit)  # nothing is there yet: what is here goes there
    there = newest.commit if newest else copied.commit
    ends = Mark(stand.made, stand.last, commit=max(mark.commit, there))
    if mark.made == stand.made and mark.behind and await _has_all(line, mark, stand, there):
        return ends  # and more
    if mark.made != stand.made or mark.behind or not await _joins(line, mark, stand, there):
        await _fetched(line, path)
        mark = Mark(stand.made, copied.number if copied.made == stand.made else 0, commit=copied.commit)
    await _replayed(line, path, stand, mark.at)
    return ends


async def _has_all(line: JournalLine, mark: Mark, stand: Stand, there: int) -> bool:
    """Of a file that had more than the stream: nobody else has written since, nor its writer what is not in it.

    Both are so of the writer's own file; a copy of it may have been made long before the stream had all again.
    """
    if there and mark.commit and there > mark.commit:
        return False
    return stand.last == mark.at or {one.writer for one in await _pieces(line, mark.at, stand.last)} == {mark.writer}


async def _joins(line: JournalLine, mark: Mark, stand: Stand, there: int) -> bool:
    """Of a file that has what the stream had: what the stream has beyond its number is all that it lacks.

    It is not where the stream lacked some meanwhile: those are in the copy beside it.
    """
    if mark.at + 1 < stand.first or mark.at > stand.last:
        return False
    if not mark.commit or there <= mark.commit:
        return True
    beyond = await _pieces(line, mark.at, min(mark.at + 1, stand.last))
    return bool(beyond) and beyond[0].commit in (0, mark.commit + 1)


def _mark_in(path: Path) -> Mark:
    if not path.exists():
        return Mark()
    with closing(Journal(path)) as journal:
        return Mark.of(journal.marked())


async def _pieces(line: JournalLine, at: int, last: int) -> list[Piece]:
    """What is on the stream behind a number, up to another; the bodies of a large journal are not kept."""
    found: list[Piece] = []
    await line.replay(at + 1, last, lambda _, payload: found.append(replace(piece_of(payload), body=b"")))
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
                number, commit, _ = some[-1]
                journal.marks = Mark(stand.made, number, commit=commit).rows()
                journal.commit(*(changes for *_, changes in some))

    await asyncio.to_thread(write)
    log.warning("the journal was brought up to its stream", extra={"commits": len(sets.whole), "number": stand.last})


def _in_groups(sets: list[_Set]) -> Iterator[list[_Set]]:
    for begin in range(0, len(sets), _TOGETHER):
        yield sets[begin : begin + _TOGETHER]


class _Sets:
    """Sets of changes from their pieces; one that was never finished is none."""

    def __init__(self) -> None:
        self.whole: list[_Set] = []
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
                self.whole.append((number, piece.commit, _unpack.decode(bytes(self._parts))))
            except msgspec.MsgspecError as error:
                raise MalformedBatch("malformed", str(error)) from None
