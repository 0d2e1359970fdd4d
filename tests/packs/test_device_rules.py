"""The stock rules over what SNMP says of devices: which reading each of them means, and what it must not mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from healthmon.alerting.detect.conditions import Facts, holds, metrics_of
from healthmon.config import load, stock_root
from healthmon.model.alert import Rule
from healthmon.model.sample import Outcome, Reading, Sample

SITE = """\
organisation: {id: st-elsewhere, name: St Elsewhere, timezone: Europe/London}
targets:
  - {id: sw-1, kind: switch, address: 192.0.2.7, checks: [{kind: snmp, pack: auto, uplinks: ["Te*"], every: 60s}]}
"""
FILES = ("power", "environment", "network")
PORT = (("interface", "Gi0/1"),)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rule]:
    file = tmp_path_factory.mktemp("site") / "healthmon.yaml"
    file.write_text(SITE)
    return {rule.id: rule for rule in load(file, env={}).rules}


def reading(labels: tuple[tuple[str, str], ...] = (), **values: float) -> Reading:
    samples = tuple(Sample(*name.split("__"), value, dict(labels)) for name, value in values.items())
    return Reading("t", "snmp", "poller", 1000.0, 0.1, Outcome.OK, samples=samples)


def said(rule: Rule, seen: Reading, labels: tuple[tuple[str, str], ...] = ()) -> bool | None:
    return holds(rule.condition, Facts.of(seen, metrics_of(rule)), labels)


ERRORS = {"snmp_if__out_error_ratio": 0.0, "snmp_if__out_errors_per_second": 0.0}


@pytest.mark.parametrize(
    ("rule", "labels", "means", "does_not"),
    [
        ("ups-on-battery", (), {"snmp_ups__on_battery": 1.0}, {"snmp_ups__on_battery": 0.0}),
        ("ups-runtime-short", (), {"snmp_ups__on_battery": 1.0, "snmp_ups__remaining_seconds": 600.0},
         {"snmp_ups__on_battery": 1.0, "snmp_ups__remaining_seconds": 2400.0, "snmp_ups__battery_low": 0.0}),
        ("ups-runtime-short", (), {"snmp_ups__on_battery": 1.0, "snmp_ups__battery_low": 1.0},
         {"snmp_ups__on_battery": 0.0, "snmp_ups__remaining_seconds": 600.0, "snmp_ups__battery_low": 1.0}),
        ("ups-battery-worn", (), {"snmp_ups__battery_replace": 1.0},
         {"snmp_ups__battery_replace": 0.0, "snmp_ups__self_test_failed": 0.0}),
        ("ups-full", (), {"snmp_ups__load_ratio": 0.95}, {"snmp_ups__load_ratio": 0.6}),
        ("ups-line-full", (("line", "1"),), {"snmp_ups_output__load_ratio": 0.95},
         {"snmp_ups_output__load_ratio": 0.6}),
        ("inlet-warm", (("sensor", "inlet"),), {"snmp_sensor__inlet_celsius": 27.5},
         {"snmp_sensor__inlet_celsius": 24.0, "snmp_sensor__celsius": 24.0}),
        ("inlet-hot", (("sensor", "inlet"),), {"snmp_sensor__inlet_celsius": 33.0},
         {"snmp_sensor__inlet_celsius": 29.0}),
        ("part-failed", (("component", "fan 1"),), {"snmp_component__ok": 0.0}, {"snmp_component__ok": 1.0}),
        ("sensor-alarm", (("sensor", "PSU 1"),), {"snmp_sensor__ok": 0.0}, {"snmp_sensor__ok": 1.0}),
        ("uplink-down", PORT, {"snmp_if__uplink_up": 0.0}, {"snmp_if__uplink_up": 1.0}),
        ("interface-errors", PORT,
         {"snmp_if__in_error_ratio": 0.01, "snmp_if__in_errors_per_second": 3.0, **ERRORS},
         {"snmp_if__in_error_ratio": 0.5, "snmp_if__in_errors_per_second": 0.03, **ERRORS}),  # one on an idle port
        ("interface-full", PORT, {"snmp_if__in_utilisation_ratio": 0.95, "snmp_if__out_utilisation_ratio": 0.1},
         {"snmp_if__in_utilisation_ratio": 0.5, "snmp_if__out_utilisation_ratio": 0.1}),
        ("device-processor-busy", (("processor", "1"),), {"snmp_processor__utilisation_ratio": 0.97},
         {"snmp_processor__utilisation_ratio": 0.5}),
    ],
)  # fmt: skip
def test_what_a_rule_means(
    rules: Mapping[str, Rule],
    rule: str,
    labels: tuple[tuple[str, str], ...],
    means: Mapping[str, float],
    does_not: Mapping[str, float],
) -> None:
    assert said(rules[rule], reading(labels, **means), labels) is True
    assert said(rules[rule], reading(labels, **does_not), labels) is False


def test_an_empty_socket_and_a_pc_that_went_home_mean_nothing(rules: Mapping[str, Rule]) -> None:
    seen = reading(PORT, snmp_if__admin_up=1.0, snmp_if__oper_up=0.0, snmp_if__in_errors_total=12.0)
    assert [rule.id for rule in rules.values() if "snmp" in rule.on.probes and said(rule, seen, PORT)] == []


def test_a_hot_processor_is_no_hot_room(rules: Mapping[str, Rule]) -> None:
    labels = (("sensor", "CPU1 Temp"),)
    seen = reading(labels, snmp_sensor__celsius=78.0)
    assert [rule.id for rule in rules.values() if "snmp" in rule.on.probes and said(rule, seen, labels)] == []


def test_every_rule_of_these_files_is_tried_here_and_has_its_runbook(rules: Mapping[str, Rule]) -> None:
    tried = {mark.args[1][at][0] for mark in test_what_a_rule_means.pytestmark for at in range(len(mark.args[1]))}  # type: ignore[attr-defined]
    for name in FILES:
        lines = (stock_root() / "alerting" / "rules" / f"{name}.yaml").read_text().splitlines()
        assert {line.split()[-1] for line in lines if line.startswith("  - id:")} <= tried
        named = {line.split()[-1] for line in lines if line.strip().startswith("runbook:")}
        assert all((Path(stock_root()) / "alerting" / one).is_file() for one in named)
