"""Cut off while something had failed already: an old fault must not stand for sight, nor being cut off for a loss."""

from __future__ import annotations

from typing import Any

import pytest
from smallsite import Night, area, check, estate_of, hospital, target

from healthmon.model.incident import IncidentKind, ServiceState
from healthmon.model.sample import Reason
from healthmon.model.topology import Acuity, Agent, AreaKind, AtLeast, Estate, Service

BOTH = AtLeast(1, ("core-a", "core-b"))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("every_s", [5.0, 30.0, 60.0])
def test_cut_off_with_an_old_fault_standing_is_blind_all_the_same(every_s: float, restarts: bool) -> None:
    estate = hospital(wards=2, pcs=2)
    estate.targets["slow-one"] = target("slow-one", "server", "sw-core", checks=(check("tcp", every_s),))
    night = Night(estate).run(30)
    night.down["lonely"] = Reason.TIMEOUT
    night.run(67, step=1)
    (old,) = night.incidents()
    night.restart_every_step = restarts
    night.cut.add("poller")
    night.run(90)
    fresh = [one for one in night.incidents() if one.id != old.id]
    assert [one.kind for one in fresh] == [IncidentKind.BLIND]
    assert {one.state for one in night.view().services.values()} == {ServiceState.UNKNOWN}
    assert "not available" not in " ".join(notice.subject for notice in night.notices)


def two_cores(*behind: Any) -> Estate:
    """Five wards on two cores; the monitor hangs on what is given."""
    snmp = check("snmp")
    things = [
        target("mon", "server", *behind),
        *(target(id_, "switch", checks=(snmp,)) for id_ in ("core-a", "core-b")),
        target("web", "endpoint", BOTH, checks=(check("http"),)),
    ]
    areas, agents = [], [Agent("poller", "mon")]
    for n in range(5):
        acuity = {"kind": AreaKind.ED, "acuity": Acuity.CRITICAL} if n == 0 else {}
        areas.append(area(f"w{n}", f"sw-{n}", **acuity))
        things.append(target(f"sw-{n}", "switch", BOTH, area=f"w{n}", checks=(snmp,)))
        for k in range(3):
            things.append(target(f"pc-{n}{k}", "workstation", f"sw-{n}", area=f"w{n}"))
            agents.append(Agent(f"pc-{n}{k}", f"pc-{n}{k}", ("ward-workstation",)))
    used = tuple(one.id for one in areas)
    return estate_of(things, areas, [Service("ehr", "Record", 1, used, True, ("web",))], agents)


def test_the_last_core_gone_between_us_and_everything_is_never_called_well() -> None:
    night = Night(two_cores("core-a")).run(30)
    night.down["core-b"] = Reason.TIMEOUT
    night.run(60, step=1)
    night.down["core-a"] = Reason.TIMEOUT
    night.run(60, step=1)
    assert ServiceState.OK not in {one.state for one in night.view().services.values()}
    assert IncidentKind.BLIND in {one.kind for one in night.incidents()}


def test_both_cores_gone_one_after_the_other_takes_the_record_from_every_ward() -> None:
    """The monitor has a way of its own to each of them."""
    night = Night(two_cores()).run(30)
    night.down["core-b"] = Reason.TIMEOUT
    night.run(60, step=1)
    night.down["core-a"] = Reason.TIMEOUT
    night.run(60, step=1)
    assert {one.state for one in night.view().services.values()} == {ServiceState.LOST}
