"""Who is told when: the whole life of an incident, step by step, with nothing but arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.paging import AT_ONCE, MORNING, NIGHT, PAGER, estate, impact, incident, member, mitigated
from healthmon.alerting.oncall.escalation import due
from healthmon.alerting.oncall.waking import ANY_HOUR, DEFAULT_WAKING
from healthmon.model.incident import (
    Entry,
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Notice,
    NoticeResult,
    Policy,
    ServiceState,
    Step,
    Why,
)
from healthmon.model.topology import Team

ESTATE = estate()


class Desk:
    """Plays the engine: keeps what was told and written, and asks again and again."""

    def __init__(self, *, mode: str = "live", policies: Sequence[Policy] = (PAGER,), **more: Any) -> None:
        self.told: dict[str, Notice] = {}
        self.rows: list[LedgerRow] = []
        self.mode = mode
        self.policies = policies
        self.more: Mapping[str, Any] = {"estate": ESTATE, "waking": AT_ONCE} | more

    def ask(self, incident: Incident, now: float) -> list[tuple[str, Why]]:
        notices, rows = due(
            incident,
            policies=self.policies,
            told=self.told,
            mode=self.mode,
            now=now,
            ledgered={row.key for row in self.rows},
            **self.more,
        )
        self.told |= {notice.key: replace(notice, result=NoticeResult.SENT) for notice in notices}
        self.rows += rows
        again = due(
            incident,
            policies=self.policies,
            told=self.told,
            mode=self.mode,
            now=now,
            ledgered={row.key for row in self.rows},
            **self.more,
        )
        assert again == ((), ()), "asking twice in the same moment must add nothing"
        return [(notice.channel, notice.why) for notice in notices]

    def causes(self) -> list[str]:
        return [row.cause for row in self.rows]


def test_opened_goes_to_the_first_step_once() -> None:
    desk = Desk()
    assert desk.ask(incident(), MORNING) == [("pager", Why.OPENED)]
    assert desk.ask(incident(), MORNING + 10) == []
    assert desk.rows == []


def test_the_next_step_comes_after_its_wait_unless_somebody_has_it() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    assert desk.ask(incident(), MORNING + 299) == []
    taken = incident(state=IncidentState.ACKNOWLEDGED, owner="on-call engineer", acknowledged_at=MORNING + 250)
    assert desk.ask(taken, MORNING + 301) == []
    assert desk.ask(incident(), MORNING + 302) == [("mail", Why.ESCALATED)], "taking it back resumes"


def test_an_owner_without_acknowledgement_stops_the_steps_too() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    assert desk.ask(incident(owner="on-call engineer"), MORNING + 301) == []


def test_a_worse_severity_is_told_even_to_the_owner_and_an_easing_one_is_not() -> None:
    desk = Desk()
    desk.ask(incident(2), MORNING)
    owned = incident(2, owner="on-call engineer", state=IncidentState.ACKNOWLEDGED)
    assert desk.ask(replace(owned, severity=3), MORNING + 5) == []
    assert desk.ask(owned, MORNING + 6) == [], "back at what was told already"
    assert desk.ask(replace(owned, severity=1), MORNING + 7) == [("pager", Why.WORSE)]


def test_new_members_alone_are_not_told_but_a_new_area_is() -> None:
    desk = Desk()
    owned = incident(owner="on-call engineer")
    desk.ask(owned, MORNING)
    more = replace(owned, members=(*owned.members, member("printer-1")))
    assert desk.ask(more, MORNING + 100) == []
    assert desk.ask(replace(more, impact=impact("ward-7", "ed")), MORNING + 101) == [("pager", Why.NEW_AREA)]
    assert desk.ask(replace(more, impact=impact("ward-7", "ed", "clinic-a")), MORNING + 140) == [
        ("pager", Why.NEW_AREA)
    ], "a second new area at the same severity is told too"


def test_an_area_at_risk_is_told_when_it_is_lost() -> None:
    desk = Desk()
    risky = incident(impact=impact("ward-7") + impact("ed", state=ServiceState.AT_RISK))
    desk.ask(risky, MORNING)
    assert desk.ask(incident(areas=("ward-7", "ed")), MORNING + 60) == [("pager", Why.NEW_AREA)]


def test_areas_that_follow_each_other_quickly_are_told_together() -> None:
    desk = Desk()
    desk.ask(incident(areas=("ward-7",)), MORNING)
    assert desk.ask(incident(areas=("ward-7", "ed")), MORNING + 2) == []
    assert desk.ask(incident(areas=("ward-7", "ed", "clinic-a")), MORNING + 30) == [("pager", Why.NEW_AREA)]


def test_a_warning_that_came_true_is_told_as_worse() -> None:
    desk = Desk()
    desk.ask(incident(2, kind=IncidentKind.EARLY_WARNING), MORNING)
    assert desk.ask(incident(2), MORNING + 5) == [("pager", Why.WORSE)]


def test_the_end_goes_once_to_everyone_who_was_told_and_not_before() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    desk.ask(incident(), MORNING + 300)
    over = mitigated(incident(), MORNING + 400)
    assert sorted(desk.ask(over, MORNING + 400)) == [("mail", Why.MITIGATED), ("pager", Why.MITIGATED)]
    assert desk.ask(over, MORNING + 401) == []
    assert desk.ask(replace(over, state=IncidentState.RESOLVED, resolved_at=MORNING + 500), MORNING + 500) == []


def test_resolved_without_mitigated_is_told_once() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    closed = incident(state=IncidentState.RESOLVED, resolved_at=MORNING + 60)
    assert desk.ask(closed, MORNING + 60) == [("pager", Why.RESOLVED)]


def test_nobody_told_nobody_hears_the_end() -> None:
    assert Desk().ask(mitigated(incident(), MORNING + 5), MORNING + 5) == []


def test_a_dead_page_is_not_followed_by_good_news_and_hurries_the_next_step() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    desk.told = {key: replace(n, result=NoticeResult.DEAD) for key, n in desk.told.items()}
    assert desk.ask(incident(), MORNING + 1) == [("mail", Why.ESCALATED)]
    assert desk.ask(mitigated(incident(), MORNING + 9), MORNING + 9) == [("mail", Why.MITIGATED)]


def test_coming_back_after_the_end_is_a_new_episode_with_new_keys() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    desk.ask(mitigated(incident(), MORNING + 100), MORNING + 100)
    back = incident(timeline=(Entry(MORNING + 200, "reopened", "it failed again"),))
    assert desk.ask(back, MORNING + 200) == [("pager", Why.OPENED)]
    assert desk.ask(back, MORNING + 499) == []
    assert desk.ask(back, MORNING + 500) == [("mail", Why.ESCALATED)], "waits count from the new episode"
    assert sorted(desk.ask(mitigated(back, MORNING + 600), MORNING + 600)) == [
        ("mail", Why.MITIGATED),
        ("pager", Why.MITIGATED),
    ]
    assert {n.episode for n in desk.told.values()} == {1, 2}


def test_a_worse_severity_brings_in_the_policy_that_takes_it() -> None:
    critical = Policy("critical", (Step(0.0, ("pager", "mail")), Step(60.0, ("manager",))), severities=(1,))
    on_call = Policy("on-call", (Step(0.0, ("pager",)),), severities=(2, 3))
    desk = Desk(policies=(on_call, critical))
    desk.ask(incident(2), MORNING)
    assert sorted(desk.ask(incident(1), MORNING + 1000)) == [("mail", Why.OPENED), ("pager", Why.WORSE)]
    assert desk.ask(incident(1), MORNING + 1059) == []
    assert desk.ask(incident(2, worst_severity=1), MORNING + 1059) == [], "easing pages nobody again"
    assert desk.ask(incident(1), MORNING + 1061) == [("manager", Why.ESCALATED)]


def test_a_policy_may_name_teams_and_addresses() -> None:
    network = Policy("net", (Step(0.0, ("mail:net@hospital.example",)),), teams=("network",))
    desk = Desk(policies=(network,))
    assert desk.ask(incident(team="network"), MORNING) == [("mail", Why.OPENED)]
    assert next(iter(desk.told.values())).to == "net@hospital.example"


def test_the_team_whose_fault_it_is_hears_with_the_first_step() -> None:
    network = Team("network", "Network", channels=("net-chat", "pager"))
    desk = Desk(estate=replace(ESTATE, teams={"network": network}))
    assert desk.ask(incident(team="network"), MORNING) == [("pager", Why.OPENED), ("net-chat", Why.OPENED)]
    assert desk.ask(incident(team="network"), MORNING + 300) == [("mail", Why.ESCALATED)]


def test_no_policy_is_visible() -> None:
    desk = Desk(policies=(replace(PAGER, teams=("network",)),))
    assert desk.ask(incident(team="apps"), MORNING) == []
    assert desk.causes() == ["no_policy"]
    assert desk.ask(incident(team="apps"), MORNING + 60) == []
    assert desk.causes() == ["no_policy"]


def test_shadow_writes_what_it_would_have_done_and_tells_nobody() -> None:
    desk = Desk(mode="shadow")
    assert desk.ask(incident(), MORNING) == []
    assert desk.ask(incident(), MORNING + 10) == []
    assert desk.ask(incident(), MORNING + 300) == []
    assert [(row.cause, row.who) for row in desk.rows] == [("shadow", "pager"), ("shadow", "mail")]
    assert desk.rows[0].because.startswith("would have paged pager at 10:00 because [sev 2] Ward 7")
    assert desk.ask(incident(3, worst_severity=2), MORNING + 301) == []
    assert len(desk.rows) == 2, "easing is no second page"
    assert desk.ask(mitigated(incident(), MORNING + 400), MORNING + 400) == []
    desk.mode = "live"
    assert desk.ask(incident(), MORNING + 500) == [("pager", Why.OPENED)]
    assert desk.ask(incident(), MORNING + 800) == [("mail", Why.ESCALATED)]


def test_shadow_still_tells_the_end_to_those_who_were_paged() -> None:
    desk = Desk()
    desk.ask(incident(), MORNING)
    desk.mode = "shadow"
    assert desk.ask(mitigated(incident(), MORNING + 9), MORNING + 9) == [("pager", Why.MITIGATED)]


@pytest.mark.parametrize(
    ("severity", "areas", "at", "woken"),
    [
        (1, ("clinic-a",), NIGHT, True),
        (2, ("ward-7",), NIGHT, True),
        (3, ("ward-7",), MORNING, True),
        (3, ("ward-7",), NIGHT, False),
        (3, ("ward-7", "ed"), NIGHT, True),
        (3, ("clinic-a",), MORNING, True),
        (3, ("clinic-a",), MORNING + 2 * 86400, False),  # Sunday: nobody is there
        (3, (), MORNING, True),  # nothing is mapped: better told
        (4, ("ed",), MORNING, False),
        (5, ("ed",), MORNING, False),
    ],
)
def test_the_waking_table(severity: int, areas: tuple[str, ...], at: float, woken: bool) -> None:
    everything = replace(PAGER, severities=(1, 2, 3, 4, 5))
    desk = Desk(policies=(everything,))
    assert bool(desk.ask(incident(severity, at=at, areas=areas), at)) is woken
    assert desk.causes() == ([] if woken else ["not_woken"])


@pytest.mark.parametrize(
    ("kind", "urgency", "woken"),
    [(IncidentKind.EARLY_WARNING, 5, False), (IncidentKind.EARLY_WARNING, 4, True), (IncidentKind.INCIDENT, 5, True)],
)
def test_of_an_ed_a_warning_of_next_month_waits_for_the_morning(kind: IncidentKind, urgency: int, woken: bool) -> None:
    desk = Desk()
    warning = replace(incident(3, at=NIGHT, areas=("ed",)), kind=kind, urgency=urgency)
    at_night, in_the_morning = desk.ask(warning, NIGHT), desk.ask(warning, NIGHT + 8 * 3600)
    assert bool(at_night) is woken
    assert (at_night or in_the_morning) == [("pager", Why.OPENED)]


def test_what_is_listed_at_night_pages_in_the_morning_if_it_is_still_there() -> None:
    desk = Desk()
    assert desk.ask(incident(3, at=NIGHT), NIGHT) == []
    assert desk.ask(incident(3, at=NIGHT), NIGHT + 8 * 3600) == [("pager", Why.OPENED)]


def test_the_callable_for_staffed_hours_is_asked() -> None:
    desk = Desk(staffed=lambda area, at: False)
    assert desk.ask(incident(3), MORNING) == []
    assert desk.causes() == ["not_woken"]


def test_at_night_one_vantage_point_is_held_and_a_second_one_ends_the_hold() -> None:
    alone = incident(at=NIGHT, members=(member(at=NIGHT),))
    desk = Desk()
    assert desk.ask(alone, NIGHT) == []
    assert desk.ask(alone, NIGHT + 59) == []
    assert desk.causes() == ["held"]
    assert desk.ask(alone, NIGHT + 60) == [("pager", Why.OPENED)]
    second = replace(alone, members=(*alone.members, member("pc-w7-01", "pc-w7-01")))
    assert Desk().ask(second, NIGHT + 1) == [("pager", Why.OPENED)]
    assert Desk().ask(incident(members=(member(),)), MORNING) == [("pager", Why.OPENED)], "by day nothing is held"
    assert Desk().ask(replace(alone, severity=1), NIGHT) == [("pager", Why.OPENED)], "the worst is never held"


def test_what_heals_in_the_hold_is_listed_as_a_brief_loss() -> None:
    alone = incident(at=NIGHT, members=(member(at=NIGHT),))
    desk = Desk()
    desk.ask(alone, NIGHT)
    healed = replace(mitigated(alone, NIGHT + 30), members=(replace(member(at=NIGHT), cleared_at=NIGHT + 29),))
    assert desk.ask(healed, NIGHT + 30) == []
    assert desk.causes() == ["held", "brief_loss"]


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_a_single_ward_pc_never_pages_by_itself(severity: int) -> None:
    lone = incident(severity, members=(member("pc-w7-01"), member("pc-w7-01", "agent")))
    desk = Desk(policies=(replace(PAGER, severities=(1, 2, 3, 4, 5)),))
    assert desk.ask(lone, MORNING) == []
    assert desk.causes() == ["single_device"]


def test_a_monitoring_fault_takes_the_same_path() -> None:
    blind = incident(2, kind=IncidentKind.BLIND, impact=impact("ward-7", state=ServiceState.UNKNOWN))
    desk = Desk()
    assert desk.ask(blind, MORNING) == [("pager", Why.OPENED)]
    more = replace(blind, impact=impact("ward-7", "ed", state=ServiceState.UNKNOWN))
    assert desk.ask(more, MORNING + 60) == [("pager", Why.NEW_AREA)]
    assert desk.ask(mitigated(blind, MORNING + 90), MORNING + 90) == [("pager", Why.MITIGATED)]


def test_whoever_was_told_of_a_merged_incident_hears_the_end_of_the_one_it_went_into() -> None:
    other = Desk(policies=(Policy("p", (Step(0.0, ("mail",)),)),))
    other.ask(incident(id="inc-2"), MORNING)
    desk = Desk(absorbed=("inc-2",))
    desk.ask(incident(), MORNING)
    desk.told |= other.told
    gone = incident(id="inc-2", state=IncidentState.RESOLVED, merged_into="inc-1", resolved_at=MORNING + 5)
    assert other.ask(gone, MORNING + 5) == []
    assert sorted(desk.ask(mitigated(incident(), MORNING + 10), MORNING + 10)) == [
        ("mail", Why.MITIGATED),
        ("pager", Why.MITIGATED),
    ]


def test_another_incidents_notices_do_not_count() -> None:
    desk = Desk()
    desk.ask(incident(id="inc-9"), MORNING)
    assert desk.ask(incident(), MORNING) == [("pager", Why.OPENED)]


def test_a_page_that_can_wait_waits_for_what_fails_with_it() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    assert desk.ask(incident(2), MORNING) == []
    assert desk.ask(incident(2), MORNING + 9) == []
    assert desk.causes() == ["gathering"], "it is written down that it waits"
    assert desk.ask(incident(2, areas=("ward-7", "ed")), MORNING + 10) == [("pager", Why.OPENED)], (
        "once, with all of it"
    )
    assert Desk(waking=DEFAULT_WAKING).ask(incident(1), MORNING) == [("pager", Why.OPENED)], "the worst never waits"


def test_what_becomes_the_worst_while_it_waits_goes_at_once() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    assert desk.ask(incident(2), MORNING) == []
    assert desk.ask(incident(1), MORNING + 3) == [("pager", Why.OPENED)]


def test_getting_worse_twice_within_seconds_is_told_once() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    desk.ask(incident(3), MORNING + 30)
    worse = replace(incident(2), timeline=(Entry(MORNING + 100, "severity", "Severity 2, before: 3"),))
    assert desk.ask(worse, MORNING + 100) == []
    worst = replace(worse, severity=1, timeline=(*worse.timeline, Entry(MORNING + 101, "severity", "1, before: 2")))
    assert desk.ask(worst, MORNING + 101) == [("pager", Why.WORSE)]
    other = Desk(waking=DEFAULT_WAKING)
    other.ask(incident(3), MORNING + 30)
    assert other.ask(worse, MORNING + 110) == [("pager", Why.WORSE)], "and after the wait in any case"


def test_what_gets_worse_before_anybody_was_told_waits_from_then() -> None:
    """First one area, then a second: the outage is still unfolding, and the page of both is one."""
    desk = Desk(waking=DEFAULT_WAKING)
    assert desk.ask(incident(3), MORNING) == []
    rose = replace(incident(2), timeline=(Entry(MORNING + 7, "severity", "Severity 2, before: 3"),))
    assert desk.ask(rose, MORNING + 10) == []
    assert desk.ask(rose, MORNING + 17) == [("pager", Why.OPENED)]
    late = replace(incident(2), timeline=(Entry(MORNING + 28, "severity", "Severity 2, before: 3"),))
    slow = Desk(waking=DEFAULT_WAKING)
    assert slow.ask(late, MORNING + 29) == []
    assert slow.ask(late, MORNING + 30) == [("pager", Why.OPENED)], "never later than it would have gone if mild"
    worst = Desk(waking=DEFAULT_WAKING)
    assert worst.ask(rose, MORNING + 10) == []
    assert worst.ask(replace(rose, severity=1), MORNING + 11) == [("pager", Why.OPENED)], "severity 1 at once"


def test_what_heals_while_its_page_waits_is_listed() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    desk.ask(incident(2), MORNING)
    assert desk.ask(mitigated(incident(2), MORNING + 6), MORNING + 6) == []
    assert desk.causes() == ["gathering", "brief_loss"]


def hit_at(**areas: float) -> Incident:
    """Severity 1, each area hit so long after the morning began."""
    lines = tuple(replace(impact(area.replace("_", "-"))[0], since=MORNING + after) for area, after in areas.items())
    return replace(incident(1), impact=lines)


def test_areas_that_a_storm_reaches_within_a_minute_are_an_update() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    assert desk.ask(hit_at(ed=0), MORNING) == [("pager", Why.OPENED)]
    assert desk.ask(hit_at(ed=0, ward_7=40), MORNING + 40) == []
    assert desk.ask(hit_at(ed=0, ward_7=40), MORNING + 120) == [], "nor when the minute is over"
    assert desk.causes() == ["same_storm"], "the page that was not sent is written down"
    assert desk.ask(hit_at(ed=0, ward_7=40, clinic_a=130), MORNING + 130) == [("pager", Why.NEW_AREA)]


def test_the_first_critical_area_is_told_whenever_it_comes() -> None:
    desk = Desk(waking=DEFAULT_WAKING)
    desk.ask(hit_at(ward_7=0), MORNING)
    assert desk.ask(hit_at(ward_7=0, ed=31), MORNING + 31) == [("pager", Why.NEW_AREA)]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["open", "own", "mitigate", "resolve"]),
        st.integers(1, 5),
        st.sets(st.sampled_from(["ward-7", "ed", "clinic-a"])),
        st.floats(0.5, 400.0),
    ),
    max_size=25,
)


@given(MOVES)
def test_whatever_happens_good_news_follows_bad_news_once(moves: list[tuple[str, int, set[str], float]]) -> None:
    desk, now = Desk(waking=ANY_HOUR), MORNING
    last: dict[str, Why] = {}
    for move, severity, areas, wait_s in moves:
        now += wait_s
        now_incident = incident(severity, areas=tuple(sorted(areas)))
        if move == "own":
            now_incident = replace(now_incident, owner="someone", state=IncidentState.ACKNOWLEDGED)
        elif move == "mitigate":
            now_incident = mitigated(now_incident, now)
        elif move == "resolve":
            now_incident = replace(now_incident, state=IncidentState.RESOLVED, resolved_at=now)
        over = move in ("mitigate", "resolve")
        for channel, why in desk.ask(now_incident, now):
            assert (why in (Why.MITIGATED, Why.RESOLVED)) is over
            if over:
                assert last.get(channel) not in (None, Why.MITIGATED, Why.RESOLVED)
            last[channel] = why
        if over:
            assert all(why in (Why.MITIGATED, Why.RESOLVED) for why in last.values()), "nobody is left with bad news"
    keys = list(desk.told)
    assert len(keys) == len(set(keys))


def test_a_step_that_falls_due_at_night_after_a_page_by_day_is_in_the_ledger_and_told_in_the_morning() -> None:
    desk = Desk()
    evening = NIGHT - 3600.0 - 60.0  # 21:59, and the next step waits five minutes
    assert desk.ask(incident(3, at=evening), evening) == [("pager", Why.OPENED)]
    for wait_s in (299, 301, 900, 4000):
        assert desk.ask(incident(3, at=evening), evening + wait_s) == []
    (row,) = desk.rows
    assert (row.cause, row.who, row.at) == ("not_woken", "mail", evening + 301)
    assert "severity 3 at night is not a page by the waking table" in row.because
    assert desk.ask(incident(3, at=evening), NIGHT + 8 * 3600.0 + 1.0) == [("mail", Why.ESCALATED)]
