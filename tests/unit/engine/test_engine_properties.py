"""What must hold at every moment of any night: faults come and go at random, and the engine is watched throughout."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from smallsite import T0, Journal, Night, hospital

from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.model.alert import Phase
from healthmon.model.incident import Incident, IncidentKind, IncidentState, Why
from healthmon.model.sample import Reason

BREAKABLE = ("sw-core", "sw-w7", "sw-w8", "sw-ed-a", "ehr-web", "ehr-db-a", "ehr-db-b", "ad", "prn-w7", "lonely")
SETTLE_S = EngineSettings().settle_s
#: No shrinking: a night is long, and the events of a failing one are few and readable as they are.
SLOW = settings(
    max_examples=20,
    deadline=None,
    phases=[Phases.explicit, Phases.reuse, Phases.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Event:
    """At so many seconds after the start, one thing breaks, heals, is cut, or falls quiet."""

    at: float
    what: str
    who: str


EVENTS = st.lists(
    st.one_of(
        st.builds(Event, st.integers(20, 90).map(float), st.just("break"), st.sampled_from(BREAKABLE)),
        st.builds(Event, st.integers(40, 110).map(float), st.just("heal"), st.sampled_from(BREAKABLE)),
        st.builds(Event, st.integers(20, 90).map(float), st.just("quiet"), st.sampled_from(["pc-w7-1", "pc-w8-2"])),
        st.builds(Event, st.integers(20, 90).map(float), st.just("cut"), st.just("poller")),
        st.builds(Event, st.integers(40, 110).map(float), st.just("join"), st.just("poller")),
    ),
    max_size=6,
)


def happen(night: Night, event: Event) -> None:
    match event.what:
        case "break":
            night.down[event.who] = Reason.TIMEOUT
        case "heal":
            night.down.pop(event.who, None)
        case "quiet":
            night.quiet.add(event.who)
        case "cut":
            night.cut.add(event.who)
        case "join":
            night.cut.discard(event.who)


def steps(night: Night, events: list[Event], until: float = 150.0) -> list[EngineStep]:
    todo = sorted(events, key=lambda event: (event.at, event.what, event.who))
    while night.now < T0 + until:
        night.now += 0.5
        while todo and T0 + todo[0].at <= night.now:
            happen(night, todo.pop(0))
        night.one_step()
    return night.steps


def check_members(night: Night) -> None:
    """Every alert that has fired and had its time is in exactly one open incident; nothing clear is called failing."""
    homes = Counter(
        member.key for incident in night.incidents() for member in incident.members if member.cleared_at is None
    )
    # one that is mitigated keeps its members while they are put down to our blindness
    everywhere = Counter(
        (member.key, incident.kind is IncidentKind.BLIND)
        for incident in night.incidents()
        for member in incident.members
    )
    view = night.view()
    active = {alert.key for alert in view.alerts if alert.active}
    for alert in view.alerts:
        if alert.phase is Phase.FIRING and alert.fired_at is not None and night.now - alert.fired_at > SETTLE_S:
            assert homes[alert.key] == 1, alert
    assert all(key in active for key in homes)
    assert all(count == 1 for count in everywhere.values())


def check_no_early_all_clear(night: Night, incidents: list[Incident]) -> None:
    """A member that fires anew after the all-clear has its few seconds before it brings the incident back."""
    active = {alert.key: alert for alert in night.view().alerts if alert.active}
    for incident in incidents:
        if incident.state is IncidentState.MITIGATED:
            firing = [active[member.key] for member in incident.members if member.key in active]
            assert not [alert for alert in firing if (alert.fired_at or 0.0) <= (incident.mitigated_at or 0.0)]


@given(EVENTS)
@SLOW
def test_every_firing_alert_has_one_home_and_no_all_clear_comes_early(events: list[Event]) -> None:
    night = Night(hospital(wards=2, pcs=2))
    todo = sorted(events, key=lambda event: (event.at, event.what, event.who))
    while night.now < T0 + 150:
        night.now += 0.5
        while todo and T0 + todo[0].at <= night.now:
            happen(night, todo.pop(0))
        step = night.one_step()
        check_members(night)
        check_no_early_all_clear(night, night.incidents())
        told_over = [notice for notice in step.notices if notice.why in (Why.MITIGATED, Why.RESOLVED)]
        for notice in told_over:
            state = next(one.state for one in night.incidents(open_only=False) if one.id == notice.incident)
            assert state in (IncidentState.MITIGATED, IncidentState.RESOLVED)


@given(EVENTS)
@SLOW
def test_every_firing_is_told_or_written_down(events: list[Event]) -> None:
    """Pages plus ledger are all firings: nothing is dropped without a word."""
    night = Night(hospital(wards=2, pcs=2))
    steps(night, events)
    told = {notice.incident for notice in night.notices} | {row.incident for row in night.ledger}
    rows = {row.key.split("#")[0] for row in night.ledger}
    absorbed = Counter(incident.merged_into for incident in night.incidents(open_only=False))
    for incident in night.incidents(open_only=False):
        assert incident.id in told
        speaks = [member for member in incident.members if str(member.key) not in rows]
        assert len(speaks) <= 1 + absorbed[incident.id], speaks


@given(EVENTS)
@SLOW
def test_the_same_night_twice_is_the_same_night(events: list[Event]) -> None:
    first, second = Night(hospital(wards=2, pcs=2)), Night(hospital(wards=2, pcs=2))
    assert repr(steps(first, events)) == repr(steps(second, events))
    assert repr(first.view()) == repr(second.view())


#: The way out is cut again in the very tick in which the first cut is over.
CUT_AGAIN = [Event(47.0, "cut", "poller"), Event(56.0, "join", "poller"), Event(57.0, "cut", "poller")]


#: The looker is away for twenty seconds while two wards are down: what it says of them when it is back is the truth.
BACK_IN_A_FAULT = [
    Event(26.0, "break", "sw-w7"),
    Event(24.0, "break", "sw-w8"),
    Event(50.0, "cut", "poller"),
    Event(45.0, "join", "poller"),
    Event(69.0, "join", "poller"),
    Event(85.0, "join", "poller"),
]


@given(EVENTS)
@example(CUT_AGAIN)
@example(BACK_IN_A_FAULT)
@settings(SLOW, max_examples=10)
def test_a_restart_after_every_step_changes_nothing(events: list[Event]) -> None:
    """The journal alone carries the engine over: incidents, alerts, notices and ledger are the same to the byte."""
    plain, restarted = Night(hospital(wards=2, pcs=2)), Night(hospital(wards=2, pcs=2), restart_every_step=True)
    for one, other in zip(steps(plain, events), steps(restarted, events), strict=True):
        assert one.changes.incidents == other.changes.incidents, other.changes.at - T0
        assert one.changes.alerts == other.changes.alerts
        assert one.notices == other.notices
        assert one.changes.ledger == other.changes.ledger
    assert plain.incidents(open_only=False) == restarted.incidents(open_only=False)


@given(EVENTS, st.integers(10, 140))
@SLOW
def test_a_replayed_hour_changes_nothing(events: list[Event], at: int) -> None:
    """Every reading that was ever seen, once more: no alert moves, no incident changes, nobody is told."""
    night = Night(hospital(wards=2, pcs=2))
    steps(night, events, until=float(at))
    before = (night.incidents(open_only=False), night.view().alerts)
    readings = [reading for step in night.steps for reading in step.changes.readings]
    night.engine.observe(readings, now=night.now)
    step = night.engine.tick(night.now)
    assert not step.changes.readings
    assert not step.changes.alerts
    assert not step.notices
    assert (night.incidents(open_only=False), night.view().alerts) == before


@given(EVENTS)
@SLOW
def test_late_readings_never_open_anything(events: list[Event]) -> None:
    """What comes an hour late, or as catch-up, mends history elsewhere and pages nobody."""
    night = Night(hospital(wards=2, pcs=2))
    steps(night, events, until=100.0)
    readings = [reading for step in night.steps for reading in step.changes.readings]
    for live, now in ((True, night.now + 3_600.0), (False, night.now)):
        fresh = Night(hospital(wards=2, pcs=2)).engine
        fresh.observe(readings, now=now, live=live)
        step = fresh.tick(now)
        assert not step.changes.alerts
        assert not step.changes.incidents


def test_a_quiet_tick_costs_nothing_to_write() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(60)
    step = night.engine.tick(night.now)
    assert step.changes.empty()
    assert not step.asks
    assert Journal().restored().at is None
