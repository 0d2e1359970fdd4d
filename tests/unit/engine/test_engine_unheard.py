"""What is not heard, as people are told of it: a push that never came, a poller that does not come back."""

from __future__ import annotations

from dataclasses import replace

from smallsite import HEALTH, RULES, Night, check, estate_of, target

from healthmon.model.alert import Effect, NoData, OutcomeIs, Phase, Rule, Selector
from healthmon.model.condition import Above, Group, Unit
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.topology import PUSHES, Agent

FAILED = OutcomeIs((Outcome.FAILED,))
PUSHED = Rule("pushed-failed", Selector(probes=("push",)), FAILED, Effect.DEGRADED, NoData.ALERT, "{target} is missed")


def wait(night: Night, seconds: float, step_s: float = 20.0) -> None:
    until = night.now + seconds
    while night.now < until:
        night.now += step_s
        night.tick()


def test_a_push_that_never_came_is_told_and_ends_with_the_first_that_comes() -> None:
    watchdog = replace(check("push", 60.0, vantages=("prom",)), id="watchdog")
    own = estate_of([target("srv", "server", checks=(watchdog,))], agents=[Agent("prom", None, (PUSHES,))])
    night = Night(own, rules=(PUSHED,))
    night.engine.tick(night.now)
    wait(night, 300)
    assert [incident.title for incident in night.incidents()]
    (alert,) = night.view().alerts
    assert (alert.key.target, alert.key.check, alert.key.vantage, alert.phase) == (
        "srv", "watchdog", "prom", Phase.FIRING,
    )  # fmt: skip
    night.engine = night.make(night.journal.restored())
    night.engine.observe([Reading("srv", "watchdog", "prom", night.now, 0.0, Outcome.OK)], now=night.now)
    night.tick()
    assert night.view().alerts == ()


def test_a_poller_that_does_not_come_back_after_its_goodbye_is_told() -> None:
    agents = [Agent("poller", "mon"), Agent("site2", "srv", ("site-poller",))]
    looked_at = target("web", "endpoint", checks=(check("http", vantages=("site2",)),))
    night = Night(estate_of([target("srv", "server"), target("mon", "server"), looked_at], agents=agents), rules=RULES)
    night.engine.heard("site2", "up", night.now)
    night.tick()
    night.engine.heard("site2", "stopped", night.now + 1)
    wait(night, 600)
    assert not [one for one in night.view().alerts if one.key.vantage == "site2"]
    wait(night, 600)
    assert [one.phase for one in night.view().alerts if one.key.vantage == "site2"] == [Phase.FIRING]


def test_what_was_slow_from_wards_ends_when_the_last_pc_is_switched_off() -> None:
    where = Group(Above("http.duration_seconds", 2.0), count=Unit.VANTAGES, by="target", at_least=3)
    slow = Rule("slow-many", Selector(), where, Effect.DEGRADED, NoData.CLEAR, "{target} is slow: {detail}")
    agents = [Agent(f"p{n}", f"pc{n}", ("ward-workstation",)) for n in range(4)]
    looked_at = target("srv", "endpoint", checks=(check("http", 30.0, vantages=tuple(one.id for one in agents)),))
    pcs = [target(one.target or "", "workstation") for one in agents]
    night = Night(estate_of([looked_at, *pcs], agents=agents), rules=(slow,))
    night.engine.tick(night.now)
    for _ in range(4):
        night.now += 30
        seen = (Sample("http", "duration_seconds", 5.0),)
        looks = [Reading("srv", "http", one.id, night.now, 0.0, Outcome.OK, samples=seen) for one in agents]
        night.engine.observe(looks, now=night.now)
        night.tick()
    assert [alert.phase for alert in night.engine.view(night.now, HEALTH).alerts] == [Phase.FIRING]
    for one in agents:
        night.engine.heard(one.id, "stopped", night.now)
    wait(night, 300)
    assert night.engine.view(night.now, HEALTH).alerts == ()
