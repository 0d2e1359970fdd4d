"""What `check` warns of in a site's own rules, and the schema that its editor reads."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from healthmon.config import stock_root
from healthmon.config.loading import load_text
from healthmon.config.packs import read_pack
from healthmon.config.packschema import PACK_FORMS, pack_schema
from healthmon.config.problems import Problems

SITE = """\
organisation: {id: st-elsewhere, name: St Elsewhere, timezone: Europe/London}
targets: [{id: sw-1, kind: switch, address: 192.0.2.1, checks: [{kind: icmp, every: 60s}]}]
"""
RULE = "{{id: mine, on: {on}, condition: {condition}, effect: info, no_data: hold, {rest}}}"
ABOVE = "{above: {metric: icmp.loss_ratio, value: 0.5}}"


def warnings(tmp_path: Path, on: str, condition: str = ABOVE, rest: str = "summary: x", more: str = "") -> list[str]:
    folder = tmp_path / "alerting" / "rules"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"rules: [{RULE.format(on=on, condition=condition, rest=rest)}]\n")
    return [line for line in load_text(SITE + more, env={}, pack_dirs=[tmp_path]).warnings if "rule '" in line]


@pytest.mark.parametrize("on", ["{probes: [http]}", "{kinds: [printer]}", "{labels: {a: b}}", "{tiers: [0]}"])
def test_a_rule_about_nothing_is_told(tmp_path: Path, on: str) -> None:
    (line,) = warnings(tmp_path, on)
    assert "rule 'mine' is about nothing here" in line


@pytest.mark.parametrize("on", ["{}", "{probes: [icmp]}", "{kinds: [switch]}", "{agents: true}"])
def test_a_rule_about_something_is_not(tmp_path: Path, on: str) -> None:
    condition = "{absent: 60s}" if "agents" in on else ABOVE
    assert warnings(tmp_path, on, condition) == []


def test_a_window_of_one_look_is_told(tmp_path: Path) -> None:
    window = "{window: {metric: icmp.loss_ratio, over: 90s, take: avg, above: 0.5}}"
    (line,) = warnings(tmp_path, "{probes: [icmp]}", window)
    assert "looks back 90 s, but check 'icmp' (icmp) comes every 60 s" in line


def test_a_window_of_two_looks_is_not(tmp_path: Path) -> None:
    window = "{window: {metric: icmp.loss_ratio, over: 2m, take: avg, above: 0.5}}"
    assert warnings(tmp_path, "{probes: [icmp]}", window) == []


@pytest.mark.parametrize("kind", PACK_FORMS)
def test_every_stock_pack_fits_the_schema_of_its_kind(kind: str) -> None:
    schema = json.loads(json.dumps(pack_schema(kind)))
    validator = jsonschema.Draft202012Validator(schema)
    files = sorted(stock_root().glob(PACK_FORMS[kind][1]))
    if kind == "rules":
        files = [file for file in files if not file.name.endswith(".test.yaml")]
    assert files
    for file in files:
        document = read_pack(file, Problems())
        assert document is not None
        assert [error.message for error in validator.iter_errors(document.data)] == [], file.name


@pytest.mark.parametrize("wrong", [{"rule": []}, {"rules": [{"id": "a"}]}, {"rules": [{"condition": {"abov": 1}}]}])
def test_the_schema_refuses_what_check_refuses(wrong: object) -> None:
    assert list(jsonschema.Draft202012Validator(pack_schema("rules")).iter_errors(wrong))


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("summary: x, runbook: runbooks/nowhere.md", "no pack has such a file in alerting/"),
        ("summary: x, runbook: runbooks/empty.md", "which has no numbered steps"),
        ("summary: '{bogus} of {target}'", "unknown placeholder {bogus} in its summary (allowed: check, days,"),
        ("summary: '{mount} of {target}'", "unknown placeholder {mount}"),
        ("summary: 'it is {target'", "a summary that cannot be filled"),
        ("summary: '{target}: {value} {span} {percent} {days} {detail} {reason} {check} {vantage}'", ""),
        ("summary: x, runbook: runbooks/mine.md", ""),
        ("summary: x, runbook: 'https://wiki.example/loss'", ""),
    ],
)
def test_what_a_page_would_say_with_holes_is_told(tmp_path: Path, rest: str, said: str) -> None:
    books = tmp_path / "alerting" / "runbooks"
    books.mkdir(parents=True)
    (books / "empty.md").write_text("# Nothing yet\n")
    (books / "mine.md").write_text("1. Look.\n")
    found = warnings(tmp_path, "{probes: [icmp]}", rest=rest)
    assert ([line for line in found if said in line] if said else found) == found
    assert len(found) == bool(said)


def test_labels_of_what_a_rule_looks_at_may_stand_in_its_summary(tmp_path: Path) -> None:
    condition = "{above: {metric: host_disk.used_ratio, value: 0.5}}"
    more = "agents: [{id: pc, target: sw-1, roles: [linux-server]}]\n"
    assert warnings(tmp_path, "{probes: [host_disk]}", condition, "summary: '{mount} of {target}'", more) == []


def test_a_metric_that_no_agent_here_collects_is_told(tmp_path: Path) -> None:
    more = "agents: [{id: pc, target: sw-1, roles: [linux-server]}]\n"
    condition = "{above: {metric: backup_evidence.age_seconds, value: 5}}"
    (line,) = warnings(tmp_path, "{kinds: [switch]}", condition, more=more)
    assert "asks for 'backup_evidence.age_seconds', which no check here gives" in line


@pytest.mark.parametrize(("label", "told"), [("97 %", True), ("nan", True), ("0.97", False), ("inf", False)])
def test_a_label_that_is_no_number_is_told_where_it_stands(tmp_path: Path, label: str, told: bool) -> None:
    condition = "{above: {metric: icmp.loss_ratio, value: 0.5, label: loss_limit}}"
    folder = tmp_path / "alerting" / "rules"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"rules: [{RULE.format(on='{}', condition=condition, rest='summary: x')}]\n")
    text = SITE.replace("kind: switch,", f"kind: switch, labels: {{loss_limit: '{label}'}},")
    found = [line for line in load_text(text, env={}, pack_dirs=[tmp_path]).warnings if "loss_limit" in line]
    assert len(found) == told
    if told:
        assert found[0].startswith("healthmon.yaml:2:57: label 'loss_limit' of 'sw-1' is no number, and mine takes")
