"""Answers to queries from the blocks in the file and the newest rows in memory."""

from __future__ import annotations

import logging
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import pairwise
from typing import NamedTuple

from healthmon.model.sample import Query, Row, Series, Value
from healthmon.store.blocks import Block, Column
from healthmon.store.catalog import Catalog, Entry
from healthmon.store.columns import Damaged
from healthmon.store.filing import DAY_US, HOUR, MINUTE, RAW, Filed, blocks
from healthmon.store.hot import Hot, merged
from healthmon.store.lineproto import micros_of
from healthmon.store.rollup import HOUR_US, MINUTE_US, Part, finished, join, parts_of, rolled_parts

log = logging.getLogger(__name__)

#: The most points that one query may answer.
MAX_POINTS = 500_000
AGGREGATES = ("mean", "min", "max", "count", "last")
_FOREVER = (1 << 63) - 1
#: A window of a replay holds about this many points.
_REPLAY_POINTS = 500_000


class Snapshot(NamedTuple):
    """What one answer is made of: the file, the names, and the rows that are not in blocks yet (oldest first)."""

    db: sqlite3.Connection
    catalog: Catalog
    hots: tuple[Hot, ...]


class Reader:
    """`damaged` counts blocks that could not be read; the rest of an answer stands."""

    def __init__(self) -> None:
        self.damaged = 0
        self._newest: dict[int, tuple[int, Value]] = {}
        self._newest_of: set[str] = set()

    def query(self, snapshot: Snapshot, query: Query) -> list[Series]:
        """Series with their points in time order; raises ValueError when the answer would be too large."""
        if query.aggregate not in AGGREGATES:
            raise ValueError(f"aggregate {query.aggregate!r} (allowed: {', '.join(AGGREGATES)})")
        start, end = _range_of(query)
        entries = snapshot.catalog.find(query.family, query.field, query.match)
        if query.newest:
            found = self._newest_points(snapshot, query.family, entries, start, end)
        elif query.step_s > 0:
            found = self._stepped(snapshot, query, entries, start, end)
        else:
            found = self._raw(snapshot, query, entries, start, end)
        return [Series(dict(entry.tags), points) for entry, points in found if points]

    # --- the newest point of each series ----------------------------------------------------------------------

    def sealed(self, columns: Iterable[Column]) -> None:
        """These columns leave the hot rows; their newest points stay at hand."""
        for column in columns:
            self._note_newest(column.series, column.times[-1], column.values[-1])

    def _note_newest(self, series: int, at: int, value: Value) -> None:
        known = self._newest.get(series)
        if known is None or known[0] <= at:
            self._newest[series] = at, value

    def _newest_points(
        self, snapshot: Snapshot, family: str, entries: Sequence[Entry], start: int, end: int
    ) -> Iterator[tuple[Entry, list[tuple[float, Value]]]]:
        late: list[Entry] = []
        if family not in self._newest_of:
            self._read_newest(snapshot, family)
        for entry in entries:
            newest = self._newest_of_series(snapshot, entry)
            if newest is None or newest[0] < start:
                continue
            if newest[0] >= end:
                late.append(entry)
            else:
                yield entry, [(newest[0] / 1e6, newest[1])]
        for entry, column in self._columns(snapshot, family, late, start, end) if late else ():
            yield entry, [(column.times[-1] / 1e6, column.values[-1])]

    def _newest_of_series(self, snapshot: Snapshot, entry: Entry) -> tuple[int, Value] | None:
        best = self._newest.get(entry.number)
        for hot in snapshot.hots:
            found = hot.newest(entry.stream, entry.number)
            if found and (best is None or found[0] >= best[0]):
                best = found
        return best

    def _read_newest(self, snapshot: Snapshot, family: str) -> None:
        """Once for each family after a start: from the newest block backwards, until every series was met."""
        missing = {entry.number for entry in snapshot.catalog if entry.family == family} - self._newest.keys()
        days = snapshot.db.execute(
            "SELECT DISTINCT day FROM blocks WHERE family = ? AND tier = ? ORDER BY day DESC", (family, RAW)
        )
        for (day,) in days.fetchall():
            if not missing:
                break
            met: set[int] = set()
            for filed in blocks(snapshot.db, "family = ? AND tier = ? AND day = ?", (family, RAW, day)):
                block = self._open(filed)
                for series in missing.intersection(block.series):
                    met.add(series)
                    self._note_newest(series, *block.newest(series))
            missing -= met
        self._newest_of.add(family)

    # --- points as they were ----------------------------------------------------------------------------------

    def _raw(
        self, snapshot: Snapshot, query: Query, entries: Sequence[Entry], start: int, end: int
    ) -> Iterator[tuple[Entry, list[tuple[float, Value]]]]:
        total = 0
        for entry, column in self._columns(snapshot, query.family, entries, start, end):
            total += len(column.times)
            _refuse_too_many(total)
            yield entry, [(at / 1e6, value) for at, value in zip(column.times, column.values, strict=True)]

    def _columns(
        self, snapshot: Snapshot, family: str, entries: Sequence[Entry], start: int, end: int
    ) -> Iterator[tuple[Entry, Column]]:
        if not entries:
            return
        low, high = min(entry.order for entry in entries), max(entry.order for entry in entries)
        opened = [
            self._open(filed)
            for filed in blocks(
                snapshot.db,
                "family = ? AND tier = ? AND day BETWEEN ? AND ? AND until >= ? AND start < ? "
                "AND high >= ? AND low <= ?",
                (family, RAW, start // DAY_US, end // DAY_US, start, end, low, high),
            )
        ]
        held = _held(opened, {entry.number for entry in entries})
        for entry in entries:
            parts = [cut(part, start, end) for part in self._parts(held.get(entry.number, ()), entry.number) if part]
            for hot in snapshot.hots:
                newest = hot.column(entry.stream, entry.number)
                if newest:
                    parts.append(cut(newest, start, end))
            column = merged(entry.number, parts)
            if column:
                yield entry, column

    def _parts(self, opened: Iterable[Block], series: int) -> Iterator[Column | None]:
        for block in opened:
            try:
                yield block.column(series)
            except Damaged as error:
                self._spoilt(str(error))

    def _open(self, filed: Filed) -> Block:
        try:
            return filed.open()
        except Damaged as error:
            self._spoilt(f"block {filed.id}: {error}")
            return Block.empty()

    def _spoilt(self, words: str) -> None:
        if not self.damaged:
            log.error("store: a block is damaged, what else is there is used", extra={"error": words})
        self.damaged += 1

    # --- steps ------------------------------------------------------------------------------------------------

    def _stepped(
        self, snapshot: Snapshot, query: Query, entries: Sequence[Entry], start: int, end: int
    ) -> Iterator[tuple[Entry, list[tuple[float, Value]]]]:
        if not entries:
            return
        step = micros_of(query.step_s)
        total = 0
        plan = self._plan(snapshot, query.family, entries, start, end, step)
        parts: dict[int, list[Part]] = {entry.number: [] for entry in entries}
        for tier, first, last in plan:
            left: Sequence[Entry] = entries
            if tier != RAW:
                left = self._from_rollup(snapshot, query, entries, (tier, first, last), step, parts)
            for entry, column in self._columns(snapshot, query.family, left, first, last):
                parts[entry.number] += parts_of(column, step, query.aggregate)
        for entry in entries:
            points = finished(join(parts[entry.number], query.aggregate), step, query.aggregate)
            total += len(points)
            _refuse_too_many(total)
            yield entry, points

    def _from_rollup(
        self,
        snapshot: Snapshot,
        query: Query,
        entries: Sequence[Entry],
        days: tuple[int, int, int],
        step: int,
        parts: dict[int, list[Part]],
    ) -> list[Entry]:
        """Adds what the rollup of these whole days has; the series that it has not."""
        tier, first, last = days
        low, high = min(entry.order for entry in entries), max(entry.order for entry in entries)
        span = (query.family, tier, first // DAY_US, (last - 1) // DAY_US, low, high)
        where = "family = ? AND tier = ? AND day BETWEEN ? AND ? AND high >= ? AND low <= ?"
        filed = sorted(blocks(snapshot.db, where, span), key=_day)
        opened = list(map(self._open, filed))
        missing: list[Entry] = []
        for entry in entries:
            met = False
            for block in opened:
                found = rolled_parts(block, entry.number, step, query.aggregate, first, last)
                met = met or found is not None
                parts[entry.number] += found or ()
            if not met:
                missing.append(entry)
        return missing

    def _plan(
        self, snapshot: Snapshot, family: str, entries: Sequence[Entry], start: int, end: int, step: int
    ) -> list[tuple[int, int, int]]:
        """(tier, from, until) in time order: the coarsest tier that the step allows, where it is complete."""
        rolled = self._rolled_days(snapshot, family, start, end)
        raw = {
            day
            for (day,) in snapshot.db.execute(
                "SELECT DISTINCT day FROM blocks WHERE family = ? AND tier = ?", (family, RAW)
            )
        }
        young = min((hot.oldest for hot in snapshot.hots), default=_FOREVER) // DAY_US
        spans: list[tuple[int, int, int]] = []
        at = start
        for day, tiers in sorted(rolled.items()):
            opens, closes = day * DAY_US, (day + 1) * DAY_US
            whole = start <= opens and closes <= end
            fits = [tier for tier in tiers if step % (HOUR_US if tier == HOUR else MINUTE_US) == 0]
            if day in raw and (not fits or not whole or day >= young):
                continue
            if at < opens:
                spans.append((RAW, at, opens))
            spans.append((max(fits) if fits else min(tiers), max(start, opens), min(end, closes)))
            at = min(end, closes)
        if at < end:
            spans.append((RAW, at, end))
        return _joined(spans)

    def _rolled_days(self, snapshot: Snapshot, family: str, start: int, end: int) -> dict[int, set[int]]:
        """The tiers of each day whose rollup has seen every block of the day."""
        newest: dict[int, int] = {}
        tiers: dict[int, set[int]] = {}
        for tier, day, rank in snapshot.db.execute(
            "SELECT tier, day, max(rank) FROM blocks WHERE family = ? AND day BETWEEN ? AND ? GROUP BY tier, day "
            "ORDER BY tier",
            (family, start // DAY_US, end // DAY_US),
        ):
            if tier == RAW:
                newest[day] = rank
            elif rank >= newest.get(day, rank):
                tiers.setdefault(day, set()).add(tier)
        return tiers

    # --- replay -----------------------------------------------------------------------------------------------

    def windows(self, snapshot: Snapshot, start: int, end: int) -> list[tuple[int, int]]:
        """The range cut so that each part holds a bearable number of points."""
        spans = snapshot.db.execute(
            "SELECT day, sum(points), min(start), max(until) FROM blocks WHERE tier = ? AND until >= ? AND start < ? "
            "GROUP BY day ORDER BY day",
            (RAW, start, end),
        ).fetchall()
        found: list[tuple[int, int]] = []
        for _, points, first, last in spans:
            first, last = max(first, start), min(last + 1, end)
            pieces = 1 + points // _REPLAY_POINTS
            width = -(-(last - first) // pieces)
            found += [(at, min(at + width, last)) for at in range(first, last, max(1, width))]
        edges = [start, *(edge for span in found for edge in span), end]
        return [(low, high) for low, high in pairwise(edges) if low < high]

    def everything(self, snapshot: Snapshot, start: int = 0, end: int = _FOREVER) -> Iterator[tuple[Entry, Column]]:
        """Every series of the time, family by family."""
        families: dict[str, list[Entry]] = {}
        for entry in snapshot.catalog:
            families.setdefault(entry.family, []).append(entry)
        for family, entries in families.items():
            yield from self._columns(snapshot, family, entries, start, end)

    def rows(self, snapshot: Snapshot, start: int, end: int) -> list[Row]:
        """Every row of the time, in time order; the fields of one moment of a family and its tags are one row."""
        made: dict[tuple[int, int], list[tuple[str, Value]]] = {}
        streams: dict[int, Entry] = {}
        for entry, column in self.everything(snapshot, start, end):
            streams[entry.stream] = entry
            for at, value in zip(column.times, column.values, strict=True):
                made.setdefault((at, entry.stream), []).append((entry.field, value))
        return [
            Row(streams[stream].family, tuple(sorted(streams[stream].tags.items())), tuple(sorted(fields)), at / 1e6)
            for (at, stream), fields in sorted(made.items())
        ]


def cut(column: Column, start: int, end: int) -> Column:
    """The part of a column within [start, end)."""
    times = column.times
    if not times or (start <= times[0] and times[-1] < end):
        return column
    low, high = bisect_left(times, start), bisect_left(times, end)
    return Column(column.series, times[low:high], column.values[low:high])


def _held(opened: Iterable[Block], wanted: Set[int]) -> dict[int, list[Block]]:
    """Which of these blocks have which series: asking each for each is too much where both are many."""
    found: dict[int, list[Block]] = {}
    for block in opened:
        for series in block.series & wanted:
            found.setdefault(series, []).append(block)
    return found


def _day(filed: Filed) -> int:
    return filed.day


def _range_of(query: Query) -> tuple[int, int]:
    return micros_of(max(0.0, query.start)), micros_of(query.end) if query.end > 0 else _FOREVER


def _refuse_too_many(points: int) -> None:
    if points > MAX_POINTS:
        raise ValueError(f"more than {MAX_POINTS} points: narrow the time or give a step")


def _joined(spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Neighbours of one tier as one; not the minutes, which a day may have of some series only."""
    joined: list[tuple[int, int, int]] = []
    for tier, first, last in spans:
        if tier != MINUTE and joined and joined[-1][0] == tier and joined[-1][2] == first:
            joined[-1] = (tier, joined[-1][1], last)
        else:
            joined.append((tier, first, last))
    return joined
