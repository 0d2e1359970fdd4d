"""Whether a ward PC should be on, and why it is not heard: evidence in, one reason out."""

from __future__ import annotations

from typing import Any

import pytest

from healthmon.impact.presence import (
    GRACE_S,
    HOURS,
    Absence,
    Port,
    Return,
    Signs,
    Week,
    hours_text,
    judge,
    settle,
    share_of,
    usually_on,
)

DAY_SHIFT = range(7, 19)


def lived(weeks: int, *, on: range = DAY_SHIFT, days: range = range(5), also: int = 0) -> tuple[Week, Week]:
    """A PC that is on in these hours of these days, watched for so many weeks (and `also` hours)."""
    seen, watched = Week(), Week()
    for hour in range(weeks * HOURS + also):
        watched.mark(hour)
        if hour // 24 % 7 in days and hour % 24 in on:
            seen.mark(hour)
        else:
            seen.roll(hour)
    seen.began = 0
    return seen, watched


@pytest.mark.parametrize(
    ("clock", "day", "usual"),
    [(10, 1, True), (3, 1, False), (10, 6, False), (7, 1, False), (8, 1, True), (17, 1, True), (18, 1, False)],
)
def test_after_weeks_its_hours_are_known_and_their_edges_are_not_asked_for(clock: int, day: int, usual: bool) -> None:
    seen, watched = lived(4, also=day * 24 + clock + 1)
    assert usually_on(seen, watched, seen.hour) is usual


def test_three_days_teach_the_hours_of_a_working_day_and_nothing_of_a_sunday() -> None:
    seen, watched = lived(0, also=3 * 24 + 11)
    assert usually_on(seen, watched, 3 * 24 + 10) is True
    assert share_of(seen, watched, 6 * 24 + 10) is None
    assert usually_on(seen, watched, 6 * 24 + 10) is None


def test_hours_in_which_nobody_watched_teach_nothing() -> None:
    """The monitor was down on three Tuesdays: the PC was not off then."""
    seen, watched = lived(4, also=34)
    for week in range(4):
        if week != 1:
            watched.slots[34] &= ~(1 << week) & 0xFF
            seen.slots[34] &= ~(1 << week) & 0xFF
    share = share_of(seen, watched, 34)
    assert share is not None
    assert share[0] == 1.0


def test_a_new_pc_is_not_judged_by_the_weeks_before_it_came() -> None:
    _, watched = lived(6, also=36)
    seen = Week()
    seen.mark(6 * HOURS + 34)
    seen.roll(watched.hour)
    assert share_of(seen, watched, watched.hour) is None


def test_a_change_of_habit_is_learned_anew() -> None:
    """Moved to night shifts: after five weeks the days are over."""
    seen, watched = lived(8)
    for hour in range(8 * HOURS, 13 * HOURS + 35):
        watched.mark(hour)
        if hour % 24 >= 21 or hour % 24 < 6:
            seen.mark(hour)
    seen.roll(watched.hour)
    assert usually_on(seen, watched, watched.hour) is False


@pytest.mark.parametrize(
    ("on", "days", "words"),
    [
        (DAY_SHIFT, range(5), "mon-fri 07-19"),
        (range(24), range(7), "always"),
        (range(0), range(7), "never"),
        (range(8, 13), range(5, 6), "sat 08-13"),
    ],
)
def test_hours_in_words(on: range, days: range, words: str) -> None:
    assert hours_text(*lived(4, on=on, days=days)) == words


def test_the_bits_are_the_same_however_the_hours_pass() -> None:
    one, other = Week(), Week()
    for hour in (5, 6, 7, 180, 400):
        one.mark(hour)
    for hour in range(5, 401):
        other.roll(hour)
        if hour in (5, 6, 7, 180, 400):
            other.mark(hour)
    assert (one.hour, one.slots) == (other.hour, other.slots)


PORT = {"switch": "sw", "port_name": "gi1", "switch_ok": True}
CROWD: dict[str, Any] = {"lost": 5, "were_on": 7}


@pytest.mark.parametrize(
    ("signs", "absence", "tells"),
    [
        (Signs(clean=True, usual=True), Absence.OFF, False),
        (Signs(usual=False, left_usual=False), Absence.OFF, False),
        (Signs(staffed=False), Absence.OFF, False),
        (Signs(usual=True), Absence.UNKNOWN, True),
        (Signs(usual=None), Absence.UNKNOWN, True),
        (Signs(usual=True, port=Port.DOWN, **PORT), Absence.UNPLUGGED, True),
        (Signs(usual=True, port=Port.UP, ping=False, **PORT), Absence.UNCLEAN, True),
        (Signs(usual=True, port=Port.SLOW, **PORT), Absence.ASLEEP, False),
        (Signs(usual=True, slept=3, absences=4), Absence.ASLEEP, False),
        (Signs(usual=True, slept=3, absences=4, port=Port.DOWN, **PORT), Absence.UNPLUGGED, True),
        (Signs(usual=True, slept=1, absences=4), Absence.UNKNOWN, True),
        (Signs(usual=True, ping=True), Absence.AGENT, True),
        (Signs(usual=True, switch="sw", switch_ok=False), Absence.CUT_OFF, True),
        (Signs(usual=False, left_usual=False, switch="sw", switch_ok=False), Absence.CUT_OFF, False),
        (Signs(usual=True, **CROWD), Absence.CUT_OFF, True),
        (Signs(usual=True, slept=9, absences=9, **CROWD), Absence.CUT_OFF, True),
        (Signs(usual=True, port=Port.UP, **PORT, **CROWD), Absence.UNCLEAN, True),
        (Signs(usual=False, left_usual=True, port=Port.UP, **PORT), Absence.UNCLEAN, False),
        (Signs(usual=True, silent_s=30 * 86_400.0), Absence.GONE, False),
    ],
)
def test_what_the_evidence_says(signs: Signs, absence: Absence, tells: bool) -> None:
    judged = judge(signs)
    assert (judged.absence, judged.tells) == (absence, tells)
    assert bool(judged.cause) is not judged.tells
    assert all(judged.because)


def test_a_pc_that_was_switched_off_is_missed_only_where_too_few_are_left_of_a_critical_area() -> None:
    off = {"clean": True, "usual": True, "left_usual": True, "silent_s": GRACE_S}
    assert not judge(Signs(**off, critical=True, on_now=5, should_be_on=8)).tells
    assert judge(Signs(**off, critical=True, on_now=3, should_be_on=8)).tells
    assert judge(Signs(**off, critical=True, on_now=0, should_be_on=1)).tells
    assert not judge(Signs(**off, critical=False, on_now=0, should_be_on=8)).tells
    assert not judge(Signs(clean=True, usual=True, critical=True, should_be_on=1, silent_s=GRACE_S - 1)).tells
    assert not judge(Signs(**(off | {"usual": False}), critical=True, should_be_on=1)).tells
    assert not judge(Signs(**(off | {"usual": None}), critical=True, should_be_on=1)).tells, "still learning"
    assert not judge(Signs(**(off | {"left_usual": False}), critical=True, should_be_on=1)).tells, "went home"


def test_a_pc_that_went_at_night_is_missed_in_the_morning_where_people_are_at_work() -> None:
    went = {"usual": True, "left_usual": False}
    assert judge(Signs(**went, on_now=6, should_be_on=8)).tells
    assert not judge(Signs(**went, on_now=1, should_be_on=8)).tells, "a holiday that nobody declared"
    assert judge(Signs(**went, on_now=1, should_be_on=8, critical=True)).tells


@pytest.mark.parametrize(
    ("before", "said", "turned_out"),
    [
        (Absence.UNKNOWN, Return(3600, up_s=600), Absence.UNCLEAN),
        (Absence.OFF, Return(3600, up_s=600), Absence.OFF),
        (Absence.UNKNOWN, Return(3600, up_s=600, clean=True), Absence.OFF),
        (Absence.UNCLEAN, Return(3600, up_s=90_000, running_s=90_000, asleep_s=3500), Absence.ASLEEP),
        (Absence.ASLEEP, Return(3600, up_s=90_000, running_s=90_000, asleep_s=0.0), Absence.CUT_OFF),
        (Absence.UNPLUGGED, Return(3600, up_s=90_000, running_s=90_000, asleep_s=0.0), Absence.UNPLUGGED),
        (Absence.UNCLEAN, Return(3600, up_s=90_000, running_s=60, asleep_s=0.0), Absence.AGENT),
        (Absence.UNKNOWN, Return(3600, up_s=90_000, running_s=90_000), Absence.ASLEEP),
        (Absence.ASLEEP, Return(3600, ran=True), Absence.CUT_OFF),
        (Absence.UNPLUGGED, Return(3600, ran=True), Absence.UNPLUGGED),
        (Absence.CUT_OFF, Return(3600), Absence.CUT_OFF),
    ],
)
def test_what_it_turns_out_to_have_been(before: Absence, said: Return, turned_out: Absence) -> None:
    assert settle(before, said) is turned_out
