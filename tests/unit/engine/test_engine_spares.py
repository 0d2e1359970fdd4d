"""Two cores of which one is enough: what is said of them when both fall silent at once."""

from __future__ import annotations

import pytest
from smallsite import Night, area, check, estate_of, target

from healthmon.model.incident import ServiceState
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent, AtLeast, Estate, Service

CORES = AtLeast(1, ("sw-core-a", "sw-core-b"))


def two_cores(*, apart: bool = False) -> Estate:
    """The monitor beside the cores, four wards and the record behind them. apart: by a distribution switch each."""
    snmp, tcp, http = check("snmp"), check("tcp"), check("http")
    targets = [
        target("mon", "server"),
        target("beside", "server", checks=(tcp,)),
        target("sw-core-a", "switch", checks=(snmp,)),
        target("sw-core-b", "switch", checks=(snmp,)),
    ]
    behind: AtLeast = CORES
    if apart:
        targets += [target(f"sw-dist-{one}", "switch", f"sw-core-{one}", checks=(snmp,)) for one in "ab"]
        behind = AtLeast(1, ("sw-dist-a", "sw-dist-b"))
    targets += [
        target("db-a", "database", behind, checks=(tcp,)),
        target("db-b", "database", behind, checks=(tcp,)),
        target("ehr-web", "endpoint", behind, checks=(http,)),
    ]
    areas, agents = [], [Agent("poller", "mon")]
    for ward in ("w1", "w2", "w3", "w4"):
        targets.append(target(f"sw-{ward}", "switch", behind, area=ward, checks=(snmp,)))
        targets.append(target(f"pc-{ward}", "workstation", f"sw-{ward}", area=ward))
        areas.append(area(ward, f"sw-{ward}"))
        agents.append(Agent(f"pc-{ward}", f"pc-{ward}", ("ward-workstation",)))
    used = tuple(one.id for one in areas)
    needs = ("ehr-web", AtLeast(1, ("db-a", "db-b")))
    services = [Service("ehr", "Patient record", 1, used, True, needs)]
    return estate_of(targets, areas, services, agents)


def line_states(night: Night) -> set[ServiceState]:
    return {line.state for incident in night.incidents() for line in incident.impact}


@pytest.mark.parametrize("apart", [False, True])
def test_cores_whose_management_is_dead_lose_nothing(apart: bool) -> None:
    """Somebody changes the community of both: their checks time out, and the record is used through them."""
    night = Night(two_cores(apart=apart)).run(40)
    night.deaf |= {"sw-core-a", "sw-core-b"}
    night.run(60)
    assert night.incidents()
    assert ServiceState.LOST not in line_states(night)
    assert min(incident.severity for incident in night.incidents()) >= 2
    assert not [one for one in night.incidents() if "not available" in one.title]


@pytest.mark.parametrize("apart", [False, True])
def test_cores_that_are_really_down_lose_it_all(apart: bool) -> None:
    night = Night(two_cores(apart=apart)).run(40)
    night.down |= {"sw-core-a": Reason.TIMEOUT, "sw-core-b": Reason.TIMEOUT}
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target in {"sw-core-a", "sw-core-b"}
    assert {line.area for line in incident.impact if line.state is ServiceState.LOST} == {"w1", "w2", "w3", "w4"}
    assert incident.severity == 1


def test_one_is_down_and_the_other_only_silent() -> None:
    """The one that fell silent first is taken for the one that is down: the record works, without a spare."""
    night = Night(two_cores()).run(40)
    night.down["sw-core-a"] = Reason.TIMEOUT
    night.run(30)
    night.deaf.add("sw-core-b")
    night.run(60)
    said = {one.root.target: one.plain_text for one in night.incidents() if one.root is not None}
    assert "if sw-core-b fails too, Patient record will not be available" in said["sw-core-a"]
    assert "what depends on it is seen working" in said["sw-core-b"]
    assert not line_states(night)


def test_cores_that_were_silent_first_and_then_go_down_are_told_as_lost() -> None:
    night = Night(two_cores()).run(40)
    night.deaf |= {"sw-core-a", "sw-core-b"}
    night.run(60)
    assert ServiceState.LOST not in line_states(night)
    night.down |= {"sw-core-a": Reason.TIMEOUT, "sw-core-b": Reason.TIMEOUT}
    night.run(60)
    assert ServiceState.LOST in line_states(night)
    assert min(incident.severity for incident in night.incidents()) == 1


def test_who_stands_beside_the_monitor_proves_no_way_over_the_cores() -> None:
    """The monitor is in the data centre with the directory, both behind the cores, which are really down."""
    snmp, tcp, http = check("snmp"), check("tcp"), check("http")
    targets = [
        target("sw-core-a", "switch", checks=(snmp,)),
        target("sw-core-b", "switch", checks=(snmp,)),
        target("sw-dc", "switch", CORES, checks=(snmp,)),
        target("mon", "server", "sw-dc"),
        target("ad", "server", "sw-dc", checks=(tcp,)),
        target("web", "endpoint", "sw-dc", checks=(http,)),
        *(target(f"sw-w{n}", "switch", CORES, area=f"w{n}", checks=(snmp,)) for n in range(4)),
    ]
    areas = [area(f"w{n}", f"sw-w{n}") for n in range(4)]
    services = [Service("ehr", "Patient record", 1, tuple(one.id for one in areas), True, ("web",))]
    night = Night(estate_of(targets, areas, services, [Agent("poller", "mon")])).run(40)
    night.from_poller |= dict.fromkeys(("sw-core-a", "sw-core-b", *(f"sw-w{n}" for n in range(4))), Reason.TIMEOUT)
    night.run(60)
    said = [one.title for one in night.incidents()]
    assert not [title for title in said if "seen working" in title]
    assert len(said) == 1


def test_a_few_that_answer_while_most_are_gone_prove_nothing() -> None:
    """The monitor stands behind the cores too, and nobody wrote that down."""
    night = Night(two_cores()).run(40)
    gone = ("sw-core-a", "sw-core-b", "ehr-web", *(f"sw-w{n}" for n in range(1, 5)))
    night.from_poller |= dict.fromkeys(gone, Reason.TIMEOUT)
    night.quiet |= {f"pc-w{n}" for n in range(1, 5)}
    night.run(60)
    assert {line.area for one in night.incidents() for line in one.impact} == {"w1", "w2", "w3", "w4"}
    assert min(one.severity for one in night.incidents()) == 1


def test_what_its_work_needs_is_no_way() -> None:
    """A front end that answers pings proves nothing about the way to its databases."""
    ping, tcp, snmp = check("icmp"), check("tcp"), check("snmp")
    targets = [
        target("mon", "server"),
        target("sw-core-a", "switch", checks=(snmp,)),
        target("sw-core-b", "switch", checks=(snmp,)),
        target("db", "database", CORES, checks=(tcp,)),
        target("web", "endpoint", "db", checks=(ping,)),
    ]
    services = [Service("ehr", "Patient record", 1, ("w1",), False, ("web",))]
    night = Night(estate_of(targets, [area("w1")], services, [Agent("poller", "mon")])).run(40)
    night.deaf |= {"sw-core-a", "sw-core-b", "db"}
    night.run(60)
    assert line_states(night) == {ServiceState.LOST}


@pytest.mark.parametrize("controllers", [1, 2])
def test_trolleys_on_a_cable_prove_no_controller_of_their_radio(controllers: int) -> None:
    """The controllers are gone; the trolleys stand on their chargers, where the switch carries them."""
    ids = tuple(f"wlc-{n}" for n in range(controllers))
    radio = AtLeast(1, ids) if controllers > 1 else ids[0]
    trolleys = [target(f"wow-{n}", "wow", "sw-w1", radio, area="w1") for n in range(4)]
    targets = [
        target("mon", "server"),
        target("sw-w1", "switch", area="w1", checks=(check("snmp"),)),
        *(target(id_, "wlan-controller", checks=(check("snmp"),)) for id_ in ids),
        *trolleys,
    ]
    rounds = Service("observations", "Observations", 2, ("w1",), True, (radio,))
    agents = [Agent("poller", "mon"), *(Agent(one.id, one.id, ("ward-workstation",)) for one in trolleys)]
    night = Night(estate_of(targets, [area("w1", "sw-w1")], [rounds], agents)).run(40)
    night.deaf |= set(ids)
    night.run(60)
    assert line_states(night) == {ServiceState.LOST}


def test_what_answered_while_the_first_failing_look_was_under_way_proves_nothing() -> None:
    """The switch dies half a second into a look; a printer behind it, rarely looked at, answered before that."""
    targets = [
        target("mon", "server"),
        target("sw-w1", "switch", area="w1", checks=(check("snmp"),)),
        target("printer", "printer", "sw-w1", area="w1", checks=(check("icmp", 120.0),)),
        target("web", "endpoint", checks=(check("http"),)),
    ]
    services = [Service("ehr", "Patient record", 1, ("w1",), False, ("web",))]
    night = Night(estate_of(targets, [area("w1", "sw-w1")], services, [Agent("poller", "mon")])).run(30)
    night.hidden |= {"sw-w1", "printer"}
    began = night.now + 1.0
    for started, id_, kind in (
        (0.0, "sw-w1", "snmp"),
        (0.4, "printer", "icmp"),
        (3.0, "sw-w1", "snmp"),
        (4.0, "sw-w1", "snmp"),
    ):
        night.run(0.5)
        ok = id_ == "printer"
        outcome, reason = (Outcome.OK, None) if ok else (Outcome.FAILED, Reason.TIMEOUT)
        reading = Reading(id_, kind, "poller", began + started, 0.01 if ok else 2.0, outcome, reason)
        night.engine.observe([reading], now=max(night.now, began + started + 2.0))
    night.now = began + 7.0
    night.answer_asks = False
    night.run(15)
    assert line_states(night) == {ServiceState.LOST}
