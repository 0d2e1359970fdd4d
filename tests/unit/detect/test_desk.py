"""Alerts moved by readings, by words of agents and by silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from healthmon.alerting.detect.desk import ASLEEP_S, AlertDesk
from healthmon.alerting.detect.index import RuleIndex
from healthmon.model.alert import (
    Above,
    Absent,
    Condition,
    Effect,
    NoData,
    OutcomeIs,
    Phase,
    Rule,
    Selector,
)
from healthmon.model.condition import Baseline, Group, Limit, Ratio, Season
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    Check,
    Estate,
    Organisation,
    Site,
    Target,
)

T0 = 1_795_514_400.0
FAILS = OutcomeIs((Outcome.FAILED,))


def make(id_: str, condition: Condition, on: Selector, **more: Any) -> Rule:
    return Rule(id_, on, condition, Effect.DOWN, more.pop("no_data", NoData.HOLD), "x", **more)


SILENT = make("silent", Absent(30.0), Selector(agents=True), no_data=NoData.ALERT)


class Desk:
    """A desk with the two tables that the engine keeps for it."""

    def __init__(self, *rules: Rule, staffed: bool = True) -> None:
        ping = Check("icmp", "icmp", 10.0, 2.0)
        web = Check("up", "http", 10.0, 2.0)
        targets = [
            Target("pc", "pc", "workstation", "192.0.2.1", "main", "ward", checks=(ping,)),
            Target("web", "web", "endpoint", "192.0.2.2", "main", checks=(web, ping), labels={"ring": "one"}),
        ]
        self.estate = Estate(
            Organisation("trust", "Trust", "Europe/London"),
            {"main": Site("main", "Main", "Europe/London")},
            {"ward": Area("ward", "Ward", AreaKind.WARD, Acuity.INPATIENT, "main")},
            {},
            {target.id: target for target in targets},
            {},
            {"pc": Agent("pc", "pc", ("ward-workstation",)), "srv": Agent("srv", "web", ("linux-server",))},
        )
        self.index = RuleIndex(self.estate, rules)
        self.latest: dict[tuple[str, str, str], Reading] = {}
        self.presence: dict[str, tuple[str, float]] = {}
        self.desk = AlertDesk(self.estate, self.index, lambda _area, _at: staffed, self.latest, self.presence)
        self.before = T0

    def read(self, after_s: float, outcome: Outcome = Outcome.OK, **more: Any) -> None:
        reason = None if outcome is Outcome.OK else Reason.TIMEOUT
        reading = Reading(
            more.pop("target", "web"), more.pop("check", "up"), "poller", T0 + after_s, 0.0, outcome, reason
        )
        reading = replace(reading, **more)
        self.latest[(reading.target, reading.check, reading.vantage)] = reading
        self.desk.read(reading, T0 + after_s)

    def heard(self, agent: str, after_s: float, state: str = "up") -> None:
        self.presence[agent] = (state, T0 + after_s)
        self.desk.heard(agent, state, T0 + after_s)

    def wait(self, after_s: float) -> None:
        self.desk.pass_time(T0 + after_s, self.before)
        self.before = T0 + after_s

    def phases(self) -> dict[str, Phase]:
        return {f"{key.rule}/{key.target}": alert.phase for key, alert in self.desk.alerts.items()}

    def causes(self) -> list[str]:
        return [row.cause for row in self.desk.ledger]


@pytest.mark.parametrize(
    ("on", "series"),
    [
        (Selector(probes=("http",)), {("web", "up")}),
        (Selector(checks=("icmp",)), {("web", "icmp"), ("pc", "icmp")}),
        (Selector(kinds=("workstation",)), {("pc", "icmp")}),
        (Selector(targets=("web",), probes=("icmp",)), {("web", "icmp")}),
        (Selector(areas=("ward",)), {("pc", "icmp")}),
        (Selector(labels={"ring": "one"}), {("web", "up"), ("web", "icmp")}),
        (Selector(labels={"ring": "two"}), set()),
        (Selector(agents=True), set()),
        (Selector(), {("web", "up"), ("web", "icmp"), ("pc", "icmp")}),
    ],
)
def test_which_series_a_rule_is_about(on: Selector, series: set[tuple[str, str]]) -> None:
    index = Desk(make("r", FAILS, on)).index
    every = [("web", "up"), ("web", "icmp"), ("pc", "icmp")]
    assert {one for one in every if index.bound(*one)} == series


def test_an_undeclared_check_goes_by_its_own_name() -> None:
    """An agent's collector is not in the site file; its check id is the name of its kind."""
    index = Desk(make("r", FAILS, Selector(probes=("host_disk",)))).index
    assert index.bound("pc", "host_disk")
    assert not index.bound("pc", "host_cpu")


def test_a_broken_rule_is_counted_and_the_others_go_on() -> None:
    class Broken:
        """A condition that no code knows how to read."""

        @property
        def metric(self) -> str:
            raise RuntimeError("boom")

    broken = make("broken", FAILS, Selector())
    object.__setattr__(broken, "condition", Above("a.b", "not a number"))  # type: ignore[arg-type]
    desk = Desk(broken, make("good", FAILS, Selector()))
    desk.read(0, Outcome.FAILED, samples=(Sample("a", "b", 1.0),))
    assert desk.phases() == {"good/web": Phase.FIRING}
    assert desk.desk.errors == {"broken": 1}
    assert desk.desk.set_aside[0].rule == "broken"


@pytest.mark.parametrize(
    ("policy", "phases"),
    [
        (NoData.HOLD, {"r/web": Phase.FIRING}),
        (NoData.CLEAR, {}),
        (NoData.ALERT, {"r/web": Phase.FIRING}),
    ],
)
def test_what_happens_to_a_firing_alert_when_readings_stop(policy: NoData, phases: dict[str, Phase]) -> None:
    desk = Desk(make("r", FAILS, Selector(probes=("http",)), no_data=policy))
    desk.read(0, Outcome.FAILED)
    desk.wait(29)
    assert desk.phases() == {"r/web": Phase.FIRING}
    desk.wait(31)
    assert desk.phases() == phases


def test_no_data_may_be_an_alert_of_its_own_and_data_clears_it() -> None:
    desk = Desk(make("r", FAILS, Selector(probes=("http",)), no_data=NoData.ALERT, clear_confirm=2))
    desk.read(0)
    desk.wait(31)
    assert desk.phases() == {"r/web": Phase.FIRING}
    desk.read(32)
    desk.read(33)
    assert desk.phases() == {}


def test_a_series_that_stops_is_stale_whatever_its_rules_say() -> None:
    desk = Desk(make("r", FAILS, Selector()))
    desk.read(0)
    desk.wait(29)
    assert not desk.desk.stale
    desk.wait(31)
    assert desk.desk.stale == {("web", "up", "poller")}
    desk.read(32)
    assert not desk.desk.stale


def test_a_rule_may_ask_for_absence_of_a_check() -> None:
    desk = Desk(make("r", Absent(60.0), Selector(probes=("http",))))
    desk.read(0)
    desk.wait(59)
    assert desk.phases() == {}
    desk.wait(61)
    assert desk.phases() == {"r/web": Phase.FIRING}
    desk.read(62)
    assert desk.phases() == {}


def test_an_agent_that_never_reported_is_missed() -> None:
    desk = Desk(SILENT)
    desk.presence.update({"pc": ("never", T0), "srv": ("never", T0)})
    desk.desk.agents.watch_all(T0)
    desk.wait(29)
    assert desk.phases() == {}
    desk.wait(31)
    assert desk.phases() == {"silent/pc": Phase.FIRING, "silent/web": Phase.FIRING}


def test_silence_begins_at_the_last_word_and_ends_with_the_next() -> None:
    desk = Desk(SILENT)
    for after in (0, 10, 20):
        desk.heard("pc", after)
    desk.wait(49)
    assert desk.phases() == {}
    desk.wait(51)
    (alert,) = desk.desk.alerts.values()
    assert (alert.phase, alert.reason, alert.bad_since) == (Phase.FIRING, Reason.SILENT, T0 + 50)
    desk.heard("pc", 60)
    assert desk.phases() == {}


@pytest.mark.parametrize("agent", ["pc", "srv"])
def test_a_clean_stop_never_fires_and_the_ledger_says_so_once(agent: str) -> None:
    desk = Desk(SILENT)
    desk.heard(agent, 0)
    desk.heard(agent, 5, "stopped")
    for after in range(10, 200, 10):
        desk.wait(after)
    assert desk.phases() == {}
    assert desk.causes() == ["clean_stop"]


def test_ward_machines_are_not_missed_out_of_hours_and_servers_are() -> None:
    desk = Desk(SILENT, staffed=False)
    desk.heard("pc", 0)
    desk.heard("srv", 0)
    desk.wait(60)
    assert desk.phases() == {"silent/web": Phase.FIRING}
    assert desk.causes() == ["out_of_hours"]


def test_silence_while_we_slept_proves_nothing() -> None:
    desk = Desk(SILENT)
    desk.heard("pc", 0)
    desk.desk.awake_at = T0 + 10 * ASLEEP_S
    desk.wait(10 * ASLEEP_S)
    assert desk.phases() == {}
    desk.wait(10 * ASLEEP_S + 31)
    assert desk.phases() == {"silent/pc": Phase.FIRING}


def test_dimensions_have_alerts_of_their_own() -> None:
    desk = Desk(make("full", Above("host_disk.used_ratio", 0.9), Selector()))
    for root, var in ((0.95, 0.95), (0.5, 0.95)):
        desk.read(
            root,
            samples=(
                Sample("host_disk", "used_ratio", root, {"mount": "/"}),
                Sample("host_disk", "used_ratio", var, {"mount": "/var"}),
            ),
        )
    assert [key.labels for key in desk.desk.alerts] == [(("mount", "/var"),)]


@pytest.mark.parametrize("condition", [FAILS, Absent(25.0)])
def test_a_looker_that_backs_off_is_not_silent(condition: Condition) -> None:
    """It asks every 40 s instead of every 10 s and said so: 85 s without a word are no silence yet."""
    desk = Desk(make("r", condition, Selector(probes=("http",)), no_data=NoData.ALERT))
    desk.read(0.0, Outcome.FAILED, rest_s=30.0)
    before = desk.phases()
    desk.wait(85.0)
    assert desk.phases() == before
    assert not desk.desk.stale
    desk.wait(125.0)
    assert ("web", "up", "poller") in desk.desk.stale
    assert desk.phases() == {"r/web": Phase.FIRING}


def test_no_word_of_an_agent_hides_its_silence_for_ever() -> None:
    desk = Desk(make("r", FAILS, Selector(probes=("http",)), no_data=NoData.ALERT))
    desk.read(0.0, rest_s=1e9)
    desk.wait(300.0)
    assert desk.phases() == {"r/web": Phase.FIRING}


def test_a_ratio_of_one_reading_is_judged_without_any_other_rule() -> None:
    desk = Desk(make("share", Ratio("disk.used_bytes", "disk.size_bytes", Limit(high=0.9)), Selector()))
    desk.read(0, samples=(Sample("disk", "used_bytes", 95.0), Sample("disk", "size_bytes", 100.0)))
    assert desk.phases() == {"share/web": Phase.FIRING}


def test_a_poller_with_nothing_to_look_at_is_not_missed() -> None:
    """A server alone, whose agents look at everything themselves; a poller that some check names is missed at once."""
    named = Desk(SILENT).estate
    alone = replace(named, agents={**named.agents, "poller": Agent("poller")})
    idle = replace(alone, targets={id_: replace(one, checks=()) for id_, one in alone.targets.items()})
    assert RuleIndex(alone, [SILENT]).for_agent(alone.agents["poller"]) == [SILENT]
    assert RuleIndex(idle, [SILENT]).for_agent(idle.agents["poller"]) == []
    assert RuleIndex(idle, [SILENT]).for_agent(idle.agents["srv"]) == [SILENT]


@pytest.mark.parametrize(("weeks", "ready"), [(2, (1, 0)), (3, (0, 1))])
def test_a_baseline_is_ready_when_its_rule_judges(weeks: int, ready: tuple[int, int]) -> None:
    asked = Baseline("http.duration_seconds", factor=3.0, floor=0.5, weeks=weeks, season=Season.HOUR_OF_DAY)
    group = Group(asked, at_least=1)
    desk = Desk(make("r", group, Selector(probes=("http",))))
    for hour in range(49):
        for minute in (0, 1):
            sample = Sample("http", "duration_seconds", 0.4)
            desk.read(hour * 3600 + minute, started=T0 + hour * 3600 + minute, samples=(sample,))
    assert desk.desk.recall.learning(desk.index.periods_wanted()) == {"http.duration_seconds": ready}
