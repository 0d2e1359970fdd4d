"""The words and times that people see."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from daemons.webboard import NOW, estate, severe
from healthmon.model.incident import Entry, IncidentState, Root
from healthmon.web.cards import root_words
from healthmon.web.words import (
    LocalTime,
    age_words,
    area_words,
    confidence_words,
    impact_unknown_words,
    state_words,
)

LONDON = LocalTime("Europe/London", NOW)


def test_a_time_of_today_is_hours_and_minutes() -> None:
    assert LONDON.short(NOW) == "14:05"


def test_an_earlier_day_is_named() -> None:
    assert LONDON.short(NOW - 86400) == "Sat 14:05"
    assert LONDON.short(NOW - 30 * 86400) == "23 Oct 2026 15:05"  # summer time then


def test_the_hour_that_comes_twice_says_which() -> None:
    first = datetime(2026, 10, 25, 1, 30, fold=0, tzinfo=ZoneInfo("Europe/London")).timestamp()
    clock = LocalTime("Europe/London", first + 7200)
    assert clock.short(first) == "01:30 BST"
    assert clock.short(first + 3600) == "01:30 GMT"
    assert clock.short(first + 7200) == "02:30"


def test_an_unknown_zone_falls_back_to_utc_and_says_so() -> None:
    assert LocalTime("Europe/Nowhere", NOW).short(NOW) == "14:05 UTC"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (11_400, "3 h 10 min"),
        (86400, "1 day"),
        (3e5, "3 days"),
    ],
)
def test_ages(seconds: float, words: str) -> None:
    assert age_words(seconds) == words


@pytest.mark.parametrize(("figure", "words"), [(0.97, "very likely"), (0.7, "likely"), (0.3, "one of these")])
def test_confidence_is_a_word(figure: float, words: str) -> None:
    assert confidence_words(figure) == words


def test_beds_belong_to_the_ward() -> None:
    assert area_words(estate().areas["ward-7"]) == "ward with 28 beds"


def test_root_words_never_show_a_figure() -> None:
    incident = severe()
    assert root_words(incident, estate()) == "very likely EHR front door (ehr-web): answers with an error"
    unsure = replace(incident, root=Root("sw-core", "icmp", "timeout", 0.31, ("ehr-web", "db-a")))
    assert root_words(unsure, estate()) == "one of these: Core switch (sw-core), EHR front door (ehr-web), db-a"
    assert root_words(replace(incident, root=None), estate()) == "cause not known"


def test_unmapped_impact_never_reads_as_none() -> None:
    words = impact_unknown_words(replace(severe(), impact=(), impact_known="none"))
    assert words == "clinical impact not known: nothing is mapped behind ehr-web"
    assert impact_unknown_words(severe()) is None


def test_recovery_keeps_wards_on_paper() -> None:
    over = replace(severe(), state=IncidentState.MITIGATED, mitigated_at=NOW - 60)
    tail = "; keep using paper until the nurse in charge says stop"
    assert state_words(over, LONDON) == f"reachable again since 14:04{tail}"
    earlier, by_engine = Entry(NOW - 900, "mitigated", "works", by="Dana"), Entry(NOW - 60, "mitigated", "clear")
    assert state_words(replace(over, timeline=(earlier, by_engine)), LONDON) == f"reachable again since 14:04{tail}"
    by_person = replace(over, timeline=(by_engine, Entry(NOW - 60, "mitigated", "works", by="Dana")))
    assert state_words(by_person, LONDON) == f"IT reports working again since 14:04{tail}"
