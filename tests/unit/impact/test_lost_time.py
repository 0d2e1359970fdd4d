"""Lost time: the published worked examples, the caps, what is never counted, and when a figure may stand for a ward."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.impact.losttime import (
    FTE_HOURS,
    NOTHING,
    Costs,
    Lost,
    Wait,
    extrapolated,
    fte,
    measured_s,
    outage,
    saved_hours,
    shown,
    wait_cost_s,
)


def test_alder_hey() -> None:
    """DHSC 2020: 5,000 logins a day, 105 s to 10 s, `more than 130 hours a day`."""
    assert round(saved_hours(5_000, 105, 10), 1) == 131.9


def test_moorfields() -> None:
    """PSTG: ten minutes, 600 people, five times a week: 500 h a week."""
    assert saved_hours(600 * 5, 600, 0) == 500


def test_christus_six_hospitals() -> None:
    """Gellert: 65,202 logins of 2,256 users in 7 days saved 168.3 h: 4.13 logins a user and day, 9.3 s each."""
    assert round(65_202 / 2_256 / 7, 2) == 4.13
    assert round(168.3 * 3600 / 65_202, 1) == 9.3
    assert round(saved_hours(65_202, 9.3, 0), 0) == 168


def test_christus_nineteen_hospitals() -> None:
    """Gellert: first of shift -5.3 s (15.3 %), reconnect -20.4 s (69.9 %): so 34.6 s and 29.2 s before, 8.8 s after."""
    assert round(5.3 / 0.153, 1) == 34.6
    assert round(34.6 - 5.3, 1) == 29.3
    assert round(20.4 / 0.699, 1) == 29.2
    assert round(29.2 - 20.4, 1) == 8.8
    logins = 49.7 * 3600 / 20.4  # if all of the 49.7 h a week and hospital came from reconnects
    assert round(saved_hours(logins, 29.2, 8.8), 1) == 49.7


def test_bma() -> None:
    """BMA 2022: 13.5 million hours a year are about 8,000 posts."""
    assert FTE_HOURS == 13.5e6 / 8_000 == 1687.5
    assert round(fte(13.5e6 * 3600, days=365)) == 8_000


@pytest.mark.parametrize(
    ("wait", "cost_s"),
    [
        (Wait("logon", 45.0, 60.0), 0.0),
        (Wait("logon", 90.0, 60.0), 30.0),
        (Wait("logon", 600.0, 60.0), 540.0),
        (Wait("logon", 1800.0, 60.0), 540.0 + 180.0),
        (Wait("page", 61.0, 2.0), 58.0 + 180.0),
        (Wait("restart", 1500.0, 0.0), 1500.0),
        (Wait("logon", 1800.0, 60.0, attended=False), 0.0),
    ],
)
def test_waits_are_capped_and_nobody_waiting_costs_nothing(wait: Wait, cost_s: float) -> None:
    assert wait_cost_s(wait) == cost_s


def test_an_outage_by_hand() -> None:
    """Nine people, an hour without: half of their time on paper is 4.5 h, between a quarter and all of it."""
    assert outage(9, 3600, 0) == Lost(8_100.0, 16_200.0, 32_400.0)
    assert outage(4, 0, 600) == Lost(120.0, 360.0, 720.0)
    assert outage(0, 9999, 9999) == NOTHING


def test_a_ward_is_spoken_for_from_thirty_percent_of_its_pcs() -> None:
    assert extrapolated([100.0, 100.0], 7) is None
    assert extrapolated([100.0] * 3, 10) == Lost(1000.0, 1000.0, 1000.0)
    assert extrapolated([], 10) is None
    whole = extrapolated([10.0, 20.0, 60.0], 3)
    assert whole == Lost(90.0, 90.0, 90.0)


def test_the_interval_by_hand() -> None:
    """n 4 of 10, mean 25, variance 166.67: half width 1.96 x 10 x sqrt(166.67/4 x 0.6) = 98.0."""
    found = extrapolated([10.0, 20.0, 30.0, 40.0], 10)
    assert found is not None
    assert found.usual_s == 250.0
    assert found.high_s == pytest.approx(250.0 + 1.959963984540054 * 10 * math.sqrt(500 / 3 / 4 * 0.6))
    assert found.low_s == pytest.approx(500.0 - found.high_s)


@given(st.lists(st.floats(0, 1e5), min_size=2, max_size=30), st.integers(0, 60))
def test_what_is_said_of_a_ward_is_never_less_than_what_was_measured(sums: list[float], more: int) -> None:
    found = extrapolated(sums, len(sums) + more)
    if found is not None:
        assert math.fsum(sums) <= found.low_s + 1e-6
        assert found.low_s - 1e-6 <= found.usual_s <= found.high_s


@given(st.lists(st.builds(Wait, st.sampled_from(["logon", "page"]), st.floats(0, 1e6), st.floats(0, 100))))
def test_no_wait_costs_more_than_its_cap_and_the_move(waits: list[Wait]) -> None:
    costs = Costs(move_s=100.0)
    assert 0.0 <= measured_s(waits, costs) <= 700.0 * len(waits) + 1e-6


def test_few_people_are_not_shown() -> None:
    assert shown(3.0, 4) is None
    assert shown(3.0, 5) == 3.0
    assert shown(None, 50) is None
