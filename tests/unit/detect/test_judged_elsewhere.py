"""Detection in workers: whoever judges, and however often it is handed over, the engine comes to the same."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruleseries import MONDAY, estate

from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.judge import Judge, seal_of
from healthmon.alerting.detect.told import Findings
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.impact.severity import SeverityTable
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
    Rate,
    Ratio,
    Season,
    Slope,
    Take,
    Window,
)
from healthmon.model.judged import Judged
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.view import Health

MANY = settings(max_examples=int(os.environ.get("HEALTHMON_JUDGED_EXAMPLES", "4")), deadline=None)
HEALTH = Health("ok", MONDAY, 0.0, True, 0, True, "live")
EVERY_S = 10.0
FAILS = OutcomeIs((Outcome.FAILED,))
LATENCY, BYTES, DISK = "http.duration_seconds", "snmp_if.in_bytes_total", "disk.used_ratio"


def rule(id_: str, condition: Condition, **more: object) -> Rule:
    known = {"id": id_, "on": Selector(), "condition": condition, "effect": Effect.DEGRADED, "no_data": NoData.HOLD,
             "summary": "x", "confirm": 2}  # fmt: skip
    return Rule(**(known | more))  # type: ignore[arg-type]


RULES = (
    rule("fails", FAILS, effect=Effect.DOWN, confirm=3, clear_confirm=2),
    rule("flaps", FAILS, confirm=1, flap=Flap(), no_data=NoData.ALERT),
    rule("slow", Above(LATENCY, 2.0), clear=Below(LATENCY, 1.0), hold_s=15.0, keep_s=20.0),
    rule("average", Window(LATENCY, 60.0, Take.AVG, Limit(high=1.5))),
    rule("often", OfLast(3, 5, FAILS), clear=Not(OfLast(1, 5, FAILS))),
    rule("fast", Rate(BYTES, 60.0, Limit(high=50.0), bits=32), flap=Flap()),
    rule("full", Above(DISK, 0.9)),
    rule("filling", AllOf((Above(DISK, 0.4), Forecast(DISK, Limit(high=1.0), 600.0, 120.0, least=4)))),
    rule("rises", AnyOf((Slope(DISK, 60.0, Limit(high=4.0)), Delta(DISK, 60.0, Limit(high=0.3)), FAILS))),
    rule("share", Ratio(BYTES, LATENCY, Limit(high=5000.0))),
    rule("changed", Changed(DISK, 25.0)),
    rule("odd", Baseline(LATENCY, factor=2.0, weeks=1, season=Season.HOUR_OF_DAY)),
    rule("many", Group(FAILS, at_least=2), clear_confirm=1),
    rule("many slow", Group(Window(LATENCY, 30.0, Take.MAX, Limit(high=2.0)), share=0.5)),
)  # fmt: skip


def look(chance: random.Random, target: str, vantage: str, at: float, mood: float) -> Reading:
    if chance.random() < mood:
        outcome = Outcome.FAILED if chance.random() < 0.8 else Outcome.UNKNOWN
        reason = Reason.TIMEOUT if outcome is Outcome.FAILED else Reason.NO_ROUTE
        return Reading(target, "up", vantage, at, 0.1, outcome, reason)
    samples = [Sample("http", "duration_seconds", round(chance.expovariate(1.0 + 2 * (1 - mood)), 3))]
    if chance.random() < 0.8:
        samples.append(Sample("snmp_if", "in_bytes_total", float(int(at * (20 + 80 * mood)) % 2**32)))
    samples += [
        Sample("disk", "used_ratio", round(chance.random(), 2), {"mount": m}) for m in "cd" if chance.random() < 0.7
    ]
    return Reading(target, "up", vantage, at, 0.1, Outcome.OK, samples=tuple(samples))


@dataclass
class Worker:
    """A partition's judge with what it has written down, handed over at any moment."""

    rules: Sequence[Rule]
    memory: dict[str, bytes] = field(default_factory=dict)
    newest: Mapping[tuple[str, str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken_over()

    def taken_over(self) -> None:
        own = estate(EVERY_S)
        self.judge = Judge(own, RuleIndex(own, self.rules), self.memory, self.newest)

    def found(self, readings: Sequence[Reading], now: float, *, live: bool) -> tuple[Judged, ...]:
        judged = self.judge.judge(readings, now=now, live=live)
        for name, body in self.judge.recall.written().items():
            self.memory.pop(name, None) if not body else self.memory.update({name: body})
        self.newest = dict(self.judge.newest)
        return judged


def engine(rules: Sequence[Rule]) -> Engine:
    return Engine(estate=estate(EVERY_S), rules=rules, policies=(), severity=SeverityTable(), settings=EngineSettings(),
                  staffed=lambda _area, _at: True)  # fmt: skip


@MANY
@given(st.integers(0, 2**32))
def test_the_engine_comes_to_the_same_whoever_judges(seed: int) -> None:
    chance = random.Random(seed)
    alone, leader, worker = engine(RULES), engine(RULES), Worker(RULES)
    lookers = [("web", "poller"), ("web", "pc-1"), ("archive", "pc-2"), ("archive", "poller")]
    moods = dict.fromkeys(lookers, 0.0)
    now, judged_at_all = MONDAY, 0
    for _ in range(120):
        now += EVERY_S
        for one in lookers:
            if chance.random() < 0.1:
                moods[one] = chance.choice([0.0, 0.0, 0.1, 0.5, 1.0])
        batches = [[look(chance, *one, now - 1.0, moods[one])] for one in lookers if chance.random() < 0.9]
        if chance.random() < 0.1:
            batches.append([look(chance, *chance.choice(lookers), now - chance.choice([30.0, 400.0]), 0.3)])
        if chance.random() < 0.15:
            worker.taken_over()
        for readings in batches:
            live = chance.random() > 0.02
            found = worker.found(readings, now, live=live)
            judged_at_all += len(found)
            alone.observe(readings, now=now, live=live)
            leader.observe(readings, now=now, live=live, found=Findings.of(readings, found))
        mine, theirs = alone.tick(now), leader.tick(now)
        assert replace(mine.changes, memory={}) == replace(theirs.changes, memory={})
        assert (mine.notices, mine.asks) == (theirs.notices, theirs.asks)
    assert alone.view(now, HEALTH) == leader.view(now, HEALTH)
    assert alone.counts() == leader.counts()
    assert judged_at_all > 50


def test_a_good_reading_is_worth_no_word_and_costs_the_leader_no_memory() -> None:
    rules = [rule("average", Window(LATENCY, 60.0, Take.AVG, Limit(high=1.5)))]
    leader, worker = engine(rules), Worker(rules)
    for number in range(20):
        now = MONDAY + number * EVERY_S
        reading = Reading(
            "web", "up", "poller", now, 0.1, Outcome.OK, samples=(Sample("http", "duration_seconds", 0.2),)
        )
        found = worker.found([reading], now, live=True)
        leader.observe([reading], now=now, found=Findings.of([reading], found))
    assert found == ()
    assert worker.memory
    assert not leader.tick(now).changes.memory


@pytest.mark.parametrize("found", [Findings(None), Findings.of([], [Judged(3, bad=False, usual=False)])])
def test_findings_of_other_rules_leave_open_what_needs_memory_and_plain_rules_to_the_leader(found: Findings) -> None:
    rules = [rule("often", OfLast(1, 1, FAILS), confirm=1), rule("fails", FAILS, confirm=1)]
    leader = engine(rules)
    leader.observe(
        [Reading("web", "up", "poller", MONDAY, 0.1, Outcome.FAILED, Reason.TIMEOUT)], now=MONDAY, found=found
    )
    leader.tick(MONDAY)
    assert [alert.key.rule for alert in leader.view(MONDAY, HEALTH).alerts] == ["fails"]


def test_an_alert_does_not_clear_on_the_word_of_a_worker_that_does_not_remember() -> None:
    rules = [rule("often", OfLast(3, 5, FAILS), confirm=1)]
    leader, worker = engine(rules), Worker(rules)
    for number in range(30):
        now = MONDAY + number * EVERY_S
        if number == 8:
            worker = Worker(rules)  # with nothing in hand: no memory was found
        bad = number < 8
        reading = Reading("web", "up", "poller", now, 0.1, Outcome.FAILED if bad else Outcome.OK,
                          Reason.TIMEOUT if bad else None)  # fmt: skip
        leader.observe([reading], now=now, found=Findings.of([reading], worker.found([reading], now, live=True)))
        leader.tick(now)
        active = [alert for alert in leader.view(now, HEALTH).alerts if alert.active]
        # three good ones of five can be anything; with the third of the five the worker knows that it is over
        assert bool(active) is (2 <= number < 10), number


def test_the_seal_tells_rules_apart_that_look_alike() -> None:
    own = estate(EVERY_S)
    seals = {seal_of(own, [rule("a", condition)]) for condition in (Above(LATENCY, 1.0), Below(LATENCY, 1.0), FAILS)}
    assert len(seals) == 3
    assert seal_of(own, [rule("a", FAILS)]) == seal_of(estate(EVERY_S), [rule("a", FAILS, summary="y")])
    assert seal_of(own, [rule("a", FAILS)]) != seal_of(replace(own, targets={}), [rule("a", FAILS)])
