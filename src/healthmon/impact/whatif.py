"""What would be lost if these things were taken down: areas, services, severity, the hour that hurts least. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.impact.graph import NeedGraph
from healthmon.impact.paths import paths
from healthmon.impact.severity import FallbackState, Harm, Hospital, Score, SeverityTable, Situation, score
from healthmon.model.incident import Paths, ServiceState
from healthmon.model.topology import Estate

Staffed = Callable[[str, float], bool]
#: Windows begin at whole multiples of this, in seconds; opening hours are read at every one.
STEP_S = 300.0


@dataclass(frozen=True, slots=True)
class Loss:
    """One area and one service that it would lose, or use with no spare left.

    `spares_gone`: targets whose failure alone would lose it then, and would not have by design.
    """

    area: str
    service: str
    state: ServiceState  # lost or at_risk
    paths: Paths
    spares_gone: tuple[str, ...] = ()


#: Less severe first, then fewer staffed areas without a vital service, then fewer at all.
Harmful = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One moment (Unix s) with these things down. `staffed`: the areas of `losses` where somebody works then."""

    at: float
    down: frozenset[str]
    losses: tuple[Loss, ...]
    staffed: frozenset[str]
    score: Score
    mapped: bool  # something needs what is down; otherwise the impact is not known
    harm: Harmful  # for comparing

    def of(self, state: ServiceState) -> tuple[Loss, ...]:
        return tuple(loss for loss in self.losses if loss.state is state)


@dataclass(frozen=True, slots=True)
class Window:
    """A time to do the work, [start, end) in Unix seconds, with its worst moment."""

    start: float
    end: float
    worst: Outlook


@dataclass(slots=True)
class WhatIf:
    """Answers for one estate. `planned`: (start, end, targets) of work that is already agreed."""

    estate: Estate
    table: SeverityTable
    staffed: Staffed
    planned: Sequence[tuple[float, float, frozenset[str]]] = ()
    _graph: NeedGraph = field(init=False)
    _hospital: Hospital = field(init=False)
    _losses: dict[frozenset[str], tuple[Loss, ...]] = field(default_factory=dict)
    _harms: dict[tuple[frozenset[str], frozenset[str], int], Harmful] = field(default_factory=dict)
    _scores: dict[tuple[frozenset[str], frozenset[str], frozenset[str]], Score] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._graph = NeedGraph(self.estate)
        self._hospital = Hospital.of(self.estate)

    def outlook(self, down: Collection[str], at: float) -> Outlook:
        """The moment `at` with `down` taken away, and whatever is planned to be down then."""
        gone = frozenset(down).union(*(ids for start, end, ids in self.planned if start <= at < end))
        losses = self.losses(gone)
        staffed = frozenset(area for area in {loss.area for loss in losses} if self.staffed(area, at))
        scored = self._score(gone, losses, staffed, at)
        return Outlook(at, gone, losses, staffed, scored, self._mapped(gone), self._harmful(gone, staffed, scored))

    def losses(self, down: frozenset[str]) -> tuple[Loss, ...]:
        """Every line that is lost or has no spare left, by area and service; what is planned is not added."""
        known = self._losses.get(down)
        if known is None:
            touched = {line for id_ in down if id_ in self._graph for line in self._graph.lines_behind(id_)}
            found = (self._loss(area, service, down) for area, service in sorted(touched))
            known = self._losses[down] = tuple(loss for loss in found if loss is not None)
        return known

    def windows(self, down: Collection[str], *, now: float, within_s: float, lasts_s: float) -> Iterator[Window]:
        """Every window that begins within `within_s` of now, each with its worst moment."""
        moments: dict[float, Outlook] = {}
        start = -(-now // STEP_S) * STEP_S
        while start <= now + within_s:
            count = max(1, int(-(-lasts_s // STEP_S)))
            times = [start + number * STEP_S for number in range(count)]
            for at in times:
                if at not in moments:
                    moments[at] = self.outlook(down, at)
            yield Window(start, start + lasts_s, max((moments[at] for at in times), key=lambda one: one.harm))
            moments.pop(start)
            start += STEP_S

    def least_harmful(
        self, down: Collection[str], *, now: float, within_s: float, lasts_s: float
    ) -> tuple[Window, Window]:
        """(the best window, the earliest of equals; the worst one, for comparison)."""
        every = list(self.windows(down, now=now, within_s=within_s, lasts_s=lasts_s))
        return min(every, key=lambda window: window.worst.harm), max(every, key=lambda window: window.worst.harm)

    def _loss(self, area: str, service: str, down: frozenset[str]) -> Loss | None:
        left = paths(self._graph, area, service, down)
        if left.left == 0:
            return Loss(area, service, ServiceState.LOST, left)
        goal, targets = self._graph.goal(area, service), self.estate.targets
        new = self._graph.single_points(goal, down) - self._graph.single_points(goal, frozenset())
        gone = tuple(sorted(id_ for id_ in new if id_ in targets))
        if gone or (left.left == 1 and left.of > 1):
            return Loss(area, service, ServiceState.AT_RISK, left, gone)
        return None

    def _harmful(self, down: frozenset[str], staffed: frozenset[str], scored: Score) -> Harmful:
        """Moments are compared by the thousand and differ in little: worked out once for each that differs."""
        key = (down, staffed, scored.severity)
        known = self._harms.get(key)
        if known is None:
            hit = [loss for loss in self.losses(down) if loss.area in staffed]
            lost = [loss.area for loss in hit if loss.state is ServiceState.LOST]
            known = self._harms[key] = (-scored.severity, len(set(lost)), len(lost), len(hit) - len(lost))
        return known

    def _mapped(self, down: Iterable[str]) -> bool:
        return all(id_ in self._graph and bool(self._graph.lines_behind(id_)) for id_ in down)

    def _score(self, down: frozenset[str], losses: Sequence[Loss], staffed: frozenset[str], at: float) -> Score:
        """As an incident would be scored then; a fallback counts as unproven, since nobody can prove it ahead."""
        inpatient = frozenset(area for area in self._hospital.inpatient if self.staffed(area, at))
        key = (down, staffed, inpatient)
        known = self._scores.get(key)
        if known is None:
            devices = bool(down) and all(self._end_device(id_) for id_ in down)
            situation = Situation(
                harms=tuple(self._harm(loss, loss.area in staffed) for loss in losses),
                mapped=any(self._graph.lines_behind(id_) for id_ in down if id_ in self._graph) or devices,
                single_device=devices and not losses,
                staffed=any(self._staffed_at_home(id_, at) for id_ in down),
            )
            known = self._scores[key] = score(self.table, self._hospital.at(inpatient), situation)
        return known

    def _harm(self, loss: Loss, staffed: bool) -> Harm:
        service = self.estate.services[loss.service]
        fallback = FallbackState.UNPROVEN if service.fallback else FallbackState.NONE
        return Harm(loss.area, loss.service, loss.state, service.tier, staffed, fallback)

    def _end_device(self, id_: str) -> bool:
        target = self.estate.targets.get(id_)
        roles = {role for agent in self.estate.agents.values() if agent.target == id_ for role in agent.roles}
        return target is not None and bool((roles | {target.kind}) & set(self.table.end_devices))

    def _staffed_at_home(self, id_: str, at: float) -> bool:
        target = self.estate.targets.get(id_)
        return target is None or target.area is None or self.staffed(target.area, at)


def behind(estate: Estate, down: Collection[str]) -> tuple[str, ...]:
    """Targets that cannot be reached or cannot work while these are down, themselves aside."""
    graph = NeedGraph(estate)
    own: Mapping[str, bool] = {id_: id_ not in down for id_ in (*estate.targets, *estate.services)}
    followers = sorted({id_ for one in down if one in graph for id_ in graph.descendants(one)} - set(down))
    ids = graph.closure(tuple(followers))
    states = graph.states(ids, lambda id_: own[id_])
    return tuple(id_ for id_ in followers if id_ in estate.targets and states[id_] is False)
