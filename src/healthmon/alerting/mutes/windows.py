"""When a mute is in force: one window, or an RRULE in site-local time with both clock changes right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from healthmon.model.mute import When

Window = tuple[float, float]
_DAY_S = 86_400.0
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: The longest repeated window: a longer one is two changes.
REPEATED_MOST_S = 7 * _DAY_S
_NEXT_DAYS = 800
_UNTIL_UTC = re.compile(r"UNTIL=(\d{8}T\d{6})Z", re.IGNORECASE)


class BadRepeat(ValueError):
    """The repetition cannot be used; the text says why and what is allowed."""


def window_at(when: When, at: float) -> Window | None:
    """The window [start, end) that is open at a moment; of several, the one that closes last."""
    opened = [window for window in _around(when, at) if window[0] <= at < window[1]]
    return max(opened, key=lambda window: window[1], default=None)


def closed_within(when: When, at: float, seconds: float) -> float | None:
    """When a window closed in the last so many seconds, if none is open."""
    if window_at(when, at) is not None:
        return None
    ends = [end for _, end in _around(when, at) if at - seconds < end <= at]
    return max(ends, default=None)


def next_window(when: When, after: float) -> Window | None:
    """The first window that starts later; looks two years ahead."""
    if when.repeat is None:
        return (when.starts_at, when.ends_at) if when.starts_at > after else None
    zone = ZoneInfo(when.timezone)
    since = max(after, when.starts_at - 1.0) - 2 * _DAY_S
    for day in range(int(since // _DAY_S), int(since // _DAY_S) + _NEXT_DAYS, 32):
        found = [w for w in _between(when, day * _DAY_S, (day + 33) * _DAY_S, zone) if w[0] > after]
        if found:
            return min(found)
    return None


def windows_between(when: When, start: float, end: float) -> Iterator[Window]:
    """Every window that touches [start, end], in order."""
    window = window_at(when, start) or next_window(when, start)
    while window is not None and window[0] <= end:
        yield window
        window = next_window(when, window[0])


def is_over(when: When, at: float) -> bool:
    """No window is open and none will be."""
    if when.repeat is None:
        return at >= when.ends_at
    return window_at(when, at) is None and next_window(when, at) is None


def next_turn(when: When, at: float) -> float | None:
    """When the answer of `window_at` changes next."""
    found = window_at(when, at)
    if found is not None:
        return found[1]
    following = next_window(when, at)
    return following[0] if following else None


def checked(when: When) -> When:
    """The same, fit for use. Raises BadRepeat."""
    if when.ends_at <= when.starts_at:
        raise BadRepeat("ends_at: must be after starts_at")
    if when.repeat is None:
        return when
    rule = when.repeat.strip().removeprefix("RRULE:")
    parts = dict(part.partition("=")[::2] for part in rule.upper().split(";"))
    if parts.get("FREQ") not in _FREQUENCIES:
        raise BadRepeat(f"repeat: FREQ={parts.get('FREQ')} (allowed: {', '.join(_FREQUENCIES)})")
    if {"BYHOUR", "BYMINUTE", "BYSECOND"} & parts.keys():
        raise BadRepeat("repeat: the hour comes from starts_at (not allowed: BYHOUR, BYMINUTE, BYSECOND)")
    if when.ends_at - when.starts_at > REPEATED_MOST_S:
        raise BadRepeat("ends_at: a repeated window lasts at most 7 days")
    made = replace(when, repeat=rule)
    try:
        ZoneInfo(made.timezone)
        _rule(made)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BadRepeat(f"repeat: {error} (allowed: an RRULE such as FREQ=WEEKLY;BYDAY=TU)") from None
    return made


def _around(when: When, at: float) -> tuple[Window, ...]:
    if when.repeat is None:
        return ((when.starts_at, when.ends_at),)
    return _of_day(when, int(at // _DAY_S))


@lru_cache(maxsize=4096)
def _of_day(when: When, day: int) -> tuple[Window, ...]:
    """Windows that can touch this UTC day or the hour before it."""
    reach = when.ends_at - when.starts_at + _DAY_S
    zone = ZoneInfo(when.timezone)
    return tuple(_between(when, day * _DAY_S - reach - 3600.0, (day + 1) * _DAY_S, zone))


def _between(when: When, since: float, until: float, zone: ZoneInfo) -> list[Window]:
    """Windows that start in a span, as wall-clock times of the zone."""
    length = _local(when.ends_at, zone) - _local(when.starts_at, zone)
    skipped = set(when.except_on)
    margin = timedelta(days=1)
    starts = _rule(when).between(_local(since, zone) - margin, _local(until, zone) + margin, inc=True)
    found = [_window(start, length, zone) for start in starts if start.isoformat() not in skipped]
    return [window for window in found if since <= window[0] <= until and window[0] >= when.starts_at]


def _window(start: datetime, length: timedelta, zone: ZoneInfo) -> Window:
    """Both ends by the wall clock: a night that loses an hour is shorter.

    A start that the clock skips takes the offset before the change, of one that comes twice the first is meant
    (RFC 5545, 3.3.5).
    """
    begins, ends = _stamp(start, zone), _stamp(start + length, zone)
    return (begins, ends) if ends > begins else (begins, begins + length.total_seconds())


def _stamp(local: datetime, zone: ZoneInfo) -> float:
    return local.replace(tzinfo=zone, fold=0).timestamp()


def _local(at: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


@lru_cache(maxsize=1024)
def _rule(when: When) -> rrule | rruleset:
    zone = ZoneInfo(when.timezone)

    def to_local(found: re.Match[str]) -> str:
        until = datetime.strptime(found[1].upper(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return f"UNTIL={until.astimezone(zone):%Y%m%dT%H%M%S}"

    text = _UNTIL_UTC.sub(to_local, when.repeat or "")
    return rrulestr(f"RRULE:{text}", dtstart=_local(when.starts_at, zone), cache=True)
