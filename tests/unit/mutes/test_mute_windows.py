"""Windows by the wall clock of the site, through both changes of the clock; and the same as another implementation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.alerting.mutes.windows import BadRepeat, checked, closed_within, is_over, next_window, window_at
from healthmon.model.mute import When

LONDON = ZoneInfo("Europe/London")
HOUR = 3600.0


def at(text: str, zone: ZoneInfo = LONDON, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def weekly(start: str, end: str, rule: str = "FREQ=DAILY", **more: object) -> When:
    return checked(When(at(start), at(end), rule, "Europe/London", **more))  # type: ignore[arg-type]


def utc(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime("%m-%d %H:%M")


def windows(when: When, since: str, until: str) -> list[tuple[str, str]]:
    found, moment = [], at(since) - 1.0
    while (following := next_window(when, moment)) is not None and following[0] < at(until):
        found.append((utc(following[0]), utc(following[1])))
        moment = following[0]
    return found


def test_in_spring_the_night_is_an_hour_shorter_and_the_wall_clock_stands() -> None:
    nightly = weekly("2027-03-26T22:00", "2027-03-27T06:00")
    assert windows(nightly, "2027-03-26T12:00", "2027-03-29T12:00") == [
        ("03-26 22:00", "03-27 06:00"),
        ("03-27 22:00", "03-28 05:00"),
        ("03-28 21:00", "03-29 05:00"),
    ]


def test_in_autumn_the_night_is_an_hour_longer() -> None:
    nightly = weekly("2027-10-29T22:00", "2027-10-30T06:00")
    assert windows(nightly, "2027-10-29T12:00", "2027-11-01T12:00") == [
        ("10-29 21:00", "10-30 05:00"),
        ("10-30 21:00", "10-31 06:00"),
        ("10-31 22:00", "11-01 06:00"),
    ]


def test_a_start_that_the_clock_skips_keeps_the_offset_before_it_and_never_ends_before_it_begins() -> None:
    skipped = weekly("2027-03-27T01:30", "2027-03-27T02:15")
    assert windows(skipped, "2027-03-27T00:00", "2027-03-29T00:00") == [
        ("03-27 01:30", "03-27 02:15"),
        ("03-28 01:30", "03-28 02:15"),  # 02:30 to 03:15 on that day's clocks
    ]


def test_of_an_hour_that_comes_twice_the_first_is_meant() -> None:
    twice = weekly("2027-10-30T01:15", "2027-10-30T01:45")
    assert windows(twice, "2027-10-30T00:00", "2027-11-01T00:00") == [
        ("10-30 00:15", "10-30 00:45"),
        ("10-31 00:15", "10-31 00:45"),
    ]


def test_open_closed_and_over() -> None:
    tuesdays = weekly("2027-01-05T20:00", "2027-01-05T22:00", "FREQ=WEEKLY;BYDAY=TU;COUNT=2")
    assert window_at(tuesdays, at("2027-01-05T20:00")) is not None
    assert window_at(tuesdays, at("2027-01-05T22:00")) is None
    assert closed_within(tuesdays, at("2027-01-05T22:00") + 5, 30.0) == at("2027-01-05T22:00")
    assert closed_within(tuesdays, at("2027-01-05T22:00") + 31, 30.0) is None
    assert not is_over(tuesdays, at("2027-01-06T12:00"))
    assert is_over(tuesdays, at("2027-01-12T22:00"))


def test_a_window_over_midnight_is_open_on_both_days_and_a_left_out_day_is_not() -> None:
    nightly = weekly("2027-01-05T22:00", "2027-01-06T06:00", except_on=("2027-01-07T22:00:00",))
    assert window_at(nightly, at("2027-01-07T05:00")) is not None
    assert window_at(nightly, at("2027-01-08T05:00")) is None
    assert window_at(nightly, at("2027-01-09T05:00")) is not None


@pytest.mark.parametrize(
    ("rule", "end", "words"),
    [
        ("FREQ=HOURLY", "2027-01-05T22:00", "allowed: DAILY"),
        ("FREQ=WEEKLY;BYDAY=XX", "2027-01-05T22:00", "allowed: an RRULE"),
        ("every Tuesday", "2027-01-05T22:00", "allowed: DAILY"),
        ("FREQ=DAILY;BYHOUR=3", "2027-01-05T22:00", "not allowed: BYHOUR"),
        ("FREQ=YEARLY", "2027-01-15T22:00", "at most 7 days"),
        (None, "2027-01-05T20:00", "after starts_at"),
    ],
)
def test_what_cannot_repeat(rule: str | None, end: str, words: str) -> None:
    with pytest.raises(BadRepeat, match=words):
        checked(When(at("2027-01-05T20:00"), at(end), rule, "Europe/London"))


RULES = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=WEEKLY;BYDAY=TU,SA",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=DAILY;COUNT=40",
        "FREQ=WEEKLY;UNTIL=20270701T000000Z",
    ]
)


@given(
    rule=RULES,
    day=st.integers(0, 300),
    minute=st.integers(0, 1439).filter(lambda m: not 60 <= m < 121),  # what the clock skips is read differently there
    length=st.integers(15, 9 * 60),
    zone=st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
@settings(max_examples=40, deadline=None)
def test_windows_start_when_another_implementation_says(
    rule: str, day: int, minute: int, length: int, zone: str
) -> None:
    start = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(days=day, minutes=minute)
    end = start + timedelta(minutes=length)
    event = icalendar.Event()
    event.add("uid", "x")
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("rrule", icalendar.vRecur.from_ical(rule))
    calendar = icalendar.Calendar()
    calendar.add_component(event)
    until = start + timedelta(days=100)
    theirs = {e["DTSTART"].dt.timestamp() for e in recurring_ical_events.of(calendar).between(start, until)}
    when = checked(When(start.timestamp(), end.timestamp(), rule, zone))
    ours, moment = set(), start.timestamp() - 1.0
    while (following := next_window(when, moment)) is not None and following[0] < until.timestamp():
        ours.add(following[0])
        moment = following[0]
    first = start.timestamp()  # a start that the rule itself does not give: RFC 5545 leaves it open
    assert ours - {first} == {one for one in theirs if one < until.timestamp()} - {first}
