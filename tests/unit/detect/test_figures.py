"""What is read at three at night: no power of ten in any figure, and times as spans."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.alerting.detect.figures import amount, days, figures, percent, plain, span_text
from healthmon.config import load
from healthmon.model.alert import Rule
from healthmon.model.condition import Above, Below, leaves

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (1.2, "1.2"),
        (12.34, "12.3"),
        (99.96, "100"),
        (4_360.0, "4360"),
        (-4_360.4, "-4360"),
        (123_456_789.0, "123456789"),
        (0.000_012_3, "0.0000123"),
        (math.inf, "inf"),
    ],
)
def test_a_value(value: float, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (-1.23, "-1.23 s"),
        (95.4, "95 s"),
        (130.0, "2 min"),
        (4_360.0, "73 min"),
        (-4_360.0, "-73 min"),
        (18_000.0, "5.0 h"),
        (270_000.0, "3.1 days"),
        (math.inf, "never"),
    ],
)
def test_a_span(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_shares_and_days_say_something_when_they_are_small() -> None:
    assert [percent(one) for one in (0.0, 0.0012, 0.015, 0.0996, 0.2, 0.995)] == ["0", "0.12", "1.5", "10", "20", "100"]
    assert [days(one * 86_400) for one in (0.04, 0.5, 1.96, 20.4, -3.0)] == ["0", "0.5", "2", "20", "-3"]


def test_what_is_usual_is_said_in_its_unit() -> None:
    assert amount("interface.last_message_age_seconds", 1_200.0) == "20 min"
    assert amount("snmp_printer_counter.pages_total", 1_200.0) == "1200"


@given(st.floats(allow_nan=False))
def test_no_figure_is_ever_a_power_of_ten(value: float) -> None:
    assert not any("e+" in text or "e-" in text for text in figures(value).values())


def limits() -> Iterator[tuple[Rule, float]]:
    """Stock rules that say `{value} s`, with the value at which they fire."""
    for rule in load(ROOT / "configs" / "minimal.yaml", env={}).rules:
        if re.search(r"\{value\} s\b", rule.summary):
            yield from ((rule, one.value) for one in leaves(rule.condition) if isinstance(one, Above | Below))


def test_stock_rules_say_minutes_where_seconds_run_into_hundreds() -> None:
    assert [rule.id for rule, value in limits() if value >= 60] == []
