"""Runbooks: pages of Markdown beside the rules; the first three of their numbered steps go into every page."""

from __future__ import annotations

import re
from pathlib import Path

from healthmon.config.packs import Packs

#: So many steps fit on a page that somebody reads at three in the night.
MOST_STEPS = 3
_STEP = re.compile(r"(\d+)\.\s+(.*)")
_FOLDER = "alerting"


def first_steps(text: str) -> tuple[str, ...]:
    """The first numbered steps of a runbook as plain lines: wrapped lines joined, marks of Markdown left out."""
    steps: list[str] = []
    inside = False
    for line in text.splitlines():
        begins = _STEP.match(line)
        if begins is not None and int(begins.group(1)) == len(steps) + 1:
            if len(steps) == MOST_STEPS:
                break
            steps.append(begins.group(2).strip())
            inside = True
        elif inside and line.startswith((" ", "\t")) and line.strip():
            steps[-1] += " " + line.strip()
        else:
            inside = False
    return tuple(_plain(step) for step in steps)


def runbook_file(packs: Packs, runbook: str) -> Path | None:
    """The page that a rule names, in the pack that counts."""
    return packs.find(f"{_FOLDER}/{runbook}")


def steps_of(packs: Packs, runbook: str) -> tuple[str, ...]:
    """The first steps of a runbook named by a rule; none when there is no such file or it cannot be read."""
    file = runbook_file(packs, runbook) if runbook else None
    if file is None:
        return ()
    try:
        return first_steps(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()


def _plain(step: str) -> str:
    """`code`, *emphasis* and **strong** as they are said; links by their words."""
    step = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", step)
    return re.sub(r"(\*\*?)(\S[^*]*?)\1", r"\2", step).replace("`", "")
