"""The configurations that ship: no errors, no real address, accepted by the JSON Schema."""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthmon.cli.commands import app
from healthmon.config import SiteConfig, json_schema, load
from healthmon.config.document import read_document
from healthmon.config.problems import Problems
from healthmon.config.yamlnodes import Builder, parse_nodes

CHECKOUT = Path(__file__).parents[3]
CONFIGS = CHECKOUT / "configs"
GOOD = CHECKOUT / "tests" / "config" / "good"
EXAMPLES = [
    CONFIGS / "minimal.yaml",
    CONFIGS / "st-elsewhere" / "healthmon.yaml",
    CONFIGS / "st-elsewhere",
    *sorted(CONFIGS.glob("broker/*.yaml")),
    *sorted(CONFIGS.glob("store/*.yaml")),
    CONFIGS / "telegraf" / "healthmon.yaml",
]
DOCUMENTATION = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
FILES = sorted(
    path for path in CONFIGS.rglob("*.yaml") if not {"packs", "import-maps", "ticket-maps", "compose"} & set(path.parts)
)


@pytest.fixture(scope="module")
def hospital() -> SiteConfig:
    return load(CONFIGS / "st-elsewhere" / "healthmon.yaml", env={}, today=date(2026, 11, 22))


def test_rules_may_use_what_another_tool_sends() -> None:
    """`check` lints packs apart from the site, and a site's own measurements are known there too."""
    found = CliRunner().invoke(app, ["check", "-c", str(CONFIGS / "telegraf" / "healthmon.yaml")])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_example_has_no_errors(path: Path) -> None:
    load(path, env={})


def test_every_file_is_part_of_an_example() -> None:
    read = {file.resolve() for path in EXAMPLES for file in load(path, env={}).files}

    assert {path.resolve() for path in FILES} == read


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_example_uses_documentation_addresses_only(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = [ipaddress.ip_address(found) for found in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)]
    hosts = re.findall(r"[a-z]+://([A-Za-z0-9.-]+)", text) + re.findall(r"@([a-z.-]+)", text)

    assert [a for a in addresses if not any(a in network for network in DOCUMENTATION)] == []
    assert [host for host in hosts if not host.endswith(".example") and not re.match(r"^[\d.]+$", host)] == []


def test_the_hospital_has_the_size_that_was_asked_for(hospital: SiteConfig) -> None:
    estate = hospital.estate
    clinical = [service for service in estate.services.values() if service.tier >= 1]

    assert len(estate.areas) == 12
    assert len(clinical) == 10
    assert 140 <= len(estate.targets) <= 170
    assert len(estate.agents) >= 5
    assert all(target.checks for target in estate.targets.values())


def test_the_hospital_warns_only_of_single_points(hospital: SiteConfig) -> None:
    assert [line for line in hospital.warnings if "has no spare by design" not in line] == []


@pytest.mark.parametrize(
    ("service", "needs"),
    [
        ("ehr", {"identity", "integration", "ehr-db-a"}),
        ("epma", {"ehr", "wifi", "label-printing"}),
        ("ed-tracking", {"ehr", "identity"}),
        ("lims", {"lims-db", "integration", "analyser-gateway"}),
        ("transfusion", {"lims", "label-printing", "wifi", "blood-fridge"}),
        ("pacs", {"virtual-platform", "integration"}),
        ("switchboard", {"core-network", "pbx-a", "bleep-tx"}),
        ("maternity-record", {"ehr", "core-network"}),
        ("icu-charting", {"device-gateway", "core-network"}),
        ("label-printing", {"print-a", "identity"}),
    ],
)
def test_services_depend_on_what_the_catalogue_says(hospital: SiteConfig, service: str, needs: set[str]) -> None:
    from healthmon.impact.graph import NeedGraph

    graph = NeedGraph(hospital.estate)

    assert needs <= set(graph.closure((service,)))


def test_broker_acl_gives_each_agent_its_own_topics_only() -> None:
    lines = (CONFIGS / "broker" / "mosquitto" / "acl").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line.startswith("pattern")]

    shared = (
        "pattern read healthmon/v1/st-elsewhere/probing"  # the stop button: everybody hears it, only the server speaks
    )
    assert shared in patterns
    assert all("/%u/" in line for line in patterns if line != shared)


def plain(path: Path) -> dict[str, Any]:
    """One file as plain data, without its includes."""
    node = parse_nodes(path.read_bytes(), name=str(path), problems=Problems())
    assert node is not None
    data: dict[str, Any] = Builder(Problems(), {}).build(node)
    return data


def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package is not installed")
    return jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_draft_2020_12_schema() -> None:
    checked = validator()

    checked.check_schema(json_schema())
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(json_schema())


@pytest.mark.parametrize(
    "path", [*FILES, GOOD / "contract.yaml"], ids=lambda path: str(path.relative_to(CHECKOUT))
)  # fmt: skip
def test_the_schema_accepts_what_loads(path: Path) -> None:
    assert [f"{error.json_path}: {error.message}" for error in validator().iter_errors(plain(path))] == []


@pytest.mark.parametrize(
    "name",
    ["unknown-top-key", "unknown-nested-key", "wrong-types", "durations-and-rates", "groups", "store-version", "web"],
)
def test_the_schema_refuses_what_does_not_load(name: str) -> None:
    assert list(validator().iter_errors(plain(CHECKOUT / "tests" / "config" / "bad" / f"{name}.yaml")))


def test_the_schema_knows_the_parameters_of_each_kind() -> None:
    good = {"targets": [{"id": "a", "kind": "k", "checks": [{"kind": "tcp", "port": 22}, "icmp"]}]}
    bad = {"targets": [{"id": "a", "kind": "k", "checks": [{"kind": "tcp", "prot": 22}]}]}

    assert validator().is_valid(good)
    assert not validator().is_valid(bad)


def test_reading_an_example_leaves_nothing_behind(tmp_path: Path) -> None:
    problems = Problems()

    read_document(CONFIGS / "minimal.yaml", env={"HEALTHMON_DATA_DIR": str(tmp_path / "data")}, problems=problems)
    site = load(CONFIGS / "minimal.yaml", env={"HEALTHMON_DATA_DIR": str(tmp_path / "data")})

    assert site.data_dir == tmp_path / "data"
    assert list(tmp_path.iterdir()) == []
