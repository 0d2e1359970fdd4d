"""What an SNMP pack is once it is read: conditions, sources, fields, scalars, tables. Plain frozen data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Condition:
    """A raw value that must be (or, `negate`, must not be) among these, or a number within bounds.

    An OID ending in .0 is a scalar.
    """

    oid: str
    values: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    negate: bool = False
    least: float | None = None
    most: float | None = None

    @property
    def scalar(self) -> bool:
        return self.oid.endswith(".0")


@dataclass(frozen=True, slots=True)
class Source:
    """One OID that can give a value; raw * scale + offset. `bits` is the width of a counter.

    `si` and `precision`: columns with the SI prefix and the decimals of the row (ENTITY-SENSOR-MIB);
    `step`: a raw value that is no multiple of it is nonsense; `when`: the source counts only then.
    """

    oid: str
    scale: float = 1.0
    offset: float = 0.0
    bits: int = 64
    si: str | None = None
    precision: str | None = None
    step: float | None = None
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Gauge:
    """The first source that has a value. `ignore`: raw values that mean "not known"; `codes`: raw -> value.

    `least`, `most`: raw values outside mean "not known"; `bit`: this bit of an octet string, 0 is the first;
    `times`: multiplied by this gauge of the same row; `minus_rows`: less what the rows of these names have;
    `find`: the number is the first group of this pattern in a text; `hide`: not emitted.
    """

    name: str
    sources: tuple[Source, ...]
    ignore: frozenset[float] = frozenset()
    codes: Mapping[str, float] | None = None
    other: float | None = None  # value of a code that `codes` does not name; None: no value
    least: float | None = None
    most: float | None = None
    bit: int | None = None
    times: str | None = None
    minus_rows: tuple[str, ...] = ()
    find: re.Pattern[str] | None = None
    hide: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A state as `state` (its word), `state_code` (raw) and `ok` (1, 0, or absent where it says neither)."""

    name: str
    sources: tuple[Source, ...]
    words: Mapping[str, tuple[str, bool | None]]
    hide: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """A counter per second. `most` names a gauge whose value * `most_times` bounds a believable rate."""

    name: str
    sources: tuple[Source, ...]
    most: str | None = None
    most_times: float = 1.0
    hide: bool = False


@dataclass(frozen=True, slots=True)
class Ratio:
    """`of` * `scale` / `to`, both fields of the same row; absent unless both are there and `to` is positive.

    `part`: `of` is a part of `to`; where it is more, the device has miscounted, and none of the two is believed.
    """

    name: str
    of: str
    to: str
    scale: float = 1.0
    hide: bool = False
    part: bool = False


@dataclass(frozen=True, slots=True)
class Sum:
    """Fields of the same row added and taken away; absent unless all are there."""

    name: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    hide: bool = False


PackField = Gauge | State | Rate | Ratio | Sum


@dataclass(frozen=True, slots=True)
class LabelText:
    """Where a row's name stands: at its own index, at the index that `via` gives, or at some arcs of its index."""

    oid: str
    via: str | None = None
    arcs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Scalars:
    """Values that are there once; `labels` are fixed."""

    family: str
    fields: tuple[PackField, ...]
    labels: tuple[tuple[str, str], ...] = ()
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One row per index. `rows`: the column that says which rows exist; `label`: what a row is called.

    `reset`: a column whose change means that the counters of the row started anew.
    """

    family: str
    rows: str
    label: str
    texts: tuple[LabelText, ...]
    fields: tuple[PackField, ...]
    reset: str | None = None
    when: tuple[Condition, ...] = ()
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """One kind of device; `slug` is the one name of the family through probes, rules and dashboards."""

    slug: str
    title: str
    verified: str
    source: str
    scalars: tuple[Scalars, ...] = ()
    tables: tuple[Table, ...] = field(default=())
