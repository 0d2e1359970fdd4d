"""A condition as a function says what the condition says, whatever the reading carries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from healthmon.alerting.detect.compiled import compiled
from healthmon.alerting.detect.conditions import Facts, Labels, holds
from healthmon.alerting.detect.index import Bound, Slate
from healthmon.alerting.detect.tracks import speaks
from healthmon.model.alert import Effect, NoData, Rule, Selector
from healthmon.model.condition import (
    Above,
    Absent,
    AllOf,
    AnyOf,
    Below,
    Changed,
    Condition,
    Limit,
    Not,
    OutcomeIs,
    Outside,
    Ratio,
)
from healthmon.model.sample import Outcome, Reason

METRICS = st.sampled_from(["a.x", "a.y"])
NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.just(float("nan")))
LABELS: st.SearchStrategy[Labels] = st.sampled_from([(), (("port", "1"),)])
OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=1, max_size=2).map(tuple)
REASONS = st.lists(st.sampled_from([Reason.TIMEOUT, Reason.REFUSED]), max_size=1).map(tuple)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Above, METRICS, NUMBERS),
    st.builds(Below, METRICS, NUMBERS),
    st.builds(Outside, METRICS, NUMBERS, NUMBERS),
    st.builds(OutcomeIs, OUTCOMES, REASONS),
    st.builds(Absent, st.sampled_from([0.0, 10.0])),
    st.builds(Changed, METRICS),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
FACTS = st.builds(
    Facts,
    st.sampled_from(Outcome),
    st.sampled_from(["", "timeout", "refused"]),
    st.sampled_from([0.0, 30.0]),
    st.dictionaries(st.tuples(METRICS, LABELS), NUMBERS, max_size=4),
)


@given(CONDITIONS, FACTS, LABELS, st.booleans())
def test_the_function_says_what_the_condition_says(
    condition: Condition, facts: Facts, labels: Labels, remembers: bool
) -> None:
    if remembers:
        facts.ask = lambda asked, _labels: (isinstance(asked, Changed) and asked.metric == "a.x", None, "")
    assert compiled(condition)(facts, labels) is holds(condition, facts, labels)


@given(LEAVES, FACTS)
def test_what_a_screen_passes_over_would_not_have_fired(condition: Condition, facts: Facts) -> None:
    rule = Rule("r", Selector(), condition, Effect.WARNING, NoData.HOLD, "x")
    bound = Bound.of(rule, 30.0)
    if bound.screen is not None and not speaks(bound, facts):
        assert holds(condition, facts, ()) is not True
        assert Slate((bound, bound)).good(facts)


def test_what_remembers_has_no_screen() -> None:
    for condition in (Ratio("a.x", "a.y", Limit(high=2.0)), AllOf((Above("a.x", 1.0), Changed("a.y")))):
        assert Bound.of(Rule("r", Selector(), condition, Effect.WARNING, NoData.HOLD, "x"), 30.0).screen is None
