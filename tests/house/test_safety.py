"""Safety as data: every hazard is scored, every control is proven by tests that exist, the pages are fresh."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import safety

FOUND = safety.load()
HAZARDS: list[dict[str, Any]] = FOUND["hazards"]
FIELDS = {"id", "hazard", "cause", "harm", "severity", "likelihood", "controls", "residual", "owner"}


def test_the_hazards_are_those_of_the_domain() -> None:
    assert [one["id"] for one in HAZARDS] == [f"H{number}" for number in range(1, 22)]


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda one: one["id"])
def test_a_hazard_is_whole(hazard: dict[str, Any]) -> None:
    assert set(hazard) == FIELDS
    assert safety.score(hazard["residual"]) <= safety.score(hazard)
    assert safety.score(hazard["residual"]) <= 3, "4 and 5 must be eliminated or controlled"
    assert any(control["tests"] for control in hazard["controls"]), "no control of ours"
    for control in hazard["controls"]:
        assert control["tests"] or control.get("by") == "hospital", f"no test proves: {control['what']}"
        assert set(control) <= {"what", "tests", "by"}


def test_every_test_that_a_control_names_exists() -> None:
    missing = safety.missing_tests(HAZARDS)
    assert not missing, f"docs/safety/hazards.yaml names tests that do not exist (renamed?): {missing}"


def test_a_name_without_a_test_and_a_test_that_did_not_pass_are_seen() -> None:
    spoilt = copy.deepcopy(HAZARDS)
    spoilt[0]["controls"][0]["tests"] += ["tests/house/test_safety.py::test_nowhere", "tests/nowhere.py::test_it"]
    assert safety.missing_tests(spoilt) == ["tests/house/test_safety.py::test_nowhere", "tests/nowhere.py::test_it"]
    every = safety.named_tests(HAZARDS)
    some = min(every)
    assert safety.unproven(HAZARDS, {f"{one}[case]" for one in every}) == []
    assert safety.unproven(HAZARDS, every - {some}) == [some]


def test_the_matrix_is_the_published_one() -> None:
    rows = {word: safety.MATRIX[place] for place, word in enumerate(safety.LIKELIHOODS)}
    assert rows["very high"] == (3, 4, 4, 5, 5)
    assert rows["very low"] == (1, 1, 2, 2, 3)
    columns = list(zip(*safety.MATRIX, strict=True))
    assert all(list(line) == sorted(line) for line in (*safety.MATRIX, *columns))


@pytest.mark.parametrize("name", safety.PAGES)
def test_the_pages_are_fresh_and_claim_nothing(name: str) -> None:
    text = (safety.FOLDER / name).read_text()
    assert text == safety.PAGES[name](FOUND), "run: python tools/safety.py"
    assert "claims no compliance" in text
    for word in ("compliant", "complies", "certified", "assured"):
        assert word not in text.lower()
