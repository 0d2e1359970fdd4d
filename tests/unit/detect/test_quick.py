"""The quick way through the rules of a good reading ends in the same alerts and the same memory as judging it all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from ruleseries import MONDAY, estate

from healthmon.alerting.detect.conditions import Facts
from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.detect.groups import Groups
from healthmon.alerting.detect.index import RuleIndex, Slate
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.tracks import Left, Series, Tracks
from healthmon.model.alert import Effect, Flap, NoData, Rule, Selector
from healthmon.model.condition import (
    Above,
    AllOf,
    AnyOf,
    Baseline,
    Below,
    Changed,
    Condition,
    Delta,
    Forecast,
    Group,
    Limit,
    Not,
    OfLast,
    OutcomeIs,
    Outside,
    Rate,
    Ratio,
    Season,
    Slope,
    Take,
    Window,
)
from healthmon.model.sample import Outcome, Reading, Reason, Sample

FAILS = OutcomeIs((Outcome.FAILED,))
METRICS = st.sampled_from(["a.x", "a.y"])
NUMBERS = st.integers(-1, 6).map(float)
LIMITS = st.one_of(st.builds(Limit, high=NUMBERS), st.builds(Limit, low=NUMBERS))
SPANS = st.sampled_from([30.0, 60.0, 600.0])
SEASONS = st.sampled_from(Season)
PLAIN: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Above, METRICS, NUMBERS),
    st.builds(Below, METRICS, NUMBERS),
    st.builds(Outside, METRICS, NUMBERS, NUMBERS),
    st.just(FAILS),
)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    PLAIN,
    st.builds(Window, METRICS, SPANS, st.sampled_from(Take), LIMITS, st.just(0.5)),
    st.builds(Rate, METRICS, SPANS, LIMITS, st.just(1.0), st.sampled_from([0, 32])),
    st.builds(Slope, METRICS, SPANS, LIMITS),
    st.builds(Delta, METRICS, SPANS, LIMITS),
    st.builds(Ratio, METRICS, METRICS, LIMITS, st.sampled_from([0.0, 60.0])),
    st.builds(Changed, METRICS, st.sampled_from([0.0, 30.0])),
    st.builds(OfLast, st.integers(1, 3), st.integers(3, 5), PLAIN),
    st.builds(Baseline, METRICS, st.just(1.5), floor=st.just(0.1), weeks=st.just(1), season=SEASONS),
    st.builds(Forecast, METRICS, LIMITS, SPANS, SPANS, least=st.just(3)),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
GROUPS = st.builds(Group, PLAIN, by=st.sampled_from(["", "site", "target"]), at_least=st.just(1))
RULES = st.lists(
    st.tuples(
        st.one_of(CONDITIONS, GROUPS),
        st.booleans(),
        st.sampled_from([1, 2]),
        st.one_of(st.none(), PLAIN),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
STEPS = st.sampled_from([5.0, 10.0, 90.0, 1800.0, 3600.0 * 24])
#: (seconds since the one before, value of a.x, value of a.y, outcome, labelled)
LOOKS = st.lists(
    st.tuples(
        STEPS,
        st.one_of(st.none(), NUMBERS),
        st.one_of(st.none(), NUMBERS),
        st.sampled_from([Outcome.OK] * 6 + [Outcome.FAILED, Outcome.UNKNOWN]),
        st.integers(0, 3).map(lambda n: n == 0),
    ),
    min_size=5,
    max_size=60,
)


class WholeWay(Tracks):
    """Everything is judged, as if every reading could be bad."""

    def left(self, slate: Slate, series: Series, reading: Reading, facts: Facts) -> list[Left]:
        return [(bound, None) for bound in slate.bounds]


def rules_of(drawn: Sequence[tuple[Condition, bool, int, Condition | None, bool]]) -> list[Rule]:
    rules = []
    for number, (condition, flaps, confirm, clear, unknown) in enumerate(drawn):
        made = Rule(f"r{number}", Selector(), condition, Effect.WARNING, NoData.HOLD, "x", confirm=confirm)
        if not isinstance(condition, Group):
            made = replace(made, flap=Flap() if flaps else None, clear=clear)
        rules.append(replace(made, no_data=NoData.CLEAR) if unknown else made)
    return rules


def readings_of(drawn: Sequence[tuple[float, float | None, float | None, Outcome, bool]]) -> list[Reading]:
    at, made = MONDAY, []
    for step, x, y, outcome, labelled in drawn:
        at += step
        told = [Sample("a", name, value) for name, value in (("x", x), ("y", y)) if value is not None]
        told += [Sample("a", "x", float(n), {"port": str(n)}) for n in range(3)] if labelled else []
        failed = outcome is not Outcome.OK
        samples = () if failed else tuple(told)
        made.append(
            Reading("web", "up", "poller", at, 0.0, outcome, Reason.TIMEOUT if failed else None, samples=samples)
        )
    return made


def desk(rules: Sequence[Rule], latest: dict[Series, Reading]) -> AlertDesk:
    own = estate(10.0)
    return AlertDesk(own, RuleIndex(own, rules), lambda _area, _at: True, latest, {})


@given(RULES, LOOKS)
@settings(max_examples=int(os.environ.get("HEALTHMON_PROPERTIES") or 60))
def test_both_ways_come_to_the_same(
    drawn: list[tuple[Condition, bool, int, Condition | None, bool]],
    looks: list[tuple[float, float | None, float | None, Outcome, bool]],
) -> None:
    latest: dict[Series, Reading] = {}
    rules = rules_of(drawn)
    quick, whole = desk(rules, latest), desk(rules, latest)
    whole._tracks = WholeWay(whole.recall, whole.groups)
    before = MONDAY
    for reading in readings_of(looks):
        latest[(reading.target, reading.check, reading.vantage)] = reading
        for one in (quick, whole):
            one.pass_time(reading.started, before)
            one.read(reading, reading.started)
            one.pass_time(reading.started, reading.started)
        before = reading.started
        assert quick.alerts == whole.alerts
        assert quick.drain() == whole.drain()
        assert quick.recall.written() == whole.recall.written()
    assert quick.errors == whole.errors


class Counting(Tracks):
    """How many rules were left to judge, reading by reading."""

    def __init__(self, recall: Recall, groups: Groups) -> None:
        super().__init__(recall, groups)
        self.counts: list[int] = []

    def left(self, slate: Slate, series: Series, reading: Reading, facts: Facts) -> list[Left]:
        found = super().left(slate, series, reading, facts)
        self.counts.append(len(found))
        return found


def test_good_readings_are_passed_over() -> None:
    """Else the test above would compare a way with itself."""
    average = Window("a.x", 60.0, Take.AVG, Limit(high=5.0))
    one = desk(rules_of([(average, False, 1, None, False), (Above("a.x", 5.0), False, 1, None, False)]), {})
    one._tracks = counting = Counting(one.recall, one.groups)
    good, high = (10.0, 1.0, None, Outcome.OK, False), (10.0, 9.0, None, Outcome.OK, False)
    for reading in readings_of([good, good, good, high]):
        one.read(reading, reading.started)
    assert counting.counts == [1, 0, 0, 2], "the first makes the window, the last is past both limits"


def test_of_a_good_reading_only_those_are_asked_whom_it_may_mean_anything_to() -> None:
    above, fine = Above("a.x", 1.0), OutcomeIs((Outcome.OK,))
    often, many = OfLast(1, 3, FAILS), Group(FAILS, at_least=1)
    slow = Window("a.y", 60.0, Take.AVG, Limit(high=1.0), 0.5)
    conditions = (AllOf((above, fine)), FAILS, fine, often, many, slow, AnyOf((slow, fine)))
    rules = [Rule(f"r{n}", Selector(), one, Effect.WARNING, NoData.HOLD, "x") for n, one in enumerate(conditions)]
    slate = RuleIndex(estate(every_s=60.0), rules).slate("t", "c")

    def asked(facts: Facts) -> list[str]:
        return [bound.rule.id for _, bound in slate.asked(facts)]

    quiet, bad = Facts(Outcome.OK, "", flat=True), Facts(Outcome.FAILED, "timeout", flat=True)
    assert asked(quiet) == ["r2", "r3", "r4", "r6"]
    assert asked(replace(quiet, values={("a.y", ()): 1.0})) == ["r2", "r3", "r4", "r5", "r6"]
    assert asked(replace(quiet, values={("a.x", (("port", "1"),)): 1.0}, flat=False)) == ["r0", "r2", "r3", "r4", "r6"]
    assert asked(bad) == [rule.id for rule in rules]
