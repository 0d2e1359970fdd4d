"""A spare that is down already, or a backup that is late, makes what fails in front of it worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from smallsite import RULES, Night, area, check, estate_of, target

from healthmon.model.alert import Above, Below, Effect, NoData, Rule, Selector
from healthmon.model.incident import Incident
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, AtLeast, Estate, Service

ARRAY = Rule(
    id="array-degraded",
    on=Selector(kinds=("storage",)),
    condition=Above("array.failed_disks", 0.5),
    effect=Effect.WARNING,
    no_data=NoData.HOLD,
    summary="a disk of {target} has failed",
    certainty="deterministic",
)
LATE = Rule(
    id="backup-late",
    on=Selector(checks=("backups",)),
    condition=Below("backup_evidence.found", 0.5),
    effect=Effect.WARNING,
    no_data=NoData.HOLD,
    summary="no good backup of {backup}",
    certainty="deterministic",
)


def laboratory(labels: Mapping[str, str]) -> Estate:
    """Two wards whose results lie on an array; a server shows the backups; the viewer has two servers."""
    snmp, tcp = check("snmp"), check("tcp")
    targets = [
        target("mon", "server", "core"),
        target("core", "switch", checks=(snmp,)),
        target("san", "storage", "core", checks=(snmp,)),
        target("lims-db", "database", "san", checks=(tcp,)),
        target("view-a", "storage", "core", checks=(snmp,)),
        target("view-b", "storage", "core", checks=(snmp,)),
        target("keeper", "server", "core", checks=(check("tcp", id_="backups"),), labels=labels),
    ]
    services = [
        Service("lims", "Results", 1, ("ward-1", "ward-2"), False, ("lims-db",)),
        Service("view", "Images", 1, ("ward-1", "ward-2"), False, (AtLeast(1, ("view-a", "view-b")),)),
    ]
    return estate_of(targets, [area("ward-1"), area("ward-2")], services, [Agent("poller", "mon")])


def night(labels: Mapping[str, str] | None = None) -> Night:
    return Night(laboratory(labels or {}), rules=(*RULES, ARRAY, LATE)).run(30)


def say(one: Night, target_id: str, check_id: str, sample: Sample) -> Night:
    """A reading with this figure, and what the engine makes of it."""
    for _ in range(6):
        one.now += 1.0
        reading = Reading(target_id, check_id, "poller", one.now, 0.0, Outcome.OK, None, samples=(sample,))
        one.hidden |= {target_id}
        one.engine.observe([reading], now=one.now)
        one.tick()
    return one


def late(one: Night, name: str) -> Night:
    return say(one, "keeper", "backups", Sample("backup_evidence", "found", 0.0, {"backup": name}))


def degraded(one: Night, array: str) -> Night:
    return say(one, array, "snmp", Sample("array", "failed_disks", 1.0))


def about(one: Night, target_id: str) -> Incident:
    (found,) = (i for i in one.incidents() if i.root and i.root.target == target_id)
    return found


@pytest.mark.parametrize(
    ("name", "labels"), [("lims", {}), ("lims-db", {}), ("nightly", {"backup_of": "lims-db"}), ("san", {})]
)
def test_an_array_with_a_failed_disk_is_worse_without_a_good_backup(name: str, labels: dict[str, Any]) -> None:
    """The vector of the scoring rule: two areas, within the week; without a backup one step more urgent."""
    good = about(degraded(night(labels), "san"), "san")
    assert (good.severity, good.impact_level, good.urgency) == (3, 2, 4)
    without = degraded(late(night(labels), name), "san")
    bad = about(without, "san")
    assert (bad.severity, bad.impact_level, bad.urgency) == (2, 2, 3)
    assert "No good backup is known of san: what is lost there cannot be restored." in bad.plain_text
    assert about(without, "keeper").severity >= 3, "that a backup is late makes itself no worse"


def test_a_backup_of_something_else_changes_nothing() -> None:
    assert about(degraded(late(night(), "ehr"), "san"), "san").severity == 3


def test_a_switch_is_not_restored_from_a_backup() -> None:
    one = late(night(), "lims")
    one.down["core"] = Reason.TIMEOUT
    one.run(40)
    assert "No good backup" not in about(one, "core").plain_text


def test_a_warning_about_the_spare_that_is_left_says_what_the_two_would_lose() -> None:
    one = degraded(night(), "view-a")
    assert about(one, "view-a").impact == ()
    one = night()
    one.down["view-b"] = Reason.TIMEOUT
    warned = about(degraded(one.run(40), "view-a"), "view-a")
    assert {(line.area, line.service) for line in warned.impact} == {("ward-1", "view"), ("ward-2", "view")}
    assert (warned.severity, warned.urgency) == (2, 3)
    assert "What would stand in for it has failed already: view-b." in warned.plain_text
