"""Shifts out of an iCalendar file (RFC 5545): each event is a stretch of time in which one known person is on call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from healthmon.model.oncall import OncallUser, Span

#: A rule that repeats more often than this within the window is refused.
_MOST = 5_000


class BadCalendar(ValueError):
    """What is wrong, in words for the line of the file name."""


def spans_of(raw: bytes, users: Mapping[str, OncallUser], *, timezone: str, start: float, end: float) -> Iterator[Span]:
    """Every shift that touches [start, end) (Unix s). Times without a zone are local. Raises BadCalendar.

    The person is an ATTENDEE's address or CN, or else the SUMMARY: a user's id, name or e-mail address.
    """
    from icalendar import Calendar

    try:
        events = list(Calendar.from_ical(raw).walk("VEVENT"))
    except (ValueError, KeyError, IndexError) as error:
        raise BadCalendar(f"is not an iCalendar file: {error}") from None
    for event in events:
        if "dtstart" not in event:
            raise BadCalendar("an event has no start")
        if str(event.get("status", "")).upper() != "CANCELLED":
            yield from _shifts(event, _person(event, users), ZoneInfo(timezone), start, end)


def _person(event: Any, users: Mapping[str, OncallUser]) -> str:
    attendees = event.get("attendee", [])
    said = [str(one) for one in (attendees if isinstance(attendees, list) else [attendees])]
    said += [str(one.params["CN"]) for one in ([attendees] if not isinstance(attendees, list) else attendees)
             if "CN" in getattr(one, "params", {})]  # fmt: skip
    said.append(str(event.get("summary", "")))
    names = {name.casefold(): user.id for user in users.values() for name in (user.id, user.name, user.email) if name}
    for text in said:
        found = names.get(text.removeprefix("mailto:").removeprefix("MAILTO:").strip().casefold())
        if found:
            return found
    raise BadCalendar(f"nobody is called '{said[-1][:60]}' (allowed: ids, names or e-mail addresses of users)")


def _shifts(event: Any, user: str, zone: ZoneInfo, start: float, end: float) -> Iterator[Span]:
    first = _aware(event["dtstart"].dt, zone)
    length = _length(event, first, zone)
    for at in _starts(event, first, start - length.total_seconds(), end):
        # the length is one of wall clocks, so that a shift from nine to nine stays one when clocks are changed
        until = (at.replace(tzinfo=None) + length).replace(tzinfo=at.tzinfo)
        if until.timestamp() > start and at.timestamp() < end:
            yield Span(at.timestamp(), until.timestamp(), user)


def _starts(event: Any, first: datetime, low: float, high: float) -> Iterator[datetime]:
    if "rrule" not in event:
        yield first
        return
    left_out = {_aware(one.dt, first.tzinfo) for entry in _listed(event, "exdate") for one in entry.dts}
    local = first.replace(tzinfo=None)
    try:
        rule = rrulestr(event["rrule"].to_ical().decode().replace("Z", ""), dtstart=local)
    except ValueError as error:
        raise BadCalendar(f"RRULE: {error}") from None
    for number, at in enumerate(rule):
        moment = at.replace(tzinfo=first.tzinfo)
        if number > _MOST or moment.timestamp() >= high:
            return
        if moment.timestamp() >= low and moment not in left_out:
            yield moment


def _length(event: Any, first: datetime, zone: ZoneInfo) -> timedelta:
    if "dtend" in event:
        end = _aware(event["dtend"].dt, zone).astimezone(first.tzinfo)
        return end.replace(tzinfo=None) - first.replace(tzinfo=None)
    if "duration" in event:
        found: timedelta = event["duration"].dt
        return found
    return timedelta(days=1)


def _aware(at: date | datetime, zone: Any) -> datetime:
    full = at if isinstance(at, datetime) else datetime.combine(at, time())
    if full.tzinfo is None:
        return full.replace(tzinfo=zone)
    return full.astimezone(zone) if full.tzinfo is UTC else full


def _listed(event: Any, key: str) -> list[Any]:
    found = event.get(key, [])
    return found if isinstance(found, list) else [found]
