"""Rotas, the waking table and the escalation on a virtual clock, beside a plain second reckoning of who is on duty.

Somebody is always asked, never two by chance, and nobody who is off duty.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.paging import MORNING, estate, incident, member, mitigated
from healthmon.alerting.incidents.actions import act, lapsed
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.oncall.escalation import due
from healthmon.alerting.oncall.ladder import lapses_at
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.rota import gaps, on_call
from healthmon.alerting.oncall.waking import DEFAULT_WAKING
from healthmon.config.oncall import guaranteed
from healthmon.config.oncallforms import OncallForm
from healthmon.impact.hours import Calendar
from healthmon.model.errors import Conflict
from healthmon.model.incident import Command, Incident, IncidentState, Notice, NoticeResult, Policy, Step, Why
from healthmon.model.oncall import Handover, Layer, OncallPlan, OncallUser, Override, Rota
from healthmon.model.topology import Hours

EXAMPLES = int(os.environ.get("HEALTHMON_PROPERTIES") or 10)
FEW = settings(max_examples=EXAMPLES)
PEOPLE = ("ann", "bob", "cat", "dan")
#: Moments around which clocks are changed: London forth and back, New York, Lord Howe (by half an hour).
CHANGES = (
    ("Europe/London", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Europe/London", datetime(2027, 10, 31, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 11, 7, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 10, 2, 15, 30, tzinfo=UTC)),
)
#: Without the dampers, so that the steps alone show.
AT_ONCE = replace(DEFAULT_WAKING, hold_s=0.0, gather=(), storm_s=0.0)
_HOUR = 3600.0


# --- the second reckoning -----------------------------------------------------------------------------------------


def reached(zone: ZoneInfo, day: date, minute: int) -> float:
    """The first whole minute at which the local clock shows this time or a later one of its day's order."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    at = datetime(wall.year, wall.month, wall.day, wall.hour, wall.minute, tzinfo=UTC).timestamp() - 16 * _HOUR
    step = 1800.0
    while datetime.fromtimestamp(at + step, zone).replace(tzinfo=None) < wall:
        at += step
    while datetime.fromtimestamp(at, zone).replace(tzinfo=None) < wall:
        at += 60.0
    return at


def on_duty(rota: Rota, overrides: list[Override], at: float) -> str | None:
    """Who is on call, counted handover by handover from the first day; overrides in the order they were made."""
    zone = ZoneInfo(rota.timezone)
    found = None
    for layer in rota.layers:
        today = datetime.fromtimestamp(at, zone).date()
        if layer.hours is not None and not any(
            weekday == day.weekday() and reached(zone, day, start) <= at < reached(zone, day, end)
            for day in (today - timedelta(days=1), today)
            for weekday, start, end in layer.hours.spans
        ):
            continue
        passed, day = -1, layer.first
        while day <= today + timedelta(days=1):
            for one in layer.handovers:
                if one.weekday == day.weekday() and reached(zone, day, one.minute) <= at:
                    passed += 1
            day += timedelta(days=1)
        if passed >= 0 and layer.people:
            found = layer.people[passed // layer.turns % len(layer.people)]
    for one in overrides:
        if one.rota == rota.id and not one.ended and one.start <= at < one.end and one.replaces in (None, found):
            found = one.user
    return found


# --- what is drawn ------------------------------------------------------------------------------------------------

HANDOVERS = st.sampled_from(
    [tuple(Handover(day, minute) for day in range(7)) for minute in (0, 60, 90, 105, 120, 150, 540, 1439)]
    + [(Handover(6, 90),), (Handover(0, 540), Handover(4, 1080)), (Handover(6, 0), Handover(6, 720))]
)
LAYERS = st.builds(
    Layer,
    id=st.sampled_from(["days", "nights"]),
    people=st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4).map(tuple),
    handovers=HANDOVERS,
    turns=st.integers(1, 3),
    first=st.just(date(2027, 2, 22)),
    hours=st.sampled_from(
        [
            None,
            None,
            Hours(tuple((d, 480, 1080) for d in range(5))),
            Hours(tuple((d, 1200, 1440 + 480) for d in range(7))),
        ]
    ),
)


@st.composite
def duties(draw: st.DrawFn, *, whole: bool = False) -> tuple[Rota, list[Override], float]:
    """A rota with stand-ins around a change of the clocks, and a moment near it; whole: without gaps."""
    zone, change = draw(st.sampled_from(CHANGES))
    at = change.timestamp() + draw(st.integers(-50 * 60, 50 * 60)) * 60.0
    layers = draw(st.lists(LAYERS, min_size=1, max_size=3))
    if whole:
        layers[0] = replace(layers[0], hours=None)
    made = []
    for number in range(draw(st.integers(0, 3))):
        start = at + draw(st.integers(-30, 10)) * _HOUR
        user, replaces = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from([None, *PEOPLE]))
        made.append(
            Override(f"o{number}", draw(st.sampled_from(["net", "other"])), user, start,
                     start + draw(st.integers(1, 40)) * _HOUR, replaces, ended=draw(st.booleans()))
        )  # fmt: skip
    return Rota("net", "Network", zone, tuple(layers)), made, at


@FEW
@given(duties())
def test_who_is_on_call_is_what_a_plain_count_says(drawn: tuple[Rota, list[Override], float]) -> None:
    rota, overrides, at = drawn
    for moment in (at, at - 1800.0, at + 3599.0):
        assert on_call(rota, moment, overrides).user == on_duty(rota, overrides, moment)


@FEW
@given(duties())
def test_gaps_are_exactly_when_nobody_is_on_duty(drawn: tuple[Rota, list[Override], float]) -> None:
    rota, overrides, at = drawn
    found = gaps(rota, at - 6 * _HOUR, at + 6 * _HOUR, overrides)
    for step in range(-12, 12):
        moment = at + step * 1800.0 + 7.0
        assert (on_duty(rota, overrides, moment) is None) == any(gap.start <= moment < gap.end for gap in found)


# --- an incident through time -------------------------------------------------------------------------------------

USERS = {
    name: OncallUser(name, name.title(), readers=(("sms", f"+44{n}"), ("mail", f"{name}@h.example")))
    for n, name in enumerate((*PEOPLE, "dm"))
}
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["wait", "wait", "wait", "ack", "ack", "unack", "pass", "note", "worse", "member"]),
        st.sampled_from([*PEOPLE, "dm"]),
        st.sampled_from([0, 30, 61, 299, 301, 1200, 4 * 3600]),
        st.sampled_from([NoticeResult.SENT, NoticeResult.SENT, NoticeResult.DEAD, NoticeResult.RETRYING]),
    ),
    max_size=14,
)
POLICIES = st.builds(
    lambda first, quorum, repeat, unack: guaranteed(
        Policy("p", (Step(0.0, (), first),), (1, 2, 3), quorum=quorum, repeat=repeat, unack_after_s=unack),
        OncallForm.model_validate({"duty_manager": "user:dm", "rotas": [{"id": "net"}]}),
    ),
    st.sampled_from([("team",), ("rota:net",)]),
    st.integers(1, 2),
    st.integers(0, 2),
    st.sampled_from([None, 1800.0]),
)


class Night:
    """One incident under one policy; time moves by hand, the engine looks every five seconds at most a few times."""

    def __init__(self, policy: Policy, rota: Rota, overrides: list[Override], at: float, severity: int) -> None:
        plan = OncallPlan(
            users=USERS, rotas={"net": rota, "other": replace(rota, id="other")}, team_rotas={"network": "net"},
            duty_manager="user:dm",
        )  # fmt: skip
        self.policy, self.rota, self.now = policy, rota, at
        self.roster = Roster(plan, overrides)
        self.overrides = overrides
        self.incident: Incident = incident(severity, at=at, team="network")
        self.told: dict[str, Notice] = {}
        self.new: list[Notice] = []
        self.texts = Texts({}, estate(), Calendar(estate()))

    def look(self, result: NoticeResult) -> None:
        lapse = lapses_at(self.incident, (self.policy,))
        if lapse is not None and lapse <= self.now:
            self.incident = lapsed(self.incident, self.now)
        self.new, self.rows = map(
            list,
            due(self.incident, policies=(self.policy,), told=self.told, mode="live", now=self.now, estate=estate(),
                roster=self.roster, waking=AT_ONCE),
        )  # fmt: skip
        self.told |= {one.key: replace(one, result=result, at=self.now) for one in self.new}

    def do(self, action: str, by: str, **more: Any) -> None:
        command = Command(action, "inc-1", by, **more)
        try:
            (self.incident,) = act(
                {"inc-1": self.incident}, command, self.now, failing=lambda one: True, texts=self.texts
            )
        except Conflict:
            pass

    def move(self, action: str, who: str) -> None:
        if action in ("ack", "unack"):
            self.do(action, USERS[who].name)
        elif action == "pass":
            self.do("pass", USERS[who].name, to="duty-manager")
        elif action == "note":
            self.do("note", USERS[who].name, text="Looking at it")
        elif action == "worse":
            self.incident = replace(self.incident, severity=1, worst_severity=1)
        elif action == "member":
            more = member(f"sw-{len(self.incident.members)}", at=self.now)
            self.incident = replace(self.incident, members=(*self.incident.members, more))

    def on_duty(self) -> set[str]:
        """Everybody whom a step may mean now: on duty, next in turn, the duty manager; and whom somebody named."""
        standby = self.roster.standby("net", self.now)
        found = {on_duty(self.rota, self.overrides, self.now), "dm", standby.backup.id if standby.backup else None}
        return {one for one in found if one}

    def reached(self) -> bool:
        return any(one.result is not NoticeResult.DEAD for one in self.told.values())


@FEW
@given(POLICIES, duties(), st.integers(1, 2), MOVES)
def test_somebody_is_always_asked_never_two_by_chance_and_nobody_off_duty(
    policy: Policy, drawn: tuple[Rota, list[Override], float], severity: int, moves: list[tuple[str, str, int, Any]]
) -> None:
    rota, overrides, at = drawn
    night = Night(policy, rota, overrides, at, severity)
    night.look(NoticeResult.SENT)
    assert night.told, "severity 1 and 2 ask somebody at once, in a gap the duty manager"
    paged: set[str] = {one.person for one in night.new if one.person}
    for action, who, wait_s, result in moves:
        owned = night.incident.owner
        night.move(action, who)
        night.now += wait_s
        night.look(result)
        news = [one for one in night.new if one.why in (Why.OPENED, Why.ESCALATED)]
        for one in news:
            assert one.person in night.on_duty(), (one.person, night.on_duty())
        for step in {(one.step, one.round) for one in news}:
            people = {one.person for one in news if (one.step, one.round) == step}
            assert len(people) <= len(policy.steps[step[0]].to), "one person a word"
        for one in night.new:
            if one.why in (Why.WORSE, Why.NEW_AREA):
                assert one.person in paged, "only those who were asked before hear that it got worse"
        if action == "member" and owned and night.incident.owner == owned and policy.quorum == 1:
            assert not night.new or night.incident.state is IncidentState.OPEN, "new members do not ask the owner again"
        paged |= {one.person for one in night.new if one.person}
        before = len(night.told)
        night.look(result)
        assert len(night.told) - before <= len(night.new)
        assert night.told, "what was decided stays decided"


@FEW
@given(POLICIES, duties(whole=True), st.integers(1, 2))
def test_within_five_minutes_an_owner_or_the_next_person_and_then_the_duty_manager(
    policy: Policy, drawn: tuple[Rota, list[Override], float], severity: int
) -> None:
    rota, overrides, at = drawn
    night = Night(policy, rota, overrides, at, severity)
    when: dict[str, float] = {}
    for _ in range(0, 660, 5):
        night.look(NoticeResult.SENT)
        for one in night.new:
            when.setdefault(one.person or one.channel, night.now - at)
        night.now += 5.0
    first = on_duty(rota, overrides, at)
    assert first is not None
    assert when[first] == 0.0
    assert when["dm"] <= 600.0
    backup = night.roster.standby("net", at + 300.0).backup
    if backup is not None:
        assert when[backup.id] <= 300.0


@FEW
@given(duties(whole=True), st.integers(0, 600), st.integers(1, 3))
def test_two_media_for_severity_1_and_one_else(
    drawn: tuple[Rota, list[Override], float], wait_s: int, severity: int
) -> None:
    policy = Policy("p", (Step(0.0, (), ("team",)),), (1, 2, 3))
    night = Night(policy, *drawn, severity)
    night.now += wait_s
    night.look(NoticeResult.SENT)
    if night.told:
        assert {one.channel for one in night.new} == ({"sms", "mail"} if severity == 1 else {"sms"})


@FEW
@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=6), st.integers(2, 3))
def test_a_quorum_counts_people_not_answers(answers: list[str], quorum: int) -> None:
    rota = Rota("net", "Network", "Europe/London", (Layer("days", PEOPLE, first=date(2026, 12, 28)),))
    policy = Policy("p", (Step(0.0, (), ("team",)), Step(300.0, (), ("next",))), (1, 2), quorum=quorum)
    night = Night(policy, rota, [], MORNING, 2)
    night.look(NoticeResult.SENT)
    for who in answers:
        night.move("ack", who)
    night.now += 300.0
    night.look(NoticeResult.SENT)
    asked = any(one.step == 1 for one in night.new)
    new = night.roster.standby("net", night.now).backup
    if len(set(answers)) >= quorum:
        assert not asked
    elif new is not None and new.id not in answers:
        assert asked


# --- the waking table ---------------------------------------------------------------------------------------------


@FEW
@given(
    severity=st.integers(1, 5),
    start=st.integers(0, 7 * 24 * 60 - 1),
    areas=st.sampled_from([("ward-7",), ("ed",), ("clinic-a",), ("ward-7", "clinic-a")]),
    single=st.booleans(),
    heals_after=st.sampled_from([None, 20.0, 59.0, 61.0, 600.0]),
    change=st.sampled_from(CHANGES[:2]),
)
def test_whatever_is_found_is_paged_or_listed_and_never_dropped(
    severity: int, start: int, areas: tuple[str, ...], single: bool, heals_after: float | None, change: Any
) -> None:
    """A week around each change of the clocks, minute by minute of its start."""
    at = change[1].timestamp() - 3.5 * 86_400.0 + start * 60.0
    seen = (member(at=at),) if single else (member(at=at), member(vantage="pc-w7-01", at=at))
    found = incident(severity, at=at, areas=areas, members=seen)
    policy = Policy("p", (Step(0.0, ("pager",)),), (1, 2, 3, 4, 5))
    told: dict[str, Notice] = {}
    rows: dict[str, Any] = {}
    for second in range(0, 130, 5):
        now = at + second
        one = mitigated(found, at + heals_after) if heals_after is not None and second >= heals_after else found
        notices, ledger = due(
            one, policies=(policy,), told=told, mode="live", now=now, estate=estate(), ledgered=rows.keys()
        )
        told |= {n.key: replace(n, result=NoticeResult.SENT) for n in notices}
        rows |= {row.key: row for row in ledger}
    local = datetime.fromtimestamp(at, ZoneInfo("Europe/London"))
    night = local.hour >= 22 or local.hour < 7
    first = min((n.due - at for n in told.values() if n.why is Why.OPENED), default=None)
    causes = {row.cause for row in rows.values()}
    assert told or causes, "nothing is dropped"
    if severity == 1:
        assert first == 0.0
    if severity == 2 and not (night and single):
        assert first is not None
        assert first <= DEFAULT_WAKING.gather_s(2) + 5.0, "only so long as what fails with it may need to show"
    if severity == 2 and night and single:
        if heals_after is not None and heals_after < 60.0:
            assert first is None
            assert "brief_loss" in causes
        elif heals_after is None:
            assert first is not None
            assert first <= 65.0
            assert "held" in causes
    if severity >= 4:
        assert first is None
        assert "not_woken" in causes
    if severity == 3 and night and areas == ("ward-7",) and first is None:
        assert {row.who for row in rows.values() if row.cause == "not_woken"} == {"morning list"}


@pytest.mark.parametrize("change", CHANGES[:2], ids=["forth", "back"])
def test_the_night_ends_at_seven_on_the_clock_on_the_wall(change: tuple[str, datetime]) -> None:
    zone = ZoneInfo("Europe/London")
    day = change[1].astimezone(zone).date()
    for hour, night in ((6, True), (7, False), (21, False), (22, True)):
        at = datetime(day.year, day.month, day.day, hour, 30, tzinfo=zone).timestamp()
        assert DEFAULT_WAKING.night(hour * 60 + 30) is night
        found = incident(3, at=at, areas=("ward-7",))
        notices, _ = due(
            found,
            policies=(Policy("p", (Step(0.0, ("pager",)),), (3,)),),
            told={},
            mode="live",
            now=at,
            estate=estate(),
            waking=AT_ONCE,
        )
        assert bool(notices) is not night
