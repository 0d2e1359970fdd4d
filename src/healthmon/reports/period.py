"""The time that a report is about, in the local time of the organisation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from healthmon.model.errors import ConfigError

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) in Unix seconds; `until` is earlier than `end` while the month is not over (whole minutes)."""

    name: str
    start: float
    end: float
    until: float
    timezone: str

    @property
    def complete(self) -> bool:
        return self.until >= self.end

    def local(self, at: float) -> datetime:
        """A Unix time as the clocks of the hospital showed it."""
        return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.timezone))

    def holds(self, at: float) -> bool:
        return self.start <= at < self.until


def month(name: str | None, *, now: float, timezone: str) -> Period:
    """A calendar month by its name (`2026-11`), by default the last whole one. Raises ConfigError."""
    today = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(timezone))
    if name is None:
        year, number = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
    else:
        found = _MONTH.match(name)
        if found is None:
            raise ConfigError([f"--month {name}: is no month (for example {today:%Y-%m})"])
        year, number = int(found[1]), int(found[2])
    start, end = _midnight(year, number, timezone), _midnight(year + number // 12, number % 12 + 1, timezone)
    if start >= now:
        raise ConfigError([f"--month {year}-{number:02}: has not begun yet"])
    return Period(f"{year}-{number:02}", start, end, min(end, now // 60 * 60.0), timezone)


def _midnight(year: int, number: int, timezone: str) -> float:
    return datetime(year, number, 1, tzinfo=ZoneInfo(timezone)).timestamp()
