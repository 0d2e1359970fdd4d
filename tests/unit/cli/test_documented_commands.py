"""Every `healthmon ...` that a page shows is one that the program takes; what is not run stands in docs/untested.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from healthmon.cli.commands import app

ROOT = Path(__file__).parents[3]
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md")))
    if path.name != "cli.md"  # written by the program itself
]
SHELL = {"", "sh", "bash", "console"}


def commands(page: Path) -> Iterator[str]:
    """What follows the program's name, in shell blocks and between backquotes."""
    fence: str | None = None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fence = line.strip("`").strip() if fence is None else None
        elif fence is None:
            yield from re.findall(r"`healthmon ([a-z][^`]*)`", line)
        elif fence in SHELL:
            yield from _called(line)


def _called(line: str) -> Iterator[str]:
    text = re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ").rstrip("\\").strip()
    for part in re.split(r"\s(?:&&|\|\|?|;|&)(?:\s|$)|;\s", text):
        found = re.match(r"(?:\S*/)?healthmon\s+(.*)", part.strip())
        if found:
            yield found[1]


SHOWN = [pytest.param(line, id=f"{page.name}: {line[:60]}") for page in PAGES for line in commands(page)]


def test_pages_show_commands() -> None:
    assert len(SHOWN) > 100


@pytest.mark.parametrize("line", SHOWN)
def test_every_command_shown_is_one_that_the_program_takes(line: str) -> None:
    words = [word for word in shlex.split(re.sub(r"\s[12]?>\S*(\s\S+)?$", "", line)) if word != "..."]
    if words[0] in ("--help", "--version", "agent"):  # the thin agent reads its own arguments, and has its own tests
        return
    command = typer.main.get_command(app).commands.get(words[0])  # type: ignore[attr-defined]
    assert command is not None, f"no command {words[0]}"
    if len(words) == 1 or "--help" in words or re.search(r"\.\.\.|[\[|]", line):
        return  # a line that leaves something out shows only that the command exists
    command.make_context(words[0], words[1:], resilient_parsing=False)
