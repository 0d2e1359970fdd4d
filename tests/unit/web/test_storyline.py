"""Timelines of a night and of ten days: nothing a person wrote is folded away, and no page grows without end."""

from __future__ import annotations

from daemons.webboard import NOW
from healthmon.model.incident import Entry
from healthmon.web.storyline import DAYS_OPEN, INSIDE_MOST, LINES_MOST, days_of
from healthmon.web.words import LocalTime

CLOCK = LocalTime("Europe/London", NOW)
DAY_S = 86_400.0


def ten_days() -> list[Entry]:
    """It fails and returns every five minutes; somebody writes a note once a day."""
    story = [Entry(NOW - 10 * DAY_S, "opened", "Raised as severity 2")]
    for turn in range(2880):
        at = NOW - 10 * DAY_S + 300.0 * (turn + 1)
        what = "mitigated" if turn % 2 else "reopened"
        story.append(Entry(at, what, f"turn {turn}"))
        if turn % 288 == 100:
            story.append(Entry(at + 1.0, "note", f"day {turn // 288}: still looking", "Dana Example"))
    return story


def test_ten_days_of_coming_and_going_read_in_a_few_lines_a_day() -> None:
    days = days_of(ten_days(), CLOCK)
    assert len(days) == 11
    assert sum(day.count for day in days) == len(ten_days())
    assert max(len(day.lines) for day in days) <= 9
    assert [day.opened for day in days] == [True] * DAYS_OPEN + [False] * (len(days) - DAYS_OPEN)
    notes = [line.text for day in days for line in day.lines if line.person]
    assert notes == [f"day {n}: still looking" for n in range(9, -1, -1)]


def test_a_fold_says_what_it_holds_and_keeps_the_newest_and_the_oldest() -> None:
    day = days_of(ten_days(), CLOCK)[1]
    fold = next(line for line in day.lines if line.inside)
    assert fold.text.startswith(f"{fold.count} lines by healthmon: ")
    assert "times failed again" in fold.text
    assert "times reachable again" in fold.text
    assert len(fold.inside) == min(INSIDE_MOST, fold.count)
    assert fold.until <= fold.inside[-1].at
    assert any(line.text.startswith("turn ") for line in day.lines)


def test_landmarks_stand_alone_however_much_surrounds_them() -> None:
    story = [Entry(NOW - 100 + n, "joined", f"more {n}") for n in range(20)]
    story[10] = Entry(NOW - 90, "kind", "Now an incident, before an early warning")
    (day,) = days_of(story, CLOCK)
    assert "Now an incident, before an early warning" in [line.text for line in day.lines]


def test_a_few_lines_are_not_folded_and_order_does_not_matter() -> None:
    story = [Entry(NOW - n, "joined", f"more {n}") for n in range(7)]
    (day,) = days_of(story[::-1], CLOCK)
    assert day.label == "Today"
    assert [line.text for line in day.lines] == [f"more {n}" for n in range(7)]


def test_a_day_of_a_thousand_notes_is_cut_and_says_so() -> None:
    story = [Entry(NOW - n, "note", f"note {n}", "Dana Example") for n in range(1000)]
    (day,) = days_of(story, CLOCK)
    assert len(day.lines) == LINES_MOST
    assert day.left_out == 1000 - LINES_MOST
