"""A rule about many becomes an incident like any other, and a restart does not touch it."""

from __future__ import annotations

import pytest
from smallsite import Night, hospital

from healthmon.model.alert import Absent, Effect, NoData, Phase, Rule, Selector
from healthmon.model.condition import Group

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
