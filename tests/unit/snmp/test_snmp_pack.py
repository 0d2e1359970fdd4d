"""Packs: the shipped ones are sound, and a wrong one is told where it is wrong."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from healthmon.probes.snmp_families import VOCABULARY
from healthmon.probes.snmp_pack import assemble_pack, lint_pack, pack_families, parse_pack, read_index
from healthmon.probes.snmp_shapes import Gauge

FOLDER = Path(__file__).parents[3] / "probes" / "snmp"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))

GOOD: dict[str, Any] = {
    "slug": "lift",
    "title": "Lifts",
    "verified": "none",
    "source": "made up for this test",
    "tables": [
        {
            "family": "snmp_lift",
            "rows": "1.3.6.1.4.1.99999.1.1",
            "label": {"name": "shaft", "text": ["1.3.6.1.4.1.99999.1.2"]},
            "fields": {
                "moving": {"unit": "state", "read": "1.3.6.1.4.1.99999.1.3", "codes": {1: 1, 2: 0}},
                "load_ratio": {"unit": "ratio", "read": {"oid": "1.3.6.1.4.1.99999.1.4", "scale": 0.01}},
            },
        }
    ],
}


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return data


def test_the_packs_are_there() -> None:
    assert {"if-mib", "system", "host-resources", "ups-mib", "printer-mib"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_pack_is_sound_and_named_after_its_file(name: str) -> None:
    data = load(name)
    assert lint_pack(data) == []
    assert data["slug"] == ("auto" if name == "index" else name)


def test_shipped_packs_speak_the_vocabulary() -> None:
    families = {family for name in NAMES for family in pack_families(load(name))}
    assert families <= set(VOCABULARY.values())


def test_the_index_names_packs_that_are_there_and_every_pack_is_reachable() -> None:
    whole = assemble_pack(load("index"), lambda slug: load(slug) if slug in NAMES else None)
    known = read_index(whole)
    assert known is not None
    _, packs = known
    # asked for by name: edges of the network, ports of 802.1X, extensions of an agent that count messages
    apart = {"index", "system", "lldp", "dot1x", "interface-counts"}
    assert set(packs) == set(NAMES) - apart
    assert set(pack_families(whole)) <= set(VOCABULARY.values())


def test_an_index_that_names_a_missing_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="'lift'"):
        assemble_pack({"slug": "auto", "standard": ["lift"]}, lambda slug: None)


def test_the_families_of_if_mib() -> None:
    (family,) = pack_families(load("if-mib"))
    assert family.name == "snmp_if"
    assert family.labels == {"interface"}
    assert {"oper_up", "in_bytes_per_second", "out_utilisation_ratio"} <= family.fields


def test_a_pack_survives_json_where_keys_are_text() -> None:
    through = json.loads(json.dumps(GOOD))
    moving = parse_pack(through).tables[0].fields[0]
    assert isinstance(moving, Gauge)
    assert moving.codes == {"1": 1.0, "2": 0.0}
    assert parse_pack(GOOD) == parse_pack(through)


def changed(path: str, value: Any) -> dict[str, Any]:
    data: Any = copy.deepcopy(GOOD)
    node = data
    *way, last = path.split("/")
    for step in way:
        node = node[int(step) if step.isdigit() else step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    whole: dict[str, Any] = data
    return whole


FIELD = "tables/0/fields/moving"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("slug", "Lift 1", "is not a slug"),
        ("source", ..., "name the MIB"),
        ("verified", "yes", "recording, mib, none"),
        ("fail_when", [], "unknown key 'fail_when'"),
        ("tables", [], "needs scalars or tables"),
        ("tables", "x", "must be a list"),
        ("tables/0/family", "lift", "must start with snmp_"),
        ("tables/0/rows", "ifTable", "is not an OID"),
        ("tables/0/label", {"text": []}, "needs 'name'"),
        ("tables/0/fields", {}, "at least one field"),
        (f"{FIELD}/unit", "percent", "unit 'percent' is not one of"),
        (f"{FIELD}/unit", "seconds", "must end with _seconds"),
        (f"{FIELD}/read", ".1.3.6.1", "is not an OID"),
        (f"{FIELD}/read", [], "at least one OID"),
        (f"{FIELD}/read", {"oid": "1.3.6.1.4", "scale": "ten"}, "must be a number"),
        (f"{FIELD}/rate", "1.3.6.1.4.1", "exactly one of read, rate, ratio, sum, states"),
        (f"{FIELD}/codes", {"up": "yes"}, "must be a number"),
        (f"{FIELD}/find", "(", "not a regular expression"),
        ("tables/0/fields/doors_count", {"unit": "count", "read": "1.3.6.1.4.1.99999.1.5"}, "Prometheus reserves"),
        ("tables/0/fields/state", {"states": "1.3.6.1.4.1.99999.1.5", "of": "doors"}, "there are no states 'doors'"),
        ("tables/0/when", [{"oid": "1.3.6.1.4.1.99999.1.6"}], "exactly one of is, not, matches"),
        ("tables/0/family", "snmp_if", "has the label interface"),
        (f"{FIELD}/times", "nothing", "there is no field 'nothing'"),
        (f"{FIELD}/alert", True, "unknown key 'alert'"),
    ],
)
def test_a_wrong_pack_is_told_what_is_wrong(path: str, value: Any, says: str) -> None:
    data = changed(path, value)
    problems = lint_pack(data)
    assert any(says in problem for problem in problems), problems
    with pytest.raises(ValueError, match=re.escape(problems[0])):
        parse_pack(data)


def test_every_problem_is_told_at_once() -> None:
    data = changed(f"{FIELD}/unit", "percent") | {"slug": "", "source": ""}
    assert len(lint_pack(data)) == 3
