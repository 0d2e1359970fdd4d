"""The incident carries the first steps of the runbook of the rule that speaks for its cause."""

from __future__ import annotations

from dataclasses import replace

from smallsite import FAILED_RULE, Night, hospital

from healthmon.model.render import incident_json
from healthmon.model.sample import Reason

GUIDED = replace(
    FAILED_RULE, runbook="runbooks/check-failed.md", first_steps=("Ping it.", "Look at its switch.", "Go.")
)


def test_from_the_rule_to_the_incident_its_json_and_the_page() -> None:
    night = Night(hospital(), rules=(GUIDED,))
    night.run(30)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(90)
    incident = night.only()
    assert incident.first_steps == GUIDED.first_steps
    assert incident_json(incident)["first_steps"] == list(GUIDED.first_steps)
    assert incident_json(incident)["runbook"] == "runbooks/check-failed.md"
    assert "2. Look at its switch." in night.notices[0].text
