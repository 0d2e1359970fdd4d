"""What a device answered, turned into samples by its packs. Pure: values in, samples out."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from healthmon.model.sample import Sample, Value
from healthmon.probes.snmp_client import SnmpValue
from healthmon.probes.snmp_order import order_of
from healthmon.probes.snmp_shapes import (
    Condition,
    Gauge,
    LabelText,
    PackField,
    Rate,
    Ratio,
    Scalars,
    Source,
    State,
    Sum,
    Table,
)
from healthmon.runtime.rates import Counters

LABEL_LIMIT = 64
#: Interfaces are chosen by name with the parameters `interfaces` and `uplinks`.
INTERFACE = "interface"
#: An IEEE 754 single or double inside an Opaque (draft-perkins-opaque-01).
OPAQUE_FLOAT = b"\x9fx\x04"
OPAQUE_DOUBLE = b"\x9fy\x08"
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(slots=True)
class Answers:
    """Values by column OID and index; scalars stand under their full OID and the index "". Times monotonic s."""

    columns: dict[str, dict[str, SnmpValue]] = field(default_factory=dict)
    read_at: dict[str, float] = field(default_factory=dict)

    def put(self, oid: str, rows: Iterable[tuple[str, SnmpValue]], mono: float) -> None:
        """What came of one column (or of one scalar), and when."""
        self.columns[oid] = dict(rows)
        self.read_at[oid] = mono

    def value(self, oid: str, index: str) -> SnmpValue | None:
        column = self.columns.get(oid)
        return None if column is None else column.get(index)


def plain_text(raw: SnmpValue | None) -> str:
    """One line of printable text; empty when there is none."""
    if raw is None:
        return ""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return " ".join(_CONTROL.sub(" ", text).split())


def label_text(raw: SnmpValue | None) -> str:
    """Text for a label: at most 64 characters."""
    return plain_text(raw)[:LABEL_LIMIT].rstrip()


def row_names(table: Table, indexes: Iterable[str], answers: Answers) -> dict[str, str]:
    """Index -> label value. Two rows of one name are told apart by their index."""
    names = {index: _row_name(table, index, answers) for index in indexes}
    seen: dict[str, int] = {}
    for name in names.values():
        seen[name] = seen.get(name, 0) + 1
    return {index: name if seen[name] == 1 else f"{name}#{index}" for index, name in names.items()}


def _row_name(table: Table, index: str, answers: Answers) -> str:
    found = (label_text(answers.value(text.oid, at)) for text in table.texts if (at := _place(text, index, answers)))
    return f"{table.prefix}{next(filter(None, found), index)}{table.suffix}"


def _place(text: LabelText, index: str, answers: Answers) -> str:
    """The index at which the name of the row `index` stands; empty when that is not known."""
    if text.via is not None:
        return label_text(answers.value(text.via, index))
    if text.arcs:
        arcs = index.split(".")
        return ".".join(arcs[at] for at in text.arcs if at < len(arcs))
    return index


def wanted(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a row is to be kept: shell patterns, `!pattern` leaves out, the last match decides."""
    keep = not any(not pattern.startswith("!") for pattern in patterns)
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!")):
            keep = not pattern.startswith("!")
    return keep


def holds(conditions: tuple[Condition, ...], index: str, answers: Answers) -> bool:
    """Whether all conditions are met. A value that is not there is none of those named."""
    return not conditions or all(_holds(one, index, answers) for one in conditions)


def _holds(one: Condition, index: str, answers: Answers) -> bool:
    raw = answers.value(one.oid, "" if one.scalar else index)
    if raw is None:
        return one.negate
    if one.pattern is not None:
        return one.pattern.search(plain_text(raw)) is not None
    if one.least is not None or one.most is not None:
        return within(number(raw), one.least, one.most)
    return (code_of(raw) in one.values) is not one.negate


def within(value: float | None, least: float | None, most: float | None) -> bool:
    """Whether there is a number, inside the bounds that are given."""
    return value is not None and (least is None or value >= least) and (most is None or value <= most)


def code_of(raw: SnmpValue) -> str:
    """A raw value as packs write it in `is`, `codes` and `states`."""
    return str(raw) if isinstance(raw, int) else plain_text(raw)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a site says of its devices, as shell patterns of names; `!pattern` leaves out."""

    interfaces: tuple[str, ...] = ()  # which to keep
    uplinks: tuple[str, ...] = ()  # which must be up
    inlets: tuple[str, ...] = ()  # sensors of the air that goes into machines

    def mark(self, name: str, found: dict[str, Value]) -> None:
        """Say again under a name of its own what rules may judge: an unused port is down, and a processor is hot."""
        if self.uplinks and "oper_up" in found and wanted(name, self.uplinks):
            found["uplink_up"] = found["oper_up"]
        if self.inlets and "celsius" in found and wanted(name.lower(), self.inlets):
            found["inlet_celsius"] = found["celsius"]


def scalar_samples(part: Scalars, answers: Answers, counters: Counters, choices: Choices) -> list[Sample]:
    """The samples of a group of scalars."""
    if not holds(part.when, "", answers):
        return []
    labels = dict(part.labels)
    found = row_values(part.fields, Row("", answers), counters)
    choices.mark(next(iter(labels.values()), ""), found)
    return [Sample(part.family, name, value, labels) for name, value in found.items()]


def table_samples(
    table: Table,
    indexes: Iterable[str],
    answers: Answers,
    counters: Counters,
    choices: Choices,
) -> list[Sample]:
    """The samples of every row that the pack wants and, of interfaces, that the site wants."""
    samples: list[Sample] = []
    for index, name in row_names(table, indexes, answers).items():  # a row is called the same in all its tables
        if (table.label == INTERFACE and not wanted(name, choices.interfaces)) or not holds(table.when, index, answers):
            continue
        if table.reset is not None and _was_reset(table.reset, index, answers, counters):
            _forget_row(table, index, counters)
        found = row_values(table.fields, Row(index, answers, table), counters)
        choices.mark(name, found)
        labels = {table.label: name}
        samples += [Sample(table.family, key, value, labels) for key, value in found.items()]
    return samples


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, or the scalars (index "")."""

    index: str
    answers: Answers
    table: Table | None = None

    def value(self, oid: str) -> SnmpValue | None:
        return self.answers.value(oid, self.index)


def row_values(fields: tuple[PackField, ...], row: Row, counters: Counters) -> dict[str, Value]:
    """Field -> value for one row, in the order in which fields can name each other."""
    found: dict[str, float] = {}
    words: dict[str, Value] = {}
    order = order_of(fields)
    for one in order.fields:
        if isinstance(one, State):
            words |= _state(one, row)
            continue
        if isinstance(one, Sum):  # before sums stand on them
            _disbelieve(order.parts, found)
        value = _gauge(one, row, found) if isinstance(one, Gauge) else _number_of(one, row, counters, found)
        if value is not None and _finite(value) is not None:
            found[one.name] = value
    _disbelieve(order.parts, found)
    return {name: value for name, value in (found | words).items() if name not in order.hidden}


def _disbelieve(parts: tuple[Ratio, ...], found: dict[str, float]) -> None:
    """A part that is more than its whole: neither is known."""
    for one in parts:
        if found.get(one.of, 0.0) > found.get(one.to, float("inf")):
            del found[one.of], found[one.to]


def _number_of(one: PackField, row: Row, counters: Counters, found: Mapping[str, float]) -> float | None:
    match one:
        case Rate():
            return _rate(one, row, counters, found)
        case Ratio():
            return _ratio(one, found)
        case Sum():
            return _sum(one, found)
    return None


def _gauge(one: Gauge, row: Row, found: Mapping[str, float]) -> float | None:
    if one.times is not None and one.times not in found:
        return None
    for source in one.sources:
        if source.when and not holds(source.when, row.index, row.answers):
            continue
        value = _reading_of(one, source, row)
        if value is not None and one.times is None and not one.minus_rows:
            return value
        if value is not None:
            value -= sum(_reading_of(one, source, other) or 0.0 for other in _rows_named(one.minus_rows, row))
            return value * (found[one.times] if one.times else 1.0) if value >= 0.0 or not one.minus_rows else None
    return None


def _reading_of(one: Gauge, source: Source, row: Row) -> float | None:
    """The value of one source, None where the pack says that this raw value means "not known"."""
    raw = row.value(source.oid)
    if one.bit is not None and isinstance(raw, bytes):
        return bit_of(raw, one.bit)
    if one.codes is not None and raw is not None:
        plain = number(raw)
        if plain in one.ignore:
            return None
        return one.codes.get(code_of(int(plain) if plain is not None else raw), one.other)
    plain = raw if type(raw) is int else number(raw, one.find)
    if plain is None or plain in one.ignore or not within(plain, one.least, one.most):
        return None
    if source.step is not None and plain % source.step:
        return None
    if source.si is None and source.precision is None:
        return plain * source.scale + source.offset
    exponent = _exponent(source, row)
    return None if exponent is None else plain * 10.0**exponent * source.scale + source.offset


def _exponent(source: Source, row: Row) -> int | None:
    """The power of ten of a row: its SI prefix less its decimals (RFC 3433). None when they are nonsense."""
    power = 0
    if source.si is not None:
        code = number(row.value(source.si))
        if code is not None:  # EntitySensorDataScale: 1 is yocto, 9 is units, 17 is yotta
            if not 1 <= code <= 17:
                return None
            power += SI_POWERS[int(code) - 1]
    if source.precision is not None:
        decimals = number(row.value(source.precision))
        if decimals is not None:
            if not -8 <= decimals <= 9:
                return None
            power -= int(decimals) if decimals > 0 else 0  # below zero: significant digits of a fraction
    return power


#: yocto, zepto, atto, femto, pico, nano, micro, milli, units, kilo, mega, giga, tera, exa, peta, zetta, yotta:
#: the MIB puts exa before peta.
SI_POWERS = (-24, -21, -18, -15, -12, -9, -6, -3, 0, 3, 6, 9, 12, 18, 15, 21, 24)


def _rows_named(names: tuple[str, ...], row: Row) -> list[Row]:
    """The other rows of the table that have these names."""
    if not names or row.table is None or not row.table.texts:
        return []
    column = row.answers.columns.get(row.table.texts[0].oid, {})
    return [Row(index, row.answers) for index, raw in column.items() if label_text(raw) in names and index != row.index]


def bit_of(octets: bytes, bit: int) -> float:
    """BITS count from the left (RFC 2578 section 7.1.4); octets that are left out are zero."""
    return float(octets[bit // 8] >> (7 - bit % 8) & 1) if bit // 8 < len(octets) else 0.0


def _state(one: State, row: Row) -> dict[str, Value]:
    for source in one.sources:
        raw = row.value(source.oid)
        if raw is None or not holds(source.when, row.index, row.answers):
            continue
        plain = number(raw)
        code = code_of(int(plain) if plain is not None else raw)
        word, verdict = one.words.get(code, (f"code {code}"[:LABEL_LIMIT], None))
        said: dict[str, Value] = {"state": word}
        if plain is not None:
            said["state_code"] = plain
        if verdict is not None:
            said["ok"] = float(verdict)
        return said
    return {}


def _rate(one: Rate, row: Row, counters: Counters, found: Mapping[str, float]) -> float | None:
    most = found.get(one.most) if one.most else None
    for source in one.sources:
        raw = number(row.value(source.oid))
        if raw is None:
            continue
        rate = counters.rate(
            (source.oid, row.index),
            int(raw),
            row.answers.read_at[source.oid],
            bits=source.bits,
            most_per_s=most * one.most_times if most else None,
        )
        return None if rate is None else rate * source.scale
    return None


def _ratio(one: Ratio, found: Mapping[str, float]) -> float | None:
    of, to = found.get(one.of), found.get(one.to)
    if of is None or to is None or to <= 0.0:
        return None
    return of * one.scale / to


def _sum(one: Sum, found: Mapping[str, float]) -> float | None:
    if any(name not in found for name in (*one.plus, *one.minus)):
        return None
    return sum(found[name] for name in one.plus) - sum(found[name] for name in one.minus)


def number(raw: SnmpValue | None, find: re.Pattern[str] | None = None) -> float | None:
    """A raw value as a number; some agents send numbers as text, net-snmp wraps floats into Opaque."""
    if raw is None or isinstance(raw, int):
        return raw
    if isinstance(raw, float):
        return _finite(raw)
    if isinstance(raw, bytes):
        if raw.startswith(OPAQUE_FLOAT) and len(raw) == 7:
            return _finite(struct.unpack(">f", raw[3:])[0])
        if raw.startswith(OPAQUE_DOUBLE) and len(raw) == 11:
            return _finite(struct.unpack(">d", raw[3:])[0])
        raw = raw.decode("ascii", "replace")
    text = raw.strip("\x00 \t\r\n")
    if find is not None:
        said = find.search(text)
        text = said.group(1) if said else ""
    return float(text) if _NUMBER.fullmatch(text) else None


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None  # false for what is not a number, too


def _was_reset(oid: str, index: str, answers: Answers, counters: Counters) -> bool:
    """Whether the row's discontinuity time is another one than at the last poll."""
    raw = number(answers.value(oid, index))
    if raw is None:
        return False
    return counters.changed((oid, index), int(raw), answers.read_at[oid])


def _forget_row(table: Table, index: str, counters: Counters) -> None:
    for one in table.fields:
        if isinstance(one, Rate):
            for source in one.sources:
                counters.forget((source.oid, index))
