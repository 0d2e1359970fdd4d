"""The first three steps of a runbook, as a page can carry them."""

from __future__ import annotations

import re

import pytest

from healthmon.config import stock_root
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems
from healthmon.config.runbooks import first_steps, steps_of

PAGE = """\
# A disk is filling

What it means: 1. is no step here.

1. See **how fast**: the curve of `host_disk`
   over six hours.
2. *Find* what grew ([list](https://example.org)).

3. Free what is safe.
4. Enlarge it.

Then: 1. nothing more.
"""


def test_the_first_three_numbered_steps_as_plain_lines() -> None:
    assert first_steps(PAGE) == (
        "See how fast: the curve of host_disk over six hours.",
        "Find what grew (list).",
        "Free what is safe.",
    )


@pytest.mark.parametrize("text", ["", "# Only a title\n", "2. A second step without a first\n"])
def test_no_steps_where_there_are_none(text: str) -> None:
    assert first_steps(text) == ()


def test_every_stock_runbook_gives_three_steps_short_enough_for_a_page() -> None:
    packs = Packs([stock_root()], Problems())
    for file in sorted((stock_root() / "alerting" / "runbooks").glob("*.md")):
        steps = steps_of(packs, f"runbooks/{file.name}")
        assert len(steps) == 3, file.name
        assert all(30 < len(step) < 400 for step in steps), file.name


def test_no_step_points_to_what_is_not_on_the_page() -> None:
    """A page carries the steps and nothing else: neither a table nor the rest of the runbook."""
    elsewhere = re.compile(r"\b(table|below|above|this runbook|what it means)\b", re.IGNORECASE)
    for file in sorted((stock_root() / "alerting" / "runbooks").glob("*.md")):
        text = file.read_text(encoding="utf-8")
        assert [step for step in first_steps(text) if elsewhere.search(step)] == [], file.name
        assert not re.search(r"^\|", text, flags=re.M), f"{file.name}: a table is not read at night"


def test_a_runbook_that_is_not_there_gives_none() -> None:
    assert steps_of(Packs([stock_root()], Problems()), "runbooks/none.md") == ()
