"""Opening hours on the wall clock of the site, through both changes of the clocks."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from estates import area, estate_of

from healthmon.impact.hours import Calendar
from healthmon.model.topology import Hours, Site

LONDON = ZoneInfo("Europe/London")
WEEK = Hours(tuple((day, 8 * 60, 18 * 60) for day in range(5)), closed_on_holidays=True)
NIGHT = Hours(((6, 60, 120),))  # Sundays 01:00-02:00, the hour that summer time skips and winter time repeats


def at(*when: int, zone: ZoneInfo = LONDON, fold: int = 0) -> float:
    return datetime(*when, tzinfo=zone, fold=fold).timestamp()  # type: ignore[arg-type, misc]


CALENDAR = Calendar(
    estate_of(
        [],
        [
            area("clinic", staffed=WEEK),
            area("night", staffed=NIGHT),
            area("ward"),
            area("away", staffed=WEEK, site="away"),
        ],
        sites=(Site("main", "Main", "Europe/London"), Site("away", "Away", "America/New_York")),
    ),
    holidays=frozenset({date(2026, 12, 25)}),
)


@pytest.mark.parametrize(
    ("when", "staffed"),
    [
        (at(2026, 11, 24, 8, 0), True),
        (at(2026, 11, 24, 7, 59), False),
        (at(2026, 11, 24, 18, 0), False),
        (at(2026, 11, 28, 10, 0), False),  # Saturday
        (at(2026, 12, 25, 10, 0), False),  # a Friday, and a holiday
        (at(2026, 7, 7, 8, 0), True),  # 07:00 UTC in summer
        (at(2026, 3, 30, 8, 0), True),  # the Monday after the clocks go forward
        (at(2026, 10, 26, 8, 0), True),  # the Monday after they go back
    ],
)
def test_clinic(when: float, staffed: bool) -> None:
    assert CALENDAR.staffed("clinic", when) is staffed


def test_the_skipped_hour_does_not_exist_and_the_repeated_one_counts_twice() -> None:
    spring = [at(2026, 3, 29, 0, 0) + minute * 60 for minute in range(240)]
    autumn = [at(2026, 10, 25, 0, 0) + minute * 60 for minute in range(240)]
    assert sum(CALENDAR.staffed("night", when) for when in spring) == 0
    assert sum(CALENDAR.staffed("night", when) for when in autumn) == 120


def test_each_site_has_its_own_clock() -> None:
    nine_in_new_york = at(2026, 11, 24, 9, 0, zone=ZoneInfo("America/New_York"))
    assert CALENDAR.staffed("away", nine_in_new_york)
    assert not CALENDAR.staffed("away", at(2026, 11, 24, 9, 0))


def test_no_hours_means_always_and_unknown_areas_too() -> None:
    assert CALENDAR.staffed("ward", at(2026, 12, 25, 3, 0))
    assert CALENDAR.staffed("nowhere", at(2026, 12, 25, 3, 0))
