"""Counters: wraps, reboots and gaps never give a negative or an absurd rate."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.runtime.rates import Counters, counter_rate, restarted

WRAP_497_DAYS = 2**32
bits = st.sampled_from([32, 64])


@given(st.data(), bits, st.floats(0.1, 86400), st.one_of(st.none(), st.floats(1, 1e12)))
def test_a_rate_is_never_negative_nor_over_the_bound_of_a_wrap(
    data: st.DataObject, width: int, elapsed_s: float, most: float | None
) -> None:
    before, after = (data.draw(st.integers(0, 2**width - 1)) for _ in range(2))
    rate = counter_rate(before, after, elapsed_s=elapsed_s, bits=width, most_per_s=most)
    if rate is None:
        assert after < before
        return
    assert rate >= 0.0
    if after < before and most is not None:
        assert rate <= most * (1 + 1e-9)


@given(st.data(), bits, st.floats(1, 600))
def test_a_true_step_is_measured_across_the_wrap(data: st.DataObject, width: int, elapsed_s: float) -> None:
    before = data.draw(st.integers(0, 2**width - 1))
    step = data.draw(st.integers(0, 2 ** (width - 1)))
    rate = counter_rate(before, (before + step) % 2**width, elapsed_s=elapsed_s, bits=width)
    assert rate is not None
    assert math.isclose(rate, step / elapsed_s, rel_tol=1e-9)


@given(st.integers(2**20, 2**63 - 1), st.integers(0, 2**19), st.floats(1, 3600))
def test_a_64_bit_counter_that_falls_was_reset(before: int, after: int, elapsed_s: float) -> None:
    assert counter_rate(before, after, elapsed_s=elapsed_s, bits=64) is None


def test_no_time_no_rate() -> None:
    assert counter_rate(1, 2, elapsed_s=0.0, bits=64) is None
    assert counter_rate(1, 2, elapsed_s=-1.0, bits=64) is None


@given(st.integers(0, WRAP_497_DAYS - 1), st.floats(0, 7 * 86400))
def test_a_device_that_runs_on_has_not_restarted(ticks: int, elapsed_s: float) -> None:
    after = (ticks + round(elapsed_s * 100)) % WRAP_497_DAYS  # may wrap
    assert not restarted(ticks, after, elapsed_s=elapsed_s)


@given(st.integers(100_000, WRAP_497_DAYS - 1), st.floats(20, 86400), st.floats(0, 0.9))
def test_a_reboot_is_seen_even_just_after_the_device_came_up(ticks: int, elapsed_s: float, part: float) -> None:
    after = int(elapsed_s * 100 * part)
    silent_s = elapsed_s - after / 100
    slack_s = 10 + 0.02 * elapsed_s
    going_on = abs(ticks + elapsed_s * 100 - WRAP_497_DAYS - after) / 100 <= slack_s  # looks like the wrap
    if silent_s > 0 and not going_on:
        assert restarted(ticks, after, elapsed_s=elapsed_s)


@pytest.mark.parametrize("first", [500, WRAP_497_DAYS - 1500])
def test_counters_go_on_over_the_497_days(first: int) -> None:
    counters = Counters()
    counters.begin(0.0, uptime_ticks=first)
    assert counters.rate("in", 1000, 0.0) is None
    assert counters.begin(30.0, uptime_ticks=(first + 3000) % WRAP_497_DAYS) is False
    assert counters.rate("in", 4000, 30.0) == 100.0


def test_a_reboot_starts_every_counter_anew() -> None:
    counters = Counters()
    counters.begin(0.0, uptime_ticks=8_640_000)
    counters.rate("in", 1000, 0.0)
    assert counters.begin(30.0, uptime_ticks=1200) is True
    assert counters.rate("in", 5000, 30.0) is None  # grew, and still says nothing
    counters.begin(60.0, uptime_ticks=4200)
    assert counters.rate("in", 5300, 60.0) == 10.0


def test_a_reboot_while_one_counter_was_not_read_is_not_forgotten() -> None:
    counters = Counters()
    counters.begin(0.0, uptime_ticks=8_640_000)
    counters.rate("out", 10, 0.0)
    counters.begin(30.0, uptime_ticks=100)
    counters.begin(60.0, uptime_ticks=3100)
    assert counters.rate("out", 1_000_000, 60.0) is None


def test_a_missed_poll_gives_the_mean_of_both_intervals() -> None:
    counters = Counters()
    counters.begin(0.0)
    counters.rate("in", 0, 0.0)
    counters.begin(30.0)
    counters.begin(60.0)
    assert counters.rate("in", 600, 60.0) == 10.0


def test_what_is_gone_is_forgotten() -> None:
    counters = Counters(forget_s=100.0)
    counters.begin(0.0)
    counters.rate("in", 0, 0.0)
    counters.begin(101.0)
    assert len(counters) == 0
    assert counters.rate("in", 5, 101.0) is None


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), min_size=2, max_size=30))
def test_whatever_a_device_says_no_rate_is_negative(polls: list[tuple[int, int]]) -> None:
    counters = Counters()
    for number, (ticks, value) in enumerate(polls):
        mono = 30.0 * number
        counters.begin(mono, uptime_ticks=ticks)
        rate = counters.rate("in", value, mono, bits=32)
        assert rate is None or rate >= 0.0


def test_a_marker_that_changes_is_seen_once() -> None:
    counters = Counters()
    assert counters.changed("m", 5, 0.0) is False
    assert counters.changed("m", 5, 1.0) is False
    assert counters.changed("m", 6, 2.0) is True
    assert counters.changed("m", 6, 3.0) is False
