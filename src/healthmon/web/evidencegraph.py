"""The evidence graph of one incident: the cause, what fails with it, what hangs on it, areas and services hit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from healthmon.impact.graph import NeedGraph
from healthmon.impact.grounds import graph_of
from healthmon.model.incident import ImpactLine, Incident, Member, Root, ServiceState
from healthmon.model.topology import need_ids
from healthmon.model.view import View
from healthmon.web.drawing import Box, Drawing, Edge, layered, ranks
from healthmon.web.matrix import acuity_rank, state_rank
from healthmon.web.targetrows import target_state
from healthmon.web.words import STATE_WORDS, confidence_words, reason_words

#: So many boxes of a kind are drawn; the rest is one box with its count.
MEMBERS_MOST, SERVICES_MOST, AREAS_MOST, LINES_MOST, ALTERNATIVES_MOST = 8, 6, 9, 3, 3
TITLE_MOST = 26


def evidence_graph(incident: Incident, view: View) -> Drawing:
    """From the cause on the left to the areas on the right; empty when there is nothing to draw."""
    case = _Case(incident, view)
    boxes = [*case.causes(), *case.members(), *case.services(), *case.areas()]
    edges = list(dict.fromkeys(case.edges(boxes)))
    return layered(boxes, edges, case.layers(boxes, edges), left_out=case.left_out)


class _Case:
    def __init__(self, incident: Incident, view: View) -> None:
        self._incident, self._view, self._estate = incident, view, view.estate
        self._graph: NeedGraph = graph_of(view.estate)
        root = incident.root
        self._causes = (root.target, *root.alternatives[:ALTERNATIVES_MOST]) if root else ()
        self._by_target: dict[str, list[Member]] = {}
        for member in incident.members:
            self._by_target.setdefault(member.key.target, []).append(member)
        self._others = sorted((id_ for id_ in self._by_target if id_ not in self._causes), key=self._member_order)
        self._hit = [line for line in incident.impact if line.state is not ServiceState.OK]
        self._by_area: dict[str, list[ImpactLine]] = {}
        for line in sorted(self._hit, key=lambda line: state_rank(line.state.value)):
            self._by_area.setdefault(line.area, []).append(line)
        self.left_out = 0

    def causes(self) -> Iterator[Box]:
        root = self._incident.root
        for number, id_ in enumerate(self._causes):
            assert root is not None
            yield self._target_box(id_, role=cause_words(root) if number == 0 else "also possible")

    def members(self) -> Iterator[Box]:
        for id_ in self._others[:MEMBERS_MOST]:
            behind = all(member.behind for member in self._by_target[id_])
            yield self._target_box(id_, role="behind it" if behind else "fails too")
        more = self._others[MEMBERS_MOST:]
        if more:
            self.left_out += len(more)
            failing = sum(1 for id_ in more if any(m.cleared_at is None for m in self._by_target[id_]))
            lines = (f"{failing} of them fail now",)
            yield Box("*members", f"{len(more)} more targets", "more", "…", lines, "more", "#members")

    def services(self) -> Iterator[Box]:
        worst: dict[str, ServiceState] = {}
        count: dict[str, int] = {}
        for line in self._hit:
            count[line.service] = count.get(line.service, 0) + 1
            if line.service not in worst or state_rank(line.state.value) < state_rank(worst[line.service].value):
                worst[line.service] = line.state
        ordered = sorted(worst, key=lambda id_: (state_rank(worst[id_].value), -count[id_], id_))
        shown = [id_ for id_ in ordered if self._below(id_)]
        self.left_out += max(0, len(shown) - SERVICES_MOST)
        for id_ in shown[:SERVICES_MOST]:
            service = self._estate.services.get(id_)
            word, symbol = STATE_WORDS[worst[id_]]
            areas = f"in {count[id_]} area{'s' if count[id_] > 1 else ''}"
            title = _cut(service.name if service else id_)
            state, href = worst[id_].value, f"/map?service={id_}"
            yield Box(f"service:{id_}", title, state, symbol, (word, areas), "service", href)

    def areas(self) -> Iterator[Box]:
        ordered = sorted(self._by_area, key=self._area_order)
        for id_ in ordered[:AREAS_MOST]:
            area, lines = self._estate.areas.get(id_), self._by_area[id_]
            said = [self._line_words(line) for line in lines[:LINES_MOST]]
            said += [f"and {len(lines) - LINES_MOST} more"] if len(lines) > LINES_MOST else []
            worst = lines[0].state
            title = _cut(area.name if area else id_)
            yield Box(f"area:{id_}", title, worst.value, STATE_WORDS[worst][1], tuple(said), "area", f"/map?area={id_}")
        more = ordered[AREAS_MOST:]
        if more:
            self.left_out += len(more)
            lines_more = sum(len(self._by_area[id_]) for id_ in more)
            yield Box(
                "*areas", f"{len(more)} more areas", "more", "…", (f"{lines_more} services hit",), "more", "#impact"
            )

    def edges(self, boxes: Iterable[Box]) -> Iterator[Edge]:
        shown = {box.id for box in boxes}
        for id_ in (*self._causes, *self._others[:MEMBERS_MOST]):
            for parent in self._parents(id_, shown):
                yield Edge(parent, id_, "need", f"{id_} needs {parent}")
        if "*members" in shown:
            behind = {m.behind for id_ in self._others[MEMBERS_MOST:] for m in self._by_target[id_] if m.behind}
            for parent in sorted(behind & shown):
                yield Edge(parent, "*members", "need", f"they are behind {parent}")
        for box_id in shown:
            kind, _, id_ = box_id.partition(":")
            if kind == "service":
                yield from (Edge(p, box_id, "need", f"{id_} needs {p}") for p in sorted(self._above(id_, shown)))
            elif kind == "area":
                yield from self._area_edges(id_, shown)
        if "*areas" in shown and self._causes:
            first = next((box for box in sorted(shown) if box.startswith("service:")), self._causes[0])
            yield Edge(first, "*areas", "hit", "more areas are hit")

    def layers(self, boxes: Iterable[Box], edges: Iterable[Edge]) -> dict[str, int]:
        """Targets by what needs what, then services, then areas."""
        targets = [box.id for box in boxes if ":" not in box.id and box.id != "*areas"]
        found = ranks(targets, edges)
        last = max(found.values(), default=0)
        for box in boxes:
            if box.id not in found:
                found[box.id] = last + (1 if box.id.startswith("service:") else 2)
        return found

    def _area_edges(self, area_id: str, shown: set[str]) -> Iterator[Edge]:
        box_id = f"area:{area_id}"
        lines, area = self._by_area[area_id], self._estate.areas.get(area_id)
        drawn = [line for line in lines if f"service:{line.service}" in shown]
        for line in drawn:
            yield Edge(f"service:{line.service}", box_id, "hit", self._line_words(line))
        if area is None or len(drawn) == len(lines):
            return  # the services say it all
        failing = {id_ for id_ in self._by_target if id_ in shown} or shown & set(self._causes[:1])
        for need in need_ids(area.needs):
            for parent in sorted({need} & failing or self._above(need, failing)):
                yield Edge(parent, box_id, "hit", f"{area_id} needs {parent}")

    def _parents(self, id_: str, shown: set[str]) -> list[str]:
        """The nearest shown things that it needs, or that it is behind (seen only from there)."""
        found = self._above(id_, shown)
        behind = {m.behind for m in self._by_target.get(id_, ()) if m.behind}
        return sorted(found or (behind & shown) - {id_})

    def _above(self, id_: str, shown: set[str]) -> set[str]:
        """The nearest shown targets among what it needs, directly or not."""
        found: set[str] = set()
        seen, todo = {id_}, [id_]
        while todo:
            for need in need_ids(self._graph.needs(todo.pop())):
                if need in seen:
                    continue
                seen.add(need)
                if need in shown:
                    found.add(need)
                else:
                    todo.append(need)
        return found

    def _below(self, service: str) -> bool:
        """Whether the service itself, in every area, hangs on something that fails here."""
        if service not in self._graph:
            return False
        failing = set(self._causes) | set(self._by_target)
        return bool(failing.intersection(self._graph.requires(service)))

    def _target_box(self, id_: str, *, role: str) -> Box:
        target = self._estate.targets.get(id_)
        state, word, symbol = target_state(self._view.targets.get(id_))
        own = self._by_target.get(id_, [])
        failing = [member for member in own if member.cleared_at is None]
        if failing and state == "ok":
            state, symbol, word = "degraded", "◐", "answers, but fails a rule"
        reason = next((reason_words(member.reason) for member in failing if member.reason), "")
        said = reason if reason and state == "lost" else word
        name = _cut(target.name if target else id_)
        lines = (said,) if name == id_ else (_cut(id_), said)
        return Box(id_, name, state, symbol, (*lines, role), self._part(id_), f"/targets/{id_}")

    def _part(self, id_: str) -> str:
        if id_ not in self._causes:
            return "member"
        return "cause" if id_ == self._causes[0] else "maybe"

    def _line_words(self, line: ImpactLine) -> str:
        service = self._estate.services.get(line.service)
        return f"{STATE_WORDS[line.state][1]} {_cut(service.name if service else line.service)}"

    def _member_order(self, id_: str) -> tuple[bool, bool, float, str]:
        own = self._by_target[id_]
        return all(m.cleared_at for m in own), all(m.behind for m in own), min(m.since for m in own), id_

    def _area_order(self, id_: str) -> tuple[int, int, str]:
        area = self._estate.areas.get(id_)
        return state_rank(self._by_area[id_][0].state.value), acuity_rank(area) if area else 9, id_


def cause_words(root: Root) -> str:
    """`very likely the cause`, `likely the cause`, or `one of these`."""
    sure = confidence_words(root.confidence)
    if sure == "one of these":
        return sure if root.alternatives else "likely the cause"
    return f"{sure} the cause"


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_MOST else text[: TITLE_MOST - 1] + "…"
