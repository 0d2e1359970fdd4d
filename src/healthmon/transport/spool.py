"""What an agent has seen and the server has not yet confirmed: durable when `append` returns, bounded, never fatal."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from healthmon.model.errors import FileFromNewerVersion
from healthmon.model.ports import Clock
from healthmon.model.sample import Reading
from healthmon.runtime.ranges import Ranges, contains, merge
from healthmon.transport import codec
from healthmon.transport.codec import Ack
from healthmon.transport.disk import disk_word
from healthmon.transport.fresh import Fresh
from healthmon.transport.salvage import Saved, salvage
from healthmon.transport.shelf import SEQ_BITS, Pending, Shelf

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MAX_BODY_BYTES = 256 * 1024  # a quarter of what the codec takes, so that the envelope always fits
MEMORY_MAX_BYTES = 4 * 1024 * 1024  # what a ward PC can spare while its disk is full
DISK_RETRY_S = 10.0
DISK_RETRY_MOST_S = 300.0  # a disk that comes and goes makes an epoch each time


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """state: ok, or memory when the disk cannot be used (`why` in one word, `detail` in the disk's own).

    Counters are monotone per file. dropped_readings counts those given up in memory as well.
    """

    state: str
    why: str
    detail: str
    epoch: str
    bytes: int
    batches: int
    readings: int
    dropped_readings: int  # given up at the size limit
    refused_readings: int  # too large for any batch
    set_aside: int  # corrupt files moved out of the way; what still reads of them is kept


@dataclass(slots=True)
class _Entry:
    """One append on its way to disk."""

    body: bytes
    readings: int
    live: bool
    clock: float
    seq: int = 0


class Spool:
    """The asynchronous face of a Shelf: one thread does the disk work, appends that wait together commit together.

    A disk that is full, read-only or broken turns it into a bounded ring in memory under an epoch of its own, which
    the file takes over when it works again; meanwhile the file is still read and sent from, and what the server
    acknowledges of it is remembered. `live_for_s`: how long after its append an unsent batch counts as live.
    """

    def __init__(self, path: str | Path, *, agent: str, max_bytes: int, clock: Clock, live_for_s: float = 10.0) -> None:
        self.agent = agent
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._clock = clock
        self._live_for_s = live_for_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._waiting: deque[_Entry] = deque()
        self._fresh = Fresh()
        self._refused_readings = 0
        self._set_aside = 0
        self._why = self._detail = ""
        self._retry_at = self._retry_s = 0.0
        self._owed: dict[str, Ranges] = {}  # acknowledged, and the disk does not let us delete it
        self._owed_batches = 0
        self._heirloom: Saved | None = None  # of a file that was given up for its room
        self._file: Shelf | None = None
        self._memory: Shelf | None = None
        try:
            self._file = self._open()
        except (sqlite3.Error, OSError) as error:
            self._fall_back(error)

    @property
    def epoch(self) -> str:
        """16 hex digits, random per spool file."""
        return self._shelf().epoch

    def _shelf(self) -> Shelf:
        """Where appends go now."""
        shelf = self._memory or self._file
        assert shelf is not None
        return shelf

    def _shelves(self) -> list[Shelf]:
        """Newest first."""
        return [shelf for shelf in (self._memory, self._file) if shelf is not None]

    # -- the caller's side, on the event loop

    async def append(self, readings: Sequence[Reading], *, live: bool = True, clock: float | None = None) -> int:
        """Keep readings as one batch (more, if they do not fit one); durable when it returns. Gives the last seq.

        clock: the wall clock less the monotonic one when they were taken; None: as it is now.
        """
        clock = self._clock.now() - self._clock.mono() if clock is None else clock
        entries = [_Entry(body, count, live, clock) for body, count in self._encode(readings)]
        self._waiting.extend(entries)
        await self._run(self._commit)
        return entries[-1].seq if entries else 0

    def fresh(self, limit: int) -> list[Pending]:
        """Live batches that were not sent yet, newest first; no disk is touched."""
        return self._fresh.newest(limit, self._clock.mono() - self._live_for_s)

    def sent(self, batches: Iterable[Pending]) -> None:
        """The broker has these: they are not fresh any more, but stay until acknowledged."""
        self._fresh.drop((batch.epoch, batch.seq) for batch in batches)

    async def stored(self, limit: int, skip: Iterable[tuple[str, int]] = ()) -> list[Pending]:
        """Batches that wait, newest first, without the fresh ones and those to skip."""
        names = frozenset(skip)
        return await self._run(lambda: self._newest(limit, names | self._fresh.names()))

    async def pending(self, limit: int) -> list[Pending]:
        """Everything not acknowledged: live first, then catch-up, each newest first."""
        fresh = self.fresh(limit)
        return fresh + await self.stored(limit - len(fresh)) if len(fresh) < limit else fresh

    async def acknowledge(self, ack: Ack) -> int:
        """Delete exactly the batches that the server has made durable; how many they were."""
        durable = merge(ack.ranges, ((1, ack.upto),))
        gone = await self._run(lambda: self._delete(ack.epoch, durable))
        self._fresh.drop(n for n in self._fresh.names() if n[0] == ack.epoch and contains(durable, n[1]))
        return gone

    def dropped(self, epoch: str) -> Ranges:
        """Ranges of an epoch that were given up and must be declared."""
        return merge(*(shelf.dropped(epoch, codec.MAX_RANGES) for shelf in self._shelves()))

    async def declared(self, epoch: str, dropped: Ranges) -> None:
        """A batch that declared these ranges was acknowledged."""
        await self._run(lambda: self._forget(epoch, dropped))

    @property
    def state(self) -> str:
        """ok, or memory while the disk cannot be used."""
        return "memory" if self._memory else "ok"

    @property
    def batches(self) -> int:
        """How many batches are not acknowledged."""
        return sum(shelf.batches for shelf in self._shelves()) - self._owed_batches

    def stats(self) -> SpoolStats:
        """Sizes and counters now."""
        shelves = self._shelves()
        return SpoolStats(
            state=self.state,
            why=self._why,
            detail=self._detail,
            epoch=self.epoch,
            bytes=sum(shelf.bytes for shelf in shelves),
            batches=self.batches,
            readings=sum(shelf.readings for shelf in shelves),
            dropped_readings=sum(shelf.dropped_readings for shelf in shelves),
            refused_readings=self._refused_readings,
            set_aside=self._set_aside,
        )

    async def close(self) -> None:
        """Finish what is under way and close the file."""
        await self._run(self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _encode(self, readings: Sequence[Reading]) -> list[tuple[bytes, int]]:
        """Bodies that fit; a reading too large for any batch is refused and counted."""
        body = codec.encode_readings(codec.finite_only(reading) for reading in readings)
        if len(body) <= MAX_BODY_BYTES and len(readings) <= codec.MAX_READINGS:
            return [(body, len(readings))]
        if len(readings) == 1:
            self._refused_readings += 1
            log.warning("reading too large for a batch", extra={"bytes": len(body), "check": readings[0].check})
            return []
        half = len(readings) // 2
        return self._encode(readings[:half]) + self._encode(readings[half:])

    # -- the thread's side, one call at a time

    def _commit(self) -> None:
        """Write everything that waits in one transaction; later callers find their own entry done."""
        entries = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not entries:
            return
        if self._memory and self._clock.mono() >= self._retry_at:
            self._come_back()
        bodies = [(entry.body, entry.readings, entry.clock) for entry in entries]
        try:
            appended = self._shelf().append(bodies)
        except sqlite3.Error as error:
            self._fall_back(error)
            appended = self._shelf().append(bodies)
        mono = self._clock.mono()
        for entry, seq in zip(entries, appended.seqs, strict=True):
            entry.seq = seq
            if entry.live:
                held = Pending(self.epoch, seq, entry.readings, entry.body, live=True, clock=entry.clock)
                self._fresh.add(held, mono)
        self._fresh.drop(appended.given_up)

    def _close(self) -> None:
        for shelf in self._shelves():
            shelf.close()

    def _newest(self, limit: int, skip: frozenset[tuple[str, int]]) -> list[Pending]:
        found: list[Pending] = []
        for shelf in self._shelves():
            try:
                found += shelf.newest(limit - len(found), skip, self._owed)
            except sqlite3.Error as error:
                self._fall_back(error)
        return found

    def _delete(self, epoch: str, durable: Ranges) -> int:
        for shelf in self._shelves():
            try:
                next_seq = shelf.next_of(epoch)
                if next_seq is None:
                    continue
                if durable and durable[-1][1] >= next_seq:  # the server knows more of us than we do
                    log.warning("spool was rolled back, it gets a new epoch", extra={"epoch": epoch})
                    self._fresh = Fresh()
                    shelf.renew()
                    return 0
                if self._memory is None or shelf is self._memory:
                    return shelf.delete(epoch, durable)
                return self._owe(shelf, epoch, durable)
            except sqlite3.Error as error:
                self._fall_back(error)
                return self._owe(shelf, epoch, durable)
        return 0

    def _owe(self, shelf: Shelf, epoch: str, durable: Ranges) -> int:
        """Remember what to delete when the disk lets us; how many batches more that are."""
        owed = merge(self._owed.get(epoch, ()), durable)
        try:
            more = shelf.count(epoch, owed) - shelf.count(epoch, self._owed.get(epoch, ()))
        except sqlite3.Error:  # not even readable: it will be sent and acknowledged again
            return 0
        self._owed[epoch] = owed
        self._owed_batches += more
        return more

    def _forget(self, epoch: str, dropped: Ranges) -> None:
        try:
            for shelf in self._shelves():
                shelf.forget_dropped(epoch, dropped)
        except sqlite3.Error as error:  # it will be declared again
            self._fall_back(error)

    def _open(self) -> Shelf:
        """The file, or a new one with what can be saved after a corrupt one was moved out of the way."""
        try:
            return Shelf(self._path, max_bytes=self._max_bytes)
        except sqlite3.OperationalError:  # cannot open, locked, full: the file itself may be good
            raise
        except sqlite3.DatabaseError as error:
            aside = self._move_aside(error)
            saved = salvage(aside)
            fresh = Shelf(self._path, max_bytes=self._max_bytes)
            if saved is not None:
                fresh.inherit(saved, saved.gone(SEQ_BITS))
                log.warning("batches saved from the corrupt spool", extra={"batches": len(saved.rows)})
            return fresh

    def _move_aside(self, error: sqlite3.Error) -> Path:
        taken = len(list(self._path.parent.glob(f"{self._path.name}.corrupt-*")))
        aside = self._path.with_name(f"{self._path.name}.corrupt-{taken + 1}")
        self._path.replace(aside)
        with_tail(self._path, "-shm").unlink(missing_ok=True)
        if with_tail(self._path, "-wal").exists():  # it may hold the newest batches whole
            with_tail(self._path, "-wal").replace(with_tail(aside, "-wal"))
        self._set_aside += 1
        self._detail = f"corrupt file moved to {aside.name}: {error}"
        log.error("spool file is corrupt, moved aside", extra={"file": aside.name, "error": str(error)})
        return aside

    def _fall_back(self, error: Exception) -> None:
        """Use memory until the disk works again; said once."""
        self._why, self._detail = disk_word(error, self._path), str(error)
        if self._memory is not None:
            return
        now = self._clock.mono()
        again = now - self._retry_at < DISK_RETRY_MOST_S
        self._retry_s = min(DISK_RETRY_MOST_S, 2 * self._retry_s) if again and self._retry_s else DISK_RETRY_S
        self._retry_at = now + self._retry_s
        log.warning("spool cannot use its disk, keeping readings in memory", extra={"why": self._why})
        self._memory = Shelf(":memory:", max_bytes=min(MEMORY_MAX_BYTES, self._max_bytes), synchronous="OFF")

    def _come_back(self) -> None:
        """Try the disk again and move what memory holds into the file."""
        assert self._memory is not None
        self._retry_at = self._clock.mono() + self._retry_s
        try:
            self._file = self._reopened()
            self._file.adopt(self._memory)
        except (sqlite3.Error, OSError, FileFromNewerVersion) as error:
            self._why, self._detail = disk_word(error, self._path), str(error)
            return
        self._memory.close()
        self._memory = None
        self._why = self._detail = ""
        log.warning("spool is on disk again", extra={"epoch": self._file.epoch})

    def _reopened(self) -> Shelf:
        """The file without what is acknowledged. A disk that is full of nothing else gets a new file."""
        if self._file is not None:
            if self._owed_batches and self._owed_batches == self._file.batches:
                self._heirloom = self._file.heirloom()
            self._file.close()
            self._file = None
        if self._heirloom is not None:
            for tail in ("-wal", "-shm", ""):
                with_tail(self._path, tail).unlink(missing_ok=True)
            self._owed, self._owed_batches = {}, 0
        self._file = file = self._open()
        if self._heirloom is not None:
            file.inherit(self._heirloom, self._heirloom.dropped)
            self._heirloom = None
        for epoch, durable in self._owed.items():
            file.delete(epoch, durable)
        self._owed, self._owed_batches = {}, 0
        return file


def with_tail(path: Path, tail: str) -> Path:
    """The file that sqlite keeps beside `path`."""
    return path.with_name(path.name + tail)
