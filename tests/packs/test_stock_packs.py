"""The packs that ship: no lint, data only, found in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthmon.collectors import COLLECTORS
from healthmon.config import lint_packs, stock_root
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems

FOLDERS = ("probes", "collectors", "alerting")


def test_stock_packs_have_no_problems() -> None:
    assert lint_packs() == []


def test_the_stock_root_holds_all_three_folders() -> None:
    assert all((stock_root() / folder).is_dir() for folder in FOLDERS)


def test_packs_are_data() -> None:
    assert [path for folder in FOLDERS for path in (stock_root() / folder).rglob("*.py")] == []


def test_every_yaml_file_is_in_a_folder_that_is_read() -> None:
    read = {
        "roles",
        "rules",
        "policies",
        "severity",
        "standards",
        "downtime",
        "waking",
        "text",
        *(p.name for p in (stock_root() / "collectors").iterdir() if p.name in COLLECTORS),
        *(p.name for p in (stock_root() / "probes").iterdir()),
    }
    files = [path for folder in FOLDERS for path in (stock_root() / folder).rglob("*.yaml")]

    assert [path for path in files if path.parent.name not in read] == []


@pytest.mark.parametrize(
    ("relative", "text", "message"),
    [
        ("probes/snmp/mine.yaml", "slug: mine\n", "/probes/snmp/mine.yaml:1:1:"),
        ("probes/snpm/mine.yaml", "slug: mine\n", "no probe is called 'snpm' (allowed:"),
        (
            "collectors/roles/mine.yaml",
            "collect: [{kind: host_cpuu}]\n",
            "roles/mine.yaml:1:18: collect[host_cpuu].kind:",
        ),
        ("collectors/roles/mine.yaml", "collects: []\n", "collects: unknown key, did you mean 'collect'?"),
        ("alerting/rules/mine.yaml", "rule: []\n", "rule: unknown key, did you mean 'rules'?"),
        ("alerting/rules/mine.yaml", "- a\n", "rules/mine.yaml:1:1: the top of a pack must be a mapping"),
        ("alerting/rules/mine.yaml", "rules: [\n", "not valid YAML"),
        ("alerting/policies/mine.yaml", "policies: [{id: p}]\n", "policies[p]: key 'steps' is missing"),
    ],
)
def test_lint_tells_what_is_wrong_where(tmp_path: Path, relative: str, text: str, message: str) -> None:
    file = tmp_path / relative
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")

    assert any(message in line and str(file) in line for line in lint_packs([tmp_path]))


def test_overlay_is_by_relative_path_and_the_last_root_wins(tmp_path: Path) -> None:
    for root in ("one", "two"):
        (tmp_path / root / "probes" / "http").mkdir(parents=True)
        (tmp_path / root / "probes" / "http" / "a.yaml").write_text(f"path: /{root}\n", encoding="utf-8")
    (tmp_path / "one" / "probes" / "http" / "b.yaml").write_text("path: /b\n", encoding="utf-8")
    packs = Packs([tmp_path / "one", tmp_path / "two"], Problems())
    document = packs.document("probes/http/a.yaml")

    assert document is not None
    assert document.data == {"path": "/two"}
    assert packs.names("probes/http") == ["a", "b"]
    assert packs.document("probes/http/c.yaml") is None
