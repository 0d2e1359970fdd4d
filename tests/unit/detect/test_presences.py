"""Ward PCs on the desk: learned hours, evidence from ports and neighbours, corrections afterwards, restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.presences import Plug
from healthmon.impact.presence import Absence
from healthmon.model.alert import Absent, Effect, NoData, Rule, Selector
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.topology import Acuity, Agent, Area, AreaKind, Check, Estate, Organisation, Site, Target
from healthmon.model.view import Presence

MONDAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC, winter time: the wall of London
SILENT = Rule("silent", Selector(agents=True), Absent(45.0), Effect.DOWN, NoData.ALERT, "x")
HOUR, DAY = 3_600.0, 86_400.0


def estate_of(pcs: int, *, acuity: Acuity) -> Estate:
    ports = {f"pc{n}": {"switch": "sw", "port": f"Gi1/{n}"} for n in range(pcs)}
    targets = [Target(id_, id_, "ward-workstation", "192.0.2.1", "main", "ward", labels=labels)
               for id_, labels in ports.items()]  # fmt: skip
    switch = Target("sw", "sw", "switch", "192.0.2.2", "main", checks=(Check("ports", "snmp", 60.0, 5.0),))
    return Estate(
        Organisation("trust", "Trust", "Europe/London"),
        {"main": Site("main", "Main", "Europe/London")},
        {"ward": Area("ward", "Ward", AreaKind.ED, acuity, "main")},
        {},
        {target.id: target for target in (*targets, switch)},
        {},
        {f"pc{n}": Agent(f"pc{n}", f"pc{n}", ("ward-workstation",)) for n in range(pcs)},
    )


class Ward:
    """A desk, the two tables that the engine keeps for it, and a memory that survives."""

    def __init__(self, pcs: int = 4, *, acuity: Acuity = Acuity.CRITICAL, open_from_s: float = 0.0) -> None:
        self.open_from_s = open_from_s
        self.estate = estate_of(pcs, acuity=acuity)
        self.latest: dict[tuple[str, str, str], Reading] = {}
        self.heard_: dict[str, tuple[str, float]] = {}
        self.memory: dict[str, bytes] = {}
        self.ledger: list[tuple[str, str]] = []
        self.now = self.before = MONDAY
        self.start()

    def start(self) -> None:
        index = RuleIndex(self.estate, [SILENT])
        self.desk = AlertDesk(self.estate, index, self.staffed, self.latest, self.heard_)
        self.desk.present.seen = lambda target: [r for key, r in self.latest.items() if key[0] == target]

    def staffed(self, _area: str, at: float) -> bool:
        return (at - MONDAY) % DAY >= self.open_from_s

    def restart(self) -> None:
        """What the journal has is all that is left."""
        alerts = dict(self.desk.alerts)
        self.start()
        self.desk.remember({name: body for name, body in self.memory.items() if body})
        self.desk.restore(alerts, self.now)
        self.desk.agents.watch_all(self.now)

    def to(self, at: float) -> Ward:
        """Time passes, in steps that are small enough for every deadline."""
        while self.now < at:
            due = self.desk.next_due()
            self.now = min(at, max(self.now + 1.0, due if due is not None else at))
            self.desk.pass_time(self.now, self.before)
            self.before = self.now
            self.keep()
        return self

    def keep(self) -> None:
        self.memory |= self.desk.recall.written()
        self.ledger += [(row.cause, row.because) for row in self.desk.ledger]
        self.desk.ledger.clear()

    def say(self, pc: str, state: str = "up") -> None:
        self.heard_[pc] = (state, self.now)
        self.desk.heard(pc, state, self.now)
        self.keep()

    def port(self, number: int, *, up: bool, mbit: float = 1_000.0) -> None:
        samples = tuple(
            Sample("snmp_if", field, value, {"interface": f"gi1/{number}"})
            for field, value in (("oper_up", float(up)), ("speed_bits_per_second", mbit * 1e6))
        )
        known = self.latest.get(("sw", "ports", "poller"))
        rest = tuple(s for s in (known.samples if known else ()) if s.labels["interface"] != f"gi1/{number}")
        reading = Reading("sw", "ports", "poller", self.now, 0.0, Outcome.OK, samples=rest + samples)
        self.latest[("sw", "ports", "poller")] = reading
        self.desk.read(reading, self.now)

    def itself(self, pc: str, **values: float | str) -> None:
        samples = tuple(Sample("agent", field, value) for field, value in values.items())
        reading = Reading(pc, "agent", pc, self.now, 0.0, Outcome.OK, samples=samples)
        self.latest[(pc, "agent", pc)] = reading
        self.desk.read(reading, self.now)
        self.keep()

    def weeks(self, count: int, *, from_hour: int = 7, to_hour: int = 19) -> Ward:
        """Every PC is on in these hours of working days, and goes without a word."""
        for day in range(count * 7):
            for hour in range(24):
                self.now = MONDAY + day * DAY + hour * HOUR
                self.desk.pass_time(self.now, self.before)
                self.before = self.now
                if day % 7 < 5 and from_hour <= hour < to_hour:
                    for pc in self.estate.agents:
                        self.say(pc)
        return self

    def status(self, pc: str = "pc0") -> Presence:
        return self.desk.present.statuses()[pc]

    def firing(self) -> list[str]:
        return sorted(key.target for key, alert in self.desk.alerts.items() if alert.active)


def at_ten(weeks: int = 4, **more: Any) -> Ward:
    """Monday morning after some weeks, everybody at work, their ports up."""
    ward = Ward(**more).weeks(weeks)
    ward.to(MONDAY + weeks * 7 * DAY + 10 * HOUR)
    for number in range(len(ward.estate.agents)):
        ward.port(number, up=True)
        ward.say(f"pc{number}")
    return ward


def others_go_on(ward: Ward, seconds: float, *, but: tuple[str, ...] = ("pc0",)) -> None:
    end = ward.now + seconds
    while ward.now < end:
        ward.to(min(end, ward.now + 20.0))
        for pc in ward.estate.agents:
            if pc not in but:
                ward.say(pc)


def test_off_at_night_is_no_alert_and_the_ledger_says_why() -> None:
    ward = Ward(acuity=Acuity.CRITICAL).weeks(4)
    ward.to(MONDAY + 28 * DAY + 6 * HOUR)
    assert ward.firing() == []
    assert ward.status().usual_hours == "mon-fri 07-19"
    assert (ward.status().state, ward.status().learning) == ("off", False)
    assert {cause for cause, _ in ward.ledger[-4:]} == {"out_of_hours"}


def test_off_at_ten_in_the_ed_is_an_alert_that_says_what_was_seen() -> None:
    ward = at_ten()
    ward.to(ward.now + 20)
    ward.port(0, up=False)
    others_go_on(ward, 60)
    assert ward.firing() == ["pc0"]
    (alert,) = ward.desk.alerts.values()
    assert "port gi1/0 of sw has no link" in alert.detail
    assert ward.status().state == "unplugged"


def test_a_crash_leaves_its_link_up_and_sleep_lets_it_fall_back() -> None:
    ward = at_ten()
    ward.to(ward.now + 20)
    ward.port(0, up=True)
    ward.port(1, up=True, mbit=100.0)
    others_go_on(ward, 60, but=("pc0", "pc1"))
    assert ward.firing() == ["pc0"]
    assert (ward.status("pc0").state, ward.status("pc1").state) == ("unclean_stop", "asleep")
    assert ward.ledger[-1][0] == "asleep"


def test_the_port_is_waited_for_a_moment_and_not_for_ever() -> None:
    ward = at_ten()
    others_go_on(ward, 100)
    assert ward.firing() == []
    others_go_on(ward, 60)
    assert ward.firing() == ["pc0"]
    assert ward.status().state == "not_known"


def test_a_whole_switch_is_the_network() -> None:
    ward = at_ten()
    ward.to(ward.now + 200)
    assert ward.firing() == ["pc0", "pc1", "pc2", "pc3"]
    assert {ward.status(pc).state for pc in ward.estate.agents} == {"network"}


def test_the_only_pc_of_an_ed_is_missed_although_it_was_switched_off() -> None:
    ward = at_ten(pcs=1)
    ward.say("pc0", "stopped")
    ward.to(ward.now + 600)
    assert ward.firing() == [], "it may be restarting"
    ward.to(ward.now + 1_300)
    assert ward.firing() == ["pc0"]


def test_what_was_off_at_night_is_missed_in_the_morning() -> None:
    ward = Ward(acuity=Acuity.INPATIENT).weeks(4)
    morning = MONDAY + 28 * DAY + 8 * HOUR
    ward.to(morning)
    others_go_on(ward, 1_900)
    assert ward.firing() == ["pc0"]


def test_the_next_start_corrects_what_was_thought_and_pages_nobody() -> None:
    ward = at_ten()
    ward.itself("pc0", host_uptime_seconds=90_000, running_seconds=80_000, asleep_seconds_total=100.0)
    ward.to(ward.now + 20)
    ward.port(0, up=True)
    others_go_on(ward, 1_800)
    ward.say("pc0")
    ward.itself("pc0", host_uptime_seconds=91_800, running_seconds=81_800, asleep_seconds_total=1_900.0)
    last = ward.status().last
    assert last is not None
    assert (last.judged, last.turned_out) == ("unclean_stop", "asleep")
    assert ward.firing() == []


def test_late_readings_prove_that_it_ran_and_was_only_cut_off() -> None:
    ward = at_ten()
    gone_at = ward.now
    others_go_on(ward, 1_800)
    ward.say("pc0")
    ward.itself("pc0", host_uptime_seconds=91_800)  # an agent that does not say whether it slept
    last = ward.status().last
    assert last is not None
    assert last.turned_out == "asleep"
    ward.desk.learn_late(Reading("pc0", "host_cpu", "pc0", gone_at + 600, 0.0, Outcome.OK))
    last = ward.status().last
    assert last is not None
    assert last.turned_out == "network"
    assert ward.firing() == []


def test_a_word_where_a_number_belongs_is_passed_over() -> None:
    ward = at_ten()
    ward.itself("pc0", version="1.2.3", asleep_seconds_total="none yet", host_uptime_seconds=90_000.0)
    port = Sample("snmp_if", "oper_up", "up", {"interface": "gi1/0"})
    ward.latest[("sw", "ports", "poller")] = Reading(
        "sw", "ports", "poller", ward.now, 0.0, Outcome.OK, samples=(port,)
    )
    others_go_on(ward, 1_800)
    assert ward.status().port_by == "declared"
    ward.say("pc0")
    ward.itself("pc0", host_uptime_seconds=60.0, last_stop_clean="yes")
    last = ward.status().last
    assert last is not None
    assert last.turned_out == "unclean_stop"


@pytest.mark.parametrize("after_s", [30.0, 70.0, 200.0, 1_000.0])
def test_a_restart_changes_nothing(after_s: float) -> None:
    """At any moment of an absence: the same alerts, the same story, the same ledger."""
    found = []
    for restarted in (False, True):
        ward = at_ten(acuity=Acuity.INPATIENT)
        ward.say("pc1", "stopped")
        others_go_on(ward, after_s, but=("pc0", "pc1"))
        if restarted:
            ward.restart()
        others_go_on(ward, 2_400, but=("pc0", "pc1"))
        stories = {pc: replace(one, agent="") for pc, one in ward.desk.present.statuses().items()}
        found.append((ward.firing(), stories, ward.ledger[-3:], ward.memory))
    assert found[0] == found[1]


def test_a_habit_of_sleeping_is_learned() -> None:
    ward = at_ten()
    for round_ in range(4):
        ward.itself("pc0", host_uptime_seconds=9e4, running_seconds=9e4, asleep_seconds_total=1_000.0 * round_)
        others_go_on(ward, 1_100)
        ward.say("pc0")
        ward.itself("pc0", host_uptime_seconds=9e4, running_seconds=9e4, asleep_seconds_total=1_000.0 * (round_ + 1))
    others_go_on(ward, 300)
    assert ward.status().state == Absence.ASLEEP
    assert ward.firing() == []


def test_a_port_that_links_tell_of_counts_where_none_is_declared() -> None:
    ward = Ward(2)
    bare = {id_: replace(target, labels={}) for id_, target in ward.estate.targets.items()}
    ward.estate = replace(ward.estate, targets=bare)
    ward.start()
    ward.desk.present.plug_in({"pc0": Plug("sw", "gi1/0", "fdb, told by sw")})
    ward.weeks(4).to(MONDAY + 28 * DAY + 10 * HOUR)
    ward.say("pc0")
    ward.say("pc1")
    ward.port(0, up=True)
    ward.to(ward.now + 20)
    ward.port(0, up=False)
    others_go_on(ward, 60)
    assert (ward.status().state, ward.status().port) == ("unplugged", "sw gi1/0")
    assert ward.status().port_by == "fdb, told by sw"


@pytest.mark.parametrize("weeks", [0, 4])
@pytest.mark.parametrize("acuity", [Acuity.CRITICAL, Acuity.INPATIENT])
def test_whether_a_silence_is_told_is_known_the_short_way_too(acuity: Acuity, weeks: int) -> None:
    ward = Ward(acuity=acuity, open_from_s=6 * HOUR).weeks(weeks)
    for pc in ("pc0", "pc1", "pc2"):  # pc3 is new or gone
        ward.to(max(ward.now, MONDAY + weeks * 7 * DAY))
        ward.say(pc)
    said = []
    for half_hour in range(48):
        ward.to(ward.now + 0.5 * HOUR)
        if half_hour < 18:
            ward.say("pc0", "stopped" if half_hour == 17 else "up")
            ward.say("pc1")
        ward.say("pc2")
        for agent in ward.estate.agents.values():
            said.append(ward.desk.present.tells(agent, ward.now))
            assert said[-1] is ward.desk.present.why(agent, ward.now).tells
    assert set(said) == {True, False}
