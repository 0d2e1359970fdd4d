"""In which order the fields of a pack are worked out, so that one may stand on another."""

from __future__ import annotations

from dataclasses import dataclass

from healthmon.probes.snmp_shapes import Gauge, PackField, Rate, Ratio, Sum


@dataclass(frozen=True, slots=True)
class Order:
    """Fields in the order in which they can name each other; worked out once for all rows of all devices."""

    given: tuple[PackField, ...]
    fields: tuple[PackField, ...]
    parts: tuple[Ratio, ...]
    hidden: frozenset[str]


#: By the identity of the fields; each entry holds them, so that no others can have their id.
_orders: dict[int, Order] = {}


def order_of(fields: tuple[PackField, ...]) -> Order:
    """Sorted once; two thousand tables are remembered."""
    known = _orders.get(id(fields))
    if known is None:
        if len(_orders) >= 2000:
            _orders.clear()
        parts = tuple(one for one in fields if isinstance(one, Ratio) and one.part)
        hidden = frozenset(one.name for one in fields if one.hide)
        known = _orders[id(fields)] = Order(fields, tuple(sorted(fields, key=_turn)), parts, hidden)
    return known


def _turn(one: PackField) -> int:
    """Gauges, gauges times a gauge, rates (bounded by gauges), sums, ratios of all of these."""
    match one:
        case Gauge():
            return 0 if one.times is None else 1
        case Rate():
            return 2
        case Sum():
            return 3
    return 4
