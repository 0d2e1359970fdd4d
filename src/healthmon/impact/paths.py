"""How many further single failures lose a service for an area: the minimum cut of an and/or graph."""

from __future__ import annotations

from collections.abc import Set

from healthmon.impact.graph import Goal, NeedGraph
from healthmon.model.incident import Paths
from healthmon.model.topology import AtLeast, Need

#: A search that needs more evaluations than this stops and answers a lower bound, marked so.
MAX_EVALUATIONS = 2_000


def paths(graph: NeedGraph, area: str, service: str, down: Set[str], *, design: Paths | None = None) -> Paths:
    """Ways left now and by design (`design`, if known). `exact` is False when either is a lower bound."""
    goal = graph.goal(area, service)
    left, left_exact = cut_size(graph, goal, down)
    if not down:
        return Paths(left=left, of=left, exact=left_exact)
    whole = design or paths(graph, area, service, frozenset())
    return Paths(left=left, of=whole.of, exact=left_exact and whole.exact)


def cut_size(
    graph: NeedGraph, goal: Goal, down: Set[str], *, max_evaluations: int = MAX_EVALUATIONS
) -> tuple[int, bool]:
    """The least number of further targets whose failure loses the goal, and whether that is exact.

    A goal that no target can lose has no cut; the answer is then the number of its targets plus one.
    """
    formula = _Formula(graph, goal, down)
    if not formula.works(frozenset()):
        return 0, True
    low, high = formula.bounds()
    if low >= high:
        return high, True
    return _search(formula, low, high, max_evaluations)


def _search(formula: _Formula, low: int, high: int, max_evaluations: int) -> tuple[int, bool]:
    """Every cut hits every working set, so branch on the members of one: deeper until a cut is found."""
    budget = [max_evaluations]
    for size in range(low, high):
        found = _cuttable(formula, frozenset(), size, budget, {})
        if found is None:
            return size, False
        if found:
            return size, True
    return high, True


def _cuttable(
    formula: _Formula, failed: frozenset[str], size: int, budget: list[int], seen: dict[frozenset[str], bool]
) -> bool | None:
    """Whether `size` more failures lose the goal; None when the budget is spent before that is known."""
    if failed in seen:
        return seen[failed]
    if budget[0] <= 0:
        return None
    budget[0] -= 1
    working = formula.working_set(failed)
    if working is None:
        return True
    if size == 0:
        return False
    for id_ in sorted(working):
        found = _cuttable(formula, failed | {id_}, size - 1, budget, seen)
        if found or found is None:
            return found
    seen[failed] = False
    return False


class _Formula:
    """The goal as a monotone formula over targets, some of which are down already."""

    def __init__(self, graph: NeedGraph, goal: Goal, down: Set[str]) -> None:
        self._graph = graph
        self._goal = goal
        self._down = down
        self._ids = graph.closure(goal)
        self._targets = frozenset(id_ for id_ in self._ids if id_ in graph.estate.targets)

    def works(self, failed: frozenset[str]) -> bool:
        return self.working_set(failed) is not None

    def working_set(self, failed: frozenset[str]) -> frozenset[str] | None:
        """Some small set of targets that together keep the goal, or None when it is lost."""
        sets: dict[str, frozenset[str] | None] = {}
        for id_ in self._ids:
            if id_ in self._down or id_ in failed:
                sets[id_] = None
                continue
            base = _joined(self._graph.needs(id_), sets)
            sets[id_] = base if base is None or id_ not in self._targets else base | {id_}
        return _joined(self._goal, sets)

    def bounds(self) -> tuple[int, int]:
        """A lower and an upper bound of the cut, equal where alternatives share nothing."""
        found: dict[str, tuple[int, int] | None] = {}
        leaves: dict[str, frozenset[str]] = {}
        never = len(self._targets) + 1
        for id_ in self._ids:
            leaves[id_] = _leaves(self._graph.needs(id_), leaves) | ({id_} & self._targets)
            own = (1, 1) if id_ in self._targets else (never, never)
            rest = _bound(self._graph.needs(id_), found, leaves, never)
            dead = id_ in self._down or rest is None
            found[id_] = None if dead or rest is None else (min(own[0], rest[0]), min(own[1], rest[1]))
        return _bound(self._goal, found, leaves, never) or (0, 0)


def _joined(goal: Goal, sets: dict[str, frozenset[str] | None]) -> frozenset[str] | None:
    joined: frozenset[str] = frozenset()
    for need in goal:
        one = _chosen(need, sets) if isinstance(need, AtLeast) else sets[need]
        if one is None:
            return None
        joined |= one
    return joined


def _chosen(group: AtLeast, sets: dict[str, frozenset[str] | None]) -> frozenset[str] | None:
    alive = [one for part in group.of if (one := _joined((part,), sets)) is not None]
    if len(alive) < group.n:
        return None
    alive.sort(key=lambda one: (len(one), sorted(one)))
    return frozenset().union(*alive[: group.n])


def _leaves(goal: Goal, leaves: dict[str, frozenset[str]]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for need in goal:
        found |= _leaves(need.of, leaves) if isinstance(need, AtLeast) else leaves[need]
    return found


def _bound(
    goal: Goal, found: dict[str, tuple[int, int] | None], leaves: dict[str, frozenset[str]], never: int
) -> tuple[int, int] | None:
    low = high = never
    for need in goal:
        one = _group_bound(need, found, leaves, never) if isinstance(need, AtLeast) else found[need]
        if one is None:
            return None
        low, high = min(low, one[0]), min(high, one[1])
    return low, high


def _group_bound(
    group: AtLeast, found: dict[str, tuple[int, int] | None], leaves: dict[str, frozenset[str]], never: int
) -> tuple[int, int] | None:
    alive: list[tuple[Need, tuple[int, int]]] = []
    for part in group.of:
        one = _bound((part,), found, leaves, never)
        if one is not None:
            alive.append((part, one))
    kill = len(alive) - group.n + 1
    if kill <= 0:
        return None
    lows = sorted(one[0] for _, one in alive)[:kill]
    high = min(never, sum(sorted(one[1] for _, one in alive)[:kill]))
    parts = [_leaves((part,), leaves) for part, _ in alive]
    apart = sum(len(part) for part in parts) == len(frozenset().union(*parts))
    return (min(never, sum(lows)) if apart else lows[-1]), high
