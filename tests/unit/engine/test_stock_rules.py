"""The stock rules: they load, they name what probes and collectors emit, and their runbooks can be followed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthmon import collectors, probes
from healthmon.alerting.detect.conditions import metrics_of
from healthmon.config import load
from healthmon.config.packs import read_pack
from healthmon.config.problems import Problems
from healthmon.model.alert import NoData, Rule
from healthmon.model.sample import Family
from healthmon.probes.openmetrics_pack import with_scraped

ALERTING = Path(__file__).parents[3] / "alerting"
PLACEHOLDERS = {"target", "check", "vantage", "reason", "value", "span", "percent", "days", "detail"}


def rules() -> tuple[Rule, ...]:
    """As a site without packs of its own has them."""
    return load(ALERTING.parent / "configs" / "minimal.yaml", env={}).rules


def exported() -> dict[str, Family]:
    """What the packs of exporters keep beside the families that code declares."""
    files = sorted((ALERTING.parent / "probes" / "openmetrics").glob("*.yaml"))
    packs = [document.data for file in files if (document := read_pack(file, Problems())) is not None]
    return with_scraped(probes.families() | collectors.families(), packs)


FAMILIES = exported()
RULES = {rule.id: rule for rule in rules()}


def test_ids_are_unique_and_the_core_ones_are_there() -> None:
    assert len(RULES) == len(rules())
    assert {"check-failed", "http-slow", "tls-expiry", "agent-silent", "disk-filling"} <= RULES.keys()
    failed = RULES["check-failed"]
    assert (failed.confirm, failed.clear_confirm, failed.no_data) == (3, 2, NoData.HOLD)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_metric_is_emitted_by_something(rule: Rule) -> None:
    families = FAMILIES
    for metric in metrics_of(rule):
        family, field = metric.split(".")
        assert field in families[family].fields, metric


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_summary_can_be_filled(rule: Rule) -> None:
    families = FAMILIES
    labels = {label for metric in metrics_of(rule) for label in families[metric.split(".")[0]].labels}
    assert set(re.findall(r"\{(\w+)\}", rule.summary)) <= PLACEHOLDERS | labels


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_runbook_begins_with_three_steps(rule: Rule) -> None:
    text = (ALERTING / rule.runbook).read_text()
    steps = re.findall(r"^(\d)\. (.+)$", text, flags=re.M)
    assert [number for number, _ in steps[:3]] == ["1", "2", "3"]
    assert all(len(words) > 30 for _, words in steps[:3])
