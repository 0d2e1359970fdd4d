"""Change calendars become changes: repetition, exceptions, moved and cancelled events, and what is left out is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
import recurring_ical_events

from healthmon.alerting.mutes.windows import checked, next_window
from healthmon.cli.calendars import read_calendar
from healthmon.model.errors import ConfigError
from healthmon.model.mute import When

HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n"
WEEKLY = """BEGIN:VEVENT
UID:patch-night@example
SUMMARY:Patch night
DESCRIPTION:Windows updates\\ntargets: ehr-db-a\\, ad\\nexpected: down
DTSTART;TZID=Europe/London:20270302T220000
DTEND;TZID=Europe/London:20270303T020000
RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=6
EXDATE;TZID=Europe/London:20270316T220000
RDATE;TZID=Europe/London:20270320T230000
END:VEVENT
BEGIN:VEVENT
UID:patch-night@example
RECURRENCE-ID;TZID=Europe/London:20270323T220000
SUMMARY:Patch night, a day later
DESCRIPTION:targets: ad
DTSTART;TZID=Europe/London:20270324T220000
DTEND;TZID=Europe/London:20270325T000000
END:VEVENT
"""
NOW = datetime(2027, 3, 1, tzinfo=UTC).timestamp()


def read(tmp_path: Path, events: str, **more: Any) -> Any:
    path = tmp_path / "changes.ics"
    path.write_text((HEAD + events + "END:VCALENDAR\n").replace("\n", "\r\n"))
    given: dict[str, Any] = {"timezone": "Europe/London", "targets": [], "expected": [], "now": NOW} | more
    return read_calendar(path, **given)


def starts(bodies: list[dict[str, Any]]) -> set[float]:
    found = set()
    for body in bodies:
        times = [datetime.fromisoformat(body[key]).timestamp() for key in ("starts_at", "ends_at")]
        repeat, zone = body.get("repeat"), body.get("timezone", "UTC")
        when = checked(When(*times, repeat, zone, tuple(body.get("except_on", ()))))
        moment = NOW
        while (window := next_window(when, moment)) is not None:
            found.add(window[0])
            moment = window[0]
    return found


def test_windows_are_those_that_another_implementation_finds(tmp_path: Path) -> None:
    found = read(tmp_path, WEEKLY)
    calendar = icalendar.Calendar.from_ical((tmp_path / "changes.ics").read_bytes())
    year = (datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW, UTC) + timedelta(days=365))
    theirs = {event["DTSTART"].dt.timestamp() for event in recurring_ical_events.of(calendar).between(*year)}
    assert starts(found.changes) == theirs
    assert len(theirs) == 6
    assert found.changes[0]["targets"] == ["ehr-db-a", "ad"]
    assert found.changes[0]["expected"] == ["down"]
    assert not found.skipped


def test_the_same_file_gives_the_same_ids_and_a_moved_event_another(tmp_path: Path) -> None:
    first, again = read(tmp_path, WEEKLY), read(tmp_path, WEEKLY)
    assert first == again
    moved = read(tmp_path, WEEKLY.replace("20270324T220000", "20270324T210000"))
    assert [a["id"] == b["id"] for a, b in zip(first.changes, moved.changes, strict=True)] == [True, True, False]
    assert first.changes[2]["source"] == moved.changes[2]["source"]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    event = "BEGIN:VEVENT\nUID:{}\nSUMMARY:{}\nDTSTART:2027{}\nDTEND:2027{}\nEND:VEVENT\n"
    none = event.format("a", "No target", "0302T220000Z", "0302T230000Z")
    over = event.format("b", "Long ago", "0102T220000Z", "0102T230000Z")
    assert read(tmp_path, none).skipped[0].startswith("No target: names no target")
    past = read(tmp_path, over, targets=["ad"])
    assert (past.changes, past.skipped, len(past.past)) == ([], [], 1)
    named = read(tmp_path, none, targets=["ad"], expected=["down"]).changes[0]
    assert (named["targets"], named["expected"]) == (["ad"], ["down"])
    cancelled = read(tmp_path, none.replace("END:VEVENT", "STATUS:CANCELLED\nEND:VEVENT"))
    assert cancelled.cancelled == [read(tmp_path, none, targets=["ad"]).changes[0]["source"]]


def test_whole_days_and_times_without_a_zone_are_local(tmp_path: Path) -> None:
    day = "BEGIN:VEVENT\nUID:a\nSUMMARY:All day\nDTSTART;VALUE=DATE:20270701\nEND:VEVENT\n"
    floating = "BEGIN:VEVENT\nUID:b\nSUMMARY:Floating\nDTSTART:20270701T100000\nDURATION:PT90M\nEND:VEVENT\n"
    first, second = read(tmp_path, day + floating, targets=["ad"]).changes
    assert (first["starts_at"], first["ends_at"]) == ("2027-06-30T23:00:00+00:00", "2027-07-01T23:00:00+00:00")
    assert (second["starts_at"], second["ends_at"]) == ("2027-07-01T09:00:00+00:00", "2027-07-01T10:30:00+00:00")


@pytest.mark.parametrize("text", ["", "not a calendar", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"])
def test_what_is_no_calendar_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.ics"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is not an iCalendar file"):
        read_calendar(path, timezone="UTC", targets=[], expected=[], now=NOW)


def event(uid: str, *lines: str, start: str = "20270302T220000Z", end: str = "20270302T230000Z") -> str:
    head = f"BEGIN:VEVENT\nUID:{uid}\nSUMMARY:{uid}\nDESCRIPTION:targets: ad\nDTSTART:{start}\nDTEND:{end}\n"
    return "\n".join((head.rstrip("\n"), *lines, "END:VEVENT\n"))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (event("bad", "RRULE:FREQ=WEEKLY;BYDAY=TU", "RRULE:FREQ=WEEKLY;BYDAY=WE"), "more than one RRULE"),
        (event("bad", start="garbage"), "cannot be read"),
        (event("bad", "RECURRENCE-ID:garbage"), "cannot be read"),
        (event("bad", "SEQUENCE:many"), "cannot be read"),
        (event("bad", end="20270501T230000Z"), "at most 31 days"),
        (event("bad", "RRULE:FREQ=DAILY;BYHOUR=4"), "BYHOUR"),
        (event("bad", end="20270302T220000Z"), "must be after"),
    ],
)
def test_one_event_that_cannot_be_taken_stops_no_other(tmp_path: Path, bad: str, words: str) -> None:
    found = read(tmp_path, event("one") + bad + event("two"))
    assert [body["title"] for body in found.changes] == ["one", "two"]
    (line,) = found.skipped
    assert line.startswith("bad: ")
    assert words in line


def test_an_event_that_was_moved_back_is_another_change(tmp_path: Path) -> None:
    first, moved_back = (read(tmp_path, event("one", f"SEQUENCE:{n}")).changes[0] for n in (0, 2))
    assert first["id"] != moved_back["id"]
    assert {key: value for key, value in first.items() if key != "id"} == {
        key: value for key, value in moved_back.items() if key != "id"
    }
    assert read(tmp_path, event("one")).changes[0] == first, "no SEQUENCE is 0"


def test_targets_that_are_given_twice_are_all_meant(tmp_path: Path) -> None:
    found = read(tmp_path, event("one", "X-HEALTHMON-TARGETS:ad", "X-HEALTHMON-TARGETS:sw-core"))
    assert found.changes[0]["targets"] == ["ad", "sw-core"]
