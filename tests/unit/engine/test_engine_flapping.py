"""An alert that comes and goes stays one alert, and its incident says so, and when it has settled."""

from __future__ import annotations

from smallsite import Night, check, estate_of, target

from healthmon.model.alert import Effect, Flap, NoData, OutcomeIs, Rule, Selector
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Agent
from healthmon.web.shapes import alert_json

DOWN = Rule("up", Selector(), OutcomeIs((Outcome.FAILED,)), Effect.DOWN, NoData.HOLD, "{target} is down", flap=Flap())


def test_both_ends_of_flapping_stand_on_the_timeline_and_in_the_alert() -> None:
    looked_at = target("srv", "server", checks=(check("http"),))
    night = Night(estate_of([looked_at, target("mon", "server")], agents=[Agent("poller", "mon")]), rules=(DOWN,))
    night.engine.tick(night.now)
    flapping = []
    for number in range(90):
        night.now += 5.0
        bad = number < 40 and number % 4 < 2
        outcome, reason = (Outcome.FAILED, Reason.REFUSED) if bad else (Outcome.OK, None)
        night.engine.observe([Reading("srv", "http", "poller", night.now, 0.0, outcome, reason)], now=night.now)
        night.tick()
        flapping += [alert_json(alert)["flapping_since"] for alert in night.view().alerts]
    (incident,) = [one for one in night.incidents() if any(member.key.target == "srv" for member in one.members)]
    said = [entry.text for entry in incident.timeline if entry.what in ("flapping", "settled")]
    assert said == ["srv comes and goes (up): one alert stays until it has settled", "srv has settled (up)"]
    assert flapping[0] is None
    assert any(flapping)
    assert night.view().alerts == ()
