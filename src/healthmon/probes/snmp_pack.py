"""SNMP packs: how a kind of device is read, as data. Parsing, lint and the families a pack declares. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from healthmon.model.sample import Family
from healthmon.probes.silence import FAMILY
from healthmon.probes.snmp_auto import AUTO, Index, lint_index, parse_index
from healthmon.probes.snmp_families import VOCABULARY
from healthmon.probes.snmp_parse import (
    NAME,
    Problems,
    States,
    read_conditions,
    read_fields,
    read_label_text,
    read_states,
)
from healthmon.probes.snmp_shapes import Pack, PackField, Scalars, State, Table

VERIFIED = ("recording", "mib", "none")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")
_KEYS = ("slug", "title", "verified", "source", "states", "scalars", "tables")


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a pack, one line each with the path inside it; an empty list is a good pack."""
    return lint_index(data) if _is_index(data) else _parse(data)[1]


def parse_pack(data: Mapping[str, Any]) -> Pack:
    """The pack as types. Raises ValueError with every problem. Thousands of devices share one parsed pack."""
    known = _parsed.get(id(data))
    if known is None or known[0] is not data:
        known = (data, _parse_text(json.dumps(data, default=str)))
        if len(_parsed) >= 1024:
            _parsed.clear()
        _parsed[id(data)] = known
    return known[1]


#: By identity, with the data itself so that its id stays taken: the text of a pack is long.
_parsed: dict[int, tuple[Mapping[str, Any], Pack]] = {}


@functools.lru_cache(maxsize=256)
def _parse_text(text: str) -> Pack:
    pack, problems = _parse(json.loads(text))
    if problems:
        raise ValueError("; ".join(problems))
    return pack


def pack_families(data: Mapping[str, Any]) -> tuple[Family, ...]:
    """The families that a pack declares, for ingest to admit. Raises ValueError."""
    if _is_index(data):
        packs: Mapping[str, Any] = data.get("packs", {})
        return tuple(dict.fromkeys(family for one in packs.values() for family in pack_families(one)))
    pack = parse_pack(data)
    fields: dict[str, set[str]] = {}
    labels: dict[str, frozenset[str]] = {}
    parts: tuple[Scalars | Table, ...] = (*pack.scalars, *pack.tables)
    for part in parts:
        fields.setdefault(part.family, set()).update(_emitted(part.fields))
        labels[part.family] = _labels(part)
    own = (Family(name, frozenset(names), labels[name]) for name, names in fields.items())
    return tuple(VOCABULARY.get(family.name, family) for family in own)


def assemble_pack(data: Mapping[str, Any], load: Callable[[str], Mapping[str, Any] | None]) -> dict[str, Any]:
    """`pack: auto`: the index with every pack that it names. Raises ValueError for one that is not there."""
    whole: dict[str, Any] = {}
    for slug in parse_index(data).slugs():
        pack = load(slug)
        if pack is None:
            raise ValueError(f"index names a pack {slug!r} that is not there")
        whole[slug] = pack
    return {**data, "packs": whole}


def read_index(data: Mapping[str, Any]) -> tuple[Index, Mapping[str, Pack]] | None:
    """What `pack: auto` became: the index and its packs; None for an ordinary pack. Raises ValueError."""
    if not _is_index(data):
        return None
    packs: Mapping[str, Any] = data.get("packs", {})
    return parse_index(data), {slug: parse_pack(pack) for slug, pack in packs.items()}


def _is_index(data: Mapping[str, Any]) -> bool:
    return data.get("slug") == AUTO


def _emitted(fields: Iterable[PackField]) -> set[str]:
    names: set[str] = set()
    for one in fields:
        if not one.hide:
            names |= {"state", "state_code", "ok"} if isinstance(one, State) else {one.name}
    return names


def _labels(part: Scalars | Table) -> frozenset[str]:
    return frozenset({part.label} if isinstance(part, Table) else dict(part.labels))


def _parse(data: Mapping[str, Any]) -> tuple[Pack, list[str]]:
    problems = Problems()
    problems.keys("pack", data, _KEYS, _KEYS[:4])
    slug = problems.word("slug", data.get("slug"), _SLUG, "a slug like if-mib")
    if data.get("verified") not in VERIFIED:
        problems.say("verified", f"{data.get('verified')!r} is not one of {', '.join(VERIFIED)}")
    if not data.get("source"):
        problems.say("source", "name the MIB, RFC or document it was written from")
    states = read_states(problems, data.get("states", {}))
    scalars = tuple(
        _scalars(problems, f"scalars[{at}]", item, states)
        for at, item in enumerate(problems.items("scalars", data.get("scalars", [])))
    )
    tables = tuple(
        _table(problems, f"tables[{at}]", item, states)
        for at, item in enumerate(problems.items("tables", data.get("tables", [])))
    )
    if not scalars and not tables:
        problems.say("pack", "needs scalars or tables")
    _one_shape(problems, (*scalars, *tables))
    pack = Pack(slug, str(data.get("title", "")), str(data.get("verified")), str(data.get("source")), scalars, tables)
    return pack, problems.found


def _one_shape(problems: Problems, parts: tuple[Scalars | Table, ...]) -> None:
    """A family has one label everywhere, and one of the vocabulary has its fields and no others."""
    seen: dict[str, frozenset[str]] = {}
    for part in parts:
        known = VOCABULARY.get(part.family)
        labels = seen.setdefault(part.family, known.labels if known else _labels(part))
        if _labels(part) != labels:
            problems.say("pack", f"family {part.family!r} has the label {', '.join(labels) or 'none'} everywhere")
        if known:
            for name in sorted(_emitted(part.fields) - known.fields):
                allowed = ", ".join(sorted(known.fields))
                problems.say("pack", f"family {part.family!r} has no field {name!r} (allowed: {allowed})")


def _scalars(problems: Problems, path: str, value: Any, states: States) -> Scalars:
    data = problems.mapping(path, value)
    problems.keys(path, data, ("family", "labels", "when", "fields"), ("family", "fields"))
    labels = problems.mapping(f"{path}.labels", data.get("labels", {}))
    return Scalars(
        _family(problems, path, data),
        read_fields(problems, path, data, states),
        tuple((problems.word(path, name, NAME, "a label name"), str(text)) for name, text in labels.items()),
        read_conditions(problems, f"{path}.when", data["when"]) if "when" in data else (),
    )


def _table(problems: Problems, path: str, value: Any, states: States) -> Table:
    data = problems.mapping(path, value)
    known = ("family", "rows", "label", "reset", "when", "fields")
    problems.keys(path, data, known, ("family", "rows", "label", "fields"))
    label = problems.mapping(f"{path}.label", data.get("label", {}))
    problems.keys(f"{path}.label", label, ("name", "text", "prefix", "suffix"), ("name",))
    texts = problems.items(f"{path}.label.text", label.get("text", []))
    return Table(
        family=_family(problems, path, data),
        rows=problems.oid(f"{path}.rows", data.get("rows")),
        label=problems.word(f"{path}.label.name", label.get("name"), NAME, "a label name"),
        texts=tuple(read_label_text(problems, f"{path}.label.text", item) for item in texts),
        fields=read_fields(problems, path, data, states),
        reset=problems.maybe_oid(f"{path}.reset", data.get("reset")),
        when=read_conditions(problems, f"{path}.when", data["when"]) if "when" in data else (),
        prefix=str(label.get("prefix", "")),
        suffix=str(label.get("suffix", "")),
    )


def _family(problems: Problems, path: str, data: Mapping[str, Any]) -> str:
    family = problems.word(f"{path}.family", data.get("family"), NAME, "a family name")
    if family and family not in VOCABULARY and not family.startswith("snmp_"):
        problems.say(f"{path}.family", f"{family!r} must start with snmp_ (or be {FAMILY})")
    return family
