"""People and time at work on incidents: actions, opening hours, proofs that grow old, severities that fall slowly."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from smallsite import EXPIRY_RULE, FAILED_RULE, HEALTH, T0, Night, area, check, estate_of, hospital, target

from healthmon.alerting.incidents.reconcile import FALL_AFTER_S
from healthmon.impact.hours import Calendar
from healthmon.model.errors import Conflict
from healthmon.model.incident import IncidentKind, IncidentState, ServiceState, Why
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Acuity, Agent, Service

DAY = 86_400.0


def ward_fault() -> Night:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    return night.run(40)


def test_acknowledging_is_written_out_and_told_by_the_next_step() -> None:
    night = ward_fault()
    found = night.act("ack", night.only().id)
    assert (found.state, found.owner) == (IncidentState.ACKNOWLEDGED, "kim")
    step = night.tick()
    assert [one.id for one in step.changes.incidents] == [found.id]
    assert night.only() == found


def test_nobody_resolves_what_still_fails() -> None:
    night = ward_fault()
    for action in ("resolve", "mitigate"):
        with pytest.raises(Conflict):
            night.act(action, night.only().id, reason="tired")


def test_an_acknowledged_incident_that_comes_back_is_open_again_and_keeps_its_owner() -> None:
    night = ward_fault()
    night.act("ack", night.only().id)
    night.down.clear()
    night.run(40)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(20)
    assert (night.only().state, night.only().owner, night.only().episode) == (IncidentState.OPEN, "kim", 2)


def test_a_person_may_hold_it_open_through_a_false_recovery() -> None:
    """Reopened by hand, it is not mitigated again by the same old clear members."""
    night = ward_fault()
    night.down.clear()
    night.run(40)
    night.act("reopen", night.only_or_mitigated().id)
    night.run(60)
    assert night.only().state is IncidentState.OPEN
    night.act("resolve", night.only().id, reason="cable replaced", impact="none seen")
    assert night.incidents() == []


def test_resolving_tells_everybody_who_was_told() -> None:
    night = ward_fault()
    night.down.clear()
    night.run(40)
    night.act("resolve", night.only_or_mitigated().id, reason="cable", impact="none seen")
    night.run(2)
    assert [notice.why for notice in night.notices][:2] == [Why.OPENED, Why.MITIGATED]
    assert len(night.incidents(open_only=False)) == 1


def test_a_split_survives_the_next_correlation() -> None:
    night = ward_fault()
    goes = night.act("split", night.only().id, members=("prn-w7",))
    night.run(20)
    homes = {one.id: {member.key.target for member in one.members} for one in night.incidents()}
    assert homes[goes.id] == {"prn-w7"}
    assert len(homes) == 2


def test_a_merge_by_hand_holds_too() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.down.update({"sw-w7": Reason.TIMEOUT, "lonely": Reason.REFUSED})
    night.run(40)
    first, second = sorted(night.incidents(), key=lambda one: one.severity)
    night.act("merge", second.id, into=first.id)
    night.run(20)
    assert night.only().id == first.id
    assert "lonely" in {member.key.target for member in night.only().members}


def test_a_fallback_counts_while_its_proof_is_fresh() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.down["ehr-web"] = Reason.REFUSED
    night.run(20)
    assert night.only().urgency == 2
    assert all(line.fallback_proven_at is not None for line in night.only().impact)
    night.down["ehr-readonly"] = Reason.REFUSED
    night.run(60)
    by_root = {one.root.target: one for one in night.incidents() if one.root}
    assert by_root["ehr-web"].urgency == 1
    assert all(line.fallback_proven_at is None for line in by_root["ehr-web"].impact)
    assert "Read-only" not in by_root["ehr-web"].plain_text


def test_a_severity_falls_only_after_minutes() -> None:
    """The record comes back everywhere but on ward 7: the same incident, milder only once that has stood."""
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.from_poller["ehr-web"] = Reason.TIMEOUT
    for place in ("ward-7", "ward-8"):
        night.from_area[(place, "ehr-web")] = Reason.TIMEOUT
    night.run(20)
    first = night.only()
    assert first.severity == 1
    del night.from_area[("ward-8", "ehr-web")]
    del night.from_poller["ehr-web"]
    night.run(60)
    assert (night.only().id, night.only().severity) == (first.id, 1)
    assert {line.area for line in night.only().impact} == {"ward-7"}
    night.run(FALL_AFTER_S, step=1.0)
    assert (night.only().id, night.only().severity, night.only().worst_severity) == (first.id, 3, 1)


def tls_reading(left_s: float, at: float) -> Reading:
    samples = (Sample("tls", "expires_seconds", left_s),)
    if left_s > 0:
        return Reading("ehr-web", "http", "poller", at, 0.0, Outcome.OK, samples=samples)
    return Reading("ehr-web", "http", "poller", at, 0.0, Outcome.FAILED, Reason.CERT_EXPIRED, samples=samples)


def test_a_warning_that_comes_true_is_the_same_incident_made_worse() -> None:
    estate = estate_of(
        [target("ehr-web", "endpoint", checks=(check("http", 60.0),))],
        [area("ed", acuity=Acuity.CRITICAL)],
        [Service("ehr", "EHR", 1, ("ed",), False, ("ehr-web",))],
        [Agent("poller")],
    )
    night = Night(estate, rules=(replace(FAILED_RULE, confirm=1), EXPIRY_RULE), answer_asks=False)
    night.hidden = {"ehr-web"}
    severities = []
    for left_s in (29 * DAY, 3 * DAY, DAY, -1.0):
        night.now += 30.0
        night.engine.observe([tls_reading(left_s, night.now)], now=night.now)
        night.run(5.0)
        severities.append((night.only().kind, night.only().severity))
    warning, incident = IncidentKind.EARLY_WARNING, IncidentKind.INCIDENT
    assert severities == [(warning, 4), (warning, 3), (warning, 2), (incident, 1)]
    assert len(night.incidents(open_only=False)) == 1
    assert any(entry.what == "kind" for entry in night.only().timeline)


def test_a_closed_clinic_waits_for_the_morning() -> None:
    estate = hospital(clinic_hours=True)
    calendar = Calendar(estate)
    evening = T0 + 10 * 3_600.0  # Tuesday 20:00
    found = {}
    for start in (T0, evening):
        night = Night(estate, staffed=calendar.staffed)
        night.now = start
        night.run(40)
        night.down["sw-w9"] = Reason.TIMEOUT
        night.run(90)
        found[start] = (night.only().urgency, night.only().severity)
        if start == evening:
            assert {row.cause for row in night.ledger if row.key.startswith("agent-silent")} == {"out_of_hours"}
    assert found[T0][0] < found[evening][0]
    assert found[evening] == (3, 3)


def test_what_was_not_looked_at_for_long_is_not_known() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.hidden = {"ehr-web"}
    night.run(60)
    view = night.view()
    assert view.targets["ehr-web"].outcome is Outcome.UNKNOWN
    assert view.targets["ehr-web"].reason == "stale"
    assert view.services[("ward-7", "ehr")].state is ServiceState.UNKNOWN
    assert not night.incidents(open_only=False)


def test_a_step_says_when_the_view_moved_though_nothing_is_to_be_written() -> None:
    estate = estate_of([target("web", "endpoint", checks=(check("http", 10.0),))])
    night = Night(estate, rules=(FAILED_RULE,))
    night.run(11)
    night.hidden = {"web"}
    night.run(60)
    stale = [step for step in night.steps if step.moved and step.changes.empty()]
    assert len(stale) == 1
    assert night.view().targets["web"].outcome is Outcome.UNKNOWN


def test_proof_from_the_ward_itself_carries_its_time() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    status = night.view().services[("ward-7", "ehr")]
    assert status.proven_at is not None
    assert night.now - status.proven_at <= 10.0
    assert night.view().services[("ed", "ehr")].proven_at is None


def test_the_view_kept_up_step_by_step_is_the_view_made_afresh() -> None:
    """What is worked out only where something changed equals what a restarted engine works out from nothing."""
    chance = random.Random(20261122)
    things = ("sw-core", "sw-w7", "ehr-web", "ehr-db-a", "ad", "prn-w7", "sw-ed-a")
    night = Night(hospital(wards=2, pcs=2)).run(20)
    for _ in range(12):
        thing = chance.choice(things)
        if thing in night.down:
            del night.down[thing]
        else:
            night.down[thing] = Reason.TIMEOUT
        for _ in range(20):
            night.run(0.5)
            kept = night.view()
        afresh = night.make(night.journal.restored())
        afresh.tick(night.now)
        made = afresh.view(night.now, HEALTH)
        assert {id_: s.state for id_, s in kept.services.items()} == {id_: s.state for id_, s in made.services.items()}
        assert {id_: s.causes for id_, s in kept.services.items()} == {
            id_: s.causes for id_, s in made.services.items()
        }
        pending = {alert.key.target for alert in kept.alerts}
        for id_, status in kept.targets.items():
            if id_ not in pending:
                assert (status.outcome, status.explained_by) == (
                    made.targets[id_].outcome,
                    made.targets[id_].explained_by,
                )


def test_a_deadline_is_named_for_everything_that_time_alone_will_change() -> None:
    """A shell that only ever wakes at `next_deadline` sees the mitigated incident end by itself."""
    night = Night(hospital(wards=2, pcs=2)).run(40)
    night.down["lonely"] = Reason.REFUSED
    night.run(20)
    night.down.clear()
    night.run(20)
    (incident,) = night.incidents()
    assert incident.state is IncidentState.MITIGATED
    due = night.engine.next_deadline()
    assert due is not None
    assert due <= night.now + 1_800.0


def test_a_machine_that_said_goodbye_proves_nothing_any_more() -> None:
    night = Night(hospital(wards=2, pcs=2)).run(40)
    for pc in ("pc-w7-1", "pc-w7-2"):
        night.quiet.add(pc)
        night.engine.heard(pc, "stopped", night.now)
    night.tick()
    status = night.view().targets["pc-w7-1"]
    assert (status.outcome, status.reason) == (Outcome.UNKNOWN, "stopped")
    night.run(120)
    assert not night.incidents(open_only=False)
    assert {row.cause for row in night.ledger} == {"clean_stop"}
