"""A trial of rules in virtual time."""

from __future__ import annotations

from healthmon.alerting.detect.trial import run
from healthmon.model.alert import Absent, Effect, NoData, OutcomeIs, Phase, Rule, Selector
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent, Check, Estate, Organisation, Site, Target

T0 = 1_795_514_400.0
WEB = Target("web", "web", "endpoint", "192.0.2.1", "main", checks=(Check("up", "http", 10.0, 2.0),))
ESTATE = Estate(
    Organisation("trust", "Trust", "Europe/London"),
    {"main": Site("main", "Main", "Europe/London")},
    {},
    {},
    {"web": WEB},
    {},
    {"pc": Agent("pc", "web")},
)
DOWN = Rule("down", Selector(), OutcomeIs((Outcome.FAILED,)), Effect.DOWN, NoData.CLEAR, "x", confirm=2, hold_s=15.0)
SILENT = Rule("silent", Selector(agents=True), Absent(45.0), Effect.DOWN, NoData.ALERT, "x")


def look(after_s: float, outcome: Outcome = Outcome.OK, vantage: str = "poller") -> Reading:
    reason = None if outcome is Outcome.OK else Reason.TIMEOUT
    return Reading("web", "up", vantage, T0 + after_s, 0.0, outcome, reason)


def told(rules: list[Rule], readings: list[Reading], until_s: float) -> list[tuple[float, str, Phase]]:
    return [(t.at - T0, t.key.rule, t.after) for t in run(rules, ESTATE, readings, T0 + until_s, start=T0)]


def test_holds_run_out_between_readings_and_silence_has_its_policy() -> None:
    readings = [look(0), look(10, Outcome.FAILED), look(20, Outcome.FAILED)]
    assert told([DOWN], readings, 120) == [
        (10, "down", Phase.PENDING),
        (25, "down", Phase.FIRING),
        (50, "down", Phase.CLEAR),
    ]


def test_an_agent_is_expected_from_the_start_and_its_readings_are_signs_of_life() -> None:
    assert told([SILENT], [look(60, vantage="pc")], 200) == [
        (45, "silent", Phase.FIRING),
        (60, "silent", Phase.CLEAR),
        (105, "silent", Phase.FIRING),
    ]


def test_nothing_after_the_end_counts() -> None:
    assert told([DOWN], [look(10, Outcome.FAILED), look(20, Outcome.FAILED), look(30, Outcome.FAILED)], 15) == [
        (10, "down", Phase.PENDING)
    ]
