"""SNMP packs: how a kind of device is read, as data. Parsing, lint and the families a pack declares. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.sample import Family

VERIFIED = ("recording", "mib", "none")

#: Unit -> how a field name of that unit ends. States and counts are plain words.
UNITS = {
    "seconds": "_seconds",
    "bytes": "_bytes",
    "ratio": "_ratio",
    "celsius": "_celsius",
    "volts": "_volts",
    "amperes": "_amperes",
    "watts": "_watts",
    "hertz": "_hertz",
    "bytes_per_second": "_bytes_per_second",
    "bits_per_second": "_bits_per_second",
    "per_second": "_per_second",
    "state": "",
    "count": "",
}

_OID = re.compile(r"[012](\.(0|[1-9]\d*)){2,}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Source:
    """One OID that can give a value; raw * scale + offset. `bits` is the width of a counter."""

    oid: str
    scale: float = 1.0
    offset: float = 0.0
    bits: int = 64


@dataclass(frozen=True, slots=True)
class Gauge:
    """The first source that has a value. `ignore`: raw values that mean "not known"; `codes`: raw -> value.

    `least`: raw values below it mean "not known"; `bit`: this bit of an octet string, 0 is the first;
    `times`: multiplied by this gauge of the same row (allocation units).
    """

    name: str
    sources: tuple[Source, ...]
    ignore: frozenset[int] = frozenset()
    codes: Mapping[int, float] | None = None
    other: float | None = None  # value of a code that `codes` does not name; None: no value
    least: float | None = None
    bit: int | None = None
    times: str | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A counter per second. `most` names a gauge whose value * `most_times` bounds a believable rate."""

    name: str
    sources: tuple[Source, ...]
    most: str | None = None
    most_times: float = 1.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """`of` * `scale` / `to`, both fields of the same row; absent unless both are there and `to` is positive."""

    name: str
    of: str
    to: str
    scale: float = 1.0


PackField = Gauge | Rate | Ratio


@dataclass(frozen=True, slots=True)
class Scalars:
    family: str
    fields: tuple[PackField, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One row per index. `rows`: the column that says which rows exist; `label`: what a row is called.

    `reset`: a column whose change means that the counters of the row started anew.
    """

    family: str
    rows: str
    label: str
    label_oids: tuple[str, ...]
    fields: tuple[PackField, ...]
    reset: str | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """One kind of device; `slug` is the one name of the family through probes, rules and dashboards."""

    slug: str
    title: str
    verified: str
    source: str
    scalars: tuple[Scalars, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(slots=True)
class _Problems:
    """Collects what is wrong, each with the path inside the pack."""

    found: list[str] = field(default_factory=list)

    def say(self, path: str, message: str) -> None:
        self.found.append(f"{path}: {message}")

    def keys(self, path: str, data: Mapping[str, Any], allowed: tuple[str, ...], needed: tuple[str, ...] = ()) -> None:
        for key in data:
            if key not in allowed:
                self.say(path, f"unknown key {key!r} (allowed: {', '.join(allowed)})")
        for key in needed:
            if key not in data:
                self.say(path, f"needs {key!r}")

    def mapping(self, path: str, value: Any) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self.say(path, "must be a mapping")
        return {}

    def items(self, path: str, value: Any) -> list[Any]:
        if isinstance(value, list | tuple):
            return list(value)
        self.say(path, "must be a list")
        return []

    def number(self, path: str, value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        self.say(path, f"must be a number, not {value!r}")
        return 1.0

    def word(self, path: str, value: Any, pattern: re.Pattern[str], what: str) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self.say(path, f"{value!r} is not {what}")
        return ""


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a pack, one line each with the path inside it; an empty list is a good pack."""
    return _parse(data)[1]


def parse_pack(data: Mapping[str, Any]) -> Pack:
    """The pack as types. Raises ValueError with every problem. Thousands of devices share one parsed pack."""
    return _parse_text(json.dumps(data, default=str))


@functools.lru_cache(maxsize=256)
def _parse_text(text: str) -> Pack:
    pack, problems = _parse(json.loads(text))
    if problems:
        raise ValueError("; ".join(problems))
    return pack


def pack_families(data: Mapping[str, Any]) -> tuple[Family, ...]:
    """The families that a pack declares, for ingest to admit. Raises ValueError."""
    pack = parse_pack(data)
    scalars = [Family(s.family, frozenset(f.name for f in s.fields)) for s in pack.scalars]
    tables = [Family(t.family, frozenset(f.name for f in t.fields), frozenset({t.label})) for t in pack.tables]
    return tuple(scalars + tables)


def _parse(data: Mapping[str, Any]) -> tuple[Pack, list[str]]:
    problems = _Problems()
    keys = ("slug", "title", "verified", "source", "scalars", "tables")
    problems.keys("pack", data, keys, keys[:4])
    slug = problems.word("slug", data.get("slug"), _SLUG, "a slug like if-mib")
    if data.get("verified") not in VERIFIED:
        problems.say("verified", f"{data.get('verified')!r} is not one of {', '.join(VERIFIED)}")
    if not data.get("source"):
        problems.say("source", "name the MIB, RFC or document it was written from")
    scalars = tuple(
        _scalars(problems, f"scalars[{at}]", item)
        for at, item in enumerate(problems.items("scalars", data.get("scalars", [])))
    )
    tables = tuple(
        _table(problems, f"tables[{at}]", item)
        for at, item in enumerate(problems.items("tables", data.get("tables", [])))
    )
    families = [part.family for part in scalars] + [part.family for part in tables]
    if not families:
        problems.say("pack", "needs scalars or tables")
    for name in {name for name in families if families.count(name) > 1}:
        problems.say("pack", f"family {name!r} is declared twice")
    pack = Pack(slug, str(data.get("title", "")), str(data.get("verified")), str(data.get("source")), scalars, tables)
    return pack, problems.found


def _scalars(problems: _Problems, path: str, value: Any) -> Scalars:
    data = problems.mapping(path, value)
    problems.keys(path, data, ("family", "fields"), ("family", "fields"))
    return Scalars(_family(problems, path, data), _fields(problems, path, data))


def _table(problems: _Problems, path: str, value: Any) -> Table:
    data = problems.mapping(path, value)
    problems.keys(path, data, ("family", "rows", "label", "reset", "fields"), ("family", "rows", "label", "fields"))
    label = problems.mapping(f"{path}.label", data.get("label", {}))
    problems.keys(f"{path}.label", label, ("name", "text"), ("name",))
    texts = problems.items(f"{path}.label.text", label.get("text", []))
    reset = data.get("reset")
    return Table(
        family=_family(problems, path, data),
        rows=problems.word(f"{path}.rows", data.get("rows"), _OID, "an OID"),
        label=problems.word(f"{path}.label.name", label.get("name"), _NAME, "a label name"),
        label_oids=tuple(problems.word(f"{path}.label.text", oid, _OID, "an OID") for oid in texts),
        fields=_fields(problems, path, data),
        reset=None if reset is None else problems.word(f"{path}.reset", reset, _OID, "an OID"),
    )


def _family(problems: _Problems, path: str, data: Mapping[str, Any]) -> str:
    family = problems.word(f"{path}.family", data.get("family"), _NAME, "a family name")
    if family and not family.startswith("snmp_"):
        problems.say(f"{path}.family", f"{family!r} must start with snmp_")
    return family


def _fields(problems: _Problems, path: str, data: Mapping[str, Any]) -> tuple[PackField, ...]:
    specs = problems.mapping(f"{path}.fields", data.get("fields", {}))
    if not specs:
        problems.say(f"{path}.fields", "needs at least one field")
    fields = tuple(_field(problems, f"{path}.fields.{name}", name, spec) for name, spec in specs.items())
    names = {f.name for f in fields}
    for one in fields:
        for other in _named_by(one):
            if other not in names:
                problems.say(f"{path}.fields.{one.name}", f"there is no field {other!r} beside it")
    return fields


def _named_by(one: PackField) -> tuple[str, ...]:
    match one:
        case Ratio():
            return (one.of, one.to)
        case Rate(most=str() as most):
            return (most,)
        case Gauge(times=str() as times):
            return (times,)
    return ()


def _field(problems: _Problems, path: str, name: str, value: Any) -> PackField:
    spec = problems.mapping(path, value)
    problems.word(path, name, _NAME, "a field name")
    _unit(problems, path, name, spec.get("unit"))
    kinds = [key for key in ("read", "rate", "ratio") if key in spec]
    if len(kinds) != 1:
        problems.say(path, "needs exactly one of read, rate, ratio")
        return Gauge(name, ())
    if kinds == ["read"]:
        return _gauge(problems, path, name, spec)
    if kinds == ["rate"]:
        return _rate(problems, path, name, spec)
    return _ratio(problems, path, name, spec)


def _unit(problems: _Problems, path: str, name: str, unit: Any) -> None:
    if unit not in UNITS:
        problems.say(path, f"unit {unit!r} is not one of {', '.join(UNITS)}")
    elif not name.endswith(UNITS[unit]):
        problems.say(path, f"a field in {unit} must end with {UNITS[unit]}")


def _gauge(problems: _Problems, path: str, name: str, spec: Mapping[str, Any]) -> Gauge:
    problems.keys(path, spec, ("unit", "read", "ignore", "least", "codes", "other", "bit", "times"))
    codes = spec.get("codes")
    ignore = problems.items(f"{path}.ignore", spec.get("ignore", []))
    return Gauge(
        name,
        _sources(problems, f"{path}.read", spec["read"]),
        frozenset(_code(problems, f"{path}.ignore", raw) for raw in ignore),
        None if codes is None else _codes(problems, f"{path}.codes", codes),
        _optional(problems, path, spec, "other"),
        _optional(problems, path, spec, "least"),
        None if spec.get("bit") is None else _code(problems, f"{path}.bit", spec["bit"]),
        None if spec.get("times") is None else str(spec["times"]),
    )


def _optional(problems: _Problems, path: str, spec: Mapping[str, Any], key: str) -> float | None:
    return None if spec.get(key) is None else problems.number(f"{path}.{key}", spec[key])


def _codes(problems: _Problems, path: str, value: Any) -> Mapping[int, float]:
    pairs = problems.mapping(path, value).items()
    return {_code(problems, path, raw): problems.number(path, meaning) for raw, meaning in pairs}


def _code(problems: _Problems, path: str, raw: Any) -> int:
    """A raw integer; a key that has been through JSON is a string."""
    try:
        return int(raw)
    except (TypeError, ValueError):
        problems.say(path, f"{raw!r} is not a raw integer value")
        return 0


def _rate(problems: _Problems, path: str, name: str, spec: Mapping[str, Any]) -> Rate:
    problems.keys(path, spec, ("unit", "rate", "most"))
    sources = _sources(problems, f"{path}.rate", spec["rate"])
    if "most" not in spec:
        return Rate(name, sources)
    most = problems.mapping(f"{path}.most", spec["most"])
    problems.keys(f"{path}.most", most, ("field", "times"), ("field",))
    return Rate(name, sources, str(most.get("field")), problems.number(f"{path}.most.times", most.get("times", 1.0)))


def _ratio(problems: _Problems, path: str, name: str, spec: Mapping[str, Any]) -> Ratio:
    problems.keys(path, spec, ("unit", "ratio"))
    data = problems.mapping(f"{path}.ratio", spec["ratio"])
    problems.keys(f"{path}.ratio", data, ("of", "to", "scale"), ("of", "to"))
    scale = problems.number(f"{path}.ratio.scale", data.get("scale", 1.0))
    return Ratio(name, str(data.get("of")), str(data.get("to")), scale)


def _sources(problems: _Problems, path: str, value: Any) -> tuple[Source, ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        problems.say(path, "needs at least one OID")
    return tuple(_source(problems, path, item) for item in items)


def _source(problems: _Problems, path: str, item: Any) -> Source:
    data = {"oid": item} if isinstance(item, str) else problems.mapping(path, item)
    problems.keys(path, data, ("oid", "scale", "offset", "bits"), ("oid",))
    if data.get("bits", 64) not in (32, 64):
        problems.say(path, "bits is 32 or 64")
    return Source(
        problems.word(path, data.get("oid"), _OID, "an OID"),
        problems.number(path, data.get("scale", 1.0)),
        problems.number(path, data.get("offset", 0.0)),
        int(problems.number(path, data.get("bits", 64))),
    )
