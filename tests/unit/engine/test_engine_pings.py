"""No answer to pings, from something that answers otherwise: shown, and nobody is told that a service is gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from smallsite import FAILED_RULE, SLOW_RULE, Night, area, check, estate_of, target

from healthmon.model.alert import Selector
from healthmon.model.incident import Why
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent, Check, Estate, Service

PING, TCP = check("icmp"), check("tcp")


@dataclass
class Filtered(Night):
    """Somebody filters pings to these."""

    unpinged: set[str] = field(default_factory=set)
    from_poller_port: dict[str, int] = field(default_factory=dict)  # so many looks at its port fail, and nothing else

    def look(self, target_id: str, check_id: str, vantage: str) -> Reading:
        seen = super().look(target_id, check_id, vantage)
        if check_id == "tcp" and self.from_poller_port.get(target_id, 0) > 0:
            self.from_poller_port[target_id] -= 1
            return replace(seen, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
        if check_id == "icmp" and target_id in self.unpinged:
            return replace(seen, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
        return seen


def estate(*checks: Check) -> Estate:
    """A ward's record on a front end that needs a database, and a server that has nothing to do with it."""
    things = [
        target("mon", "server"),
        target("other", "server", checks=(TCP,)),
        target("db", "database", checks=checks),
        target("web", "endpoint", "db", checks=(check("http", 2.0),)),
    ]
    record = Service("ehr", "Patient record", 1, ("icu",), False, ("web",))
    return estate_of(things, [area("icu")], [record], [Agent("poller", "mon")])


def test_a_database_that_answers_its_port_and_no_pings_has_taken_no_service_with_it() -> None:
    night = Filtered(estate(PING, TCP)).run(30)
    night.unpinged.add("db")
    night.run(120)
    incident = night.only()
    assert (incident.severity, incident.impact, incident.impact_known) == (5, (), "full")
    assert "but other looks at it since then find it working" in incident.title
    assert night.notices == []


def test_one_that_answers_neither_has() -> None:
    night = Filtered(estate(PING, TCP)).run(30)
    night.down["db"] = Reason.TIMEOUT
    night.run(20)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == "db"
    assert [line.state.value for line in incident.impact] == ["lost"]
    assert [notice.why for notice in night.notices] == [Why.OPENED]


def test_one_that_is_only_ever_pinged_has() -> None:
    night = Filtered(estate(PING)).run(30)
    night.unpinged.add("db")
    night.run(20)
    assert [line.state.value for line in night.only().impact] == ["lost"]


def test_a_port_that_is_looked_at_seldom_is_asked_before_anything_is_said() -> None:
    night = Filtered(estate(PING, check("tcp", 120.0))).run(150)
    night.asked.clear()
    night.unpinged.add("db")
    night.run(60)
    assert ("db", "tcp") in {(ask.target, ask.check) for ask in night.asked}
    assert (night.only().severity, night.notices) == (5, [])


def test_when_the_port_falls_silent_as_well_it_is_told() -> None:
    night = Filtered(estate(PING, TCP)).run(30)
    night.unpinged.add("db")
    night.run(60)
    night.down["db"] = Reason.TIMEOUT
    night.run(20)
    incident = night.only()
    assert [line.state.value for line in incident.impact] == ["lost"]
    assert incident.severity <= 2
    assert [notice.why for notice in night.notices] == [Why.OPENED]


@pytest.mark.parametrize(("lossy", "severity"), [(False, 3), (True, 5)])
def test_a_phone_that_is_heard_badly_is_milder_than_one_that_is_gone(lossy: bool, severity: int) -> None:
    """No service is mapped behind one phone: whoever has it in hand feels that, and nobody else."""
    loss = replace(SLOW_RULE, id="loss", on=Selector(probes=("icmp",)))
    phone = target("phone-1", "phone", area="ward-7", checks=(check("icmp", id_="read"),))
    web = target("web", "endpoint", checks=(check("http"),))
    record = Service("ehr", "Patient record", 1, ("ward-7",), False, ("web",))
    things = [target("mon", "server"), web, phone]
    night = Night(
        estate_of(things, [area("ward-7")], [record], [Agent("poller", "mon")]), rules=(FAILED_RULE, loss)
    ).run(30)
    if lossy:
        night.slow["phone-1"] = 6.0
    else:
        night.down["phone-1"] = Reason.TIMEOUT
    night.run(60)
    assert night.only().severity == severity


@pytest.mark.parametrize(("looks", "opened"), [(3, 0), (4, 1)])
def test_three_failed_looks_are_not_enough_while_what_people_use_in_front_works(looks: int, opened: int) -> None:
    """By chance, or for a moment: the fourth look decides at once, whatever people see."""
    night = Filtered(estate(TCP)).run(30)
    night.from_poller_port["db"] = looks
    night.run(25)
    assert len(night.incidents(open_only=False)) == opened


def test_a_database_that_stays_away_is_told_though_a_page_in_front_of_it_still_answers() -> None:
    night = Filtered(estate(TCP)).run(30)
    night.from_poller_port["db"] = 1_000
    night.run(12)
    assert [line.state.value for line in night.only().impact] == ["lost"]


def test_nothing_waits_when_what_people_use_has_gone_as_well() -> None:
    night = Filtered(estate(TCP)).run(30)
    night.down["db"] = Reason.TIMEOUT
    night.run(12)
    incident = night.only()
    assert [line.state.value for line in incident.impact] == ["lost"]
    assert incident.opened_at - incident.first_evidence_at <= 2.5  # three looks, one second apart
