"""The spool's file: batches under (epoch, seq) in sqlite, with a byte limit that drops the oldest and says so.

Synchronous and for one thread at a time; `spool` is the asynchronous shell around it.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from healthmon.runtime import ranges
from healthmon.runtime.ranges import Ranges
from healthmon.runtime.sqlite import check_database, open_database
from healthmon.transport.salvage import Saved

#: One integer key orders everything by age: the number of the epoch, then the seq within it.
SEQ_BITS = 40
_SEQ_MASK = (1 << SEQ_BITS) - 1
_ROW_BYTES = 32  # what a row costs besides its body, about
_PAGE = 500
_NONE: Mapping[str, Ranges] = {}

_FIRST = """
CREATE TABLE epochs (number INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, next_seq INTEGER NOT NULL);
CREATE TABLE batches (key INTEGER PRIMARY KEY, readings INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE dropped (low INTEGER PRIMARY KEY, high INTEGER NOT NULL);
CREATE TABLE totals (dropped_readings INTEGER NOT NULL);
INSERT INTO totals VALUES (0);
"""
#: Since version 2 each batch keeps the clock it was taken under.
_CLOCK = "ALTER TABLE batches ADD COLUMN clock REAL;"
MIGRATIONS = (_FIRST, _CLOCK)


@dataclass(frozen=True, slots=True)
class Pending:
    """One batch that is not acknowledged yet; `body` is its encoded readings, `readings` how many they are.

    clock: the wall clock less the monotonic one as they were taken, s (None: of a file that did not keep it).
    """

    epoch: str
    seq: int
    readings: int
    body: bytes
    live: bool = False
    clock: float | None = None


#: What an append takes: a batch's encoded readings, how many they are, and their clock.
Body = tuple[bytes, int, float | None]


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: the new seqs, and the (epoch, seq) of the batches it gave up for them."""

    seqs: range
    given_up: list[tuple[str, int]]


class Shelf:
    """Batches on disk, or in memory when the path is `:memory:`. Every method may raise sqlite3.Error."""

    def __init__(self, path: str | Path, *, max_bytes: int, synchronous: str = "FULL") -> None:
        self._synchronous = synchronous
        self._db = open_database(path, MIGRATIONS, synchronous=synchronous)
        try:
            self._load(max_bytes)
        except BaseException:
            self._db.close()
            raise

    def _load(self, max_bytes: int) -> None:
        words = check_database(self._db)
        if words != "ok":
            raise sqlite3.DatabaseError(words)
        self.max_bytes = max_bytes
        self._numbers = {epoch: number for number, epoch in self._db.execute("SELECT number, epoch FROM epochs")}
        self._epochs = {number: epoch for epoch, number in self._numbers.items()}
        if not self._numbers:
            with self._transaction():
                self._open_epoch(secrets.token_hex(8), next_seq=1)
        row = self._db.execute("SELECT number, epoch, next_seq FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        self._number, self.epoch, self.next_seq = int(row[0]), str(row[1]), int(row[2])
        self._dropped: Ranges = ranges.merge(self._db.execute("SELECT low, high FROM dropped"))
        self.dropped_readings = int(self._db.execute("SELECT dropped_readings FROM totals").fetchone()[0])
        self._count()

    def _count(self) -> None:
        held = "SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(length(body)), 0) FROM batches"
        self.batches, self.readings, size = map(int, self._db.execute(held).fetchone())
        self.bytes = size + self.batches * _ROW_BYTES

    def close(self) -> None:
        """Close the file; nothing is pending, every append was durable when it returned."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def append(self, bodies: Sequence[Body]) -> Appended:
        """Write batches in one durable transaction; the oldest go when they do not fit."""
        first = self.next_seq
        seqs = range(first, first + len(bodies))
        grown = sum(len(body) + _ROW_BYTES for body, _, _ in bodies)
        with self._transaction():
            self._db.executemany(
                "INSERT INTO batches VALUES (?, ?, ?, ?)",
                [
                    (self._number << SEQ_BITS | seq, count, body, clock)
                    for seq, (body, count, clock) in zip(seqs, bodies, strict=True)
                ],
            )
            self._db.execute("UPDATE epochs SET next_seq=? WHERE number=?", (seqs.stop, self._number))
            given_up = self._oldest_beyond(self.bytes + grown - self.max_bytes)
            self._give_up(given_up)
        self.next_seq = seqs.stop
        self.batches += len(bodies) - len(given_up)
        self.readings += sum(count for _, count, _ in bodies) - sum(count for _, count, _ in given_up)
        self.bytes += grown - sum(size for _, _, size in given_up)
        return Appended(seqs, [self._name(key) for key, _, _ in given_up])

    def _oldest_beyond(self, excess: int) -> list[tuple[int, int, int]]:
        """(key, readings, bytes) of the oldest batches that together free `excess` bytes; never the newest one."""
        given_up: list[tuple[int, int, int]] = []
        if excess <= 0:
            return given_up
        newest = self._db.execute("SELECT max(key) FROM batches").fetchone()[0]
        rows = self._db.execute("SELECT key, readings, length(body) FROM batches WHERE key < ? ORDER BY key", (newest,))
        for key, count, size in rows:
            given_up.append((key, count, size + _ROW_BYTES))
            excess -= size + _ROW_BYTES
            if excess <= 0:
                break
        rows.close()
        return given_up

    def _give_up(self, rows: list[tuple[int, int, int]]) -> None:
        """Delete these oldest rows and remember their keys until a batch that declares them is acknowledged."""
        if not rows:
            return
        self._db.execute("DELETE FROM batches WHERE key <= ?", (rows[-1][0],))
        self.dropped_readings += sum(count for _, count, _ in rows)
        self._db.execute("UPDATE totals SET dropped_readings=?", (self.dropped_readings,))
        self._keep_dropped(ranges.merge(self._dropped, ((key, key) for key, _, _ in rows)))

    def _keep_dropped(self, dropped: Ranges) -> None:
        self._db.execute("DELETE FROM dropped")
        self._db.executemany("INSERT INTO dropped VALUES (?, ?)", dropped)
        self._dropped = dropped

    def newest(
        self, limit: int, skip: frozenset[tuple[str, int]] = frozenset(), durable: Mapping[str, Ranges] = _NONE
    ) -> list[Pending]:
        """Up to `limit` batches, newest first, without those to skip and those that are durable elsewhere."""
        keys: list[int] = []
        below = 1 << 62
        while len(keys) < limit:
            page = [
                key
                for (key,) in self._db.execute(
                    "SELECT key FROM batches WHERE key < ? ORDER BY key DESC LIMIT ?", (below, _PAGE)
                )
            ]
            names = [(key, self._name(key)) for key in page]
            keys += [key for key, name in names if name not in skip and not _holds(durable, name)]
            if len(page) < _PAGE:
                break
            below = page[-1]
        return [self._read(key) for key in keys[:limit]]

    def _read(self, key: int) -> Pending:
        held = "SELECT readings, body, clock FROM batches WHERE key=?"
        count, body, clock = self._db.execute(held, (key,)).fetchone()
        return Pending(*self._name(key), count, body, clock=clock)

    def _name(self, key: int) -> tuple[str, int]:
        return self._epochs[key >> SEQ_BITS], key & _SEQ_MASK

    def count(self, epoch: str, seqs: Ranges) -> int:
        """How many batches of these it holds; changes nothing."""
        base = self._numbers.get(epoch, 0) << SEQ_BITS
        held = "SELECT count(*) FROM batches WHERE key BETWEEN ? AND ?"
        spans = ((base | low, base | min(high, _SEQ_MASK)) for low, high in seqs)
        return sum(int(self._db.execute(held, span).fetchone()[0]) for span in spans) if base else 0

    def delete(self, epoch: str, seqs: Ranges) -> int:
        """Forget acknowledged batches of one epoch; how many there were."""
        number = self._numbers.get(epoch)
        if number is None:
            return 0
        keys = [(number << SEQ_BITS | low, number << SEQ_BITS | min(high, _SEQ_MASK)) for low, high in seqs]
        self._db.execute("PRAGMA synchronous=NORMAL")  # a deletion that is lost costs a resend, not a reading
        try:
            return self._delete_keys(keys)
        finally:
            self._db.execute(f"PRAGMA synchronous={self._synchronous}")

    def _delete_keys(self, spans: list[tuple[int, int]]) -> int:
        gone = readings = size = 0
        held = "SELECT count(*), coalesce(sum(readings), 0), coalesce(sum(length(body)), 0) FROM batches"
        with self._transaction():
            for span in spans:
                found = self._db.execute(f"{held} WHERE key BETWEEN ? AND ?", span).fetchone()
                if found[0]:
                    self._db.execute("DELETE FROM batches WHERE key BETWEEN ? AND ?", span)
                    gone, readings, size = gone + found[0], readings + found[1], size + found[2]
        self.batches -= gone
        self.readings -= readings
        self.bytes -= size + gone * _ROW_BYTES
        return gone

    def dropped(self, epoch: str, most: int) -> Ranges:
        """Ranges of this epoch that were given up and not yet known to the server, oldest first."""
        base = self._numbers.get(epoch, 0) << SEQ_BITS
        mine = ranges.intersect(self._dropped, ((base + 1, base + _SEQ_MASK),))
        return tuple((low - base, high - base) for low, high in mine[:most])

    def forget_dropped(self, epoch: str, seqs: Ranges) -> None:
        """The server has heard of these given-up ranges."""
        base = self._numbers.get(epoch, 0) << SEQ_BITS
        left = ranges.subtract(self._dropped, tuple((low + base, high + base) for low, high in seqs))
        if left != self._dropped:
            with self._transaction():
                self._keep_dropped(left)

    def next_of(self, epoch: str) -> int | None:
        """The next seq of an epoch that this file knows, else None."""
        row = self._db.execute("SELECT next_seq FROM epochs WHERE epoch=?", (epoch,)).fetchone()
        return int(row[0]) if row else None

    def adopt(self, other: Shelf) -> None:
        """Take everything of another shelf, its epoch too, and go on where it stood."""
        held = "SELECT key & ?, readings, body, clock FROM batches ORDER BY key"
        rows = other._db.execute(held, (_SEQ_MASK,)).fetchall()
        dropped = other.dropped(other.epoch, 1 << 30)
        with self._transaction():
            number = self._open_epoch(other.epoch, next_seq=other.next_seq)
            self._db.executemany(
                "INSERT INTO batches VALUES (?, ?, ?, ?)", [(number << SEQ_BITS | seq, *rest) for seq, *rest in rows]
            )
            base = number << SEQ_BITS
            self._keep_dropped(ranges.merge(self._dropped, ((low + base, high + base) for low, high in dropped)))
            self.dropped_readings += other.dropped_readings
            self._db.execute("UPDATE totals SET dropped_readings=?", (self.dropped_readings,))
        self._number, self.epoch, self.next_seq = number, other.epoch, other.next_seq
        self._count()

    def heirloom(self) -> Saved:
        """What a new file must know of this one when all its batches are acknowledged; reads only."""
        epochs = self._db.execute("SELECT number, epoch, next_seq FROM epochs ORDER BY number").fetchall()
        return Saved(tuple(epochs), (), self._dropped, self.dropped_readings)

    def inherit(self, saved: Saved, dropped: Ranges) -> None:
        """Take over, into a new file, what was saved of another one. New batches get an epoch of their own:

        the other may have given out numbers that nothing saved tells of.
        """
        with self._transaction():
            self._db.execute("DELETE FROM epochs")
            self._db.executemany("INSERT INTO epochs VALUES (?, ?, ?)", saved.epochs)
            self._db.executemany("INSERT INTO batches (key, readings, body) VALUES (?, ?, ?)", saved.rows)
            self._keep_dropped(dropped)
            self._db.execute("UPDATE totals SET dropped_readings=?", (saved.total,))
            self._open_epoch(secrets.token_hex(8), next_seq=1)
        self._load(self.max_bytes)

    def renew(self) -> None:
        """Move everything held under a fresh epoch: this file was rolled back, its old seqs mean other data."""
        epoch = secrets.token_hex(8)
        keys = [key for (key,) in self._db.execute("SELECT key FROM batches ORDER BY key")]
        with self._transaction():
            number = self._open_epoch(epoch, next_seq=len(keys) + 1)
            moves: Iterable[tuple[int, int]] = ((number << SEQ_BITS | seq, key) for seq, key in enumerate(keys, 1))
            self._db.executemany("UPDATE batches SET key=? WHERE key=?", moves)
            self._db.execute("DELETE FROM epochs WHERE number<>?", (number,))
            self._keep_dropped(())
        self._numbers, self._epochs = {epoch: number}, {number: epoch}
        self._number, self.epoch, self.next_seq = number, epoch, len(keys) + 1

    def _open_epoch(self, epoch: str, *, next_seq: int) -> int:
        made = self._db.execute("INSERT INTO epochs (epoch, next_seq) VALUES (?, ?)", (epoch, next_seq))
        number = int(made.lastrowid or 0)
        self._numbers[epoch] = number
        self._epochs[number] = epoch
        return number


def _holds(durable: Mapping[str, Ranges], name: tuple[str, int]) -> bool:
    known = durable.get(name[0])
    return known is not None and ranges.contains(known, name[1])
