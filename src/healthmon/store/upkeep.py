"""What happens to rows after they are durable: sealed into blocks, rolled up when their day is over, expired."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from healthmon.store.blocks import Block, Column, pressed
from healthmon.store.catalog import Catalog
from healthmon.store.columns import Damaged
from healthmon.store.filing import (
    DAY_US,
    HOUR,
    MINUTE,
    RAW,
    Filed,
    Packed,
    Packer,
    Place,
    Pressing,
    blocks,
    insert,
    pack_columns,
    remove,
)
from healthmon.store.hot import Hot, merged
from healthmon.store.press import Press
from healthmon.store.rollup import HOUR_US, MINUTE_US, PER_SERIES, roll

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
#: So many points are worth a process that packs them; fewer are packed in the time that it takes to start.
PRESS_POINTS = 100_000
#: A day is rolled up when the newest point is this far beyond its end: catch-up after an outage mostly falls before.
_GRACE_US = 2 * HOUR_US
#: A series with more points a day than this is looked at by the minute; others are as quick to read raw.
_DENSE = 2_880
#: Blocks that one transaction deletes, so that expiry never holds the writer for long.
_EXPIRE_BLOCKS = 200
#: Pages that one upkeep gives back to the disk.
_SHRINK_PAGES = 20_000
GENERAL, ENDPOINT = 0, 1


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that points are kept: raw, by the minute, by the hour; and anything of a person's workplace at most."""

    raw: float = 35.0
    minutes: float = 90.0
    hours: float = 396.0
    endpoints: float = 90.0
    endpoint_kinds: frozenset[str] = field(
        default=frozenset({"ward-workstation", "workstation", "endpoint-pc", "laptop", "thin-client", "downtime-pc"})
    )

    def days(self, tier: int, kept: int) -> float:
        """How long blocks of this tier and class are kept."""
        days = {RAW: self.raw, MINUTE: self.minutes, HOUR: self.hours}[tier]
        return min(days, self.endpoints) if kept == ENDPOINT else days

    def class_of(self, tags: Mapping[str, str]) -> int:
        """Which retention a series has."""
        return ENDPOINT if tags.get("kind") in self.endpoint_kinds else GENERAL


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def pack_hot(hot: Hot, catalog: Catalog, retention: Retention) -> tuple[list[Packed], list[Column]]:
    """The blocks of these rows, and their columns. The long part of sealing; needs no lock."""
    columns = list(hot.columns())

    def packed(press: Pressing) -> list[Packed]:
        return list(pack_columns(catalog, columns, rank=hot.upto, class_of=retention.class_of, press=press))

    if hot.points >= PRESS_POINTS:
        try:
            with Press() as press:
                return packed(press.pressed), columns
        except OSError as error:
            log.warning("blocks are packed here, no process could", extra={"error": str(error)})
    return packed(pressed), columns


def seal(db: sqlite3.Connection, hot: Hot, packed: Sequence[Packed]) -> None:
    """Blocks in, journal entries out, in one transaction."""
    with transaction(db):
        insert(db, packed)
        db.execute("DELETE FROM journal WHERE id <= ?", (hot.upto,))


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a family and class whose raw blocks are not rolled up, or not all of them."""

    family: str
    kept: int
    day: int


def newest_moment(db: sqlite3.Connection) -> int:
    """Microseconds of the newest point in a block; 0 in an empty file."""
    return int(db.execute("SELECT max(until) FROM blocks").fetchone()[0] or 0)


def days_to_roll(db: sqlite3.Connection, cutoff: int) -> list[Day]:
    """Days that are over, with raw blocks newer than their rollup.

    A day before the cutoff (microseconds) whose rollup stands is left alone: of its raw points only late ones are here.
    """
    over = (newest_moment(db) - _GRACE_US) // DAY_US
    found = db.execute(
        "SELECT family, class, day FROM blocks LEFT JOIN rolled USING (family, class, day) WHERE tier = ? AND day < ? "
        "AND (day >= ? OR rolled.rank IS NULL) "
        "GROUP BY family, class, day HAVING max(blocks.rank) > coalesce(rolled.rank, -1) ORDER BY day",
        (RAW, over, cutoff // DAY_US),
    )
    return [Day(*row) for row in found.fetchall()]


@dataclass(frozen=True, slots=True)
class Rolled:
    """What replaces the raw blocks `old` of a day, and its rollups."""

    day: Day
    rank: int
    old: tuple[int, ...]
    packed: list[Packed]


def roll_day(db: sqlite3.Connection, catalog: Catalog, day: Day) -> Rolled:
    """The raw blocks of a day as few large ones, without doubles, and its hours; minutes of what comes often."""
    filed = _raw_of(db, day)
    opened, unreadable = _open_all(filed)
    rank = max(one.rank for one in filed)
    raw = Packer(catalog, Place(RAW, day.kept, day.family, rank), day.day)
    hours, minutes = _roller(catalog, day, rank, HOUR), _roller(catalog, day, rank, MINUTE)
    for column in _merged(opened, catalog):
        raw.add(column)
        _roll_into(hours, column, HOUR_US)
        if len(column.times) > _DENSE:
            _roll_into(minutes, column, MINUTE_US)
    packed = [*raw.finish(), *hours.finish(), *minutes.finish()]
    return Rolled(day, rank, tuple(one.id for one in filed if one.id not in unreadable), packed)


def file_rolled(db: sqlite3.Connection, rolled: Rolled) -> None:
    """In one transaction. Blocks that came meanwhile have a higher rank, and the day is rolled up again later."""
    day = rolled.day
    with transaction(db):
        remove(db, rolled.old)
        _drop_rollups(db, day, (HOUR, MINUTE))
        insert(db, rolled.packed)
        db.execute("INSERT OR REPLACE INTO rolled VALUES (?, ?, ?, ?, 0)", (day.family, day.kept, day.day, rolled.rank))


def roll_minutes(db: sqlite3.Connection, catalog: Catalog, day: Day) -> None:
    """The minutes of every series of a day whose raw points are about to go."""
    filed = _raw_of(db, day)
    opened, _ = _open_all(filed)
    rank = max(one.rank for one in filed)
    minutes = _roller(catalog, day, rank, MINUTE)
    for column in _merged(opened, catalog):
        _roll_into(minutes, column, MINUTE_US)
    packed = minutes.finish()
    with transaction(db):
        _drop_rollups(db, day, (MINUTE,))
        insert(db, packed)
        db.execute(
            "UPDATE rolled SET minutes = 1 WHERE family = ? AND class = ? AND day = ?", (day.family, day.kept, day.day)
        )


def days_without_minutes(db: sqlite3.Connection, cutoff: int) -> list[Day]:
    """Days before the cutoff (microseconds) that have raw blocks still and no complete minutes."""
    found = db.execute(
        "SELECT DISTINCT family, class, day FROM blocks JOIN rolled USING (family, class, day) "
        "WHERE tier = ? AND day < ? AND minutes = 0",
        (RAW, cutoff // DAY_US),
    )
    return [Day(*row) for row in found.fetchall()]


def expire(db: sqlite3.Connection, now_us: int, tier: int, kept: int, retention: Retention) -> int:
    """Delete blocks of days that ended before the retention; how many points went."""
    cutoff = _cutoff(now_us, retention.days(tier, kept))
    gone = 0
    while True:
        found: list[tuple[int, int]] = db.execute(
            "SELECT id, points FROM blocks WHERE tier = ? AND class = ? AND until < ? AND day < ? LIMIT ?",
            (tier, kept, cutoff, cutoff // DAY_US, _EXPIRE_BLOCKS),
        ).fetchall()
        with transaction(db):
            remove(db, (id for id, _ in found))
        gone += sum(points for _, points in found)
        if len(found) < _EXPIRE_BLOCKS:
            return gone


def raw_cutoff(now_us: int, retention: Retention) -> int:
    """Raw days before this go."""
    return _cutoff(now_us, retention.raw)


def shrink(db: sqlite3.Connection) -> None:
    """Give free pages back to the disk, so many at a time."""
    db.execute(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})").fetchall()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _cutoff(now_us: int, days: float) -> int:
    return now_us - round(days * _DAY_S * 1e6)


def _raw_of(db: sqlite3.Connection, day: Day) -> list[Filed]:
    where = "family = ? AND tier = ? AND day = ? AND class = ?"
    return list(blocks(db, where, (day.family, RAW, day.day, day.kept)))


def _open_all(filed: Iterable[Filed]) -> tuple[list[Block], frozenset[int]]:
    """The blocks that can be read, and the ids of those that cannot: they stay, for a better day."""
    opened: list[Block] = []
    bad: set[int] = set()
    for one in filed:
        try:
            opened.append(one.open())
        except Damaged:
            bad.add(one.id)
    return opened, frozenset(bad)


def _merged(opened: Sequence[Block], catalog: Catalog) -> Iterator[Column]:
    entries = catalog.entries
    places: dict[int, list[Block]] = {}
    for block in opened:
        for series in block.series:
            if series in entries:
                places.setdefault(series, []).append(block)
    for series in sorted(places, key=lambda series: (entries[series].order, series)):
        parts = [block.column(series) for block in places[series]]
        column = merged(series, [part for part in parts if part])
        if column:
            yield column


def _roller(catalog: Catalog, day: Day, rank: int, tier: int) -> Packer:
    return Packer(catalog, Place(tier, day.kept, day.family, rank), day.day, per_series=PER_SERIES)


def _roll_into(packer: Packer, column: Column, width: int) -> None:
    for one in roll(column, width):
        packer.add(one)


def _drop_rollups(db: sqlite3.Connection, day: Day, tiers: Sequence[int]) -> None:
    for tier in tiers:
        db.execute(
            "DELETE FROM blocks WHERE family = ? AND tier = ? AND day = ? AND class = ?",
            (day.family, tier, day.day, day.kept),
        )
