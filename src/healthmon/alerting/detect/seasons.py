"""What is usual at this hour: one book per series, with the median and spread of the same local hour of earlier weeks.

Robust twice over: an hour is the median of its readings, the usual value is the median over weeks and the two
neighbouring hours; and readings that are judged unusual are not learned, unless nothing else came for a whole week.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from healthmon.alerting.detect.cells import Cell
from healthmon.model.condition import Baseline, Season

#: Earlier periods kept for each hour: weeks for an hour of the week, days for an hour of the day.
WEEKS_KEPT, DAYS_KEPT = 6, 14
#: An hour keeps at most so many readings, evenly thinned.
READINGS_KEPT = 32
_LEAST_READINGS = 2
#: So many hours in a row that were unusual are the new usual: the book begins anew.
HOURS_ANEW = 168
#: The same hour, unusual so many times running, has a new usual: of that hour alone, what was known is forgotten.
WEEKS_ANEW, DAYS_ANEW = 3, 7
_MAD_TO_SIGMA = 1.4826
_HOUR = struct.Struct("<qIII")
_LOCAL_STEP_S = 900.0  # every offset of the time zone database is a multiple of a quarter of an hour today
_TIMES_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Usual:
    """What to expect: `value` and `spread` (as a standard deviation), from `periods` earlier weeks or days."""

    value: float
    spread: float
    periods: int


class LocalHours:
    """Hour of the week and week by the wall clock of a site; the hour that comes twice in autumn is one hour."""

    def __init__(self, local: Callable[[str, float], datetime]) -> None:
        self._local = local
        self._known: dict[tuple[str, float], tuple[int, int]] = {}

    def of(self, site: str, at: float) -> tuple[int, int]:
        """(hour since year 1 on that wall, hour of the week 0 to 167)."""
        key = (site, at // _LOCAL_STEP_S)
        known = self._known.get(key)
        if known is None:
            wall = self._local(site, at)
            if len(self._known) >= _TIMES_MOST:
                self._known.clear()
            known = self._known[key] = (wall.toordinal() * 24 + wall.hour, wall.weekday() * 24 + wall.hour)
        return known


class _Hour:
    """The readings of one hour, thinned."""

    __slots__ = ("hour", "refused", "seen", "stride", "values")

    def __init__(self, hour: int = -1) -> None:
        self.hour, self.stride, self.seen, self.refused = hour, 1, 0, 0
        self.values = array("f")

    def put(self, value: float) -> None:
        if self.seen % self.stride == 0:
            self.values.append(value)
            if len(self.values) == READINGS_KEPT:
                self.values = self.values[::2]
                self.stride *= 2
        self.seen += 1

    def pack(self) -> bytes:
        return _HOUR.pack(self.hour, self.stride, self.seen, self.refused) + self.values.tobytes()

    @classmethod
    def load(cls, body: bytes) -> _Hour:
        one = cls()
        one.hour, one.stride, one.seen, one.refused = _HOUR.unpack_from(body)
        one.values = array("f", body[_HOUR.size :])
        return one


class HourBook(Cell):
    """The usual values of one series. Parts: 0 the hour that is open, 1 late data, 2 on: one for each weekday."""

    __slots__ = (
        "_cached",
        "_known",
        "first",
        "late",
        "medians",
        "open",
        "periods",
        "running",
        "season",
        "shunned",
        "spreads",
        "width",
    )

    def __init__(self, season: Season) -> None:
        super().__init__()
        self.season = season
        weekly = season is Season.HOUR_OF_WEEK
        self.width = WEEKS_KEPT if weekly else DAYS_KEPT
        hours = 168 if weekly else 24
        size = hours * self.width
        self.running = array("I", [0] * hours)  # how often each hour was unusual, since it last was not
        self.first = array("I", [0] * hours)  # earlier periods say nothing of it any more
        self.medians, self.spreads = array("f", [math.nan] * size), array("f", [0.0] * size)
        self.periods = array("I", [0] * size)
        self.open, self.late = _Hour(), _Hour()
        self.shunned = 0
        self._cached: tuple[int, Usual | None] = (-1, None)
        self._known: int | None = None

    def usual(self, hour: int) -> Usual | None:
        """What earlier periods say of this hour; None when none is known. `hour` counts on the local wall."""
        if self._cached[0] != hour:
            self._cached = (hour, self._usual(hour))
        return self._cached[1]

    def learn(self, hour: int, value: float, *, unusual: bool) -> None:
        """One reading of an hour; an hour before the open one is late and only fills a gap."""
        book, part = (self.open, 0) if hour >= self.open.hour else (self.late, 1)
        if hour != book.hour:
            self._close(book, late=part == 1)
            book = _Hour(hour)
            self.open, self.late = (book, self.late) if part == 0 else (self.open, book)
        if unusual:
            book.refused += 1
        else:
            book.put(value)
        self.dirty |= 1 << part

    def known(self) -> int:
        """Periods in the best known hour: how far the learning is."""
        if self._known is None:
            width = self.width
            starts = range(0, len(self.medians), width)
            self._known = max(sum(not math.isnan(m) for m in self.medians[n : n + width]) for n in starts)
        return self._known

    def pack(self, part: int) -> bytes:
        if part == 0:
            return struct.pack("<dI", self.at, self.shunned) + self.open.pack()
        if part == 1:
            return self.late.pack()
        here = self._slice(part)
        values = self.medians[here].tobytes() + self.spreads[here].tobytes() + self.periods[here].tobytes()
        day = self._day(part)
        anew = self.running[day].tobytes() + self.first[day].tobytes()
        return values + anew if any(anew) else values

    def load(self, part: int, body: bytes) -> None:
        if part == 0:
            self.at, self.shunned = struct.unpack_from("<dI", body)
            self.open = _Hour.load(body[12:])
        elif part == 1:
            self.late = _Hour.load(body)
        else:
            here, day, third = self._slice(part), self._day(part), 24 * self.width * 4
            self.medians[here] = array("f", body[:third])
            self.spreads[here] = array("f", body[third : 2 * third])
            self.periods[here] = array("I", body[2 * third : 3 * third])
            anew = array("I", body[3 * third :])
            if anew:
                self.running[day], self.first[day] = anew[:24], anew[24:]
            self._known = None

    def _slice(self, part: int) -> slice:
        day = 24 * self.width
        return slice((part - 2) * day, (part - 1) * day)

    @staticmethod
    def _day(part: int) -> slice:
        return slice((part - 2) * 24, (part - 1) * 24)

    def _place(self, hour: int) -> tuple[int, int]:
        """(hour of the season, number of the period); day 1 of the year 1 was a Monday."""
        day, of_day = divmod(hour, 24)
        if self.season is Season.HOUR_OF_DAY:
            return of_day, day
        return (day - 1) % 7 * 24 + of_day, (day - 1) // 7

    def _close(self, book: _Hour, *, late: bool) -> None:
        if book.hour < 0:
            return
        if book.refused > book.seen:
            if not late:
                self._shun(book.hour)
            return
        if len(book.values) < _LEAST_READINGS:
            return
        bucket, period = self._place(book.hour)
        if not late:
            self.shunned = self.running[bucket] = 0
        spot = bucket * self.width + period % self.width
        if late and self.periods[spot] == period and not math.isnan(self.medians[spot]):
            return
        if late and self.periods[spot] > period:
            return
        middle = median(book.values)
        self.medians[spot] = middle
        self.spreads[spot] = median(abs(value - middle) for value in book.values)
        self.periods[spot] = period
        self.dirty |= 4 << bucket // 24
        self._cached, self._known = (-1, None), None

    def _shun(self, hour: int) -> None:
        """One more hour that was unusual: the same hour of earlier periods counts no more when that goes on."""
        self.shunned += 1
        if self.shunned >= HOURS_ANEW:
            self._anew()
            return
        bucket, period = self._place(hour)
        self.running[bucket] += 1
        if self.running[bucket] >= (WEEKS_ANEW if self.season is Season.HOUR_OF_WEEK else DAYS_ANEW):
            self.running[bucket], self.first[bucket] = 0, period + 1
            self._cached = (-1, None)
        self.dirty |= 4 << bucket // 24

    def _anew(self) -> None:
        fresh = HourBook(self.season)
        self.running, self.first = fresh.running, fresh.first
        self.medians, self.spreads, self.periods = fresh.medians, fresh.spreads, fresh.periods
        self.shunned = 0
        self._cached, self._known = (-1, None), None
        self.dirty |= ((1 << len(self.medians) // (24 * self.width)) - 1) << 2

    def _usual(self, hour: int) -> Usual | None:
        middles: list[float] = []
        spreads: list[float] = []
        periods: set[int] = set()
        here, now = self._place(hour)
        first = self.first[here]
        for near in (hour - 1, hour, hour + 1):
            bucket, _ = self._place(near)
            for spot in range(bucket * self.width, (bucket + 1) * self.width):
                if not math.isnan(self.medians[spot]) and first <= self.periods[spot] < now:
                    middles.append(self.medians[spot])
                    spreads.append(self.spreads[spot])
                    periods.add(self.periods[spot])
        if not middles:
            return None
        middle = median(middles)
        apart = median(abs(value - middle) for value in middles)
        return Usual(middle, _MAD_TO_SIGMA * max(apart, median(spreads)), len(periods))


def unusual(asked: Baseline, usual: Usual, value: float) -> bool:
    """Whether every measure that is given calls the value too far on a bad side."""
    return (asked.above and _too_far(asked, usual, value - usual.value, value > usual.value * asked.factor)) or (
        asked.below
        and _too_far(asked, usual, usual.value - value, asked.factor > 0 and value < usual.value / asked.factor)
    )


def _too_far(asked: Baseline, usual: Usual, away: float, times: bool) -> bool:
    return (
        away > 0
        and (not asked.factor or times)
        and (not asked.mads or away > asked.mads * usual.spread)
        and away > asked.floor
    )
