"""Whole faults through the whole engine: one fault, one incident, the right root, the right wards, the right end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from smallsite import (
    RULES,
    T0,
    Night,
    area,
    areas_lost,
    check,
    estate_of,
    hospital,
    target,
)

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.model.incident import IncidentKind, IncidentState, ServiceState, Why
from healthmon.model.sample import Outcome, Reason
from healthmon.model.topology import Agent, AtLeast, Service

LIVE = EngineSettings(mode="live")


def broken(night: Night, *targets: str, reason: Reason = Reason.TIMEOUT) -> Night:
    night.down.update(dict.fromkeys(targets, reason))
    return night


def states(night: Night) -> dict[tuple[str, str], ServiceState]:
    return {line: status.state for line, status in night.view().services.items()}


def test_a_quiet_night_raises_nothing_and_proves_what_it_calls_ok() -> None:
    night = Night(hospital()).run(60)
    assert night.incidents(open_only=False) == []
    assert not night.notices
    assert set(states(night).values()) == {ServiceState.OK}
    assert {status.outcome for status in night.view().targets.values()} == {Outcome.OK}


def test_a_ward_switch_takes_its_ward_and_no_other() -> None:
    night = broken(Night(hospital()).run(40), "sw-w7").run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "sw-w7"
    assert areas_lost(incident) == {"ward-7"}
    assert {line.service for line in incident.impact} == {"ehr", "printing"}
    assert {member.key.target for member in incident.members} == {
        "sw-w7",
        "prn-w7",
        *(f"pc-w7-{n}" for n in range(1, 5)),
    }
    assert {member.behind for member in incident.members if member.key.target != "sw-w7"} == {"sw-w7"}
    assert incident.opened_at - T0 - 40 < 10
    assert incident.impact_known == "full"
    assert "ward with 28 beds" in incident.title
    assert [notice.why for notice in night.notices] == [Why.OPENED]
    assert night.view().targets["prn-w7"].explained_by == "sw-w7"
    assert states(night)[("ward-8", "ehr")] is ServiceState.OK


def test_recovery_is_said_once_and_only_when_every_member_is_confirmed() -> None:
    night = broken(Night(hospital()).run(40), "sw-w7").run(60)
    night.down.clear()
    back_at = night.now
    while night.only_or_mitigated().state is IncidentState.OPEN:
        night.one_step_later()
        assert night.now - back_at < 60
    incident = night.only_or_mitigated()
    assert incident.state is IncidentState.MITIGATED
    assert all(member.cleared_at is not None for member in incident.members)
    assert incident.impact, "what was lost stays on the incident for the wards to read"
    night.run(30)
    assert [notice.why for notice in night.notices] == [Why.OPENED, Why.MITIGATED]
    assert any("Reachable again since" in entry.text for entry in incident.timeline)


def test_the_ehr_down_from_everywhere_is_the_ehr_for_all_areas() -> None:
    night = broken(Night(hospital()).run(40), "ehr-web", reason=Reason.REFUSED).run(40)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.reason) == ("ehr-web", "refused")
    assert areas_lost(incident) == {"ed", "ward-7", "ward-8", "ward-9"}
    assert incident.severity == 1
    assert {member.key.vantage for member in incident.members} >= {"poller", "pc-w7-1", "pc-w9-4"}


def test_one_of_two_databases_down_loses_nothing() -> None:
    night = broken(Night(hospital()).run(40), "ehr-db-a").run(40)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "ehr-db-a"
    assert not areas_lost(incident)
    assert states(night)[("ward-7", "ehr")] is not ServiceState.LOST


def twin_site() -> Night:
    """A ward with two switches to a service with two front ends: no single point by design."""
    pair = AtLeast(1, ("sw-a", "sw-b"))
    return Night(
        estate_of(
            [
                target("mon", "server"),
                target("sw-a", "switch", checks=(check("snmp"),)),
                target("sw-b", "switch", checks=(check("snmp"),)),
                target("web-a", "endpoint", checks=(check("http"),)),
                target("web-b", "endpoint", checks=(check("http"),)),
            ],
            [area("icu", pair)],
            [Service("ehr", "EHR", 1, ("icu",), True, (AtLeast(1, ("web-a", "web-b")),))],
            [Agent("poller", "mon")],
        )
    )


def test_a_lost_spare_is_at_risk_and_the_second_loss_is_lost() -> None:
    night = broken(twin_site().run(20), "sw-a").run(20)
    (line,) = night.only().impact
    assert (line.state, line.paths.left, line.paths.of) == (ServiceState.AT_RISK, 1, 2)
    assert night.only().severity > 1
    broken(night, "sw-b").run(20)
    assert states(night)[("icu", "ehr")] is ServiceState.LOST
    assert {areas_lost(one) == {"icu"} for one in night.incidents()} == {True}


def test_the_monitor_cut_off_is_one_blind_incident_and_nothing_is_called_lost() -> None:
    night = Night(hospital()).run(40)
    night.cut.add("poller")
    night.run(90)
    incident = night.only()
    assert incident.kind is IncidentKind.BLIND
    assert {line.state for line in incident.impact} == {ServiceState.UNKNOWN}
    assert "we cannot see beyond" in incident.plain_text.lower()
    assert set(states(night).values()) == {ServiceState.UNKNOWN}
    assert night.view().targets["ehr-web"].outcome is Outcome.UNKNOWN
    assert len(night.notices) == 1
    night.cut.clear()
    night.run(60)
    assert [one.state for one in night.incidents(open_only=False)] == [IncidentState.MITIGATED]
    assert set(states(night).values()) == {ServiceState.OK}
    assert [notice.why for notice in night.notices] == [Why.OPENED, Why.MITIGATED]


def test_no_way_out_is_blind_too_though_no_rule_ever_fires() -> None:
    """Every look is `unknown/no_route`: nothing speaks against any target, and still nobody can see."""
    night = Night(hospital()).run(40)
    for one in night.estate.targets:
        night.down[one] = Reason.NO_ROUTE
    night.quiet.update(agent for agent in night.estate.agents if agent != "poller")
    night.agents_see = False
    night.run(20)
    incident = night.only()
    assert incident.kind is IncidentKind.BLIND
    assert not any(alert.key.rule == "check-failed" for alert in night.view().alerts)


def test_a_monitor_that_its_own_packet_filter_gags_is_blind_though_it_still_hears() -> None:
    """What the wards send still arrives for a while; our answers and questions go nowhere (the sender gets EPERM)."""
    night = Night(hospital()).run(40)
    night.from_poller = dict.fromkeys(night.estate.targets, Reason.TIMEOUT)
    night.from_poller |= {"sw-core": Reason.NO_ROUTE, "sw-w7": Reason.NO_ROUTE, "sw-w8": Reason.NO_ROUTE}
    night.run(20)
    assert night.only().kind is IncidentKind.BLIND
    night.quiet.update(agent for agent in night.estate.agents if agent != "poller")
    night.agents_see = False
    night.run(90)
    assert night.only().kind is IncidentKind.BLIND
    assert len(night.incidents(open_only=False)) == 1
    assert states(night)[("ward-8", "ehr")] is ServiceState.UNKNOWN


def three_apart() -> Night:
    """Three servers that share nothing, a poller with no declared uplink, and one PC that reports."""
    servers = [target(id_, "server", checks=(check("tcp"),)) for id_ in ("web", "db", "mail")]
    agents = [Agent("poller", "mon"), Agent("pc", "pc", ("ward-workstation",))]
    return Night(estate_of([target("mon", "server"), target("pc", "workstation"), *servers], agents=agents))


def test_without_a_declared_uplink_three_branches_at_once_are_blindness() -> None:
    night = three_apart().run(40)
    night.quiet.add("pc")
    broken(night, "web", "db", "mail").run(20)
    assert night.only().kind is IncidentKind.BLIND


def test_word_from_another_machine_proves_that_we_are_not_cut_off() -> None:
    night = three_apart().run(40)
    night.chatty = 1.0
    broken(night, "web", "db", "mail").run(30)
    assert {one.root.target for one in night.incidents() if one.root} == {"web", "db", "mail"}
    assert {one.kind for one in night.incidents(open_only=False)} == {IncidentKind.INCIDENT}


def test_two_things_failing_at_a_tiny_site_are_two_things() -> None:
    night = Night(
        estate_of(
            [
                target("mon", "server"),
                target("web", "endpoint", checks=(check("http"),)),
                target("db", "database", checks=(check("tcp"),)),
            ],
            agents=[Agent("poller", "mon")],
        )
    ).run(20)
    broken(night, "web", "db").run(30)
    assert {one.root.target for one in night.incidents() if one.root} == {"web", "db"}
    assert {one.kind for one in night.incidents()} == {IncidentKind.INCIDENT}


def test_two_faults_at_once_stay_two() -> None:
    night = broken(Night(hospital()).run(40), "sw-w7", "ehr-db-a").run(60)
    assert {one.root.target for one in night.incidents() if one.root} == {"sw-w7", "ehr-db-a"}


def test_an_unwatched_switch_is_inferred_from_what_hangs_on_it() -> None:
    estate = hospital()
    unwatched = replace(estate.targets["sw-w8"], checks=())
    night = Night(replace(estate, targets={**estate.targets, "sw-w8": unwatched})).run(40)
    broken(night, "sw-w8").run(90)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.reason) == ("sw-w8", "inferred")
    assert areas_lost(incident) == {"ward-8"}
    assert night.view().targets["sw-w8"].outcome is Outcome.FAILED


def test_an_unwatched_switch_with_one_survivor_is_not_blamed() -> None:
    estate = hospital()
    unwatched = replace(estate.targets["sw-w8"], checks=())
    night = Night(replace(estate, targets={**estate.targets, "sw-w8": unwatched})).run(40)
    broken(night, "prn-w8")
    night.quiet.update({"pc-w8-1", "pc-w8-2"})
    night.run(90)
    assert "sw-w8" not in {one.root.target for one in night.incidents() if one.root}


def test_seen_failing_from_one_ward_only_is_that_ward_only() -> None:
    night = Night(hospital()).run(40)
    night.from_area[("ward-7", "ehr-web")] = Reason.TIMEOUT
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "ehr-web"
    assert areas_lost(incident) == {"ward-7"}
    assert "seen only from" in incident.plain_text
    assert states(night)[("ward-8", "ehr")] is ServiceState.OK


def test_a_ward_that_sees_the_ehr_overrules_the_poller() -> None:
    night = Night(hospital()).run(40)
    for ward in ("ward-8", "ward-9", "ed"):
        night.from_area[(ward, "ehr-web")] = Reason.TIMEOUT
    night.from_poller["ehr-web"] = Reason.TIMEOUT
    night.run(60)
    assert states(night)[("ward-7", "ehr")] is ServiceState.OK
    assert states(night)[("ward-8", "ehr")] is ServiceState.LOST


def test_a_switch_whose_management_is_dead_loses_nothing() -> None:
    """Its own check fails while everything behind it works: worth a look, not an outage."""
    night = Night(hospital()).run(40)
    night.deaf.add("sw-core")
    night.run(40)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "sw-core"
    assert not incident.impact
    assert "seen working" in incident.title
    assert set(states(night).values()) == {ServiceState.OK}


def test_a_slow_front_end_is_slow_not_lost() -> None:
    night = Night(hospital()).run(40)
    night.slow["ehr-web"] = 6.0
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "ehr-web"
    assert {line.state for line in incident.impact} == {ServiceState.DEGRADED}
    assert "slow or partly working" in incident.title
    assert "seen only from" not in incident.plain_text, "slow answers are ok readings, and no proof of speed"


def test_it_comes_back_as_the_same_incident() -> None:
    night = broken(Night(hospital()).run(40), "sw-w7").run(40)
    first = night.only().id
    night.down.clear()
    night.run(60)
    assert night.incidents()[0].state is IncidentState.MITIGATED
    broken(night, "sw-w7").run(40)
    incident = night.only()
    assert (incident.id, incident.state, incident.episode) == (first, IncidentState.OPEN, 2)
    assert len(night.incidents(open_only=False)) == 1


@pytest.mark.parametrize("first", ["ehr-web", "sw-core"])
def test_child_before_parent_and_parent_before_child_are_one_incident(first: str) -> None:
    """Whichever is seen first, the page is about the switch and there is one (Icinga #5208, #4689)."""
    estate = hospital(poller_hop=False)
    night = Night(estate).run(40)
    night.hidden = {"sw-core"} if first == "ehr-web" else {"ehr-web"}
    broken(night, "sw-core").run(20)
    night.hidden = set()
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "sw-core"
    resolved = [one for one in night.incidents(open_only=False) if not one.open]
    assert all(one.merged_into == incident.id for one in resolved)


def test_the_parent_recovers_first_and_the_child_stays_in_the_same_incident() -> None:
    night = broken(Night(hospital()).run(40), "sw-w7", "prn-w7").run(60)
    incident = night.only()
    del night.down["sw-w7"]
    night.run(60)
    after = night.only()
    assert after.id == incident.id
    assert after.root is not None
    assert after.root.target == "prn-w7"
    assert len([notice for notice in night.notices if notice.why is Why.OPENED]) == 1


def test_severe_incidents_wait_for_a_person_and_mild_ones_end_by_themselves() -> None:
    night = broken(Night(hospital()).run(40), "lonely", "ehr-web", reason=Reason.REFUSED).run(40)
    assert {one.severity for one in night.incidents()} == {1, 3}
    night.down.clear()
    night.run(60)
    night.run(1_900, step=5.0)
    by_root = {one.root.target: one for one in night.incidents(open_only=False) if one.root}
    assert by_root["lonely"].state is IncidentState.RESOLVED
    assert by_root["ehr-web"].state is IncidentState.MITIGATED


def test_a_single_silent_pc_is_on_the_board_and_wakes_nobody() -> None:
    night = Night(hospital()).run(40)
    night.quiet.add("pc-w7-1")
    night.run(60)
    assert night.only().severity >= 3
    assert not night.notices
    assert "single_device" in {row.cause for row in night.ledger}


def test_all_pcs_of_a_ward_gone_at_ten_in_the_morning_is_a_page() -> None:
    estate = hospital()
    night = Night(estate, rules=RULES).run(40)
    night.quiet.update(f"pc-w7-{n}" for n in range(1, 5))
    night.run(60)
    severities = sorted(one.severity for one in night.incidents())
    assert severities[0] <= 2


def test_shadow_mode_pages_nobody_and_says_whom_it_would_have_paged() -> None:
    night = broken(Night(hospital(), settings=EngineSettings(mode="shadow")).run(40), "sw-w7").run(40)
    assert not night.notices
    assert "shadow" in {row.cause for row in night.ledger}


@pytest.mark.parametrize(
    ("settings", "pages"),
    [
        (EngineSettings(mode="shadow", rule_modes={"check-failed": "live"}), True),
        (EngineSettings(mode="shadow", area_modes={"ward-7": "live"}), True),
        (EngineSettings(mode="shadow", site_modes={"main": "live"}), True),
        (EngineSettings(mode="live", area_modes={"ward-7": "shadow"}), False),
        (EngineSettings(mode="live", area_modes={"ward-7": "shadow"}, rule_modes={"check-failed": "live"}), True),
    ],
)
def test_modes_by_rule_then_area_then_site(settings: EngineSettings, pages: bool) -> None:
    night = broken(Night(hospital(), settings=settings).run(40), "sw-w7").run(40)
    assert bool(night.notices) is pages
