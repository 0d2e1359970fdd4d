"""What a device answered, turned into samples by its pack. Pure: values in, samples out."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from healthmon.model.sample import Sample
from healthmon.probes.snmp_client import SnmpValue
from healthmon.probes.snmp_pack import Gauge, PackField, Rate, Ratio, Scalars, Source, Table
from healthmon.runtime.rates import Counters

LABEL_LIMIT = 64
#: An IEEE 754 single inside an Opaque (draft-perkins-opaque-01).
OPAQUE_FLOAT = b"\x9fx\x04"
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
        return self.columns.get(oid, {}).get(index)


def label_text(raw: SnmpValue | None) -> str:
    """Text for a label: printable, one line, at most 64 characters; empty when there is none."""
    if raw is None:
        return ""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return " ".join(_CONTROL.sub(" ", text).split())[:LABEL_LIMIT]


def row_names(table: Table, indexes: Iterable[str], answers: Answers) -> dict[str, str]:
    """Index -> label value. Two rows of one name are told apart by their index."""
    names = {index: _row_name(table, index, answers) for index in indexes}
    seen: dict[str, int] = {}
    for name in names.values():
        seen[name] = seen.get(name, 0) + 1
    return {index: name if seen[name] == 1 else f"{name}#{index}" for index, name in names.items()}


def _row_name(table: Table, index: str, answers: Answers) -> str:
    for oid in table.label_oids:
        if text := label_text(answers.value(oid, index)):
            return text
    return index


def wanted(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a row is to be kept: shell patterns, `!pattern` leaves out, the last match decides."""
    keep = not any(not pattern.startswith("!") for pattern in patterns)
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!")):
            keep = not pattern.startswith("!")
    return keep


def scalar_samples(part: Scalars, answers: Answers, counters: Counters) -> list[Sample]:
    """The samples of a group of scalars."""
    found = row_values(part.fields, "", answers, counters)
    return [Sample(part.family, name, value) for name, value in found.items()]


def table_samples(
    table: Table, indexes: Iterable[str], answers: Answers, counters: Counters, *, rows: tuple[str, ...]
) -> list[Sample]:
    """The samples of every wanted row."""
    samples: list[Sample] = []
    for index, name in row_names(table, indexes, answers).items():
        if not wanted(name, rows):
            continue
        if table.reset is not None and _was_reset(table.reset, index, answers, counters):
            _forget_row(table, index, counters)
        labels = {table.label: name}
        found = row_values(table.fields, index, answers, counters)
        samples += [Sample(table.family, key, value, labels) for key, value in found.items()]
    return samples


def row_values(
    fields: tuple[PackField, ...], index: str, answers: Answers, counters: Counters
) -> dict[str, float]:
    """Field -> value for one row, in the order in which fields can name each other."""
    found: dict[str, float] = {}
    for one in sorted(fields, key=_turn):
        match one:
            case Gauge():
                value = _gauge(one, index, answers, found)
            case Rate():
                value = _rate(one, index, answers, counters, found)
            case Ratio():
                value = _ratio(one, found)
        if value is not None:
            found[one.name] = value
    return found


def _turn(one: PackField) -> int:
    """Gauges, gauges times a gauge, rates (bounded by gauges), ratios of all of these."""
    match one:
        case Gauge():
            return 0 if one.times is None else 1
        case Rate():
            return 2
    return 3


def _gauge(one: Gauge, index: str, answers: Answers, found: Mapping[str, float]) -> float | None:
    if one.times is not None and one.times not in found:
        return None
    for source in one.sources:
        raw = answers.value(source.oid, index)
        if one.bit is not None and isinstance(raw, bytes):
            return bit_of(raw, one.bit)
        plain = number(raw)
        if plain is None or plain in one.ignore or (one.least is not None and plain < one.least):
            continue
        if one.codes is not None:
            return one.codes.get(int(plain), one.other)
        return (plain * source.scale + source.offset) * (found[one.times] if one.times else 1.0)
    return None


def bit_of(octets: bytes, bit: int) -> float:
    """BITS count from the left (RFC 2578 section 7.1.4); octets that are left out are zero."""
    return float(octets[bit // 8] >> (7 - bit % 8) & 1) if bit // 8 < len(octets) else 0.0


def _rate(
    one: Rate, index: str, answers: Answers, counters: Counters, found: Mapping[str, float]
) -> float | None:
    most = found.get(one.most) if one.most else None
    for source in one.sources:
        raw = number(answers.value(source.oid, index))
        if raw is None:
            continue
        rate = counters.rate(
            (source.oid, index),
            int(raw),
            answers.read_at[source.oid],
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


def number(raw: SnmpValue | None) -> float | None:
    """A raw value as a number; some agents send numbers as text, net-snmp wraps floats into Opaque."""
    if raw is None or isinstance(raw, int | float):
        return raw
    if isinstance(raw, bytes):
        if raw.startswith(OPAQUE_FLOAT) and len(raw) == 7:
            return float(struct.unpack(">f", raw[3:])[0])
        raw = raw.decode("ascii", "replace")
    text = raw.strip("\x00 ")
    return float(text) if _NUMBER.fullmatch(text) else None


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


def needed_columns(table: Table) -> list[tuple[str, ...]]:
    """Columns to walk; in a group of alternatives later ones are needed only for rows the earlier ones lack."""
    groups: list[tuple[str, ...]] = [(table.rows,)]
    groups += [table.label_oids] if table.label_oids else []
    groups += [(table.reset,)] if table.reset else []
    for one in table.fields:
        if not isinstance(one, Ratio):
            groups.append(tuple(source.oid for source in one.sources))
    return list(dict.fromkeys(groups))


def scalar_oids(parts: Iterable[Scalars]) -> list[str]:
    """Every OID that the scalars read."""
    sources: list[Source] = []
    for part in parts:
        for one in part.fields:
            if not isinstance(one, Ratio):
                sources += one.sources
    return list(dict.fromkeys(source.oid for source in sources))
