"""Policies with people on a virtual clock: whoever is on call then, two media, quorum, repeats, lapses, passing on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.paging import AT_ONCE, MORNING, estate, incident
from healthmon.alerting.incidents.actions import act, lapsed
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.oncall.escalation import due
from healthmon.alerting.oncall.ladder import lapses_at
from healthmon.alerting.oncall.roster import Roster
from healthmon.config.oncall import guaranteed
from healthmon.config.oncallforms import OncallForm
from healthmon.impact.hours import Calendar
from healthmon.model.errors import Conflict
from healthmon.model.incident import Command, Entry, Incident, IncidentState, Notice, NoticeResult, Policy, Step, Why
from healthmon.model.oncall import Layer, OncallPlan, OncallUser, Override, Rota


def user(name: str, number: int) -> OncallUser:
    phone = f"+44{number}"
    readers = (("sms", phone), ("voice", phone), ("mail", f"{name}@h.example"))
    return OncallUser(name, f"{name.title()} Engineer", phone=phone, readers=readers)


USERS = {name: user(name, number) for number, name in enumerate(("ann", "bob", "dora"))}
NET = Rota("net", "Network", "Europe/London", (Layer("weeks", ("ann", "bob"), first=date(2027, 1, 11)),))
PLAN = OncallPlan(users=USERS, rotas={"net": NET}, team_rotas={"network": "net"}, duty_manager="user:dora")
TO_TEAM = Policy("p", (Step(0.0, (), ("team",)), Step(300.0, (), ("next",)), Step(600.0, (), ("duty-manager",))))


@dataclass
class Desk:
    """One incident, one policy; time moves by hand."""

    policy: Policy = TO_TEAM
    roster: Roster = field(default_factory=lambda: Roster(PLAN))
    now: float = MORNING
    incident: Incident = field(default_factory=lambda: incident(2, team="network"))
    told: dict[str, Notice] = field(default_factory=dict)

    def step(self, seconds: float = 0.0, result: NoticeResult = NoticeResult.SENT) -> list[tuple[str, str | None]]:
        """Move on and answer with whom is told now: (channel, person)."""
        self.now += seconds
        notices, _ = due(
            self.incident, policies=(self.policy,), told=self.told, mode="live", now=self.now, estate=estate(),
            roster=self.roster, waking=AT_ONCE,
        )  # fmt: skip
        self.told |= {n.key: replace(n, result=result, at=self.now) for n in notices}
        return [(n.channel, n.person) for n in notices]

    def do(self, action: str, by: str, **more: Any) -> None:
        command = Command(action, "inc-1", by, **more)
        texts = Texts({}, estate(), Calendar(estate()))
        (self.incident,) = act({"inc-1": self.incident}, command, self.now, failing=lambda member: False, texts=texts)


def test_whoever_is_on_call_then_the_next_then_the_duty_manager() -> None:
    desk = Desk()
    assert desk.step() == [("sms", "ann")]
    assert desk.step(299.0) == []
    assert desk.step(1.0) == [("sms", "bob")]
    assert desk.step(300.0) == [("sms", "dora")]
    assert [n.why for n in desk.told.values()] == [Why.OPENED, Why.ESCALATED, Why.ESCALATED]
    assert [n.to for n in desk.told.values()] == ["+440", "+441", "+442"]


def test_severity_1_by_two_media_at_once() -> None:
    desk = Desk(incident=incident(1, team="network"))
    assert desk.step() == [("sms", "ann"), ("voice", "ann")]


def test_a_dead_way_is_replaced_by_the_next() -> None:
    desk = Desk()
    assert desk.step(result=NoticeResult.DEAD) == [("sms", "ann")]
    assert ("voice", "ann") in desk.step(1.0)


def test_a_way_that_has_not_worked_for_a_minute_is_not_waited_for() -> None:
    desk = Desk()
    assert desk.step(result=NoticeResult.RETRYING) == [("sms", "ann")]
    assert desk.step(59.0) == []
    assert desk.step(1.0) == [("voice", "ann")], "it is still tried by SMS as well"
    assert desk.step(60.0) == []


def test_the_last_way_has_the_fallback_of_its_channel() -> None:
    one_way = replace(USERS["ann"], readers=(("sms", "+440"),))
    plan = replace(PLAN, users=USERS | {"ann": one_way}, fallbacks={"sms": "desk", "desk": "inbox", "inbox": "sms"})
    desk = Desk(roster=Roster(plan))
    assert desk.step(result=NoticeResult.DEAD) == [("sms", "ann")]
    assert ("desk", "ann") in desk.step(1.0, result=NoticeResult.DEAD)
    assert ("inbox", "ann") in desk.step(1.0, result=NoticeResult.DEAD)
    desk.step(1.0)
    assert len([n for n in desk.told.values() if n.channel == "inbox"]) == 1, "a ring of fallbacks ends"


def test_a_channel_of_a_step_has_a_fallback_too() -> None:
    plan = replace(PLAN, fallbacks={"pager": "mail"})
    desk = Desk(policy=Policy("p", (Step(0.0, ("pager",)),)), roster=Roster(plan))
    assert desk.step(result=NoticeResult.RETRYING) == [("pager", None)]
    assert desk.step(60.0) == [("mail", None)]


def test_accepting_stops_the_steps() -> None:
    desk = Desk()
    desk.step()
    desk.do("ack", "Ann Engineer")
    assert desk.incident.owner == "Ann Engineer"
    assert desk.step(3600.0) == []


def test_an_override_is_who_is_paged() -> None:
    roster = Roster(PLAN, [Override("o", "net", "bob", MORNING - 60.0, MORNING + 3600.0)])
    desk = Desk(roster=roster)
    assert desk.step() == [("sms", "bob")]
    assert desk.step(300.0) == [("sms", "ann")], "the next person is never the one who did not answer"


def test_a_handover_pages_the_new_shift_as_long_as_nobody_has_it() -> None:
    handover = MORNING + 3 * 86_400.0 - 3600.0  # Monday 09:00
    desk = Desk(now=handover - 10.0, incident=incident(2, team="network", at=handover - 10.0))
    assert desk.step() == [("sms", "ann")]
    assert desk.step(10.0) == [("sms", "bob")]
    owned = Desk(now=handover - 10.0, incident=incident(2, team="network", at=handover - 10.0))
    owned.step()
    owned.do("ack", "Ann Engineer")
    assert owned.step(10.0) == [], "what is owned is handed over by people, not by a page"


def test_a_gap_pages_the_duty_manager_at_once() -> None:
    roster = Roster(replace(PLAN, rotas={"net": replace(NET, layers=())}))
    assert Desk(roster=roster).step() == [("sms", "dora")]
    steps = tuple(replace(step, only=(1, 2)) if step.after_s else step for step in TO_TEAM.steps)
    policy = replace(TO_TEAM, steps=steps)
    quiet = Desk(policy, roster=roster, incident=incident(3, areas=("ed",), team="network"))
    assert quiet.step() == [], "severity 3 wakes no manager"
    _, rows = due(
        quiet.incident, policies=(policy,), told={}, mode="live", now=MORNING, estate=estate(), roster=roster,
        waking=AT_ONCE,
    )  # fmt: skip
    assert [row.cause for row in rows] == ["nobody_on_call"], "and that nobody was told is written down"


def test_two_of_two_must_accept() -> None:
    desk = Desk(policy=replace(TO_TEAM, quorum=2))
    desk.step()
    desk.do("ack", "Ann Engineer")
    assert desk.step(300.0) == [("sms", "bob")], "one is not enough"
    desk.do("ack", "Bob Engineer")
    assert desk.incident.accepted_by == ("Ann Engineer", "Bob Engineer")
    assert desk.step(300.0) == []


def test_the_same_person_twice_is_one() -> None:
    desk = Desk(policy=replace(TO_TEAM, quorum=2))
    desk.step()
    desk.do("ack", "Ann Engineer")
    desk.do("ack", "Ann Engineer")
    assert desk.step(300.0) == [("sms", "bob")]


def test_the_ladder_again() -> None:
    desk = Desk(policy=replace(TO_TEAM, repeat=2, repeat_every_s=900.0))
    told = [pair for _ in range(60) for pair in desk.step(60.0 if desk.told else 0.0)]
    assert told == [("sms", "ann"), ("sms", "bob"), ("sms", "dora")] * 3
    assert len(desk.told) == 9, "each with a key of its own"


def test_an_acceptance_without_a_word_lapses_and_pages_anew() -> None:
    policy = replace(TO_TEAM, unack_after_s=1800.0)
    desk = Desk(policy=policy)
    desk.step()
    desk.do("ack", "Ann Engineer")
    desk.now += 1000.0
    desk.do("note", "Ann Engineer", text="Looking at the switch")
    assert lapses_at(desk.incident, (policy,)) == MORNING + 1000.0 + 1800.0, "a word counts"
    desk.now = MORNING + 2800.0
    desk.incident = lapsed(desk.incident, desk.now)
    assert (desk.incident.state, desk.incident.owner) == (IncidentState.OPEN, None)
    assert desk.step() == [("sms", "ann")]
    assert desk.step(300.0) == [("sms", "bob")]


def test_seen_not_mine() -> None:
    desk = Desk()
    desk.step()
    desk.now += 30.0
    desk.do("pass", "Ann Engineer", to="user:dora")
    assert desk.step() == [("sms", "dora")]
    assert "not theirs" in desk.incident.timeline[-1].text
    assert desk.step(300.0) == [("sms", "bob")], "and if they do not answer, the steps go on"


def test_passing_on_what_one_had_accepted_gives_it_back() -> None:
    desk = Desk()
    desk.step()
    desk.do("ack", "Ann Engineer")
    desk.do("pass", "Ann Engineer", to="user:bob")
    assert (desk.incident.owner, desk.incident.state) == (None, IncidentState.OPEN)


def test_a_word_that_means_nobody_is_refused() -> None:
    roster = Roster(PLAN)
    assert roster.word_of("Bob Engineer", (), MORNING) == "user:bob"
    assert roster.word_of("network", ("network",), MORNING) == "team:network"
    with pytest.raises(Conflict, match="nobody answers for 'catering'"):
        roster.word_of("catering", ("network",), MORNING)


def test_every_policy_for_severity_1_or_2_ends_at_the_next_person_and_the_duty_manager() -> None:
    form = OncallForm.model_validate({"rotas": [{"id": "net", "people": ["ann"]}], "duty_manager": "user:dora"})
    bare = guaranteed(Policy("p", (Step(0.0, ("pager",), ("rota:net",)),), (1, 2, 3)), form)
    assert [(s.after_s, s.to, s.only) for s in bare.steps[1:]] == [
        (300.0, ("next:net",), (1, 2)), (600.0, ("duty-manager",), (1, 2)),
    ]  # fmt: skip
    assert guaranteed(replace(bare, severities=(3,), steps=bare.steps[:1]), form).steps == bare.steps[:1]
    assert guaranteed(bare, form) == bare


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["wait", "ack", "pass", "unack", "worse", "members"]), st.integers(1, 900)),
                max_size=12))  # fmt: skip
def test_no_severity_2_stays_without_an_owner_or_a_page(moves: list[tuple[str, int]]) -> None:
    """Whatever people do: 15 minutes after the last that anybody did, somebody owns it or all three were asked."""
    desk = Desk()
    desk.step()
    for move, seconds in moves:
        desk.step(float(seconds))
        if move == "ack":
            desk.do("ack", "Ann Engineer")
        elif move == "pass":
            desk.do("pass", "Ann Engineer", to="user:bob")
        elif move == "unack" and desk.incident.state is IncidentState.ACKNOWLEDGED:
            desk.do("unack", "Ann Engineer")
        elif move == "worse":
            desk.incident = replace(desk.incident, severity=1, worst_severity=1)
        elif move == "members":
            more = (*desk.incident.timeline, Entry(desk.now, "joined", "another switch"))
            desk.incident = replace(desk.incident, timeline=more)
    for _ in range(4):
        desk.step(300.0)
    asked = {notice.person for notice in desk.told.values()}
    assert desk.incident.owner or asked == {"ann", "bob", "dora"}
    assert len({(n.channel, n.to, n.why, n.severity, n.step, n.round) for n in desk.told.values()}) == len(desk.told)
