"""Small charts: gaps stay gaps, failures are marked, counters become rates, numbers have units."""

from __future__ import annotations

import pytest

from daemons.webboard import NOW
from healthmon.web.charts import HEIGHT, PAD, WIDTH, Span, chart, field_words, per_second, value_words
from healthmon.web.words import LocalTime

SPAN = Span(NOW - 3600.0, NOW, 30.0)
CLOCK = LocalTime("Europe/London", NOW)


def test_a_gap_breaks_the_line() -> None:
    points = [(NOW - 600 + n * 30, 1.0) for n in range(5)] + [(NOW - 90 + n * 30, 2.0) for n in range(3)]
    made = chart("up", "duration_seconds", points, span=SPAN, clock=CLOCK)
    assert made is not None
    assert made.d.count("M") == 2
    assert made.d.count("L") == 6
    assert (made.last, made.lowest, made.highest) == ("2 s", "1 s", "2 s")
    assert (made.begins, made.ends) == ("13:05", "14:05")


def test_failures_are_marked_also_where_nothing_was_measured() -> None:
    made = chart("up", "duration_seconds", [], span=SPAN, clock=CLOCK, failed=[NOW - 1800, NOW - 1800, NOW])
    assert made is not None
    assert made.fails == (WIDTH // 2, WIDTH - PAD)
    assert made.words == "up: now not measured, between 0 ms and 0 ms; 2 times failed"


def test_nothing_is_no_chart() -> None:
    assert chart("up", "duration_seconds", [], span=SPAN, clock=CLOCK) is None


def test_everything_lies_inside_the_frame() -> None:
    points = [(NOW - 3600 + n * 30, (-1.0) ** n * n) for n in range(120)]
    made = chart("x", "x", points, span=SPAN, clock=CLOCK)
    assert made is not None
    numbers = [float(text) for text in made.d.replace("h1", "").replace("M", " ").replace("L", " ").split()]
    assert all(0 <= x <= WIDTH for x in numbers[::2])
    assert all(0 <= y <= HEIGHT for y in numbers[1::2])


def test_a_counter_that_began_anew_never_goes_backwards() -> None:
    assert per_second([(0, 10), (10, 20), (20, 5), (30, 15)]) == [(10, 1.0), (30, 1.0)]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("rtt_avg_seconds", 0.00081, "0.81 ms"),
        ("duration_seconds", 12.34, "12.3 s"),
        ("uptime_seconds", 7200.0, "2 h"),
        ("used_ratio", 0.713, "71.3 %"),
        ("received_bytes_total", 9.9e9, "9.9 GB"),
        ("inlet_celsius", 21.26, "21.3 °C"),
        ("session_count", 2.0, "2"),
        ("up", True, "1"),
    ],
)
def test_numbers_have_their_unit(field: str, value: float, words: str) -> None:
    assert value_words(field, value) == words


def test_names_are_said_without_unit_and_with_their_place() -> None:
    assert field_words("host_disk", "used_ratio", ["C:"]) == "host disk used (C:)"
    assert field_words("host_net", "received_bytes_total") == "host net received"
