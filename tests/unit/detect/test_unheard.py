"""What is not heard: series, labels of them, metrics, groups, lookers; and what `no_data` does then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ruleseries import MONDAY, estate, told

from healthmon.alerting.detect.trial import Trial, run
from healthmon.impact.hours import Calendar
from healthmon.model.alert import (
    Above,
    Absent,
    AnyOf,
    Below,
    Condition,
    Effect,
    NoData,
    OutcomeIs,
    Phase,
    Rule,
    Selector,
)
from healthmon.model.condition import Group, Unit
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, Check, Estate

METRIC = "http.duration_seconds"
SLOW, FULL = Above(METRIC, 2.0), Above("host_disk.used_ratio", 0.9)
SLOW_FROM_WARDS = Group(SLOW, count=Unit.AREAS, by="target", at_least=3, out_of=3)
DAY_S = 86_400.0


def rule(condition: Condition, no_data: NoData = NoData.HOLD, **more: Any) -> Rule:
    return Rule("r", Selector(), condition, Effect.WARNING, no_data, "x", **more)


def disks(at: float, **used: float) -> Reading:
    samples = tuple(Sample("host_disk", "used_ratio", value, labels={"mount": name}) for name, value in used.items())
    return Reading("web", "up", "poller", MONDAY + at, 0.0, Outcome.OK, samples=samples)


def empty(at: float, outcome: Outcome = Outcome.OK) -> Reading:
    return Reading("web", "up", "poller", MONDAY + at, 0.0, outcome, None if outcome is Outcome.OK else Reason.TIMEOUT)


def phases(asked: Rule, seen: Sequence[Reading], until: float) -> list[tuple[float, str, Phase]]:
    """(seconds, label, phase) of every change."""
    found = run([asked], estate(60.0), seen, MONDAY + until, start=MONDAY)
    return [(t.at - MONDAY, "".join(value for _, value in t.key.labels), t.after) for t in found]


class Watch:
    """A desk in virtual time, with agents that look."""

    def __init__(self, asked: Rule, own: Estate) -> None:
        self.trial = Trial([asked], own, staffed=Calendar(own).staffed)
        self.trial.start(MONDAY)

    def fired(self) -> list[float]:
        return [t.at - MONDAY for t in self.trial.transitions if t.after is Phase.FIRING]

    def last(self) -> Phase | None:
        return self.trial.transitions[-1].after if self.trial.transitions else None


# --- groups


@pytest.mark.parametrize(
    ("policy", "seen"),
    [
        (NoData.HOLD, [(180.0, Phase.FIRING, None)]),
        (NoData.CLEAR, [(180.0, Phase.FIRING, None), (540.0, Phase.CLEAR, None)]),
        (NoData.ALERT, [(180.0, Phase.FIRING, None)]),
    ],
)
def test_a_group_that_nobody_is_left_in_follows_its_policy(policy: NoData, seen: list[object]) -> None:
    wards = {f"web@pc-{n} {METRIC}": "0.5*3 4*4 _*30" for n in (1, 2, 3, 4)}
    found = told(rule(SLOW_FROM_WARDS, policy), wards, 60.0)
    assert [(t.at - MONDAY, t.after, t.reason) for t in found] == seen


def test_a_group_may_be_missed_and_is_well_when_it_speaks_again() -> None:
    wards = {f"web@pc-{n} {METRIC}": "0.5*4 _*10 0.5*3" for n in (1, 2, 3, 4)}
    found = told(rule(SLOW_FROM_WARDS, NoData.ALERT), wards, 60.0)
    assert [(t.at - MONDAY, t.after) for t in found] == [(360.0, Phase.FIRING), (840.0, Phase.CLEAR)]


def test_members_that_cannot_be_judged_are_heard_all_the_same() -> None:
    wards = {f"web@pc-{n} {METRIC}": "0.5*3 4*4 ?*30" for n in (1, 2, 3, 4)}
    assert [t.after for t in told(rule(SLOW_FROM_WARDS, NoData.CLEAR), wards, 60.0)] == [Phase.FIRING]


# --- labels and metrics


@pytest.mark.parametrize(
    ("policy", "cleared_at"), [(NoData.HOLD, 300.0 + DAY_S), (NoData.CLEAR, 480.0), (NoData.ALERT, None)]
)
def test_an_alert_ends_when_readings_go_on_without_its_label(policy: NoData, cleared_at: float | None) -> None:
    seen = [disks(at, root=0.5, usb=0.95) for at in range(0, 300, 60)]
    seen += [disks(at, root=0.5) for at in range(300, int(DAY_S) + 600, 60)]
    ends = [(cleared_at, "usb", Phase.CLEAR)] if cleared_at else []
    assert phases(rule(FULL, policy), seen, DAY_S + 600) == [(0.0, "usb", Phase.FIRING), *ends]


def test_what_was_missing_for_a_moment_is_as_it_was() -> None:
    seen = [disks(at, root=0.5, **({} if at % 120 else {"usb": 0.95})) for at in range(0, 7200, 60)]
    assert phases(rule(FULL, NoData.CLEAR), seen, 7200) == [(0.0, "usb", Phase.FIRING)]


def test_what_was_missing_during_an_earlier_alert_does_not_count() -> None:
    """Missing for a moment a week ago, then well: a new alert has its own day."""
    seen = [disks(0, usb=0.95), disks(60, root=0.5), disks(120, usb=0.5)]
    seen += [disks(at, usb=0.95 if at == 7 * DAY_S else 0.5) for at in range(180, int(7 * DAY_S) + 1, 60)]
    seen.append(disks(7 * DAY_S + 60, root=0.5))
    assert phases(rule(FULL), seen, 7 * DAY_S + 120)[-1] == (7 * DAY_S, "usb", Phase.FIRING)


def test_a_look_that_failed_misses_no_label() -> None:
    seen = [disks(0, usb=0.95), *(empty(at, Outcome.FAILED) for at in range(60, 3600, 60))]
    assert phases(rule(FULL, NoData.CLEAR), seen, 3600) == [(0.0, "usb", Phase.FIRING)]


def test_an_alert_that_was_pending_on_a_label_that_is_gone_does_not_stay() -> None:
    seen = [disks(0, root=0.5, usb=0.95), *(disks(at, root=0.5) for at in range(60, 3600, 60))]
    assert phases(rule(FULL, confirm=3), seen, 3600) == [(0.0, "usb", Phase.PENDING), (240.0, "usb", Phase.CLEAR)]


def test_a_series_that_was_missed_is_well_when_it_speaks_again_under_labels() -> None:
    seen = [disks(at, ed=0.5) for at in range(0, 600, 60)] + [disks(at, ed=0.5) for at in range(1500, 3000, 60)]
    asked = rule(AnyOf((Below("host_disk.free_ratio", 0.1), FULL)), NoData.ALERT)
    assert phases(asked, seen, 3000) == [(720.0, "", Phase.FIRING), (1500.0, "", Phase.CLEAR)]


def test_so_is_one_that_failed_without_labels() -> None:
    asked = rule(AnyOf((OutcomeIs((Outcome.FAILED,)), FULL)))
    seen = [disks(0, ed=0.5), empty(60, Outcome.FAILED), disks(120, ed=0.5)]
    assert phases(asked, seen, 150) == [(60.0, "", Phase.FIRING), (120.0, "", Phase.CLEAR)]


def test_and_one_that_was_absent() -> None:
    seen = [disks(0, ed=0.5), disks(900, ed=0.5)]
    assert phases(rule(AnyOf((Absent(300.0), FULL))), seen, 910) == [
        (300.0, "", Phase.FIRING),
        (900.0, "", Phase.CLEAR),
    ]


def test_a_metric_that_is_missing_from_good_readings_is_missed_once_it_was_there() -> None:
    carried = [disks(at, ed=0.5) for at in range(0, 300, 60)]
    asked = rule(FULL, NoData.ALERT)
    assert phases(asked, [*carried, *(empty(at) for at in range(300, 3600, 60)), disks(3600, ed=0.5)], 3600) == [
        (420.0, "", Phase.FIRING),
        (3600.0, "", Phase.CLEAR),
    ]
    assert phases(asked, [empty(at) for at in range(0, 3600, 60)], 3600) == []


# --- series


def test_silence_that_began_while_nobody_could_see_is_asked_about_when_sight_is_back() -> None:
    watch = Watch(rule(Absent(300.0)), estate(60.0))
    for at in range(0, 300, 60):
        watch.trial.read(empty(at))
    watch.trial.desk.blind = True
    watch.trial.pass_time(MONDAY + 1200)
    assert watch.fired() == []
    watch.trial.desk.blind = False
    watch.trial.pass_time(MONDAY + 3600)
    (at,) = watch.fired()
    assert 1200.0 < at <= 1500.0


def declared(*vantages: str) -> Estate:
    own = estate(60.0)
    web = replace(own.targets["web"], checks=(Check("up", "http", 60.0, 2.0, vantages=vantages),))
    return replace(own, targets={**own.targets, "web": web}, agents={**own.agents, "hub": Agent("hub", "archive")})


@pytest.mark.parametrize(
    ("asked", "at"), [(rule(Absent(300.0)), 300.0), (rule(FULL, NoData.ALERT), 180.0), (rule(FULL, NoData.CLEAR), None)]
)
def test_a_check_that_was_never_heard_is_missed_too(asked: Rule, at: float | None) -> None:
    watch = Watch(replace(asked, on=Selector(targets=("web",))), declared("hub", "agents"))
    watch.trial.desk.unheard.watch_declared(MONDAY)
    watch.trial.pass_time(MONDAY + 7200)
    assert watch.fired() == ([] if at is None else [at])
    watch.trial.read(replace(disks(7200, ed=0.5), vantage="hub"))
    assert watch.last() is (None if at is None else Phase.CLEAR)


def test_what_a_ward_pc_looks_at_is_not_missed_while_the_pc_is_off() -> None:
    """Off over night as every night; on in the morning and its check does not come: that is missed."""
    own = declared("pc-1")
    own = replace(own, agents={**own.agents, "pc-1": Agent("pc-1", "pc-1", ("ward-workstation",))})
    watch = Watch(rule(Absent(300.0)), own)
    for at in range(0, 300, 60):
        watch.trial.read(replace(empty(at), vantage="pc-1"))
    watch.trial.heard("pc-1", "stopped", MONDAY + 300)
    watch.trial.pass_time(MONDAY + 8 * 3600)
    assert watch.fired() == []
    for at in range(8 * 3600, 9 * 3600, 15):
        watch.trial.pass_time(MONDAY + at)
        watch.trial.heard("pc-1", "up", MONDAY + at)
    (at,) = watch.fired()
    assert 8 * 3600 + 300 <= at <= 8 * 3600 + 300 + 900


def test_what_was_heard_since_an_excuse_is_missed_on_time() -> None:
    """Off, on again and heard; then its check stops: nobody waits for when the excuse was to be thought about."""
    own = declared("pc-1")
    own = replace(own, agents={**own.agents, "pc-1": Agent("pc-1", "pc-1", ("ward-workstation",))})
    watch = Watch(rule(Absent(300.0)), own)
    watch.trial.read(replace(empty(0), vantage="pc-1"))
    watch.trial.heard("pc-1", "stopped", MONDAY + 10)
    watch.trial.pass_time(MONDAY + 302)
    watch.trial.heard("pc-1", "up", MONDAY + 303)
    watch.trial.read(replace(empty(303), vantage="pc-1"))
    for at in range(315, 1200, 15):
        watch.trial.pass_time(MONDAY + at)
        watch.trial.heard("pc-1", "up", MONDAY + at)
    assert watch.fired() == [303 + 300]


# --- lookers


def test_who_looks_at_other_things_is_missed_some_time_after_a_goodbye() -> None:
    asked = replace(rule(Absent(45.0), NoData.ALERT), on=Selector(agents=True, targets=("archive",)))
    watch = Watch(asked, declared("hub"))
    watch.trial.heard("hub", "up", MONDAY + 10)
    watch.trial.heard("hub", "stopped", MONDAY + 20)
    watch.trial.pass_time(MONDAY + 900)
    assert watch.fired() == []
    assert [row.cause for row in watch.trial.desk.ledger] == ["clean_stop"]
    watch.trial.pass_time(MONDAY + 3600)
    assert watch.fired() == [20 + 45 + 900]
    watch.trial.heard("hub", "up", MONDAY + 3600)
    assert watch.last() is Phase.CLEAR


def test_one_that_came_back_in_time_is_missed_as_ever() -> None:
    asked = replace(rule(Absent(45.0), NoData.ALERT), on=Selector(agents=True, targets=("archive",)))
    watch = Watch(asked, declared("hub"))
    watch.trial.heard("hub", "stopped", MONDAY + 20)
    watch.trial.pass_time(MONDAY + 100)
    watch.trial.heard("hub", "up", MONDAY + 120)
    watch.trial.pass_time(MONDAY + 3600)
    assert watch.fired() == [165.0]
