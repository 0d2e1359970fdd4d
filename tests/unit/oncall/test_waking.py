"""The waking table as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from healthmon.alerting.oncall.waking import ANY_HOUR, DEFAULT_WAKING, Wake, Waking, parse_waking

PACK = Path(__file__).parents[3] / "alerting" / "waking" / "default.yaml"
GOOD: dict[str, Any] = {"rules": [{"severities": [1], "do": "page"}]}


def test_the_shipped_file_is_the_default() -> None:
    assert parse_waking(yaml.safe_load(PACK.read_text())) == DEFAULT_WAKING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nigth": {}}, "nigth"),
        ({"night": {"from": 1320, "to": "07:00"}}, "HH:MM"),
        ({"night": {"from": "22:00", "to": "07:75"}}, "HH:MM"),
        ({"hold": {"minutes": 1}}, "minutes"),
        ({"gather_seconds": {1: 5}}, "severity 1 never waits"),
        ({"gather_seconds": {3: 600}}, "0 to 60"),
        ({"rules": [{"severities": [0], "do": "page"}]}, "1 to 5"),
        ({"rules": [{"severities": [], "do": "page"}]}, "1 to 5"),
        ({"rules": [{"severities": [1], "do": "wake"}]}, "wake"),
        ({"rules": [{"severities": [1], "do": "page", "staffed": "yes"}]}, "staffed"),
        ({"rules": [{"severities": [1], "do": "page", "area": "ed"}]}, "area"),
    ],
)
def test_what_it_refuses_it_names(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_waking(GOOD | change)


@pytest.mark.parametrize(
    ("minute", "night"), [(22 * 60, True), (22 * 60 - 1, False), (0, True), (7 * 60 - 1, True), (7 * 60, False)]
)
def test_night_goes_over_midnight(minute: int, night: bool) -> None:
    assert DEFAULT_WAKING.night(minute) is night


def test_a_night_within_one_day() -> None:
    shift = Waking(rules=(), night_from=60, night_to=120)
    assert [shift.night(minute) for minute in (59, 60, 119, 120)] == [False, True, True, False]


@given(severity=st.integers(1, 5), night=st.booleans(), critical=st.booleans(), staffed=st.booleans())
def test_worse_or_more_critical_never_wakes_less(severity: int, night: bool, critical: bool, staffed: bool) -> None:
    order = [Wake.BOARD, Wake.LIST, Wake.PAGE]
    here = DEFAULT_WAKING.decide(severity=severity, night=night, critical=critical, staffed=staffed)
    worse = DEFAULT_WAKING.decide(severity=max(1, severity - 1), night=night, critical=critical, staffed=staffed)
    in_ed = DEFAULT_WAKING.decide(severity=severity, night=night, critical=True, staffed=staffed)
    assert order.index(worse) >= order.index(here)
    assert order.index(in_ed) >= order.index(here)


@pytest.mark.parametrize(
    ("severity", "night", "later", "do"),
    [(3, True, True, Wake.LIST), (3, True, False, Wake.PAGE), (3, False, True, Wake.PAGE), (2, True, True, Wake.PAGE)],
)
def test_what_will_not_happen_within_a_week_wakes_nobody(severity: int, night: bool, later: bool, do: Wake) -> None:
    """A certificate of the ICU with weeks left is for the morning; a room of its servers that heats up is not."""
    assert DEFAULT_WAKING.decide(severity=severity, night=night, critical=True, staffed=True, later=later) is do


def test_what_no_row_takes_pages() -> None:
    assert Waking(rules=()).decide(severity=5, night=True, critical=False, staffed=False) is Wake.PAGE


def test_any_hour_does_not_look_at_the_clock() -> None:
    for night in (True, False):
        assert ANY_HOUR.decide(severity=3, night=night, critical=False, staffed=False) is Wake.PAGE
    assert ANY_HOUR.hold_s == 0
