"""What a site takes into its own Prometheus: rules, routes, scrape; held against promtool, amtool and our catalogue."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from daemons.process import need
from healthmon.web.metrics import BY_NAME

FOLDER = Path(__file__).parents[2] / "configs" / "prometheus"
RULES = (FOLDER / "healthmon-recording.yml", FOLDER / "healthmon-alerts.yml")


def run(*argv: str) -> None:
    found = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=FOLDER)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.wire
def test_promtool_takes_the_rules_and_their_stories_come_true() -> None:
    run(need("promtool"), "check", "rules", *map(str, RULES))
    run(need("promtool"), "test", "rules", "healthmon-rules.test.yml")


@pytest.mark.wire
def test_promtool_takes_the_scrape_and_amtool_the_routes() -> None:
    run(need("promtool"), "check", "config", "--syntax-only", "scrape.yml")
    run(need("amtool"), "check-config", "alertmanager.yml")


@pytest.mark.wire
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=HealthmonServiceLost", "on-call"),
        ("alertname=HealthmonGone", "on-call"),
        ("alertname=Watchdog", "healthmon"),
        ("alertname=NodeDiskFull", "healthmon"),
    ],
)
def test_alerts_about_healthmon_never_travel_through_healthmon(labels: str, receiver: str) -> None:
    command = [need("amtool"), "config", "routes", "test", f"--verify.receivers={receiver}", labels]
    run(*command, f"--config.file={FOLDER / 'alertmanager.yml'}")


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_speak_of_metrics_that_exist(path: Path) -> None:
    made = {rule["record"] for group in yaml.safe_load(RULES[0].read_text())["groups"] for rule in group["rules"]}
    for group in yaml.safe_load(path.read_text())["groups"]:
        for rule in group["rules"]:
            for name in re.findall(r"\b(?:[a-z_]+:)?healthmon_\w+(?::\w+)?", rule["expr"]):
                assert name in BY_NAME or name in made, f"{name} in {rule.get('alert') or rule['record']}"


def test_every_alert_has_a_story_or_stands_here() -> None:
    """A rule nobody has seen fire is a guess."""
    alerts = {rule["alert"] for group in yaml.safe_load(RULES[1].read_text())["groups"] for rule in group["rules"]}
    stories = yaml.safe_load((FOLDER / "healthmon-rules.test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in stories for one in test["alert_rule_test"] if one["exp_alerts"]}
    quiet = {one["alertname"] for test in stories for one in test["alert_rule_test"] if not one["exp_alerts"]}
    assert alerts - fired == {
        "HealthmonServiceDegraded",
        "HealthmonServiceAtRisk",
        "HealthmonBlind",
        "HealthmonSeriesLeftOut",
    }
    assert {"HealthmonBlind", "HealthmonSeriesLeftOut", "HealthmonServiceLost"} <= quiet
