"""`healthmon whatif` as a change ticket sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from healthmon.cli.commands import app

SITE = """\
organisation: {id: t, name: T, timezone: Europe/London}
areas:
  - {id: ed, name: Emergency, kind: ed, acuity: critical, beds: 40, needs: [{at_least: 1, of: [sw-a, sw-b]}]}
  - {id: clinic, name: Clinic, kind: clinic, acuity: outpatient, staffed: {mon-fri: "08:00-18:00"}, needs: [sw-b]}
services:
  - {id: ehr, name: Patient record, tier: 1, used_in: all, needs: [web], fallback: {text: Paper}}
targets:
  - {id: sw-a, kind: switch, address: 192.0.2.1}
  - {id: sw-b, kind: switch, address: 192.0.2.2}
  - {id: web, kind: endpoint, address: "https://ehr.example"}
changes:
  - {id: c1, title: Core work, targets: [sw-a], starts_at: "2026-11-24T18:00:00Z", ends_at: "2026-11-24T22:00:00Z"}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "healthmon.yaml"
    file.write_text(SITE)
    return str(file)


def asked(config: str, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["whatif", "-c", config, *more])
    return result.exit_code, result.output


def test_words_for_a_ticket(config: str) -> None:
    code, text = asked(config, "--down", "sw-b", "--at", "2026-11-24T14:00")
    assert code == 0
    assert text == (
        "down: sw-b\n"
        "at Tue 24 Nov 2026 14:00 GMT: severity 2 (impact 1, urgency 4)\n"
        "\n"
        "not available:\n"
        "  Clinic\n"
        "    Patient record (tier 1); instead: Paper\n"
        "\n"
        "working, no spare route left:\n"
        "  Emergency with 40 beds\n"
        "    Patient record; would then hang on sw-a\n"
    )


@pytest.mark.parametrize(
    ("down", "at", "fail_on", "code"),
    [
        ("sw-b", "2026-11-24T14:00", "lost", 1),
        ("sw-a", "2026-11-24T14:00", "lost", 0),
        ("sw-a", "2026-11-24T14:00", "at_risk", 1),
        ("sw-a,sw-b", "2026-11-24T14:00", None, 0),
    ],
)
def test_the_gate_of_a_pipeline(config: str, down: str, at: str, fail_on: str | None, code: int) -> None:
    gate = ["--fail-on", fail_on] if fail_on else []
    assert asked(config, "--down", down, "--at", at, *gate)[0] == code


def test_the_least_harmful_window_keeps_clear_of_planned_work(config: str) -> None:
    _, text = asked(config, "--down", "sw-b", "--at", "2026-11-24T17:00Z", "--window", "12h", "--lasts", "2h", "--json")
    found = json.loads(text)
    assert found["window"]["from"] == "2026-11-24T22:00:00Z"
    assert found["window"]["to"] == "2026-11-25T00:00:00Z"
    assert found["window"]["worst_would_be"]["severity"] < found["severity"]
    _, during = asked(config, "--down", "sw-b", "--at", "2026-11-24T21:00Z")
    assert "also down then, by the change calendar: sw-a" in during
    assert "Emergency with 40 beds\n    Patient record (tier 1); instead: Paper" in during


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--down", "sw-c"], "no such target or service, did you mean 'sw-"),
        (["--down", ","], "name at least one"),
        (["--down", "sw-a", "--at", "noon"], "is not a time (allowed:"),
        (["--down", "sw-a", "--window", "soon"], "is not a duration"),
        (["--down", "sw-a", "--window", "90d"], "is too long (allowed: up to 28d)"),
        (["--down", "sw-a", "--fail-on", "degraded"], "(allowed: lost, at_risk)"),
    ],
)
def test_wrong_questions_are_usage_errors(config: str, arguments: list[str], said: str) -> None:
    code, text = asked(config, *arguments)
    assert code == 2
    assert said in text


def test_a_window_says_that_work_entered_on_the_server_is_not_counted(config: str) -> None:
    question = ["--down", "sw-b", "--at", "2026-11-24T21:00Z", "--window", "6h", "--lasts", "2h"]
    assert "was entered on the server is not counted" in asked(config, *question)[1]
    assert json.loads(asked(config, *question, "--json")[1])["planned_from"] == "configuration"
