"""Devices of a kind that leave an area one after the other: the last of them is no single device any more."""

from __future__ import annotations

import pytest
from smallsite import Night, area, check, estate_of, target

from healthmon.model.incident import Incident, Why
from healthmon.model.topology import Acuity, Agent, AreaKind, Estate, Service

#: Long enough that the next failure is an incident of its own.
APART_S = 600.0


def place(count: int, acuity: Acuity = Acuity.CRITICAL) -> Estate:
    """One area with so many ward PCs on one switch."""
    snmp = check("snmp")
    kind = AreaKind.ED if acuity is Acuity.CRITICAL else AreaKind.WARD
    pcs = [f"pc-{number}" for number in range(count)]
    return estate_of(
        [
            target("mon", "server", "core"),
            target("core", "switch", checks=(snmp,)),
            target("sw", "switch", "core", area="here", checks=(snmp,)),
            *(target(pc, "workstation", "sw", area="here") for pc in pcs),
        ],
        [area("here", "sw", kind=kind, acuity=acuity)],
        [Service("ehr", "Record", 1, ("here",), True, ("core",))],
        [Agent("poller", "mon"), *(Agent(pc, pc, ("ward-workstation",)) for pc in pcs)],
    )


def one_by_one(night: Night, *pcs: str) -> Night:
    for pc in pcs:
        night.quiet.add(pc)
        night.run(APART_S, step=2.0)
    return night


def of(night: Night, pc: str) -> Incident:
    (found,) = (one for one in night.incidents() if one.root and one.root.target == pc)
    return found


def paged(night: Night) -> list[str]:
    return [notice.incident for notice in night.notices if notice.why is Why.OPENED]


@pytest.mark.parametrize(("acuity", "severity"), [(Acuity.CRITICAL, 1), (Acuity.INPATIENT, 2)])
def test_the_last_pc_of_an_area_pages_however_long_ago_the_others_went(acuity: Acuity, severity: int) -> None:
    night = one_by_one(Night(place(3, acuity)).run(30), "pc-0", "pc-1")
    assert not night.notices
    assert all(one.severity == 3 for one in night.incidents())
    one_by_one(night, "pc-2")
    last = of(night, "pc-2")
    assert last.severity == severity
    assert "the last of 3 devices (workstation) in HERE" in last.title
    assert paged(night) == [last.id], "one page for one loss: the older incidents keep to the board"


def test_a_neighbour_that_comes_back_makes_it_a_single_device_again() -> None:
    night = one_by_one(Night(place(2)).run(30), "pc-0", "pc-1")
    assert of(night, "pc-1").severity == 1
    night.quiet.discard("pc-0")
    night.run(APART_S, step=2.0)
    assert of(night, "pc-1").severity == 3
    assert "the last of" not in of(night, "pc-1").title


def test_half_of_an_ed_one_after_the_other_is_one_page_and_the_last_is_another() -> None:
    """Nine of ten that go quietly, each a single device, would be a night in which nobody hears of an empty ED."""
    pcs = [f"pc-{number}" for number in range(6)]
    night = one_by_one(Night(place(6)).run(30), *pcs)
    assert [one.severity for one in (of(night, pc) for pc in pcs)] == [3, 3, 1, 3, 3, 1]
    assert paged(night) == [of(night, "pc-2").id, of(night, "pc-5").id]


def test_the_restart_of_the_server_changes_nothing() -> None:
    night = Night(place(2))
    night.restart_every_step = True
    one_by_one(night.run(30), "pc-0", "pc-1")
    last = of(night, "pc-1")
    assert (last.severity, paged(night)) == (1, [last.id])


def test_a_pc_that_was_switched_off_is_a_neighbour_that_can_be_switched_on() -> None:
    night = Night(place(2)).run(30)
    night.quiet.add("pc-0")
    night.engine.heard("pc-0", "stopped", night.now)
    one_by_one(night, "pc-1")
    assert of(night, "pc-1").severity == 3
    assert not night.notices
