"""Who needs what: the declared, directed, acyclic graph of targets and services, evaluated with three values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from graphlib import CycleError, TopologicalSorter

from healthmon.model.topology import AtLeast, Estate, Need, need_ids

#: Kleene's three values: True works, False does not, None is not known.
Tri = bool | None
#: What is known of a thing by itself, whatever it needs.
Own = Callable[[str], Tri]
_NOBODY: frozenset[str] = frozenset()
#: All of these must work.
Goal = tuple[Need, ...]


def all_of(states: Iterable[Tri]) -> Tri:
    """Down beats unknown beats up."""
    result: Tri = True
    for state in states:
        if state is False:
            return False
        if state is None:
            result = None
    return result


def k_of_n(least: int, states: Iterable[Tri]) -> Tri:
    """Up when `least` are up for sure, down when `least` can no longer be reached, else unknown."""
    up = unsure = 0
    for state in states:
        up += state is True
        unsure += state is None
    if up >= least:
        return True
    return False if up + unsure < least else None


def need_state(need: Need, states: Mapping[str, Tri]) -> Tri:
    """One need, given the states of every id that it names."""
    if isinstance(need, AtLeast):
        return k_of_n(need.n, (need_state(part, states) for part in need.of))
    return states[need]


class NeedGraph:
    """Targets and services with what they need. Refuses cycles and unknown ids; closures are cached."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self._needs: dict[str, Goal] = {id_: service.needs for id_, service in estate.services.items()}
        self._needs.update((id_, target.needs) for id_, target in estate.targets.items())
        self._order = _ranked(self._needs)
        self._requires: dict[str, tuple[str, ...]] = {}
        self._strict: dict[str, frozenset[str]] = {}
        self._needed_by = _inverted(self._needs)
        self._descendants: dict[str, frozenset[str]] = {}
        self._lines: dict[str, tuple[tuple[str, str], ...]] | None = None
        self._closures: dict[Goal, tuple[str, ...]] = {}
        groups = tuple(need for goal in self._needs.values() for need in goal if isinstance(need, AtLeast))
        self._groups = groups
        self._grouped = frozenset(need_ids(groups))
        self._spared: dict[str, bool] = {}
        self._beside: dict[str, frozenset[str]] = {}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._needs

    def needs(self, id_: str) -> Goal:
        return self._needs.get(id_, ())

    def goal(self, area: str, service: str) -> Goal:
        """Everything that must work so that `area` can use `service`."""
        return (*self.estate.areas[area].needs, service)

    def in_order(self, ids: Iterable[str]) -> list[str]:
        """Needed things first."""
        return sorted(ids, key=self._rank)

    def closure(self, goal: Goal) -> tuple[str, ...]:
        """Every id that the goal names or that those need, needed things first."""
        known = self._closures.get(goal)
        if known is None:
            found: set[str] = set()
            for id_ in need_ids(goal):
                found.add(id_)
                found.update(self.requires(id_))
            known = self._closures[goal] = tuple(sorted(found, key=self._rank))
        return known

    def requires(self, id_: str) -> tuple[str, ...]:
        """Every thing that `id_` needs, directly or not, groups included; needed things first."""
        known = self._requires.get(id_)
        if known is None:
            found = _reach(id_, lambda node: need_ids(self._needs.get(node, ())))
            known = self._requires[id_] = tuple(sorted(found, key=self._rank))
        return known

    def descendants(self, id_: str) -> frozenset[str]:
        """Every thing that needs `id_`, directly or not, groups included."""
        if id_ not in self._needed_by:
            return _NOBODY
        known = self._descendants.get(id_)
        if known is None:
            known = self._descendants[id_] = frozenset(_reach(id_, lambda node: self._needed_by.get(node, ())))
        return known

    def strict(self, id_: str) -> frozenset[str]:
        """The things whose failure alone takes `id_` down: what redundancy does not cover."""
        if id_ not in self._strict:
            for node in (*self.requires(id_), id_):
                if node not in self._strict:
                    self._strict[node] = _single_points(self._needs.get(node, ()), self._strict)
        return self._strict[id_]

    def spared(self, id_: str) -> bool:
        """Whether it, or something that needs it, is one of several of which some are enough."""
        known = self._spared.get(id_)
        if known is None:
            known = id_ in self._grouped or not self._grouped.isdisjoint(self.descendants(id_))
            self._spared[id_] = known
        return known

    def beside(self, id_: str) -> frozenset[str]:
        """What is named with it where some of several are enough."""
        if id_ not in self._grouped:
            return _NOBODY
        known = self._beside.get(id_)
        if known is None:
            named = (frozenset(need_ids((group,))) for group in self._groups)
            known = self._beside[id_] = _NOBODY.union(*(ids for ids in named if id_ in ids)) - {id_}
        return known

    def single_points(self, goal: Goal, down: Set[str]) -> frozenset[str]:
        """What alone would lose the goal, with these down already; empty when it is lost."""
        strict: dict[str, frozenset[str] | None] = {}
        for id_ in self.closure(goal):
            strict[id_] = None if id_ in down else _points_left(self._needs.get(id_, ()), strict)
        return _points_left(goal, strict) or frozenset()

    def evaluate(self, goal: Goal, own: Own) -> Tri:
        """The state of the goal when every thing by itself is as `own` says."""
        states = self.states(self.closure(goal), own)
        return all_of(need_state(need, states) for need in goal)

    def states(self, ids: Iterable[str], own: Own) -> dict[str, Tri]:
        """The effective state of each id; `ids` must hold what they need, needed things first."""
        states: dict[str, Tri] = {}
        for id_ in ids:
            needs = self._needs.get(id_, ())
            states[id_] = all_of((own(id_), *(need_state(need, states) for need in needs)))
        return states

    def lines_behind(self, id_: str) -> tuple[tuple[str, str], ...]:
        """The (area, service) pairs in whose path the thing stands, redundantly or not."""
        return self.index().get(id_, ())

    def index(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """The (area, service) pairs behind each thing, made when they are first asked for."""
        if self._lines is None:
            self._lines = self._index_lines()
        return self._lines

    def lines(self) -> list[tuple[str, str]]:
        """Every (area, service) pair in use."""
        services = self.estate.services
        return sorted((area, id_) for id_ in services for area in services[id_].used_in)

    def _index_lines(self) -> dict[str, tuple[tuple[str, str], ...]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for area, service in self.lines():
            for id_ in self.closure(self.goal(area, service)):
                found.setdefault(id_, []).append((area, service))
        return {id_: tuple(lines) for id_, lines in found.items()}

    def _rank(self, id_: str) -> int:
        return self._order[id_]


class Explanation:
    """Which failing things account for which: a redundant group with enough survivors accounts for nothing."""

    def __init__(self, graph: NeedGraph, failing: Iterable[str]) -> None:
        self._graph = graph
        self.failing = frozenset(failing)
        #: All that can be concerned at all: what fails, and what needs it.
        self._touched = self.failing.union(*(graph.descendants(id_) for id_ in self.failing))
        self._down: dict[str, bool] = {}
        self._culprits: dict[str, frozenset[str]] = {}
        #: What is blamed for a goal, and whether it is lost: hundreds of devices need the same switch.
        self._judged: dict[Goal, tuple[frozenset[str], bool]] = {}

    def down(self, id_: str) -> bool:
        """Whether the thing cannot work, given what fails."""
        if id_ not in self._touched:
            return False
        if id_ not in self._down:
            self._learn(id_)
        return self._down[id_]

    def culprits(self, id_: str) -> frozenset[str]:
        """The topmost failing things behind what `id_` needs; empty when nothing it needs explains it."""
        if id_ not in self._touched:
            return _NOBODY
        if id_ not in self._culprits:
            self._learn(id_)
        return self._culprits[id_]

    def lost(self, goal: Goal) -> bool:
        """Whether the goal cannot be reached, given what fails."""
        for id_ in need_ids(goal):
            self.down(id_)
        return any(not self._works(need) for need in goal)

    def of_goal(self, goal: Goal) -> frozenset[str]:
        """The topmost failing things that lose the goal."""
        for id_ in need_ids(goal):
            self.down(id_)
        return self._blame(goal)

    def _learn(self, id_: str) -> None:
        for node in (*self._graph.requires(id_), id_):
            if node in self._touched and node not in self._down:
                self._culprits[node], lost = self._judge(self._graph.needs(node))
                self._down[node] = lost or node in self.failing

    def _judge(self, goal: Goal) -> tuple[frozenset[str], bool]:
        """All that the goal needs is known by now."""
        known = self._judged.get(goal)
        if known is None:
            known = self._judged[goal] = (self._blame(goal), any(not self._works(need) for need in goal))
        return known

    def _works(self, need: Need) -> bool:
        if isinstance(need, AtLeast):
            return sum(self._works(part) for part in need.of) >= need.n
        return not self._down.get(need, False)

    def _blame(self, goal: Goal) -> frozenset[str]:
        blamed: set[str] = set()
        for need in goal:
            if self._works(need):
                continue
            if isinstance(need, AtLeast):
                blamed |= self._blame(need.of)
            else:
                blamed |= self._culprits[need] or {need}
        return frozenset(blamed)


def _single_points(goal: Goal, strict: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    for need in goal:
        if isinstance(need, AtLeast):
            found |= _group_points(need, strict)
        else:
            found |= strict[need] | {need}
    return frozenset(found)


def _group_points(group: AtLeast, strict: Mapping[str, frozenset[str]]) -> set[str]:
    parts = [_single_points((part,), strict) for part in group.of]
    named = set().union(*parts) if parts else set()
    return {id_ for id_ in named if sum(id_ not in part for part in parts) < group.n}


def _points_left(goal: Goal, strict: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
    """Single points of a goal where some things are down (None); None when the goal is lost."""
    found: set[str] = set()
    for need in goal:
        if isinstance(need, AtLeast):
            alive = [points for part in need.of if (points := _points_left((part,), strict)) is not None]
            if len(alive) < need.n:
                return None
            named = set().union(*alive)
            found |= {id_ for id_ in named if sum(id_ not in points for points in alive) < need.n}
        else:
            own = strict[need]
            if own is None:
                return None
            found |= own | {need}
    return frozenset(found)


def _reach(start: str, step: Callable[[str], Iterable[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for id_ in step(todo.pop()):
            if id_ not in found:
                found.add(id_)
                todo.append(id_)
    return found


def _inverted(needs: Mapping[str, Goal]) -> dict[str, tuple[str, ...]]:
    inverted: dict[str, list[str]] = {}
    for id_, goal in needs.items():
        for needed in dict.fromkeys(need_ids(goal)):
            inverted.setdefault(needed, []).append(id_)
    return {id_: tuple(users) for id_, users in inverted.items()}


def _ranked(needs: Mapping[str, Goal]) -> dict[str, int]:
    edges = {id_: set(need_ids(goal)) for id_, goal in needs.items()}
    unknown = sorted(set().union(*edges.values()) - set(edges)) if edges else []
    if unknown:
        raise ValueError(f"needs name unknown things: {', '.join(unknown[:5])}")
    ordered = {id_: sorted(wanted) for id_, wanted in sorted(edges.items())}
    try:
        order = list(TopologicalSorter(ordered).static_order())
    except CycleError as error:
        raise ValueError(f"needs go in a circle: {' -> '.join(error.args[1])}") from error
    return {id_: rank for rank, id_ in enumerate(order)}
