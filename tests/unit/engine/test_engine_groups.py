"""A rule about many becomes an incident like any other, and a restart does not touch it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from smallsite import FAILED_RULE, Night, hospital

from healthmon.model.alert import Absent, Effect, NoData, Phase, Rule, Selector
from healthmon.model.condition import Group
from healthmon.model.sample import Reason
from healthmon.model.topology import Estate

MASS = Rule(
    id="agents-vanish",
    on=Selector(agents=True),
    condition=Group(Absent(60.0), share=0.3, out_of=4),
    effect=Effect.DEGRADED,
    no_data=NoData.HOLD,
    summary="many machines have gone silent: {detail}",
)


@pytest.mark.parametrize("restart", [False, True])
def test_machines_that_vanish_together_are_named(restart: bool) -> None:
    night = Night(hospital(wards=2, pcs=3), rules=(MASS,), restart_every_step=restart)
    night.run(60)
    night.quiet |= {"pc-w7-1", "pc-w7-2", "pc-w7-3"}
    night.run(90)
    (alert,) = [one for one in night.engine._desk.alerts.values() if one.key.rule == MASS.id]
    assert alert.phase is Phase.FIRING
    assert "pc-w7-1, pc-w7-2, pc-w7-3" in alert.detail
    (incident,) = night.incidents()
    assert "pc-w7-1" in incident.title
    night.quiet.clear()
    night.run(40)
    assert [one for one in night.engine._desk.alerts.values() if one.key.rule == MASS.id] == []


SILENT = replace(MASS, id="agent-silent", condition=Absent(30.0), effect=Effect.DOWN, no_data=NoData.ALERT)
#: Two lost of every three, so that neither an area nor a switch explains them; the image does.
BY_SITE = replace(MASS, condition=Group(Absent(60.0), share=0.05, at_least=5, out_of=20, by="site"))


def imaged(wards: int, pcs: int, new: frozenset[str]) -> Estate:
    estate = hospital(wards=wards, pcs=pcs)
    targets = {
        id_: replace(target, labels={**target.labels, "image": "new" if id_ in new else "old"})
        for id_, target in estate.targets.items()
    }
    return replace(estate, targets=targets)


def lost_machines() -> frozenset[str]:
    estate = hospital(wards=6, pcs=5)
    pcs = sorted(agent.target for agent in estate.agents.values() if agent.target and agent.target.startswith("pc-"))
    return frozenset(id_ for id_ in pcs if id_.endswith(("-1", "-3")))


def test_one_incident_says_what_the_lost_share() -> None:
    lost = lost_machines()
    night = Night(imaged(6, 5, lost), rules=(BY_SITE, SILENT))
    night.run(60)
    night.quiet |= lost
    night.run(150)
    (incident,) = night.incidents()
    assert {member.key.rule for member in incident.members} == {"agents-vanish", "agent-silent"}
    assert incident.root is not None
    assert incident.root.in_common == ("image new",)
    assert "image new" in incident.title


def test_what_a_switch_explains_is_no_second_incident() -> None:
    night = Night(hospital(wards=6, pcs=5, poller_hop=False), rules=(BY_SITE, SILENT, FAILED_RULE))
    night.run(60)
    night.down["sw-core"] = Reason.TIMEOUT
    night.run(150)
    assert len(night.incidents()) == 1
    assert "agents-vanish" in {member.key.rule for member in night.only().members}


def test_a_place_is_called_by_its_name() -> None:
    night = Night(hospital(wards=6, pcs=5), rules=(BY_SITE,))
    night.run(60)
    night.quiet |= lost_machines()
    night.run(150)
    (incident,) = night.incidents()
    assert incident.root is not None
    assert incident.root.target == "main"
    assert night.engine._texts.name("main") == "Main"


def test_many_machines_at_a_place_that_share_nothing_are_machines_all_the_same() -> None:
    """One PC in each of six wards: its neighbour works, and the place is no thing of which nobody knows the use."""
    night = Night(hospital(wards=6, pcs=5), rules=(BY_SITE, SILENT))
    night.run(60)
    night.quiet |= {f"pc-w{ward}-1" for ward in range(7, 13)}
    night.run(150)
    (incident,) = night.incidents()
    assert incident.root is not None
    assert incident.root.target == "main"
    assert len({member.key.target for member in incident.members}) == 7
    assert (incident.severity, incident.worst_severity) == (3, 3)
