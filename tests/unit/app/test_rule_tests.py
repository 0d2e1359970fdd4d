"""Rule tests of a hospital's own pack: told right, told wrong, and not understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from healthmon.cli.commands import app

RULES = """\
rules:
  - id: door-open
    on: {probes: [tcp]}
    condition: {outcome: failed}
    confirm: 2
    effect: down
    no_data: hold
    summary: "{target} is gone"
  - id: pc-silent
    on: {agents: true}
    condition: {absent: 45s}
    effect: down
    no_data: alert
    summary: "nothing from {target}"
"""
TESTS = """\
site:
  targets: [{id: door, kind: server, address: 192.0.2.1, checks: [{kind: tcp, port: 22, every: 10s}]}]
tests:
  - name: two failures
    readings:
      - {at: 0s, to: 20s}
      - {at: 30s, to: 60s, outcome: failed, reason: refused}
    expect:
      - {at: 20s, quiet: door-open}
      - {at: 40s, firing: door-open}
"""


def written(folder: Path, tests: str = TESTS) -> Path:
    rules = folder / "packs" / "alerting" / "rules"
    rules.mkdir(parents=True)
    (rules / "doors.yaml").write_text(RULES)
    (rules / "doors.test.yaml").write_text(tests)
    return rules / "doors.test.yaml"


def told(path: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", "test", str(path), *more])
    return result.exit_code, result.output


def test_what_is_expected_passes_and_what_no_test_sees_is_named(tmp_path: Path) -> None:
    code, text = told(written(tmp_path))
    assert code == 0, text
    assert "doors.test.yaml: 1 of 1 as expected" in text
    assert "pc-silent: no test sees it firing" in text


def test_a_miss_names_file_line_time_and_both_sides(tmp_path: Path) -> None:
    file = written(tmp_path, TESTS.replace("at: 40s, firing", "at: 30s, firing"))
    code, text = told(file)
    assert code == 1
    assert f"{file}:10:9: at 30s: door-open: expected firing, found pending" in text
    assert "40s door-open/door/tcp@poller: firing" in text


def test_a_rule_that_must_never_fire_is_told_when_it_did(tmp_path: Path) -> None:
    file = written(tmp_path, TESTS + "    never: door-open\n")
    code, text = told(file)
    assert code == 1
    assert f"{file}:11:12: at 40s: door-open: expected never to fire, found firing" in text


def test_an_expectation_of_a_quiet_target_beside_a_firing_one(tmp_path: Path) -> None:
    other = "{id: gate, kind: server, address: 192.0.2.2, checks: [{kind: tcp, port: 22, every: 10s}]}"
    tests = TESTS.replace("targets: [", f"targets: [{other}, ").replace("{at: 0s, ", "{at: 0s, target: gate, ")
    tests = tests.replace("{at: 30s, ", "{at: 30s, target: door, ").replace(
        "firing: door-open", "firing: door-open/door, quiet: door-open/gate"
    )
    assert told(written(tmp_path, tests))[0] == 0


def test_an_agent_that_falls_silent_by_night_and_by_day(tmp_path: Path) -> None:
    tests = """\
site:
  areas: [{id: clinic, name: Clinic, kind: clinic, acuity: outpatient, staffed: {mon-fri: "08:00-18:00"}}]
  targets: [{id: pc, kind: ward-workstation, address: 192.0.2.1, area: clinic}]
  agents: [{id: pc, target: pc, roles: [ward-workstation]}]
tests:
  - name: by day
    readings: [{agent: pc, at: 0s, to: 60s}]
    expect: [{at: 100s, quiet: pc-silent}, {at: 106s, firing: pc-silent/pc}]
  - name: by night
    begins: "2026-11-23T23:00:00Z"
    readings: [{agent: pc, at: 0s, to: 60s}]
    expect: [{at: 600s, quiet: pc-silent}]
  - name: shut down
    readings: [{agent: pc, at: 0s, to: 60s}, {agent: pc, at: 61s, heard: stopped}]
    expect: [{at: 600s, quiet: pc-silent}]
"""
    code, text = told(written(tmp_path, tests))
    assert code == 0, text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("quiet: door-open", "quiet: door-ajar", "no rule 'door-ajar' in doors.yaml (allowed: door-open, pc-silent)"),
        ("to: 20s}", "to: 20s, values: {tcp.open: 1}}", "nothing emits 'tcp.open'"),
        ("to: 20s}", "to: 20s, target: gate}", "say which target is read (allowed: door)"),
        ("name: two failures", "nmae: two failures", "unknown key, did you mean 'name'?"),
        ("kind: tcp,", "kind: tpc,", "tpc"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = written(tmp_path, TESTS.replace(old, new))
    code, text = told(file)
    assert code == 2
    assert f"{file}:" in text
    assert said in text


def test_json_holds_every_miss(tmp_path: Path) -> None:
    code, text = told(written(tmp_path, TESTS.replace("at: 40s, firing", "at: 30s, firing")), "--json")
    found = json.loads(text)
    assert (code, found["ok"]) == (1, False)
    (miss,) = found["tests"][0]["misses"]
    assert (miss["line"], miss["at_s"], miss["expected"], miss["found"]) == (10, 30.0, "firing", "pending")
    assert {"rule": "pc-silent", "never_seen": "firing"} in found["not_tested"]


def test_a_folder_without_tests_is_an_error(tmp_path: Path) -> None:
    code, text = told(tmp_path)
    assert code == 2
    assert "no file here ends in .test.yaml" in text
