"""What is about a warning (a mute, a rule in shadow) hides no failure that the warning explains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from mutenights import add, change, silence
from smallsite import EXPIRY_RULE, RULES, Night, area, check, estate_of, target

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.model.alert import Above
from healthmon.model.incident import Incident, Notice, Why
from healthmon.model.mute import Change, Match, Silence
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, Estate, Service

#: The array says of itself that a disk has failed: of all warnings the one that is taken for a cause of what follows.
DISKS_RULE = replace(EXPIRY_RULE, id="disks-failed", condition=Above("http.failed_disks", 0.0))
WARDS = ("ward-1", "ward-2")
LIVE = EngineSettings(mode="live")


def wards_on_one_storage() -> Estate:
    """No ED, ICU or theatre: the clinical floor saves nobody here."""
    record = Service("ehr", "Patient record", 1, WARDS, True, ("db",))
    targets = [
        target("mon", "server", "core"),
        target("core", "switch", checks=(check("snmp"),)),
        target("san", "storage", "core", checks=(check("http"),)),
        target("db", "database", "san", checks=(check("tcp"),)),
    ]
    return estate_of(targets, [area(ward, "core") for ward in WARDS], [record], [Agent("poller", "mon")])


@dataclass
class Warned(Night):
    """`san` says that a disk has failed from the moment that `warns` says so."""

    warns: bool = False

    def look(self, target_id: str, check_id: str, vantage: str) -> Reading:
        found = super().look(target_id, check_id, vantage)
        if target_id != "san" or found.outcome is not Outcome.OK:
            return found
        return replace(found, samples=(*found.samples, Sample("http", "failed_disks", float(self.warns))))

    def pages(self) -> list[Notice]:
        return [notice for notice in self.notices if notice.why is not Why.MUTE]

    def loses_the_record(self) -> Incident:
        self.warns = True
        self.run(30)
        assert not self.pages(), "a warning alone wakes nobody here"
        self.down["db"] = Reason.REFUSED
        self.run(40)
        found = self.only()
        assert found.root is not None
        assert found.root.target == "san", "the warning is taken for the cause"
        assert {line.area for line in found.impact} == set(WARDS)
        return found


@pytest.mark.parametrize("muted", [change("san", expected=("warning",)), silence(Match(target="san", rule="disks-*"))])
def test_a_muted_warning_hides_no_failure_behind_it(muted: Silence | Change) -> None:
    night = Warned(wards_on_one_storage(), settings=LIVE, rules=(*RULES, DISKS_RULE)).run(20)
    add(night, muted)
    found = night.loses_the_record()
    assert [notice.incident for notice in night.pages()] == [found.id]
    assert not found.silenced


def test_a_warning_rule_in_shadow_hides_no_failure_behind_it() -> None:
    shadow = replace(LIVE, rule_modes={"disks-failed": "shadow"})
    night = Warned(wards_on_one_storage(), settings=shadow, rules=(*RULES, DISKS_RULE)).run(20)
    found = night.loses_the_record()
    assert [notice.incident for notice in night.pages()] == [found.id]


def test_a_muted_failure_still_speaks_for_what_fails_because_of_it() -> None:
    night = Warned(wards_on_one_storage(), settings=LIVE, rules=(*RULES, DISKS_RULE)).run(20)
    add(night, silence(Match(target="san")))
    night.down["san"] = Reason.TIMEOUT
    night.run(40)
    assert any(member.behind == "san" for member in night.only().members)
    assert not night.pages()
