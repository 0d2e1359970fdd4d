"""What the broken have in common that the healthy do not: an exact test, corrected for everything that was tried."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from healthmon.impact.graph import NeedGraph
from healthmon.model.topology import Estate, Target

#: The share of random sets in which anything at all is named, at most (family-wise, Bonferroni).
FALSE_RATE = 0.01
#: Fewer than this many broken things have nothing in common that could not be chance.
FEWEST = 3
_COUNTER_EXAMPLES = 5
_PASSES_ON = frozenset({"switch", "router", "access-point", "ap", "wlan-controller"})
#: At least this share of those with a value is broken, for it to be worth a hint.
_MOSTLY = 0.7
#: They say where, not what: named after what fits as well.
_WHERE = frozenset({"area", "site", "kind"})

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fate:
    """One thing that the broken share. `p_value` is corrected for all values tried; `lift`: how many times more often
    a thing with this value is broken than any thing. `healthy`: counter-examples, the first few of `healthy_count`."""

    attribute: str
    value: str
    broken: tuple[str, ...]
    of_broken: int
    healthy_count: int
    healthy: tuple[str, ...]
    population: int
    lift: float
    p_value: float
    tried: int


class FateTest:
    """The test over one population; its counts are made once. `attributes`: of each thing, by name."""

    def __init__(self, attributes: Mapping[str, Attributes]) -> None:
        self._attributes = attributes
        self._ids: dict[tuple[str, str], list[str]] = {}
        for id_ in sorted(attributes):
            for pair in attributes[id_].items():
                self._ids.setdefault(pair, []).append(id_)
        self._having = {pair: len(ids) for pair, ids in self._ids.items()}
        whole = len(attributes)
        #: Every value that at least two share and not all: what cannot tell apart is not tried.
        self.tried = sum(1 for count in self._having.values() if 2 <= count < whole)

    def find(self, broken: Collection[str], *, false_rate: float = FALSE_RATE, most: int = 8) -> tuple[Fate, ...]:
        """What the broken share beyond chance, the least likely by chance first, at most so many."""
        hit = sorted(id_ for id_ in broken if id_ in self._attributes)
        if len(hit) < FEWEST:
            return ()
        shared = Counter(pair for id_ in hit for pair in self._attributes[id_].items())
        found = [
            (p_value, pair)
            for pair, count in shared.items()
            if (p_value := self._p_value(pair, count, len(hit))) <= false_rate
        ]
        ranked = sorted(found, key=lambda one: (one[0], self._having[one[1]], one[1][0] in _WHERE, one[1]))
        return tuple(self._fate(pair, p_value, hit) for p_value, pair in ranked[:most])

    def hints(self, broken: Collection[str], *, most: int = 3) -> tuple[tuple[str, str, int, int], ...]:
        """What all of these share and few others have, too few for a test: name, value, how many of how many."""
        hit = [id_ for id_ in broken if id_ in self._attributes]
        shared = Counter(pair for id_ in hit for pair in self._attributes[id_].items() if pair[0] not in _WHERE)
        found = [
            (*pair, count, self._having[pair])
            for pair, count in shared.items()
            if count == len(hit) >= 2
            and _MOSTLY * self._having[pair] <= count
            and self._having[pair] < len(self._attributes)
        ]
        return tuple(sorted(found, key=lambda one: (one[3], one[0]))[:most])

    def _p_value(self, pair: tuple[str, str], count: int, broken: int) -> float:
        having, whole = self._having[pair], len(self._attributes)
        if count < 2 or having >= whole:
            return 1.0
        return min(1.0, self.tried * at_least(count, drawn=broken, marked=having, whole=whole))

    def _fate(self, pair: tuple[str, str], p_value: float, hit: list[str]) -> Fate:
        name, value = pair
        mine = tuple(id_ for id_ in hit if self._attributes[id_].get(name) == value)
        having, whole = self._having[pair], len(self._attributes)
        return Fate(
            attribute=name,
            value=value,
            broken=mine,
            of_broken=len(hit),
            healthy_count=having - len(mine),
            healthy=self._healthy(pair, frozenset(mine)),
            population=whole,
            lift=(len(mine) / having) / (len(hit) / whole),
            p_value=p_value,
            tried=self.tried,
        )

    def _healthy(self, pair: tuple[str, str], broken: frozenset[str]) -> tuple[str, ...]:
        return tuple(islice((id_ for id_ in self._ids[pair] if id_ not in broken), _COUNTER_EXAMPLES))


def at_least(count: int, *, drawn: int, marked: int, whole: int) -> float:
    """The chance that `drawn` of `whole` things hold at least `count` of the `marked` ones (one-sided Fisher test)."""
    low, high = max(count, drawn + marked - whole, 0), min(drawn, marked)
    if low > high:
        return 0.0
    if count <= max(0, drawn + marked - whole):
        return 1.0
    term = math.exp(_ln_choose(marked, low) + _ln_choose(whole - marked, drawn - low) - _ln_choose(whole, drawn))
    total = term
    for seen in range(low, high):
        term *= (marked - seen) * (drawn - seen) / ((seen + 1) * (whole - marked - drawn + seen + 1))
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, total)


def attributes_of(estate: Estate, graph: NeedGraph, targets: Iterable[Target]) -> dict[str, Attributes]:
    """What may be shared: kind, site, area, the nearest switch, roles, every label (OS, image, VLAN, power feed)."""
    roles: dict[str, set[str]] = {}
    for agent in estate.agents.values():
        if agent.target is not None:
            roles.setdefault(agent.target, set()).update(agent.roles)
    return {target.id: _attributes(target, estate, graph, roles.get(target.id, set())) for target in targets}


def _attributes(target: Target, estate: Estate, graph: NeedGraph, roles: set[str]) -> Attributes:
    found = {"kind": target.kind, "site": target.site}
    if target.area is not None:
        found["area"] = target.area
    switch = _nearest_switch(target, estate, graph)
    if switch is not None:
        found["switch"] = switch
    found.update({f"role {role}": "yes" for role in sorted(roles)})
    found.update(target.labels)
    return found


def _nearest_switch(target: Target, estate: Estate, graph: NeedGraph) -> str | None:
    """What it is plugged into: the last switch without which it cannot be reached; a switch is its own."""
    if target.kind in _PASSES_ON:
        return target.id
    way = graph.strict(target.id) if target.id in graph else frozenset()
    known = (estate.targets.get(id_) for id_ in way)
    switches = [one.id for one in known if one is not None and one.kind in _PASSES_ON]
    return max(switches, key=lambda id_: (len(graph.requires(id_)), id_), default=None)


def _ln_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
