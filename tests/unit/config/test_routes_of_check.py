"""What `check` says of the way to people, and of rules whose metrics nobody gives: with places, also as rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from healthmon.cli.commands import app
from healthmon.config.loading import load
from healthmon.config.problemrows import rows

HERE = Path(__file__).parents[2] / "config" / "routes"
CASES = sorted(path.stem for path in HERE.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_each_dead_route_is_named_with_its_place(case: str) -> None:
    """`x.txt` holds the warnings about routes and rules that `x.yaml` must bring, and no others of their kind."""
    site = load(HERE / f"{case}.yaml", env={})
    expected = (HERE / f"{case}.txt").read_text().splitlines()
    kinds = ("policy", "reach", "channel", "never", "gives")
    found = [line.removeprefix(f"{HERE}/") for line in site.warnings if any(word in line for word in kinds)]
    assert found == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 8


def test_json_has_one_row_for_each_warning_and_each_error() -> None:
    run = CliRunner()
    warned = run.invoke(app, ["check", "--json", "-c", str(HERE / "user-without-a-way.yaml")])
    assert warned.exit_code == 0
    problems = json.loads(warned.stdout)["problems"]
    row = next(one for one in problems if "takes turns" in one["message"])
    assert (row["line"], row["col"], row["severity"]) == (8, 7, "warning")
    assert row["file"].endswith("user-without-a-way.yaml")
    assert row["fix"] == "give that person `channels`"

    refused = run.invoke(app, ["check", "--json", "-c", str(HERE.parent / "bad" / "unknown-references.yaml")])
    assert refused.exit_code == 2
    data = json.loads(refused.stdout)
    assert data["ok"] is False
    assert all(one["severity"] == "error" and one["line"] > 0 for one in data["problems"])
    assert any(one["fix"] for one in data["problems"])


def test_a_line_without_a_place_is_a_row_without_one() -> None:
    (row,) = rows(["no configuration found: pass -c FILE"], "error")
    assert (row["file"], row["line"], row["message"]) == (None, None, "no configuration found: pass -c FILE")


def test_a_windows_path_keeps_its_drive() -> None:
    (row,) = rows(["C:\\site.yaml:3:4: unknown key 'x', did you mean 'y'?"], "error")
    assert (row["file"], row["line"], row["col"], row["fix"]) == ("C:\\site.yaml", 3, 4, "write 'y'")
