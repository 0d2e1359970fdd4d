"""A hold runs out on evidence alone: nobody looking, or nothing to judge, is no time in which a thing was bad."""

from __future__ import annotations

import pytest
from ruleseries import MONDAY, estate, readings, told

from healthmon.alerting.detect.trial import Trial
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Above, Effect, NoData, OutcomeIs, Phase, Rule, Selector
from healthmon.model.condition import Absent, AnyOf, Group, Unit
from healthmon.model.sample import Outcome

METRIC = "http.duration_seconds"
SLOW = Rule("slow", Selector(), Above(METRIC, 2.0), Effect.WARNING, NoData.HOLD, "x", hold_s=600.0)


def fired(rule: Rule, text: str, every_s: float = 60.0) -> list[float]:
    """Seconds after which it fired."""
    return [t.at - MONDAY for t in told(rule, {METRIC: text}, every_s) if t.after is Phase.FIRING]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1*3 4*20", [780.0]),
        ("1*3 4 _*30", []),  # one bad reading, then nobody looks
        ("1*3 4 ?*30", []),  # or nothing can be judged
        ("1*3 4 x*30", []),  # a look that failed has no duration
        ("1*3 4*8 ? 4*3", [780.0]),  # what cannot be judged on the way breaks nothing
        ("1*3 4*9 ?*2 4*3", [840.0]),  # the next bad reading says that it has lasted
        ("1*3 4 ?*60 4*5", []),  # after an hour of nothing it begins anew
        ("1*3 4 _*60 4*11", [4440.0]),
    ],
)
def test_a_hold_runs_out_only_while_the_newest_look_is_bad(text: str, at: list[float]) -> None:
    assert fired(SLOW, text) == at


def test_a_hold_shorter_than_the_interval_runs_out_between_two_looks() -> None:
    assert fired(SLOW, "1*3 4 _*30", every_s=300.0) == [1500.0]


def test_silence_that_is_asked_about_is_evidence_itself() -> None:
    asks = AnyOf((Absent(300.0), OutcomeIs((Outcome.FAILED,))))
    rule = Rule("gone", Selector(), asks, Effect.DOWN, NoData.HOLD, "x", hold_s=600.0)
    assert fired(rule, "1*3 _*30") == [120.0 + 300.0 + 600.0]


def test_the_hold_of_a_group_does_not_run_out_when_its_members_are_gone() -> None:
    where = Group(Above(METRIC, 2.0), count=Unit.AREAS, by="target", at_least=3)
    rule = Rule("many", Selector(), where, Effect.DEGRADED, NoData.HOLD, "x", hold_s=600.0)
    wards = {f"web@pc-{n} {METRIC}": "1*3 4*3 _*30" for n in (1, 2, 3, 4)}
    assert [t.after for t in told(rule, wards, 60.0)] == [Phase.PENDING]


def test_a_hold_goes_on_after_a_restart() -> None:
    """What is kept of an alert is enough to know whether the newest look was bad."""
    own = estate(60.0)
    seen = readings({METRIC: "1*3 4"}, 60.0)
    for tail, phases in (("", [Phase.FIRING]), ("?", [])):
        first = Trial([SLOW], own, staffed=Calendar(own).staffed)
        first.start(MONDAY)
        for reading in seen:
            first.read(reading)
        after = Trial([SLOW], own, staffed=Calendar(own).staffed)
        after.desk.restore(first.desk.alerts, MONDAY + 180.0)
        more = readings({METRIC: f"4 {tail}"}, 60.0, MONDAY + 660.0)
        for reading in more:
            after.read(reading)
        after.pass_time(MONDAY + 790.0)
        assert [t.after for t in after.transitions if t.after is Phase.FIRING] == phases
