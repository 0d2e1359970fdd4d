"""Packs of the openmetrics probe: which metrics of an exporter are kept, and what they are called here. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

from healthmon.model.sample import Family

#: How several series that look alike become one; `only` says that there is just one.
COMBINE = ("only", "sum", "min", "max", "avg")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS = ("metric", "family", "field", "labels", "where", "where_not", "scale", "rate", "over", "one_minus", "combine")
_PACK_KEYS = ("description", "source", "metrics")
_RESERVED = frozenset({"site", "area", "target", "kind", "check", "vantage"})


@dataclass(frozen=True, slots=True)
class Mapped:
    """One metric of an exporter and its place here.

    labels: ours -> theirs; where, where_not: their label -> pattern of the whole value; rate: per second since the
    look before; over: divided by this metric of the same labels; one_minus: then taken from one; scale: at the end.
    """

    metric: str
    family: str
    field: str
    labels: dict[str, str] = default(default_factory=dict)
    where: dict[str, str] = default(default_factory=dict)
    where_not: dict[str, str] = default(default_factory=dict)
    scale: float = 1.0
    rate: bool = False
    over: str | None = None
    one_minus: bool = False
    combine: str = "only"
    required: bool = False

    def __post_init__(self) -> None:
        for name in (self.metric, self.over or "x"):
            if not _NAME.fullmatch(name):
                raise ValueError(f"metric: {name!r} is not the name of a metric")
        for word in (self.family, self.field, *self.labels):
            if not _WORD.fullmatch(word):
                raise ValueError(f"{self.metric}: {word!r} is not a name (allowed: a-z, 0-9, _)")
        if self.field.endswith("_count"):
            raise ValueError(f"{self.metric}: no field ends in _count")
        if not _RESERVED.isdisjoint(self.labels):
            raise ValueError(f"{self.metric}: labels: {', '.join(sorted(_RESERVED))} are names of inventory tags")
        if self.combine not in COMBINE:
            raise ValueError(f"{self.metric}: combine: {self.combine} (allowed: {', '.join(COMBINE)})")
        for pattern in (*self.where.values(), *self.where_not.values()):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{self.metric}: where: {error}") from None

    def names(self) -> tuple[str, ...]:
        """The metrics of the exporter that it needs."""
        return (self.metric,) if self.over is None else (self.metric, self.over)

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        wanted = all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.where.items())
        return wanted and not any(
            re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.where_not.items()
        )


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a pack, one line each; an empty list is a good one."""
    problems = [f"{key}: unknown key (allowed: {', '.join(_PACK_KEYS)})" for key in sorted(data.keys() - _PACK_KEYS)]
    problems += [f"{key}: is missing" for key in ("description", "source") if not data.get(key)]
    items = data.get("metrics")
    if not isinstance(items, list) or not items:
        return [*problems, "metrics: must be a list with at least one metric"]
    for number, item in enumerate(items):
        try:
            _mapped(item)
        except (TypeError, ValueError) as error:
            problems.append(f"metrics[{number}]: {error}")
    return problems


def parse_metrics(items: Iterable[Any]) -> tuple[Mapped, ...]:
    """Raises ValueError."""
    return tuple(map(_mapped, items))


def _mapped(item: Any) -> Mapped:
    if isinstance(item, Mapped):
        return item
    if not isinstance(item, Mapping):
        raise ValueError("must be a mapping")
    unknown = sorted(item.keys() - {*_KEYS, "required"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} (allowed: {', '.join(_KEYS)}, required)")
    missing = [key for key in ("metric", "family", "field") if not isinstance(item.get(key), str)]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return Mapped(**item)


def pack_families(data: Mapping[str, Any]) -> tuple[Family, ...]:
    """The families that a pack (or the parameters of a check) declares, for ingest to admit. Raises ValueError."""
    fields: dict[str, set[str]] = {}
    labels: dict[str, set[str]] = {}
    for one in parse_metrics(data.get("metrics") or ()):
        fields.setdefault(one.family, set()).add(one.field)
        labels.setdefault(one.family, set()).update(one.labels)
    return tuple(Family(name, frozenset(found), frozenset(labels[name])) for name, found in fields.items())


def with_scraped(known: Mapping[str, Family], checks: Iterable[Mapping[str, Any]]) -> dict[str, Family]:
    """The known families, widened by what these checks keep: an exporter may speak for a family of ours."""
    families = dict(known)
    done: set[int] = set()
    for params in checks:
        for data in (params.get("pack"), params):
            if not data or id(data) in done:  # thousands of checks share one pack
                continue
            done.add(id(data))
            for family in pack_families(data):
                before = families.get(family.name, family)
                fields, labels = before.fields | family.fields, before.labels | family.labels
                families[family.name] = Family(family.name, fields, labels)
    return families
