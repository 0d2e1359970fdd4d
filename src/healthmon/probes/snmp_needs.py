"""Which OIDs packs need: scalars for GET, columns for walks, and which of these are kept between polls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from healthmon.probes.snmp_shapes import Condition, Gauge, PackField, Rate, Scalars, Source, State, Table


@dataclass(frozen=True, slots=True)
class Needs:
    """The columns of one table. Of `groups` a later alternative is needed only for rows that earlier ones lack."""

    conditions: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    kept: frozenset[str]


def table_needs(table: Table) -> Needs:
    """What a table reads: its conditions first, since they may leave no row."""
    conditions = tuple(dict.fromkeys(one.oid for one in table.when if not one.scalar))
    labels = tuple(dict.fromkeys(oid for text in table.texts for oid in (text.via, text.oid) if oid))
    extra = tuple(dict.fromkeys(oid for source in _sources(table.fields) for oid in _beside(source)))
    groups = [tuple(source.oid for source in _own_sources(one)) for one in table.fields]
    groups += [(table.reset,)] if table.reset else []
    groups += [(oid,) for oid in extra]
    unique = tuple(dict.fromkeys(group for group in groups if group))
    return Needs(conditions, labels, unique, frozenset((*conditions, *labels, *extra)) - {table.rows})


def scalar_oids(scalars: Iterable[Scalars], tables: Iterable[Table] = ()) -> list[str]:
    """Every scalar OID that the packs read, conditions of tables included."""
    oids: list[str] = []
    for part in scalars:
        oids += _scalar_conditions(part.when)
        for source in _sources(part.fields):
            oids += [source.oid, *_scalar_conditions(source.when)]
            oids += [oid for oid in (source.si, source.precision) if oid]
    for table in tables:
        oids += _scalar_conditions(table.when)
        for source in _sources(table.fields):
            oids += _scalar_conditions(source.when)
    return list(dict.fromkeys(oids))


def _scalar_conditions(conditions: Iterable[Condition]) -> list[str]:
    return [one.oid for one in conditions if one.scalar]


def _beside(source: Source) -> Iterator[str]:
    yield from (oid for oid in (source.si, source.precision) if oid)
    yield from (one.oid for one in source.when if not one.scalar)


def _sources(fields: Iterable[PackField]) -> Iterator[Source]:
    for one in fields:
        yield from _own_sources(one)


def _own_sources(one: PackField) -> tuple[Source, ...]:
    return one.sources if isinstance(one, Gauge | State | Rate) else ()
