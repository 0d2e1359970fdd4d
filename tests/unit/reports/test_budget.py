"""Error budgets: the worked numbers of the SRE workbook, and that no window fires before it is full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.reports.budget import BUDGET_S, RULES, Budget, BurnRule, Spent, burn_rate, burns, summed

AIM = 0.999
WINDOWS = sorted({window for rule in RULES for window in (rule.long_s, rule.short_s)})


def bad(window_s: int, share: float) -> Spent:
    return Spent(window_s * 1000, round(window_s * 1000 * share))


@pytest.mark.parametrize(("rule", "spent_share"), list(zip(RULES, (0.02, 0.05, 0.10), strict=True)))
def test_the_worked_numbers(rule: BurnRule, spent_share: float) -> None:
    """14.4x for an hour uses 2 % of 30 days, 6x for six hours 5 %, 1x for three days 10 %."""
    assert rule.rate * rule.long_s / BUDGET_S == pytest.approx(spent_share)
    share = rule.rate * (1 - AIM)
    assert burn_rate(bad(rule.long_s, share), AIM) == pytest.approx(rule.rate, rel=1e-3)


def test_a_total_outage_burns_a_thousand_times_and_fires_in_both_windows() -> None:
    found = burns({window: bad(window, 1.0) for window in WINDOWS}, AIM, recorded_s=BUDGET_S)
    assert [one.long for one in found] == [pytest.approx(1000.0)] * 3
    assert all(one.fires for one in found)


def test_an_outage_that_is_over_does_not_fire() -> None:
    spent = {window: bad(window, 0.5) for window in WINDOWS} | {300: Spent(300_000), 1_800: Spent(1_800_000)}
    assert [one.rule.id for one in burns(spent, AIM, recorded_s=BUDGET_S) if one.fires] == ["slow"]


@pytest.mark.parametrize("recorded_s", [0.0, 299.0, 3_599.0, 21_599.0, 259_199.0])
def test_no_window_fires_before_it_is_full(recorded_s: float) -> None:
    found = burns({window: bad(window, 1.0) for window in WINDOWS}, AIM, recorded_s=recorded_s)
    assert [one.rule.long_s for one in found if one.fires] == [r.long_s for r in RULES if r.long_s <= recorded_s]


def test_a_window_that_was_not_seen_is_not_full() -> None:
    hidden = {window: Spent(window * 1000, window * 100, window * 101) for window in WINDOWS}
    assert not any(one.fires for one in burns(hidden, AIM, recorded_s=BUDGET_S))
    assert burn_rate(Spent(1000, 0, 1000), AIM) is None


def test_a_month_by_hand() -> None:
    """30 days, 99.9 %: 2,592 s are allowed; 1,296 s are half of that."""
    budget = Budget(AIM, Spent(BUDGET_S * 1000, 1_296_000, 60_000), BUDGET_S)
    assert budget.allowed_ms == pytest.approx(2_592_000)
    assert budget.left_ratio == pytest.approx(0.5)
    assert Budget(AIM, Spent(BUDGET_S * 1000, 5_184_000), BUDGET_S).left_ratio == pytest.approx(-1.0)
    assert Budget(AIM, Spent(86_400_000, 0), 86_400.0).left_ratio is None  # a day is not 30


spents = st.builds(lambda due, unknown, share: Spent(due, int((due - min(due, unknown)) * share), min(due, unknown)),
                   st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1))  # fmt: skip


@given(st.lists(spents, max_size=20), st.floats(0.5, 0.9999))
def test_sums_and_rates_stay_in_bounds(parts: list[Spent], aim: float) -> None:
    total = summed(parts)
    assert total.due_ms == sum(part.due_ms for part in parts)
    rate = burn_rate(total, aim)
    assert rate is None or 0.0 <= rate <= 1.0 / (1.0 - aim) + 1e-6
