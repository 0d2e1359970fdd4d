"""A core takes thousands with it: one incident, and work that grows with what fails, not with its square."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from smallsite import HEALTH, POLICIES, RULES, T0, area, check, estate_of, target

from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineSettings
from healthmon.impact.severity import SeverityTable
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent, Estate, Service


def campus(switches: int, devices: int = 10) -> Estate:
    """Two cores; behind each so many ward switches with devices; one service beside them."""
    icmp = check("icmp", 60.0)
    targets = [target("mon", "server"), target("app", "server", checks=(icmp,))]
    areas = []
    for core in ("core-a", "core-b"):
        targets.append(target(core, "switch", checks=(icmp,)))
        for number in range(switches):
            ward, switch = f"w-{core}-{number}", f"sw-{core}-{number}"
            areas.append(area(ward, switch))
            targets.append(target(switch, "switch", core, area=ward, checks=(icmp,)))
            targets += [target(f"d-{ward}-{n}", "pc", switch, area=ward, checks=(icmp,)) for n in range(devices)]
    service = Service("ehr", "EHR", 1, tuple(one.id for one in areas), True, ("app",))
    return estate_of(targets, areas, [service], [Agent("poller", "mon")])


def core_dies(estate: Estate) -> Engine:
    """All is well, then three looks a second apart find everything behind core-a gone; settled afterwards."""
    engine = Engine(
        estate=estate,
        rules=RULES,
        policies=POLICIES,
        severity=SeverityTable(),
        settings=EngineSettings(mode="live"),
        staffed=lambda _area, _at: True,
    )
    watched = [one.id for one in estate.targets.values() if one.checks]
    dead = {id_ for id_ in watched if "core-a" in id_}
    for second in range(12):
        now = T0 + second
        failing = dead if second >= 4 else set()
        readings = [
            Reading(
                id_, "icmp", "poller", now, 0.0,
                Outcome.FAILED if id_ in failing else Outcome.OK, Reason.TIMEOUT if id_ in failing else None,
            )
            for id_ in watched
        ]  # fmt: skip
        engine.observe(readings, now=now)
        engine.tick(now)
    return engine


def calls_of(work: Callable[[], object]) -> int:
    """Python calls made: a measure of work that does not depend on the machine's load."""
    count = 0

    def see(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_the_core_is_the_one_incident_of_all_that_went_with_it() -> None:
    estate = campus(40)
    view = core_dies(estate).view(T0 + 12, HEALTH)
    (incident,) = view.incidents
    assert incident.root is not None
    assert (incident.root.target, incident.opened_at - T0 - 4) == ("core-a", pytest.approx(2.0, abs=3.0))
    assert len({member.key.target for member in incident.members}) == 1 + 40 * 11
    assert {line.area for line in incident.impact} == {f"w-core-a-{n}" for n in range(40)}


def test_three_times_as_much_behind_the_core_is_not_nine_times_the_work() -> None:
    small = calls_of(lambda: core_dies(campus(20)))
    large = calls_of(lambda: core_dies(campus(60)))
    assert large < 4 * small
