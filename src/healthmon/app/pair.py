"""Two servers, one leads: the other keeps a copy of its journal and takes over when the lease is not renewed.

A takeover is a restart from the journal on another machine. It fails open: who cannot ask for the lease goes on paging,
or begins to, and marks every page as a possible repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.model.errors import TransportDown
from healthmon.model.incident import Incident, Notice
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock
from healthmon.model.view import PairHealth
from healthmon.runtime import stopping
from healthmon.runtime.sqlite import backup_database
from healthmon.runtime.supervise import spawn
from healthmon.transport.pairing import PIECE_BYTES, Lease, PairLink

log = logging.getLogger(__name__)

CHANGES, SNAPSHOT = "changes", "snapshot"
RENEWALS = 5  # in the life of a lease
#: A standby that cannot ask for the lease begins to page when it could not for so many lives of it.
PATIENCE = 2.0
#: After the other server failed to answer it is not waited for again so soon.
REST_S = 5.0
REPLICATE_S = 1.0
#: A planned stop gives the lease back within this.
RELEASE_S = 2.0

_pack = msgspec.msgpack.Encoder()


class _Piece(msgspec.Struct, array_like=True):
    """Part of a set of changes, or of the journal's copy. seq: of the newest changes in it; marks: as in the file."""

    term: int
    seq: int
    offset: int
    size: int
    body: bytes
    marks: dict[str, float] = {}


_unpack_piece = msgspec.msgpack.Decoder(_Piece)
_unpack_changes = msgspec.msgpack.Decoder(Changes)


@dataclass(slots=True)
class Leading:
    """What the server that leads does for the other: told of every commit, asked before every page."""

    link: PairLink
    lease: Lease
    clock: Clock
    lease_s: float
    open: bool = False  # we lead without having asked: nobody could be asked
    seq: int = 0
    copied: bool = False  # the other server has the newest commit
    uncopied: int = 0
    marked: int = 0
    _confirmed_at: float = 0.0
    _rest_until: float = float("-inf")
    _copy: bytes = b""
    _copy_seq: int = 0

    def __post_init__(self) -> None:
        self._confirmed_at = self.clock.mono()

    @property
    def doubtful(self) -> bool:
        """Another server may lead as well."""
        return self.open or self.clock.mono() - self._confirmed_at > self.lease_s

    def term(self) -> dict[str, str | int | bool]:
        """Who leads since when, for the journal. asked: nobody else could be leading."""
        return {"server": self.link.holder, "term": self.lease.term, "asked": not self.open}

    async def keep(self) -> None:
        """Renew until somebody else has the lease; then return."""
        while True:
            await self.clock.sleep(self.lease_s / RENEWALS)
            try:
                if self.open:
                    renewed = await self.link.take(await self.link.look())
                    self.lease, self.open = renewed or self.lease, renewed is None
                else:
                    renewed = await self.link.renew(self.lease)
            except TransportDown as error:
                if self.doubtful:
                    log.debug("lease cannot be renewed, paging goes on and is marked", extra={"error": str(error)})
                continue
            if renewed is None:
                log.warning("another server leads, standing by", extra={"term": self.lease.term})
                return
            self.lease, self._confirmed_at = renewed, self.clock.mono()

    async def replicate(self, changes: Changes, marks: dict[str, float]) -> None:
        """Tell the other server, at most a second long; call in the order of the commits.

        marks: the journal's, how far its stream is written: the other's file shall say the same of itself.
        """
        self.seq += 1
        if self.clock.mono() < self._rest_until:
            self.copied = False
            self.uncopied += 1
            return
        body, copied = _pack.encode(changes), False
        try:
            for offset in range(0, len(body), PIECE_BYTES):
                part = body[offset : offset + PIECE_BYTES]
                piece = _Piece(self.lease.term, self.seq, offset, len(body), part, marks)
                copied = await self.link.ask(CHANGES, _pack.encode(piece), within_s=REPLICATE_S) == b"ok"
        except TransportDown:
            copied, self._rest_until = False, self.clock.mono() + REST_S
        self.copied = copied
        self.uncopied += not copied

    async def give_copy(self, question: bytes, journal: Path, lock: asyncio.Lock) -> bytes:
        """A piece of the journal as of one commit; the first piece makes the copy."""
        offset = int(question)
        if offset == 0:
            aside = journal.with_name("journal.copy")
            async with lock:
                await asyncio.to_thread(backup_database, journal, aside)
                self._copy_seq = self.seq
            self._copy = await asyncio.to_thread(aside.read_bytes)
            aside.unlink()
        body = self._copy[offset : offset + PIECE_BYTES]
        if offset + PIECE_BYTES >= len(self._copy):
            size, self._copy = len(self._copy), b""
        else:
            size = len(self._copy)
        return _pack.encode(_Piece(self.lease.term, self._copy_seq, offset, size, body))

    def stamp(self, notice: Notice) -> Notice:
        """Who sends it in which term; marked while another server may be sending the same."""
        stamped = replace(notice, body={**notice.body, "server": self.link.holder, "term": self.lease.term})
        if not self.doubtful:
            return stamped
        self.marked += 1
        return replace(stamped, repeat=True)

    async def answer_copies(self, journal: Path, lock: asyncio.Lock) -> None:
        """Give the other server what it asks for, for ever."""

        async def give(question: bytes) -> bytes:
            return await self.give_copy(question, journal, lock)

        while True:
            with contextlib.suppress(TransportDown):
                async with self.link.answering(SNAPSHOT, give):
                    await asyncio.Event().wait()
            await self.clock.sleep(1.0)

    def counters(self) -> dict[str, float]:
        """For health and metrics."""
        return {"ha_commits_uncopied_total": float(self.uncopied), "ha_notices_marked_total": float(self.marked)}

    def health(self) -> PairHealth:
        """For the board, health and metrics."""
        return PairHealth(self.link.holder, self.lease.term, self.copied, self.doubtful)


class Following:
    """The standby's copy of the journal, as new as the last commit it was told of."""

    def __init__(self, link: PairLink, path: Path, *, clock: Clock) -> None:
        self._link = link
        self._path = path
        self._clock = clock
        self._journal: Journal | None = None
        self._term = self._seq = 0
        self._parts = bytearray()
        self._early: list[tuple[int, Changes, dict[str, float]]] = []
        self._lock = asyncio.Lock()
        self.seen: Lease | None = None  # who has the lease, as it was last asked for

    def read(self) -> tuple[float | None, tuple[Incident, ...]]:
        """When the newest commit of the copy was made, and the incidents in it that are not resolved."""
        if self._journal is None:
            return None, ()
        restored = self._journal.restore()
        return restored.at, tuple(one for one in restored.incidents.values() if one.open and not one.merged_into)

    def knows(self, kind: str, key: str) -> bool:
        """Whether the copy has this line."""
        return self._journal is not None and self._journal.knows(kind, key)

    @property
    def synced(self) -> bool:
        """Holds what the leader had at its last commit."""
        return self._journal is not None

    async def run(self) -> None:
        """Copy, follow, and copy again whenever something was missed; until cancelled."""
        try:
            async with self._link.answering(CHANGES, self._told):
                while True:
                    if self._journal is None:
                        with contextlib.suppress(TransportDown, ValueError):
                            await self._copy_all()
                    await self._clock.sleep(0.5)
        finally:
            self.close()

    def close(self) -> None:
        """Nothing is open any more."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    async def _told(self, payload: bytes) -> bytes:
        async with self._lock:
            piece = _unpack_piece.decode(payload)
            if piece.term < self._term:
                return b"old"  # the word of a server that has been replaced
            if piece.offset == 0:
                self._parts.clear()
            self._parts += piece.body
            if len(self._parts) < piece.size:
                return b"ok"
            changes = _unpack_changes.decode(bytes(self._parts))
            if self._journal is None:
                self._early = [*self._early[-9_999:], (piece.seq, changes, piece.marks)]
                return b"copying"
            if piece.term != self._term or piece.seq != self._seq + 1:
                self.close()
                return b"missed"
            self._journal.marks = piece.marks
            await asyncio.to_thread(self._journal.commit, changes)
            self._seq = piece.seq
            return b"ok"

    async def _copy_all(self) -> None:
        """The whole journal as of one commit, then what was told meanwhile."""
        fresh = self._path.with_name("journal.incoming")
        self._early, offset, size = [], 0, 1
        with fresh.open("wb") as file:
            while offset < size:
                answer = await self._link.ask(SNAPSHOT, str(offset).encode())
                if answer is None:
                    return  # nobody leads yet
                piece = _unpack_piece.decode(answer)
                if piece.offset != offset or not piece.body:
                    raise ValueError("the copy was begun anew by somebody else")
                file.write(piece.body)
                offset, size = offset + len(piece.body), piece.size
            file.flush()
            os.fsync(file.fileno())
        async with self._lock:
            journal = Journal(self._put(fresh))
            self._term, self._seq = piece.term, piece.seq
            for seq, changes, marks in self._early:
                if seq == self._seq + 1:
                    journal.marks = marks
                    journal.commit(changes)
                    self._seq = seq
            self._early, self._journal = [], journal
            log.warning("standing by with a copy of the journal", extra={"bytes": size, "term": self._term})

    def _put(self, fresh: Path) -> Path:
        """In the place of what was there; the last one is kept beside it, it may hold what the other never heard."""
        if self._path.exists():
            backup_database(self._path, self._path.with_name("journal.before-standby.sqlite"))
        for tail in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + tail).unlink(missing_ok=True)
        fresh.replace(self._path)
        return self._path


#: Opens what people see of a standby.
Shown = Callable[[Following], contextlib.AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Pairing:
    """How two servers share the paging. `prefer_standby`: begin by standing by, even if nobody leads."""

    lease_s: float = 10.0
    prefer_standby: bool = False


async def run_pair(
    link: PairLink,
    journal: Path,
    *,
    clock: Clock,
    pairing: Pairing,
    serve: Callable[[Leading], Awaitable[None]],
    shown: Shown | None = None,
) -> None:
    """Stand by, lead, stand by again; until cancelled. `serve` runs the server while we lead.

    shown: opens what the standby serves meanwhile; it is closed before we lead.
    """
    patient = pairing.prefer_standby
    try:
        while True:
            lease = await _stand_by(link, journal, clock=clock, lease_s=pairing.lease_s, patient=patient, shown=shown)
            leading = Leading(link, lease or Lease(link.holder, 0, 0), clock, pairing.lease_s, open=lease is None)
            patient = True
            await _lead(leading, serve)
    finally:
        await link.close()


async def _lead(leading: Leading, serve: Callable[[Leading], Awaitable[None]]) -> None:
    log.warning("leading", extra={"term": leading.lease.term, "asked": not leading.open})
    try:
        async with asyncio.TaskGroup() as group:
            serving = spawn(group, "leading server", _served(serve, leading))
            await leading.keep()
            serving.cancel()
    except asyncio.CancelledError:
        with contextlib.suppress(TransportDown, TimeoutError):  # then the other waits for the lease's life
            async with stopping.within(RELEASE_S):
                await leading.link.release(leading.lease)
        raise


async def _served(serve: Callable[[Leading], Awaitable[None]], leading: Leading) -> None:
    await serve(leading)


async def _stand_by(
    link: PairLink, journal: Path, *, clock: Clock, lease_s: float, patient: bool, shown: Shown | None
) -> Lease | None:
    """Follow until the lease is ours; None when it could not be asked for so long that we begin without."""
    following = Following(link, journal, clock=clock)
    page = shown(following) if shown else contextlib.nullcontext()
    async with page, asyncio.TaskGroup() as group:
        task = spawn(group, "following", _follow(following, clock))
        try:
            return await _win(link, clock=clock, lease_s=lease_s, patient=patient, following=following)
        finally:
            task.cancel()


async def _follow(following: Following, clock: Clock) -> None:
    while True:
        with contextlib.suppress(TransportDown):
            await following.run()
        await clock.sleep(1.0)


async def _win(link: PairLink, *, clock: Clock, lease_s: float, patient: bool, following: Following) -> Lease | None:
    """A lease counts as free when nobody has renewed it for its whole life, by our own clock, or it was given back."""
    changed_at = asked_at = clock.mono()
    known: Lease | None = None
    first = True
    while True:
        try:
            seen = await link.look()
        except TransportDown:
            if clock.mono() - asked_at > PATIENCE * lease_s:
                log.error("the lease cannot be asked for, paging without it")
                return None
            await clock.sleep(lease_s / RENEWALS)
            continue
        asked_at = clock.mono()
        following.seen = seen
        if first or seen != known:
            known, changed_at, first = seen, asked_at, False
        waited = asked_at - changed_at > lease_s
        given_back = seen is None or seen.holder in ("", link.holder)
        if waited or (given_back and not (patient and seen is None)):
            with contextlib.suppress(TransportDown):
                if (mine := await link.take(seen)) is not None:
                    return mine
        await clock.sleep(lease_s / RENEWALS)
