"""Reads the fields, labels and conditions of an SNMP pack and collects what is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.probes.snmp_shapes import Condition, Gauge, LabelText, PackField, Rate, Ratio, Source, State, Sum

#: Unit -> how a field name of that unit ends (or what it is called). States, counts and texts are plain words.
UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "ratio",
    "celsius": "celsius",
    "volts": "volts",
    "amperes": "amperes",
    "watts": "watts",
    "voltamperes": "voltamperes",
    "joules": "joules",
    "hertz": "hertz",
    "dbm": "dbm",
    "rpm": "rpm",
    "cubic_metres_per_second": "cubic_metres_per_second",
    "bytes_per_second": "bytes_per_second",
    "bits_per_second": "bits_per_second",
    "per_second": "per_second",
    "state": "",
    "count": "",
}

OID = re.compile(r"[012](\.(0|[1-9]\d*)){2,}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
KINDS = ("read", "rate", "ratio", "sum", "states")


@dataclass(slots=True)
class Problems:
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

    def oid(self, path: str, value: Any) -> str:
        return self.word(path, value, OID, "an OID")

    def maybe_oid(self, path: str, value: Any) -> str | None:
        return None if value is None else self.oid(path, value)

    def pattern(self, path: str, value: Any) -> re.Pattern[str] | None:
        if value is None:
            return None
        try:
            return re.compile(str(value))
        except re.error as error:
            self.say(path, f"not a regular expression: {error}")
            return None


States = Mapping[str, Mapping[str, tuple[str, bool | None]]]


def read_states(problems: Problems, value: Any) -> States:
    """Named sets of states: `{set: {ok: {raw: word}, bad: {...}, none: {...}}}`."""
    found: dict[str, Mapping[str, tuple[str, bool | None]]] = {}
    for name, groups in problems.mapping("states", value).items():
        path = f"states.{name}"
        data = problems.mapping(path, groups)
        problems.keys(path, data, ("ok", "bad", "none"))
        words: dict[str, tuple[str, bool | None]] = {}
        for group, verdict in (("ok", True), ("bad", False), ("none", None)):
            pairs = problems.mapping(f"{path}.{group}", data.get(group, {}))
            for raw, word in pairs.items():
                if str(raw) in words:
                    problems.say(path, f"{raw!r} is said twice")
                words[str(raw)] = (str(word), verdict)
        found[name] = words
    return found


def read_conditions(problems: Problems, path: str, value: Any) -> tuple[Condition, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(_condition(problems, path, item) for item in items)


def _condition(problems: Problems, path: str, item: Any) -> Condition:
    data = problems.mapping(path, item)
    problems.keys(path, data, ("oid", "is", "not", "matches", "least", "most"), ("oid",))
    tests = [key for key in ("is", "not", "matches") if key in data]
    if len(tests) + ("least" in data or "most" in data) != 1:
        problems.say(path, "needs exactly one of is, not, matches, or least and most")
    values: Any = data.get("is", data.get("not", []))
    return Condition(
        problems.oid(path, data.get("oid")),
        frozenset(str(one) for one in (values if isinstance(values, list | tuple) else [values])),
        problems.pattern(path, data.get("matches")),
        "not" in data,
        _optional(problems, path, data, "least"),
        _optional(problems, path, data, "most"),
    )


def read_label_text(problems: Problems, path: str, item: Any) -> LabelText:
    data = {"oid": item} if isinstance(item, str) else problems.mapping(path, item)
    problems.keys(path, data, ("oid", "via", "arcs"), ("oid",))
    arcs = tuple(_code(problems, path, arc) for arc in problems.items(path, data.get("arcs", [])))
    return LabelText(problems.oid(path, data.get("oid")), problems.maybe_oid(path, data.get("via")), arcs)


def read_fields(problems: Problems, path: str, data: Mapping[str, Any], states: States) -> tuple[PackField, ...]:
    specs = problems.mapping(f"{path}.fields", data.get("fields", {}))
    if not specs:
        problems.say(f"{path}.fields", "needs at least one field")
    fields = tuple(_field(problems, f"{path}.fields.{name}", name, spec, states) for name, spec in specs.items())
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
        case Sum():
            return (*one.plus, *one.minus)
        case Rate(most=str() as most):
            return (most,)
        case Gauge(times=str() as times):
            return (times,)
    return ()


def _field(problems: Problems, path: str, name: str, value: Any, states: States) -> PackField:
    spec = problems.mapping(path, value)
    problems.word(path, name, NAME, "a field name")
    kinds = [key for key in KINDS if key in spec]
    if len(kinds) != 1:
        problems.say(path, f"needs exactly one of {', '.join(KINDS)}")
        return Gauge(name, ())
    if kinds == ["states"]:
        return _state(problems, path, name, spec, states)
    _unit(problems, path, name, spec.get("unit"))
    if kinds == ["read"]:
        return _gauge(problems, path, name, spec)
    if kinds == ["rate"]:
        return _rate(problems, path, name, spec)
    return _ratio(problems, path, name, spec) if kinds == ["ratio"] else _sum(problems, path, name, spec)


def _unit(problems: Problems, path: str, name: str, unit: Any) -> None:
    if unit not in UNITS:
        problems.say(path, f"unit {unit!r} is not one of {', '.join(UNITS)}")
    elif UNITS[unit] and name != UNITS[unit] and not name.endswith(f"_{UNITS[unit]}"):
        problems.say(path, f"a field in {unit} must end with _{UNITS[unit]}")
    if name.endswith("_count"):
        problems.say(path, "must not end with _count (Prometheus reserves it)")


def _gauge(problems: Problems, path: str, name: str, spec: Mapping[str, Any]) -> Gauge:
    known = ("unit", "read", "ignore", "least", "most", "codes", "other", "bit", "times", "minus_rows", "find", "hide")
    problems.keys(path, spec, known)
    codes = spec.get("codes")
    ignore = problems.items(f"{path}.ignore", spec.get("ignore", []))
    return Gauge(
        name,
        _sources(problems, f"{path}.read", spec["read"]),
        frozenset(problems.number(f"{path}.ignore", raw) for raw in ignore),
        None if codes is None else _codes(problems, f"{path}.codes", codes),
        _optional(problems, path, spec, "other"),
        _optional(problems, path, spec, "least"),
        _optional(problems, path, spec, "most"),
        None if spec.get("bit") is None else _code(problems, f"{path}.bit", spec["bit"]),
        None if spec.get("times") is None else str(spec["times"]),
        tuple(str(row) for row in problems.items(f"{path}.minus_rows", spec.get("minus_rows", []))),
        problems.pattern(f"{path}.find", spec.get("find")),
        hide=bool(spec.get("hide", False)),
    )


def _optional(problems: Problems, path: str, spec: Mapping[str, Any], key: str) -> float | None:
    return None if spec.get(key) is None else problems.number(f"{path}.{key}", spec[key])


def _codes(problems: Problems, path: str, value: Any) -> Mapping[str, float]:
    pairs = problems.mapping(path, value).items()
    return {str(raw): problems.number(path, meaning) for raw, meaning in pairs}


def _code(problems: Problems, path: str, raw: Any) -> int:
    """A raw integer; a key that has been through JSON is a string."""
    try:
        return int(raw)
    except (TypeError, ValueError):
        problems.say(path, f"{raw!r} is not a raw integer value")
        return 0


def _state(problems: Problems, path: str, name: str, spec: Mapping[str, Any], states: States) -> State:
    problems.keys(path, spec, ("unit", "states", "of", "hide"), ("of",))
    if name != "state":
        problems.say(path, "a field with states is called state")
    if spec.get("of") not in states:
        problems.say(path, f"there are no states {spec.get('of')!r} in this pack")
    words = states.get(str(spec.get("of")), {})
    return State(name, _sources(problems, f"{path}.states", spec["states"]), words)


def _rate(problems: Problems, path: str, name: str, spec: Mapping[str, Any]) -> Rate:
    problems.keys(path, spec, ("unit", "rate", "most", "hide"))
    sources = _sources(problems, f"{path}.rate", spec["rate"])
    hide = bool(spec.get("hide", False))
    if "most" not in spec:
        return Rate(name, sources, hide=hide)
    most = problems.mapping(f"{path}.most", spec["most"])
    problems.keys(f"{path}.most", most, ("field", "times"), ("field",))
    times = problems.number(f"{path}.most.times", most.get("times", 1.0))
    return Rate(name, sources, str(most.get("field")), times, hide)


def _ratio(problems: Problems, path: str, name: str, spec: Mapping[str, Any]) -> Ratio:
    problems.keys(path, spec, ("unit", "ratio", "hide"))
    data = problems.mapping(f"{path}.ratio", spec["ratio"])
    problems.keys(f"{path}.ratio", data, ("of", "to", "scale", "part"), ("of", "to"))
    scale = problems.number(f"{path}.ratio.scale", data.get("scale", 1.0))
    hide, part = bool(spec.get("hide", False)), bool(data.get("part", False))
    return Ratio(name, str(data.get("of")), str(data.get("to")), scale, hide, part)


def _sum(problems: Problems, path: str, name: str, spec: Mapping[str, Any]) -> Sum:
    problems.keys(path, spec, ("unit", "sum", "less", "hide"))
    plus = tuple(str(one) for one in problems.items(f"{path}.sum", spec["sum"]))
    minus = tuple(str(one) for one in problems.items(f"{path}.less", spec.get("less", [])))
    return Sum(name, plus, minus, bool(spec.get("hide", False)))


def _sources(problems: Problems, path: str, value: Any) -> tuple[Source, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        problems.say(path, "needs at least one OID")
    return tuple(_source(problems, path, item) for item in items)


def _source(problems: Problems, path: str, item: Any) -> Source:
    data = {"oid": item} if isinstance(item, str) else problems.mapping(path, item)
    problems.keys(path, data, ("oid", "scale", "offset", "bits", "si", "precision", "step", "when"), ("oid",))
    if data.get("bits", 64) not in (32, 64):
        problems.say(path, "bits is 32 or 64")
    return Source(
        problems.oid(path, data.get("oid")),
        problems.number(path, data.get("scale", 1.0)),
        problems.number(path, data.get("offset", 0.0)),
        int(problems.number(path, data.get("bits", 64))),
        problems.maybe_oid(path, data.get("si")),
        problems.maybe_oid(path, data.get("precision")),
        _optional(problems, path, data, "step"),
        read_conditions(problems, path, data["when"]) if "when" in data else (),
    )
