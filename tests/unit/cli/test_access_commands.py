"""The commands `users` and `audit` on a data folder of their own: no server runs, nothing secret is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from healthmon.cli.commands import app

WORDS = "three quiet wards"
SITE = """
organisation: {id: small, name: Small Hospital, timezone: UTC}
sites: [{id: main, name: Main}]
data_dir: DATA
"""


class House:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.config = folder / "healthmon.yaml"
        self.config.write_text(SITE.replace("DATA", str(self.data)))

    def run(self, *arguments: str, stdin: str = "") -> Result:
        result = CliRunner().invoke(app, [*arguments, "-c", str(self.config)], input=stdin)
        assert "Traceback" not in result.output
        return result

    def users(self) -> list[dict[str, object]]:
        return list(json.loads(self.run("users", "--json").stdout))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_user_is_made_changed_and_taken_out(house: House) -> None:
    assert "no users" in house.run("users").stdout
    made = house.run("users", "add", "dana", "--name", "Dana Example", "--role", "act", stdin=f"{WORDS}\n")
    assert (made.exit_code, made.stdout) == (0, "dana: act\n")
    house.run("users", "set", "dana", "--group", "it-oncall", "--group", "it-network")
    house.run("users", "passwd", "dana", stdin="four other quiet wards\n")
    house.run("users", "disable", "dana")
    (dana,) = house.users()
    assert dana == {
        "id": "dana", "name": "Dana Example", "role": "act", "groups": ["it-oncall", "it-network"], "disabled": True,
    }  # fmt: skip
    kept = (house.data / "users.json").read_text() + (house.data / "audit.jsonl").read_text()
    assert WORDS not in kept
    assert house.run("users", "enable", "dana").exit_code == 0
    assert not house.users()[0]["disabled"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        ("users frobnicate dana", "", 2, "no such action"),
        ("users add", "", 2, "whom"),
        ("users add dana", f"{WORDS}\n", 2, "what may they do"),
        ("users add Dana --role act", f"{WORDS}\n", 1, "an id has"),
        ("users add dana --role root", f"{WORDS}\n", 2, "root"),
        ("users add dana --role act", "short\n", 1, "12 to 256"),
        ("users add dana --role act", "", 1, "12 to 256"),
        ("users passwd dana", f"{WORDS}\n", 1, "no user dana"),
        ("users disable dana", "", 1, "no user dana"),
        ("audit", "", 1, "no audit yet"),
        ("audit --verify", "", 1, "no audit yet"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    house: House, arguments: str, stdin: str, code: int, words: str
) -> None:
    result = house.run(*arguments.split(), stdin=stdin)
    assert (result.exit_code, words in result.output) == (code, True), result.output
    assert house.users() == []


def test_there_is_no_option_for_a_password(house: House) -> None:
    result = house.run("users", "add", "dana", "--role", "act", "--password", WORDS)
    assert result.exit_code == 2


def test_the_audit_is_read_and_checked_and_a_cut_end_shows_against_a_noted_head(house: House) -> None:
    for user in ("dana", "kim", "robin"):
        house.run("users", "add", user, "--role", "view", stdin=f"{WORDS}\n")
    rows = json.loads(house.run("audit", "--json").stdout)
    assert [(row["what"], row["about"]) for row in rows] == [
        ("users add", "dana"),
        ("users add", "kim"),
        ("users add", "robin"),
    ]
    whole = json.loads(house.run("audit", "--verify", "--json").stdout)
    assert whole == {"entries": 3, "head": rows[-1]["hash"], "whole": True}
    path = house.data / "audit.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert house.run("audit", "--verify").exit_code == 0
    cut = house.run("audit", "--verify", "--head", whole["head"])
    assert (cut.exit_code, "the end was cut off" in cut.output) == (1, True)
    path.write_text("".join(lines).replace("kim", "kit"))
    broken = house.run("audit", "--verify")
    assert (broken.exit_code, "line 2: was changed" in broken.output) == (1, True)
