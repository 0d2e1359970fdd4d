"""Whom it hurts: which area is losing which service because of a group, and what that amounts to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import Group, Troubles
from healthmon.impact.graph import Explanation, NeedGraph
from healthmon.impact.paths import paths
from healthmon.impact.severity import FallbackState, Harm, Hospital, SeverityTable
from healthmon.model.incident import ImpactLine, Paths, ServiceState
from healthmon.model.sample import Outcome
from healthmon.model.topology import Check, Service

Line = tuple[str, str]
Staffed = Callable[[str, float], bool]
#: A reading that proves a fallback may be this much older than its interval: the probe itself takes time.
_PROOF_SLACK_S = 2.0
#: A newer proof is written down only when it is so much newer, so that an open incident does not change all the time.
_PROOF_STEP_S = 60.0
#: Cuts off everything behind it when it goes; what a device needs of a server or controller it can be without.
_CARRIES = frozenset({"switch", "router"})
_NOTHING: frozenset[str] = frozenset()
_DEPTH = {"icmp": 0, "snmp": 1, "tcp": 1, "dns": 1, "tls": 2, "http": 3}


@dataclass(slots=True)
class PathCache:
    """Paths are dear; they change only with what is down on the way."""

    graph: NeedGraph
    _known: dict[tuple[Line, frozenset[str]], Paths] = field(default_factory=dict)
    _closures: dict[Line, frozenset[str]] = field(default_factory=dict)
    _points: dict[tuple[Line, frozenset[str]], frozenset[str]] = field(default_factory=dict)

    def new_single_points(self, line: Line, down: Collection[str]) -> frozenset[str]:
        """Targets whose failure alone would lose the line now, and would not have by design."""
        on_the_way = self.closure(line).intersection(down)
        known = self._points.get((line, on_the_way))
        if known is None:
            if len(self._points) > 50_000:
                self._points.clear()
            goal, targets = self.graph.goal(*line), self.graph.estate.targets
            new = self.graph.single_points(goal, on_the_way) - self.graph.single_points(goal, frozenset())
            known = self._points[(line, on_the_way)] = frozenset(id_ for id_ in new if id_ in targets)
        return known

    def of(self, line: Line, down: Collection[str]) -> Paths:
        closure = self.closure(line)
        on_the_way = closure.intersection(down)
        known = self._known.get((line, on_the_way))
        if known is None:
            if len(self._known) > 50_000:
                self._known.clear()
            design = self.of(line, _NOTHING) if on_the_way else None
            known = self._known[(line, on_the_way)] = paths(self.graph, *line, on_the_way, design=design)
        return known

    def closure(self, line: Line) -> frozenset[str]:
        known = self._closures.get(line)
        if known is None:
            known = self._closures[line] = frozenset(self.graph.closure(self.graph.goal(*line)))
        return known


class Losses:
    """The state of every line under the present troubles, as far as each area's own evidence allows."""

    def __init__(self, evidence: Evidence, troubles: Troubles, cache: PathCache, now: float) -> None:
        self._evidence = evidence
        self._graph = evidence.graph
        self._troubles = troubles
        self._cache = cache
        self._now = now
        self._seen_down: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._explanations: dict[frozenset[str], Explanation] = {}

    def state(self, line: Line, *, only: Collection[str] | None = None, without: Collection[str] = ()) -> ServiceState:
        """Lost, degraded, at risk or ok, with all troubles, with `only` some, or `without` some."""
        down, degraded = self.seen_from(line[0])
        down, degraded = _limited(down, only, without), _limited(degraded, only, without)
        if self._lost(line, down):
            return ServiceState.LOST
        if degraded and self._lost(line, down | degraded):
            return ServiceState.DEGRADED
        if down and self._cache.closure(line) & down:
            left = self._cache.of(line, down)
            return ServiceState.AT_RISK if left.left == 1 and left.of > 1 else ServiceState.OK
        return ServiceState.OK

    @property
    def down(self) -> Collection[str]:
        """What is gone by itself, for everybody."""
        return self._troubles.down

    def paths(self, line: Line) -> Paths:
        return self._cache.of(line, self.seen_from(line[0])[0])

    def taken_with(self, nodes: Iterable[str], among: Callable[[str], bool]) -> frozenset[str]:
        """What (`among` those that matter) is cut off because these switches are down, and was not heard of since."""
        troubles, graph = self._troubles, self._graph
        carries = (id_ for id_ in nodes if id_ in graph and self._evidence.kind(id_) in _CARRIES)
        down = frozenset(id_ for id_ in carries if id_ in troubles.down)
        if not down:
            return down
        explanation = self._explained(frozenset(troubles.down))
        behind = frozenset[str]().union(*(graph.descendants(id_) for id_ in down))
        since = {id_: troubles.down[id_] for id_ in down}
        return frozenset(
            id_
            for id_ in behind
            if among(id_)
            and (blamed := explanation.culprits(id_) & down)
            and not self._evidence.alive_since(id_, min(since[one] for one in blamed), self._now)
        )

    def seen_from(self, area: str) -> tuple[frozenset[str], frozenset[str]]:
        """What is down and what is degraded for this area: a looker inside it overrules the others."""
        known = self._seen_down.get(area)
        if known is None:
            troubles = self._troubles
            down = {id_ for id_, since in troubles.down.items() if not self._works_from(area, id_, since)}
            slow = {id_ for id_, since in troubles.degraded.items() if not self._quick_from(area, id_, since)}
            down |= {id_ for id_, areas in troubles.local_down.items() if area in areas}
            slow |= {id_ for id_, areas in troubles.local_degraded.items() if area in areas}
            known = self._seen_down[area] = (frozenset(down), frozenset(slow))
        return known

    def _quick_from(self, area: str, id_: str, since: float) -> bool:
        """It works from there, and nobody there sees it answer slowly; that traffic gets through proves no speed."""
        if self._evidence.passing_kind(id_):
            return False
        areas = (
            self._evidence.estate.vantage_area(series[2]) for series in self._troubles.slow_series if series[0] == id_
        )
        return area not in areas and self._works_from(area, id_, since)

    def _works_from(self, area: str, id_: str, since: float) -> bool:
        """Somebody in the area has seen it ok, as deep as it fails elsewhere, or what passes through it."""
        estate, checks = self._evidence.estate, self._troubles.checks.get(id_, frozenset())
        index = self._evidence.index
        if (not checks or self._evidence.passing_kind(id_)) and self._evidence.passes(id_, since, self._now, area=area):
            return True
        seen_ok = [
            _depth(index.check(id_, reading.check))
            for reading in self._evidence.of_target(id_)
            if reading.outcome is Outcome.OK
            and reading.started >= since
            and estate.vantage_area(reading.vantage) == area
            and estate.agents[reading.vantage].target != id_
            and self._evidence.counts(reading, self._now)
        ]
        failing = [_depth(index.check(id_, check)) for check in checks]
        return bool(failing) and max(seen_ok, default=-1) >= max(failing)

    def _lost(self, line: Line, down: frozenset[str]) -> bool:
        return self._explained(down).lost(self._graph.goal(*line))

    def _explained(self, down: frozenset[str]) -> Explanation:
        known = self._explanations.get(down)
        if known is None:
            known = self._explanations[down] = Explanation(self._graph, down)
        return known


def _depth(check: Check | None) -> int:
    """How much of a target a check proves: a ping says less than a page."""
    return _DEPTH.get(check.kind if check else "", 4)


def _limited(ids: frozenset[str], only: Collection[str] | None, without: Collection[str]) -> frozenset[str]:
    if only is not None:
        ids = ids.intersection(only)
    return ids.difference(without) if without else ids


def lines_of(groups: Iterable[Group], losses: Losses, graph: NeedGraph) -> dict[Line, ServiceState]:
    """The lines that are not ok because of these groups, alone or together with other troubles."""
    nodes = {id_ for group in groups for id_ in group.nodes}
    touched = {line for id_ in nodes for line in graph.lines_behind(id_)}
    found: dict[Line, ServiceState] = {}
    for line in sorted(touched):
        state = losses.state(line)
        if state is ServiceState.OK:
            continue
        if losses.state(line, only=nodes) is not ServiceState.OK or losses.state(line, without=nodes) is not state:
            found[line] = state
    return found


def spares_gone(
    groups: Iterable[Group], losses: Losses, cache: PathCache, lost: Mapping[Line, ServiceState]
) -> dict[Line, frozenset[str]]:
    """Lines that still work, and what alone would lose them now that would not have by design."""
    nodes = {id_ for group in groups for id_ in group.nodes}
    touched = {line for id_ in nodes for line in cache.graph.lines_behind(id_)}
    found: dict[Line, frozenset[str]] = {}
    for line in sorted(touched - lost.keys()):
        new = cache.new_single_points(line, losses.seen_from(line[0])[0])
        if new:
            found[line] = new
    return found


def lines_at_stake(nodes: Iterable[str], evidence: Evidence, cache: PathCache, now: float) -> dict[Line, ServiceState]:
    """What would be lost if these things failed: the lines of an early warning."""
    wanted = list(nodes)
    troubles = Troubles(down=dict.fromkeys(wanted, now))
    losses = Losses(evidence, troubles, cache, now)
    touched = sorted({line for id_ in wanted for line in evidence.graph.lines_behind(id_)})
    return {line: ServiceState.AT_RISK for line in touched if losses.state(line) is ServiceState.LOST}


@dataclass(slots=True)
class Assessor:
    """Turns lines into impact lines and harms: fallbacks, opening hours, tiers."""

    evidence: Evidence
    staffed: Staffed
    table: SeverityTable
    hospital: Hospital
    _peers: dict[tuple[str | None, str], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What the first incident asks for is made now and not in the step that opens it."""
        for target in self.evidence.estate.targets.values():
            self._peers.setdefault((target.area, target.kind), []).append(target.id)
        self.evidence.graph.index()

    def peers(self, area: str, kind: str) -> list[str]:
        """Everything of that kind in the area."""
        return self._peers.get((area, kind), [])

    def impact_lines(
        self,
        lines: Mapping[Line, ServiceState],
        losses: Losses,
        *,
        before: Iterable[ImpactLine],
        since: float,
        now: float,
    ) -> tuple[ImpactLine, ...]:
        """The lines with paths, fallbacks, and the time since when each has been in its state."""
        known = {(line.area, line.service): line for line in before}
        return tuple(
            self._line(line, state, losses.paths(line), known.get(line), since, now)
            for line, state in sorted(lines.items())
        )

    def harms(
        self, lines: Iterable[ImpactLine], now: float, *, as_state: ServiceState | None = None
    ) -> tuple[Harm, ...]:
        """What the severity rule needs of each line."""
        services = self.evidence.estate.services
        return tuple(
            Harm(
                area=line.area,
                service=line.service,
                state=as_state or line.state,
                tier=services[line.service].tier,
                staffed=self.staffed(line.area, now),
                fallback=_fallback_state(line),
            )
            for line in lines
            if line.service in services
        )

    def hospital_now(self, now: float) -> Hospital:
        """The hospital with only those inpatient areas that are staffed."""
        return self.hospital.at(area for area in self.hospital.inpatient if self.staffed(area, now))

    def _line(
        self, line: Line, state: ServiceState, left: Paths, before: ImpactLine | None, since: float, now: float
    ) -> ImpactLine:
        area, service_id = line
        service = self.evidence.estate.services[service_id]
        same = before is not None and before.state is state
        proven = self._proven_at(service, area, now)
        if (
            same
            and before
            and before.fallback_proven_at
            and proven
            and proven - before.fallback_proven_at < _PROOF_STEP_S
        ):
            proven = before.fallback_proven_at
        return ImpactLine(
            area=area,
            service=service_id,
            state=state,
            since=before.since if same and before else since if before is None else now,
            paths=left,
            fallback_text=service.fallback.text if service.fallback else None,
            fallback_proven_at=proven,
        )

    def _proven_at(self, service: Service, area: str, now: float) -> float | None:
        """When the fallback was last seen ready for that area; only a newest reading that is ok and in time counts."""
        proof = service.fallback.proven_by if service.fallback else None
        target = self.evidence.estate.targets.get(proof) if proof else None
        if target is None or target.area not in (None, area):
            return None
        readings = [r for r in self.evidence.of_target(target.id) if r.vantage not in self.evidence.blind]
        if not readings:
            return None
        newest = max(readings, key=lambda reading: reading.started)
        declared = self.evidence.index.check(newest.target, newest.check)
        limit = declared.every_s + declared.timeout_s + _PROOF_SLACK_S if declared else 0.0
        return newest.started if newest.outcome is Outcome.OK and now - newest.started <= limit else None


def _fallback_state(line: ImpactLine) -> FallbackState:
    if line.fallback_text is None:
        return FallbackState.NONE
    return FallbackState.UNPROVEN if line.fallback_proven_at is None else FallbackState.PROVEN
