"""Every example of docs/rules.md, executed: it fires where it says so, and is quiet where it says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruleseries import told

from healthmon.config.conditions import KINDS
from healthmon.config.loading import load_text
from healthmon.config.scalars import duration_s
from healthmon.model.alert import Phase, Rule

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)]
EXAMPLES = {block["rule"]["id"]: block for block in BLOCKS if "rule" in block}


def _plain(rule: dict[Any, Any]) -> dict[str, Any]:
    """YAML 1.1, which this test reads with, takes the word `on` for true."""
    return {"on" if key is True else key: value for key, value in rule.items()}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    """The page's rules, read as a hospital's own pack."""
    folder = tmp_path_factory.mktemp("page")
    file = folder / "alerting" / "rules" / "page.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"rules": [_plain(block["rule"]) for block in EXAMPLES.values()]}), "utf-8")
    site = load_text("organisation: {id: x, name: X}\nalerting: {packs: [page]}", env={}, pack_dirs=[folder])
    return {rule.id: rule for rule in site.rules}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_it_fires_where_the_page_says_so(rules: dict[str, Rule], example: dict[str, Any]) -> None:
    found = told(rules[example["rule"]["id"]], example["fires"], duration_s(example["every"]))
    fired = [one for one in found if one.after is Phase.FIRING]
    assert fired
    assert example.get("detail", "") in fired[-1].detail


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_it_is_quiet_where_the_page_says_so(rules: dict[str, Rule], example: dict[str, Any]) -> None:
    found = told(rules[example["rule"]["id"]], example["quiet"], duration_s(example["every"]))
    assert [one for one in found if one.after is Phase.FIRING] == []


def test_it_clears_where_the_page_says_so(rules: dict[str, Rule]) -> None:
    clearing = [example for example in EXAMPLES.values() if "clears" in example]
    for example in clearing:
        found = told(rules[example["rule"]["id"]], example["clears"], duration_s(example["every"]))
        assert found[-1].after is Phase.CLEAR
    assert clearing


def test_every_kind_of_condition_has_an_example() -> None:
    written = PAGE.read_text("utf-8")
    assert [kind for kind in KINDS if f"{kind}:" not in written] == []


def test_the_overrides_on_the_page_are_read() -> None:
    (block,) = [block for block in BLOCKS if "alerting" in block]
    head = {
        "organisation": {"id": "x", "name": "X"},
        "sites": [{"id": "north", "name": "North"}],
        "areas": [{"id": "ed", "name": "ED", "kind": "ed", "site": "north"}],
    }
    site = load_text(yaml.safe_dump(head | block), env={})
    (rule,) = [rule for rule in site.rules if rule.id == "http-slow"]
    assert rule.places.keys() == {"site:north", "area:ed"}
