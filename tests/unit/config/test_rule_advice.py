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
RULE = "{{id: mine, on: {on}, condition: {condition}, effect: info, no_data: hold, summary: x}}"
ABOVE = "{above: {metric: icmp.loss_ratio, value: 0.5}}"


def warnings(tmp_path: Path, on: str, condition: str = ABOVE) -> list[str]:
    folder = tmp_path / "alerting" / "rules"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"rules: [{RULE.format(on=on, condition=condition)}]\n")
    return [line for line in load_text(SITE, env={}, pack_dirs=[tmp_path]).warnings if "rule '" in line]


@pytest.mark.parametrize("on", ["{probes: [http]}", "{kinds: [printer]}", "{labels: {a: b}}"])
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
