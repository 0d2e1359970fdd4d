"""What the broken have in common that the healthy do not: an exact test, corrected for everything that was tried."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

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
_Pair = tuple[str, str]
#: The attribute of what the same planned work is on.
CHANGE = "change"
_NO_CHANGES: Mapping[str, Set[str]] = MappingProxyType({})


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
        ids: dict[_Pair, list[str]] = {}
        for id_, own in attributes.items():
            for pair in own.items():
                ids.setdefault(pair, []).append(id_)
        self._ids = {pair: frozenset(having) for pair, having in ids.items()}
        #: Every value that at least two share and not all: what cannot tell apart is not tried.
        self.tried = sum(1 for having in self._ids.values() if 2 <= len(having) < len(attributes))

    def find(
        self,
        broken: Collection[str],
        *,
        well: Set[str] | None = None,
        changes: Mapping[str, Set[str]] = _NO_CHANGES,
        false_rate: float = FALSE_RATE,
        most: int = 8,
    ) -> tuple[Fate, ...]:
        """What the broken share beyond chance, the least likely by chance first, at most so many.

        well: what they are compared with (None: all the rest); what is neither broken nor well proves nothing.
        changes: planned work that was open then, and the things that it is on: one more value each.
        """
        hit = sorted(id_ for id_ in broken if id_ in self._attributes)
        if len(hit) < FEWEST:
            return ()
        known = self._known(hit, well)
        shared = Counter(pair for id_ in hit for pair in self._attributes[id_].items())
        same: dict[_Pair, Set[str]] = {pair: self._ids[pair] & known for pair, count in shared.items() if count >= 2}
        same |= {(CHANGE, name): on & known for name, on in changes.items()}
        same = {pair: ids for pair, ids in same.items() if len(ids) < len(known)}
        tried = self.tried + len(changes)
        found = [
            (p_value, pair)
            for pair, ids in same.items()
            if (p_value := min(1.0, tried * _chance(ids, hit, len(known)))) <= false_rate
        ]
        ranked = sorted(found, key=lambda one: (one[0], len(same[one[1]]), one[1][0] in _WHERE, one[1]))
        return tuple(_fate(pair, p, hit, same[pair], whole=len(known), tried=tried) for p, pair in ranked[:most])

    def hints(
        self, broken: Collection[str], *, well: Set[str] | None = None, most: int = 3
    ) -> tuple[tuple[str, str, int, int], ...]:
        """What all of these share and few others have, too few for a test: name, value, how many of how many."""
        hit = [id_ for id_ in broken if id_ in self._attributes]
        known = self._known(hit, well)
        shared = Counter(pair for id_ in hit for pair in self._attributes[id_].items() if pair[0] not in _WHERE)
        having = {pair: len(self._ids[pair] & known) for pair, count in shared.items() if count == len(hit) >= 2}
        found = [
            (*pair, len(hit), marked)
            for pair, marked in having.items()
            if _MOSTLY * marked <= len(hit) and marked < len(known)
        ]
        return tuple(sorted(found, key=lambda one: (one[3], one[0]))[:most])

    def _known(self, hit: Collection[str], well: Set[str] | None) -> Set[str]:
        return self._attributes.keys() if well is None else (well & self._attributes.keys()) | set(hit)


def _chance(having: Set[str], hit: Collection[str], whole: int) -> float:
    """How likely so many of these have it by chance."""
    count = sum(id_ in having for id_ in hit)
    if count < 2:
        return 1.0
    return at_least(count, drawn=len(hit), marked=len(having), whole=whole)


def _fate(pair: _Pair, p_value: float, hit: Sequence[str], having: Set[str], *, whole: int, tried: int) -> Fate:
    mine = tuple(id_ for id_ in hit if id_ in having)
    return Fate(
        attribute=pair[0],
        value=pair[1],
        broken=mine,
        of_broken=len(hit),
        healthy_count=len(having) - len(mine),
        healthy=tuple(sorted(having - set(mine))[:_COUNTER_EXAMPLES]),
        population=whole,
        lift=(len(mine) / len(having)) / (len(hit) / whole),
        p_value=p_value,
        tried=tried,
    )


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
