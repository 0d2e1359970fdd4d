"""Many silent wards at once: the work to infer their causes grows with the alerts, not with its square."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from healthmon.alerting.engine import Engine
from healthmon.alerting.incidents import correlate
from healthmon.alerting.oncall.roster import Roster
from healthmon.app.loadgen import site_yaml
from healthmon.app.loadshape import Load
from healthmon.app.wiring import engine_settings
from healthmon.config import load
from healthmon.impact.hours import Calendar


def test_each_silent_agent_is_asked_once_for_its_causes(tmp_path: Path) -> None:
    (tmp_path / "healthmon.yaml").write_text(site_yaml(Load("loadgen", 500, 30.0, 20), tmp_path))
    site = load(tmp_path / "healthmon.yaml")
    engine = Engine(
        estate=site.estate, rules=site.rules, policies=site.policies, severity=site.severity,
        settings=engine_settings(site, Roster(site.oncall)), staffed=Calendar(site.estate, site.holidays).staffed,
    )  # fmt: skip
    asked = correlate._Run._causes
    with patch.object(correlate._Run, "_causes", autospec=True, side_effect=asked) as causes:
        at, looks, most, opened = 1_800_000_000.0, 0, 0, set()
        for _ in range(240):
            step = engine.tick(at)
            opened |= {incident.root.target for incident in step.changes.incidents}
            most, looks = max(most, causes.call_count - looks), causes.call_count
            at += 1.0
    assert {f"sw-{ward}" for ward in range(10)} <= opened
    assert 500 <= most <= 600
