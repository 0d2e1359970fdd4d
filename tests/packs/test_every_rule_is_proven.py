"""No stock rule without a story in which it fires and one in which it must not, a source, and a runbook."""

from __future__ import annotations

from healthmon.config import ruletests, stock_root
from healthmon.config.packs import read_pack
from healthmon.config.problems import Problems

RULES = {
    rule["id"]: rule
    for file in sorted((stock_root() / "alerting" / "rules").glob("*.yaml"))
    if not file.name.endswith(".test.yaml") and (document := read_pack(file, Problems())) is not None
    for rule in document.data["rules"]
}


def test_every_stock_rule_is_seen_firing_and_kept_quiet() -> None:
    tested = ruletests.tested_rules([stock_root()])
    assert set(RULES) - tested["firing"] == set()
    assert set(RULES) - tested["quiet"] == set()


def test_every_stock_rule_names_its_source_and_its_runbook() -> None:
    assert [id_ for id_, rule in RULES.items() if len(rule.get("source", "")) < 5] == []
    assert [id_ for id_, rule in RULES.items() if not (stock_root() / "alerting" / rule["runbook"]).is_file()] == []


def test_the_page_of_stock_rules_is_as_generated() -> None:
    page = (stock_root() / "docs" / "stock-rules.md").read_text(encoding="utf-8")
    assert [id_ for id_ in RULES if f"| `{id_}` |" not in page] == []
