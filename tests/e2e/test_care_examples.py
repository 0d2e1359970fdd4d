"""docs/report.md, standards.md and readiness.md: every command is run, every block of configuration is read."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from daemons.healthmon import until
from daemons.month import SITE, TICKETS, journal, pc_rows, rows, site
from daemons.onesite import one_site
from healthmon.cli.commands import app
from healthmon.config.loading import load_text
from healthmon.impact.losttime import outage
from healthmon.store.embedded import EmbeddedStore

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("report.md", "standards.md", "readiness.md")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    found = [shlex.split(line) for block in blocks(page, "sh") for line in block.splitlines()]
    assert found
    assert {words[0] for words in found} == {"healthmon"}
    return [words[1:] for words in found]


async def fill(path: Path, folder: Path) -> None:
    store = EmbeddedStore(path)
    await store.write([*rows(site(folder), 0.5), *pc_rows(site(folder))])
    await store.close()


def test_every_command_about_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    Path("healthmon.yaml").write_text(SITE + f"data_dir: {data}\n")
    Path("tickets.csv").write_text(TICKETS)
    journal(data / "journal.sqlite").close()
    asyncio.run(fill(data / "store.sqlite", tmp_path))
    for words in commands("report.md"):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
    assert Path("october.html").exists()
    assert json.loads(Path("ward-7.json").read_text())["area"] == "ward-7"


@pytest.mark.wire
@pytest.mark.slow
def test_every_command_about_standards_and_readiness(tmp_path: Path) -> None:
    with one_site(tmp_path / "site") as running:
        until(running.both_seen, timeout_s=30, what="both are seen")
        for page, codes in (("standards.md", {0}), ("readiness.md", {1})):
            for words in commands(page):
                result = CliRunner().invoke(app, [*words, "-c", str(running.config)])
                assert result.exit_code in codes, (words, result.output)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_configuration_is_taken(page: str) -> None:
    for block in blocks(page, "yaml"):
        given = yaml.safe_load(block)
        whole = yaml.safe_load(SITE) | given
        for area in given.get("care", {}).get("people", {}):
            assert area in {one["id"] for one in whole["areas"]}
        load_text(yaml.safe_dump(whole), env={})


def test_the_worked_example_of_lost_time() -> None:
    lost = outage(9, 3_600, 0)
    assert (lost.low_s / 3600, lost.usual_s / 3600, lost.high_s / 3600) == (2.25, 4.5, 9.0)
    assert "between 2.25 h and 9 h" in (DOCS / "report.md").read_text()
    assert round(30 * 86_400 * 0.001) == 43 * 60 + 12
