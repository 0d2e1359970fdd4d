"""Local wall-clock times as moments, right on the two days of the year when clocks are changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY_MINUTES = 24 * 60


def moment(zone: ZoneInfo, day: date, minute: int) -> float:
    """Unix seconds of a local minute of the day (24 * 60 is the next midnight). Never decreases over a day.

    A time that comes twice is the first; one that the clocks skip is the moment of the skip.
    """
    at = datetime.combine(day + timedelta(days=minute // _DAY_MINUTES), time(), zone)
    at = at.replace(hour=minute % _DAY_MINUTES // 60, minute=minute % 60)
    found = at.timestamp()
    if datetime.fromtimestamp(found, zone).replace(tzinfo=None) == at.replace(tzinfo=None):
        return found
    return _skip(zone, at.replace(fold=1).timestamp(), found)


def local_day(zone: ZoneInfo, at: float) -> date:
    """The local date of a moment."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from first to last, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _skip(zone: ZoneInfo, low: float, high: float) -> float:
    """The first whole second after the clocks were changed, between two moments on either side of it."""
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1.0:
        middle = float(int((low + high) / 2))
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
