"""One number and every blind spot: whatever is taken out of a whole estate is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.alerting.journal import Journal
from healthmon.app.coverage import coverage
from healthmon.cli.commands import app
from healthmon.config.loading import load_text
from healthmon.model.journal import Restored
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.view import Health

SITE = """\
organisation: {id: t, name: T}
data_dir: /nonexistent
areas: [{id: w7, name: Ward 7, kind: ward, acuity: inpatient, needs: [sw]}]
services:
  - {id: ehr, name: Record, tier: 1, used_in: all, needs: [web], fallback: {text: Paper, proven_by: pc}}
targets:
  - {id: sw, kind: switch, address: 192.0.2.1, checks: [icmp]}
  - {id: web, kind: server, address: 192.0.2.2, needs: [sw], checks: [{kind: tcp, port: 443}]}
  - {id: pc, kind: ward-workstation, address: 192.0.2.3, area: w7, checks: [icmp]}
agents: [{id: pc, target: pc, roles: [ward-workstation]}]
"""
OURS = ("rule_without_test", "metrics_without_rule")  # of the stock packs, not of this site


def surveyed(text: str = SITE) -> dict[str, Any]:
    return coverage(load_text(text, env={}))


def spots(text: str) -> set[tuple[str, str]]:
    return {(one["kind"], one["id"]) for one in surveyed(text)["blind_spots"] if one["kind"] not in OURS}


def test_a_whole_estate_is_covered() -> None:
    found = surveyed()
    assert found["covered_access_paths_percent"] == 100.0
    assert found["shares"]["access_paths"] == {"covered": 1, "of": 1}
    assert spots(SITE) == set()


@pytest.mark.parametrize(
    ("old", "new", "kind", "id_", "percent"),
    [
        (", checks: [icmp]}\n  - {id: web", "}\n  - {id: web", "target_without_probe", "sw", 0.0),
        (", checks: [{kind: tcp, port: 443}]", "", "target_without_probe", "web", 0.0),
        ("kind: tcp, port: 443", "kind: ntp", "target_without_rule", "web", None),
        (", needs: [sw]}]", "}]", "area_without_needs", "w7", 0.0),
        (", needs: [web]", "", "service_without_needs", "ehr", 0.0),
        (", fallback: {text: Paper, proven_by: pc}", "", "service_without_fallback", "ehr", 100.0),
        (", proven_by: pc", "", "fallback_without_proof", "ehr", 100.0),
        ("agents: [{id: pc, target: pc, roles: [ward-workstation]}]\n", "", "area_without_agent", "w7", 100.0),
    ],
)
def test_whatever_is_taken_out_is_listed(old: str, new: str, kind: str, id_: str, percent: float | None) -> None:
    assert SITE.count(old) == 1
    text = SITE.replace(old, new)
    if kind == "target_without_rule":
        text += "alerting: {packs: [availability, agents]}\n"
    assert (kind, id_) in spots(text)
    if percent == 0.0:
        cut = [one for one in surveyed(text)["blind_spots"] if one["kind"] == "path_not_covered"]
        assert [one["id"] for one in cut] == [id_]
        assert cut[0]["text"] == f"{id_} is the first hole on 1 access paths: Ward 7: Record"
    if percent is not None:
        assert surveyed(text)["covered_access_paths_percent"] == percent


def test_the_command_is_a_gate_too(tmp_path: Path) -> None:
    file = tmp_path / "healthmon.yaml"
    file.write_text(SITE.replace(", checks: [{kind: tcp, port: 443}]", ""))
    run = CliRunner().invoke(app, ["coverage", "-c", str(file), "--at-least", "50"])
    assert run.exit_code == 1
    assert run.output.startswith("covered access paths: 0 %\n  0 of 1 area x service of tier 0 and 1\n")
    assert "nobody looks at web; 1 areas depend on it" in run.output
    run = CliRunner().invoke(app, ["coverage", "-c", str(file), "--json"])
    assert (run.exit_code, json.loads(run.output)["live"]) == (0, False)


def test_what_is_looked_at_and_never_answers_is_told_and_what_does_not_any_more_after_a_week(
    tmp_path: Path,
) -> None:
    site = load_text(SITE, env={})
    journal, now = Journal(tmp_path / "journal.sqlite"), 1_795_428_000.0

    def engine(restored: Restored | None = None) -> Engine:
        return Engine(
            estate=site.estate, rules=site.rules, policies=site.policies, severity=site.severity,
            settings=EngineSettings(mode="live", waking=site.waking), staffed=lambda area, at: True, restored=restored,
        )  # fmt: skip

    def look(at: float, target: str, *, well: bool) -> None:
        outcome, reason = (Outcome.OK, None) if well else (Outcome.FAILED, Reason.TIMEOUT)
        check = site.estate.targets[target].checks[0].id
        running.observe([Reading(target, check, "poller", at, 0.1, outcome, reason)], now=at + 0.1)

    def told(at: float) -> set[tuple[str, str]]:
        view = running.view(at, Health("ok", now, 0.0, True, 0, True, "live"))
        kinds = ("never_seen", "stale_inventory")
        return {(one["kind"], one["id"]) for one in coverage(site, view)["blind_spots"] if one["kind"] in kinds}

    running = engine()
    for step in range(20):
        look(now + 30 * step, "sw", well=step < 5)
        look(now + 30 * step, "web", well=False)
        journal.commit(running.tick(now + 30 * step + 1).changes)
    assert told(now + 600) == {("never_seen", "web"), ("never_seen", "pc")}
    running = engine(journal.restore())
    assert told(now + 600) == {("never_seen", "pc")}, "when what failed before this start answered last is not known"
    later = now + 8 * 86_400.0
    for step in range(5):
        look(later + 30 * step, "sw", well=False)
        look(later + 30 * step, "web", well=step == 4)
        running.tick(later + 30 * step + 1)
    journal.close()
    assert told(later + 150) == {("stale_inventory", "sw"), ("never_seen", "pc")}


OWN = """\
rules:
  - {id: door-open, on: {probes: [tcp]}, condition: {outcome: failed}, effect: down, no_data: hold, summary: gone}
"""
QUIET = "tests: [{name: a, readings: [{at: 0s}], expect: [{at: 0s, quiet: door-open}]}]\n"
BROKEN = {
    "tests:\n": ":1:7: tests: '' must be a list",
    "tests: [a]\n": ":1:9: tests[0]: 'a' must be a mapping",
    "tests: [{name: a, expect: }]\n": ":1:9: tests[0]: key 'readings' is missing",
    "tests: [{name: a, readings: [{at: 0s}], expect: [{at: 0s, firing: 7}]}]\n": ":1:67: tests[0].expect[0].firing",
    "tests: {a: 1}\n": ":1:8: tests: must be a list",
    QUIET.replace("[{at: 0s}]", "[{at: 60s, to: 10s}]"): ": tests[0].readings[0]: `to` must not be before `at`",
    QUIET.replace("[{at: 0s}]", "[{at: 0s, every: 0s}]"): ": tests[0].readings[0]: `every` must be more than 0s",
    "- a\n": ":1:1: the top of a pack must be a mapping",
}


def own_pack(folder: Path, tests: str) -> Path:
    """A hospital with one rule of its own, and these tests of it."""
    rules = folder / "packs" / "alerting" / "rules"
    rules.mkdir(parents=True)
    (rules / "doors.yaml").write_text(OWN)
    (rules / "doors.test.yaml").write_text(tests)
    (folder / "healthmon.yaml").write_text(SITE + "packs: [packs]\n")
    return folder / "healthmon.yaml"


@pytest.mark.parametrize("tests", BROKEN)
def test_a_broken_rule_test_leaves_its_rule_untested_and_check_says_where(tmp_path: Path, tests: str) -> None:
    config = str(own_pack(tmp_path, tests))
    run = CliRunner().invoke(app, ["coverage", "-c", config, "--all"])
    assert run.exit_code == 0, run.output
    assert "no test sees door-open firing" in run.output
    run = CliRunner().invoke(app, ["check", "-c", config])
    assert run.exit_code == 0, run.output
    place = str(tmp_path / "packs" / "alerting" / "rules" / "doors.test.yaml")
    assert [line for line in run.output.splitlines() if place in line and BROKEN[tests] in line], run.output


def test_a_rule_test_that_can_be_read_is_no_warning(tmp_path: Path) -> None:
    site = "site: {targets: [{id: door, kind: server, address: 192.0.2.1, checks: [{kind: tcp, port: 22}]}]}\n"
    run = CliRunner().invoke(app, ["check", "-c", str(own_pack(tmp_path, site + QUIET))])
    assert run.exit_code == 0
    assert "doors.test.yaml" not in run.output
