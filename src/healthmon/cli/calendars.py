"""Change calendars (iCalendar, RFC 5545) as changes of the API. Nothing is taken for granted: what is left out is said.

Targets and expected signals stand in the event: `X-HEALTHMON-TARGETS: sw-ward7,ehr` and `X-HEALTHMON-EXPECTED: down`,
or as lines `targets: ...` and `expected: ...` of its description; the command may name them for all events.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from healthmon.alerting.mutes import windows
from healthmon.alerting.mutes.making import CHANGE_MOST_S
from healthmon.model.errors import ConfigError
from healthmon.model.mute import When

#: What the parser says of a value that it cannot take.
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError)
_LINE = re.compile(r"^\s*(targets|expected|owner)\s*:\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class Calendar:
    """`changes` are bodies of POST changes; `cancelled` and `past` are sources that must end; `skipped` says what was
    left out and why, `unread` are its sources, as far as they are known."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    past: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def read_calendar(path: Path, *, timezone: str, targets: list[str], expected: list[str], now: float) -> Calendar:
    """Every event as a change; times without a zone are local to `timezone`. Raises ConfigError."""
    from icalendar import Calendar as Parsed

    try:
        parsed = Parsed.from_ical(path.read_bytes())
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError([f"{path}: is not an iCalendar file: {error}"]) from None
    found = Calendar()
    events = list(parsed.walk("VEVENT"))
    moved = _moved(events, timezone)
    for event in events:
        try:
            _take(event, found, moved, _Reading(timezone, targets, expected, now))
        except _UNREADABLE as error:
            found.skipped.append(f"{_title(event)}: cannot be read: {error}")
            found.unread.append(_source(event))
    return found


@dataclass(frozen=True, slots=True)
class _Reading:
    timezone: str
    targets: list[str]
    expected: list[str]
    now: float


def _take(event: Any, found: Calendar, moved: dict[str, list[str]], how: _Reading) -> None:
    if "uid" not in event or "dtstart" not in event:
        found.skipped.append(f"{_title(event)}: has no UID or no start")
        return
    source = _source(event)
    if "recurrence-id" in event:
        source += f"#{_moment(event['recurrence-id'].dt, how.timezone):.0f}"
    if str(event.get("status", "")).upper() == "CANCELLED":
        found.cancelled.append(source)
        return
    said = _said(event)
    body = {
        "title": _title(event)[:200],
        "targets": said.get("targets") or how.targets,
        "expected": said.get("expected") or how.expected,
        "owner": (said.get("owner") or [""])[0],
        "source": source,
        **_times(event, str(event["uid"]), moved, how.timezone),
    }
    if not body["targets"]:
        hint = "names no target (X-HEALTHMON-TARGETS, a line `targets: ...`, or --target)"
        found.skipped.append(f"{_title(event)}: {hint}")
        found.unread.append(source)
        return
    number = int(event.get("sequence", 0))
    for one in (body, *_extra_dates(event, body, how.timezone)):
        _keep(one, found, number, how.now)


def _keep(body: dict[str, Any], found: Calendar, sequence: int, now: float) -> None:
    """One window, or one repetition: it is to come, or over, or the server would not take it."""
    start, end = (datetime.fromisoformat(body[name]).timestamp() for name in ("starts_at", "ends_at"))
    when = When(start, end, body.get("repeat"), body.get("timezone", "UTC"), tuple(body.get("except_on", ())))
    try:
        if windows.is_over(windows.checked(when), now):
            found.past.append(body["source"])
        elif when.ends_at - when.starts_at > CHANGE_MOST_S:
            raise windows.BadRepeat(f"a window lasts at most {CHANGE_MOST_S / 86_400:.0f} days")
        else:
            found.changes.append(_with_id(body, sequence))
    except windows.BadRepeat as error:
        found.skipped.append(f"{body['title']}: {error}")
        found.unread.append(body["source"])


def _title(event: Any) -> str:
    return str(event.get("summary", "")).strip() or "change without a title"


def _source(event: Any) -> str:
    """A UID may name people."""
    return f"ics:{hashlib.sha256(str(event.get('uid', '')).encode()).hexdigest()[:16]}"


def _times(event: Any, uid: str, moved: dict[str, list[str]], timezone: str) -> dict[str, Any]:
    start = event["dtstart"].dt
    zone = _zone(start, timezone)
    starts_at = _moment(start, timezone)
    times: dict[str, Any] = {"starts_at": _text(starts_at), "ends_at": _text(_end(event, start, timezone))}
    if len(_listed(event, "rrule")) > 1:
        raise ValueError("has more than one RRULE; make an event of each")
    if "rrule" in event and "recurrence-id" not in event:
        left_out = [_local(one.dt, timezone, zone) for entry in _listed(event, "exdate") for one in entry.dts]
        left_out += [_local_at(float(at), zone) for at in moved.get(uid, [])]
        times |= {"repeat": event["rrule"].to_ical().decode(), "timezone": zone, "except_on": sorted(set(left_out))}
    return times


def _extra_dates(event: Any, body: dict[str, Any], timezone: str) -> Iterator[dict[str, Any]]:
    """RDATE: further single windows of the same length."""
    length = datetime.fromisoformat(body["ends_at"]) - datetime.fromisoformat(body["starts_at"])
    for entry in _listed(event, "rdate"):
        for one in entry.dts:
            at = _moment(one.dt[0] if isinstance(one.dt, tuple) else one.dt, timezone)
            single = {k: v for k, v in body.items() if k not in ("repeat", "timezone", "except_on", "id")}
            times = {"starts_at": _text(at), "ends_at": _text(at + length.total_seconds())}
            yield single | times | {"source": f"{body['source']}#{at:.0f}"}


def _moved(events: list[Any], timezone: str) -> dict[str, list[str]]:
    """Occurrences that have an event of their own do not take place by the rule."""
    found: dict[str, list[str]] = {}
    for event in events:
        with suppress(*_UNREADABLE):  # that event is said to be unreadable when its turn comes
            if "recurrence-id" in event:
                at = _moment(event["recurrence-id"].dt, timezone)
                found.setdefault(str(event.get("uid", "")), []).append(str(at))
    return found


def _said(event: Any) -> dict[str, list[str]]:
    lines = {key.lower(): value for key, value in _LINE.findall(str(event.get("description", "")))}
    lines |= {
        name: ",".join(map(str, _listed(event, key)))
        for name in ("targets", "expected")
        if (key := f"x-healthmon-{name}") in event
    }
    return {name: [part.strip() for part in text.split(",") if part.strip()] for name, text in lines.items()}


def _end(event: Any, start: date | datetime, timezone: str) -> float:
    if "dtend" in event:
        return _moment(event["dtend"].dt, timezone)
    length = event["duration"].dt if "duration" in event else timedelta(days=0 if isinstance(start, datetime) else 1)
    return _moment(start + length, timezone)


def _moment(at: date | datetime, timezone: str) -> float:
    """A day begins at midnight; a time without a zone is local."""
    full = at if isinstance(at, datetime) else datetime.combine(at, time())
    return (full if full.tzinfo else full.replace(tzinfo=ZoneInfo(timezone))).timestamp()


def _zone(start: date | datetime, timezone: str) -> str:
    """The event's own zone where it is one of the database; UTC times repeat in UTC."""
    zone = getattr(start, "tzinfo", None)
    key = getattr(zone, "key", None)
    return str(key) if key else "UTC" if zone is not None and not zone.utcoffset(None) else timezone


def _local(at: date | datetime, timezone: str, zone: str) -> str:
    return _local_at(_moment(at, timezone), zone)


def _local_at(at: float, zone: str) -> str:
    return datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None).isoformat()


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _listed(event: Any, name: str) -> list[Any]:
    value = event.get(name)
    return value if isinstance(value, list) else [] if value is None else [value]


def _with_id(body: dict[str, Any], sequence: int) -> dict[str, Any]:
    """The same event read twice is the same change; one that was moved is another, moved back too (SEQUENCE counts)."""
    whole = body | ({"sequence": sequence} if sequence else {})
    print_ = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]
    return body | {"id": f"ics-{print_}"}
