"""docs/probes.md: every example of a check loads, shows the kind of its section, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from healthmon.config import load
from healthmon.probes import PROBES, families

PAGE = (Path(__file__).parents[3] / "docs" / "probes.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S))
KINDS = sorted(PROBES.keys() & SECTIONS.keys())

SITE = """\
organisation: {{id: st-elsewhere, name: St Elsewhere, timezone: Europe/London}}
targets:
  - id: thing
    kind: server
    address: "{address}"
{checks}
"""


def blocks(kind: str) -> list[str]:
    return re.findall(r"^```yaml\n(checks:.*?)^```", SECTIONS[kind], flags=re.M | re.S)


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_of_a_kind_load(kind: str, tmp_path: Path) -> None:
    assert blocks(kind), f"{kind} has no example"
    for block in blocks(kind):
        for name in re.findall(r"_file: ([\w./-]+)", block):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("not-a-secret\n")
        address = "https://thing.example" if kind in ("fhir", "http", "journey") else "thing.example"
        file = tmp_path / "healthmon.yaml"
        file.write_text(SITE.format(address=address, checks="".join(f"    {line}\n" for line in block.splitlines())))
        checks = load(file, env={}).estate.targets["thing"].checks
        assert len(checks) == len(yaml.safe_load(block)["checks"])
        assert kind in {check.kind for check in checks}


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_names_only_fields_that_are_emitted(kind: str) -> None:
    known = families()
    for family, cell in re.findall(r"^\| `(\w+)` \| (`.*) \|$", SECTIONS[kind], flags=re.M):
        if family in known:
            assert set(re.findall(r"`(\w+)`", cell)) <= known[family].fields, family


def test_every_link_has_its_heading() -> None:
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in SECTIONS}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= headings


def test_the_example_of_collectors_loads(tmp_path: Path) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```", SECTIONS["Collectors"], flags=re.M | re.S)
    file = tmp_path / "healthmon.yaml"
    for example in examples:
        file.write_text(SITE.splitlines()[0].format() + "\n" + example)
        load(file, env={})
    file.write_text(SITE.splitlines()[0].format() + "\n" + next(one for one in examples if "srv-backup" in one))
    checks = {check.id: check for check in load(file, env={}).estate.targets["srv-backup"].checks}
    assert len(checks["backups"].params["backups"]) == 2
    assert checks["os"].params["pack"]["systems"]
