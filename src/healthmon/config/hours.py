"""Opening hours as people write them: `{mon-fri: "08:00-18:00", sat: [...], holidays: closed}`."""

from __future__ import annotations

import re
from typing import Any

from healthmon.model.topology import Hours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$")
_ALLOWED_KEYS = "mon, tue, wed, thu, fri, sat, sun, ranges such as mon-fri, holidays"
_DAY_MINUTES = 24 * 60


class HoursProblem(ValueError):
    """What is wrong, and under which key."""

    def __init__(self, key: str | None, message: str) -> None:
        super().__init__(message)
        self.key = key


def hours_of(written: Any) -> Hours | None:
    """None means always; a single day overrides a range that covers it. Raises HoursProblem."""
    if written in ("always", None):
        return None
    if not isinstance(written, dict) or not written:
        raise HoursProblem(None, f"must be always or a mapping of days to hours (allowed: always, {_ALLOWED_KEYS})")
    closed_on_holidays = _holidays(written["holidays"]) if "holidays" in written else False
    days: dict[int, str] = {}
    for key in sorted((key for key in written if key != "holidays"), key=lambda key: "-" not in key):
        for day in _days(key):
            if day in days and ("-" in key) == ("-" in days[day]):
                raise HoursProblem(key, f"gives {_DAYS[day]} again, after {days[day]}")
            days[day] = key
    spans = [span for day, key in days.items() for span in _spans(key, day, written[key])]
    return Hours(tuple(sorted(spans)), closed_on_holidays)


def _holidays(value: Any) -> bool:
    if value not in ("closed", "open"):
        raise HoursProblem("holidays", f"'{value}' is not known (allowed: closed, open)")
    return bool(value == "closed")


def _days(key: str) -> list[int]:
    first, _, last = key.partition("-")
    if first not in _DAYS or (last and last not in _DAYS):
        raise HoursProblem(key, f"unknown day (allowed: {_ALLOWED_KEYS})")
    start = _DAYS.index(first)
    length = (_DAYS.index(last) - start) % 7 if last else 0
    return [(start + step) % 7 for step in range(length + 1)]


def _spans(key: str, day: int, value: Any) -> list[tuple[int, int, int]]:
    if value == "closed":
        return []
    spans: list[tuple[int, int, int]] = []
    for text in value if isinstance(value, list) else [value]:
        start, end = _minutes(key, text)
        if start < end:
            spans.append((day, start, end))
        else:  # over midnight
            spans.append((day, start, _DAY_MINUTES))
            if end:
                spans.append(((day + 1) % 7, 0, end))
    return spans


def _minutes(key: str, text: Any) -> tuple[int, int]:
    match = _SPAN.match(text) if isinstance(text, str) else None
    if match is None:
        raise HoursProblem(key, f"'{text}' is not a span of hours (allowed: \"08:00-18:00\", closed, a list of these)")
    numbers = [int(group) for group in match.groups()]
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if max(start, end) > _DAY_MINUTES or max(numbers[1], numbers[3]) > 59 or start == end:
        raise HoursProblem(key, f"'{text}' is not a span of hours (allowed: 00:00 to 24:00, start and end differ)")
    return start, end
