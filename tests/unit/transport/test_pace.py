"""The pace of a catch-up follows the server's answers."""

from __future__ import annotations

import pytest

from healthmon.transport.pace import LONGEST_REST_S, WINDOW, Pace, longest_rest_s


def test_a_quick_server_gets_the_whole_window_in_a_few_answers() -> None:
    pace = Pace(200.0)
    for _ in range(7):
        pace.acknowledged(0.05)
    assert pace.window == WINDOW
    assert pace.rest_s(16) == pytest.approx(0.08)


def test_a_slow_answer_shuts_the_window_and_makes_a_rest() -> None:
    pace = Pace(200.0)
    pace.acknowledged(0.1)
    pace.acknowledged(3.0)
    assert pace.window == 1
    assert pace.rest_s(1) == pytest.approx(36.0)
    pace.acknowledged(30.0)
    assert pace.rest_s(1) == LONGEST_REST_S


@pytest.mark.parametrize(("agents", "rest_s"), [(1, 1.0), (8, 1.0), (300, 30.0), (1_000, 100.0), (10_000, 120.0)])
def test_the_rest_after_a_slow_answer_fits_the_fleet(agents: int, rest_s: float) -> None:
    pace = Pace(200.0, longest_rest_s=longest_rest_s(agents))
    pace.acknowledged(30.0)
    assert pace.rest_s(1) == rest_s


def test_a_new_connection_asks_with_one() -> None:
    pace = Pace(1.0)
    pace.acknowledged(0.1)
    pace.begin()
    assert (pace.window, pace.rest_s(1)) == (1, 1.0)


@pytest.mark.parametrize("capacity_hz", [130.0, 1000.0, 4000.0])
def test_a_fleet_settles_where_live_data_is_fresh(capacity_hz: float) -> None:
    """10,000 agents with one batch out and then a rest: the queue is what the server has not answered yet."""
    took_s = 60.0
    for _ in range(200):
        pace = Pace(1.0)
        pace.acknowledged(took_s)
        out = 10_000 * took_s / (took_s + pace.rest_s(1))
        took_s += 0.2 * (max(0.01, out / capacity_hz) - took_s)
    assert took_s < 5.0


def test_who_is_answered_late_waits_longer_before_sending_again() -> None:
    pace = Pace(1.0)
    assert pace.patience_s(30.0) == 30.0
    pace.answered(40.0)
    assert pace.patience_s(30.0) == 120.0
    pace.answered(0.1)
    assert pace.patience_s(30.0) == 30.0


def test_what_is_held_on_purpose_says_nothing_of_the_server() -> None:
    pace = Pace(200.0)
    for _ in range(7):
        pace.acknowledged(17.0, held_s=15.0)
    assert pace.window == WINDOW
    pace.acknowledged(25.0, held_s=15.0)
    assert pace.window == 1


def test_where_the_server_says_whose_turn_it_is_nobody_rests_for_a_slow_answer() -> None:
    pace = Pace(200.0, longest_rest_s=0.0)
    pace.acknowledged(5.0)
    assert pace.rest_s(32) == pytest.approx(32 / 200.0)
