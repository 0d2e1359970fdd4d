"""The map of needs: what rests on what, for one site, area, service or target, in layers from left to right. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from healthmon.impact.graph import NeedGraph
from healthmon.impact.grounds import graph_of
from healthmon.model.incident import ServiceState
from healthmon.model.topology import AtLeast, Estate, Need, need_ids
from healthmon.model.view import View
from healthmon.web.drawing import Box, Drawing, Edge, layered, ranks
from healthmon.web.matrix import state_rank
from healthmon.web.targetrows import target_state
from healthmon.web.words import STATE_WORDS

#: Beyond so many boxes a drawing tells nothing.
BOXES_MOST = 110
TITLE_MOST = 25
_TARGET_RANKS = {"lost": 0, "unknown": 1, "suppressed": 2, "ok": 3}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the estate is asked for; empty means all. amiss: only what does not work, with what it rests on."""

    site: str = ""
    area: str = ""
    service: str = ""
    target: str = ""
    amiss: bool = False


@dataclass(frozen=True, slots=True)
class NeedMap:
    """The drawing, and how many things it stands for. folded: boxes that stand for several things alike."""

    drawing: Drawing
    things: int
    folded: int


def need_map(view: View, wanted: Wanted) -> NeedMap:
    """Targets, services and areas with their needs. What works and is alike is one box; failing things stand alone."""
    chart = _Chart(view, wanted)
    ids = chart.ids()
    alike = chart.folded(ids)
    shown = sorted(alike, key=chart.weight)[:BOXES_MOST]
    boxes = [chart.box(alike[key]) for key in sorted(shown)]
    named = {id_: alike[key][0] for key in shown for id_ in alike[key]}
    edges = list(dict.fromkeys(chart.edges(named)))
    layers = ranks([box.id for box in boxes], edges)
    last = max(layers.values(), default=0)
    layers.update((box.id, last + 1) for box in boxes if box.role == "area")
    left_out = len(ids) - len(named)
    folded = sum(1 for key in shown if len(alike[key]) > 1)
    return NeedMap(layered(boxes, edges, layers, left_out=left_out), len(ids), folded)


class _Chart:
    def __init__(self, view: View, wanted: Wanted) -> None:
        self._view, self._estate, self._wanted = view, view.estate, wanted
        self._graph: NeedGraph = graph_of(view.estate)
        self._worst = _worst_by_service(view)
        self._needed = _needed(view.estate)

    def ids(self) -> list[str]:
        """Everything on the map: `area:ID` for areas, plain ids for targets and services."""
        wanted, estate = self._wanted, self._estate
        if wanted.target or wanted.service or wanted.area:
            found = set(self._around())
        else:
            areas = [area for area in estate.areas.values() if wanted.site in ("", area.site)]
            targets = [target for target in estate.targets.values() if wanted.site in ("", target.site)]
            found = {f"area:{area.id}" for area in areas if area.needs} | {target.id for target in targets}
            used = {id_ for id_, s in estate.services.items() if not wanted.site or self._used(s.used_in)}
            found |= used
            for area in areas:
                found.update(self._graph.closure(area.needs))
        if wanted.amiss:
            bad = {id_ for id_ in found if self._state(id_)[0] not in ("ok", "none")}
            found = bad | {need for id_ in bad for need in self._needs_of(id_)} & found
        return sorted(found)

    def folded(self, ids: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
        """Well things of one kind with the same needs, area and users count as one."""
        found: dict[tuple[str, ...], list[str]] = {}
        for id_ in ids:
            found.setdefault(self._likeness(id_), []).append(id_)
        return found

    def weight(self, key: tuple[str, ...]) -> tuple[int, int, tuple[str, ...]]:
        """What is kept when there is too much: trouble first, then what most rests on."""
        rank = int(key[1])
        return rank, -int(key[2]), key

    def box(self, ids: list[str]) -> Box:
        id_ = ids[0]
        if len(ids) > 1:
            target = self._estate.targets[id_]
            area_of = self._estate.areas.get(target.area or "")
            place = area_of.name if area_of else ""
            lines = (_cut(place),) if place else ()
            return Box(id_, f"{len(ids)} {target.kind}s answer", "ok", "✓", lines, "more")
        state, word, symbol = self._state(id_)
        if id_.startswith("area:"):
            area = self._estate.areas[id_[5:]]
            return Box(id_, _cut(area.name), state, symbol, (word,), "area", f"/map?area={area.id}")
        if id_ in self._estate.services:
            service = self._estate.services[id_]
            role = ("service", f"/map?service={id_}")
            return Box(id_, _cut(service.name), state, symbol, (f"service: {word}",), *role)
        target = self._estate.targets[id_]
        return Box(id_, _cut(target.name), state, symbol, (f"{target.kind}: {word}",), "member", f"/targets/{id_}")

    def edges(self, named: Mapping[str, str]) -> Iterator[Edge]:
        """Need edges between the boxes; one need of several that may fail is `any`."""
        for id_, box in named.items():
            for need in self._goal(id_):
                group = isinstance(need, AtLeast)
                says = f"{id_} needs {_need_words(need)}"
                for one in need_ids((need,)):
                    if one in named and named[one] != box:
                        yield Edge(named[one], box, "any" if group else "need", says)

    def _around(self) -> Iterator[str]:
        """What the chosen thing rests on, and what rests on it."""
        wanted, graph = self._wanted, self._graph
        if wanted.area in self._estate.areas:
            area = self._estate.areas[wanted.area]
            yield f"area:{area.id}"
            for service in self._estate.services.values():
                if area.id in service.used_in and wanted.service in ("", service.id):
                    yield from graph.closure(graph.goal(area.id, service.id))
            yield from graph.closure(area.needs)
            return
        for id_ in (wanted.service, wanted.target):
            if id_ and id_ in graph:
                yield id_
                yield from graph.requires(id_)
                yield from graph.descendants(id_)
                below = {id_, *graph.descendants(id_)}
                for area in self._estate.areas.values():
                    if below.intersection(need_ids(area.needs)):
                        yield f"area:{area.id}"

    def _likeness(self, id_: str) -> tuple[str, ...]:
        state = self._state(id_)[0]
        users = self._needed.get(id_, 0)
        target = self._estate.targets.get(id_)
        rank = _TARGET_RANKS.get(state, 3) if target else min(3, state_rank(state))
        if target is None or state != "ok" or users or id_ == self._wanted.target:
            return ("one", str(rank), str(users), id_)
        needs = ",".join(sorted(need_ids(target.needs)))
        return ("like", str(rank), "0", target.kind, target.area or "", needs)

    def _state(self, id_: str) -> tuple[str, str, str]:
        """(css class, word, symbol)."""
        if id_.startswith("area:"):
            states = [s.state for (area, _), s in self._view.services.items() if area == id_[5:]]
            return _service_words(min(states, key=lambda s: state_rank(s.value), default=None))
        if id_ in self._estate.services:
            return _service_words(self._worst.get(id_))
        return target_state(self._view.targets.get(id_))

    def _goal(self, id_: str) -> tuple[Need, ...]:
        return self._estate.areas[id_[5:]].needs if id_.startswith("area:") else self._graph.needs(id_)

    def _needs_of(self, id_: str) -> tuple[str, ...]:
        return self._graph.closure(self._goal(id_))

    def _used(self, areas: Iterable[str]) -> bool:
        return any(self._estate.areas[id_].site == self._wanted.site for id_ in areas if id_ in self._estate.areas)


def _service_words(state: ServiceState | None) -> tuple[str, str, str]:
    if state is None:
        return "none", "not used in an area", "–"
    word, symbol = STATE_WORDS[state]
    return state.value, "no fault seen" if state is ServiceState.OK else word, symbol


def _worst_by_service(view: View) -> dict[str, ServiceState]:
    found: dict[str, ServiceState] = {}
    for (_, service), status in view.services.items():
        known = found.get(service)
        if known is None or state_rank(status.state.value) < state_rank(known.value):
            found[service] = status.state
    return found


def _needed(estate: Estate) -> dict[str, int]:
    """How many things need each directly."""
    found: dict[str, int] = {}
    goals = [target.needs for target in estate.targets.values()]
    goals += [service.needs for service in estate.services.values()]
    goals += [area.needs for area in estate.areas.values()]
    for goal in goals:
        for id_ in set(need_ids(goal)):
            found[id_] = found.get(id_, 0) + 1
    return found


def _need_words(need: Need) -> str:
    if isinstance(need, AtLeast):
        return f"{need.n} of {', '.join(_need_words(one) for one in need.of)}"
    return need


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_MOST else text[: TITLE_MOST - 1] + "…"
