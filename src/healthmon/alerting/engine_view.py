"""What the engine knows, as surfaces show it: ok is said only of what was proven, everything else is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from healthmon.alerting.detect.conditions import absent_after
from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, Picture
from healthmon.alerting.incidents.harm import Line, Losses, PathCache
from healthmon.impact.graph import Explanation, Tri
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.incident import Incident, IncidentKind, ServiceState
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import need_ids
from healthmon.model.view import AgentStatus, ServiceStatus, TargetStatus

_SILENT_AFTER_S = 60.0
Shown = tuple[Mapping[str, TargetStatus], Mapping[Line, ServiceStatus], Mapping[str, AgentStatus]]


class Showing:
    """Statuses of targets, services and agents, worked out when they are asked for."""

    def __init__(
        self, evidence: Evidence, alerts: Mapping[AlertKey, Alert], cache: PathCache, index: RuleIndex
    ) -> None:
        self._evidence = evidence
        self._alerts = alerts
        self._cache = cache
        self._index = index
        self._targets: dict[str, TargetStatus] = {}
        self._services: dict[Line, ServiceStatus] = {}
        self._explained: dict[frozenset[str], Explanation] = {}
        self._failing: dict[str, tuple[str, float]] = {}
        self._behind: dict[str, str] = {}
        self._nodes: frozenset[str] = frozenset()
        self._answered: dict[str, float] = {}  # when each was last found well
        self._before: set[str] = set()  # looked at before this start: when it answered last is not written down
        self._dirty = set(evidence.estate.targets)
        self._dirty_lines = set(evidence.graph.lines())
        self._used_by = _direct_users(evidence)
        #: Nothing is ever read of these: what is known of them comes from others.
        self._unread = [id_ for id_, target in evidence.estate.targets.items() if not target.checks]

    def restored(self) -> None:
        """The readings of the last run are there."""
        self._before = {target for target, _, _ in self._evidence.latest}

    def seen(self, reading: Reading) -> None:
        """The target has a new reading."""
        self._dirty.add(reading.target)
        if reading.outcome is Outcome.OK:
            self._answered[reading.target] = reading.started
        services = self._used_by.get(reading.target)
        area = self._evidence.estate.vantage_area(reading.vantage) if services else None
        if services and area is not None:
            self._dirty_lines.update((area, service) for service in services)

    def touch(self, targets: Iterable[str]) -> None:
        """Something else that bears on these targets has changed."""
        self._dirty.update(targets)

    def show(self, picture: Picture, losses: Losses, incidents: Mapping[str, Incident], now: float) -> Shown:
        """Everything as it is now; only what changed since the last time is worked out again."""
        self._note_changes(picture, incidents)
        pending = {alert.key.target for alert in self._alerts.values() if alert.phase is Phase.PENDING}
        for id_ in sorted(self._dirty & self._evidence.estate.targets.keys()):
            before = self._targets.get(id_)
            after = self._targets[id_] = self._target(id_, id_ in pending, now)
            if before is None or before.outcome is not after.outcome:
                self._dirty_lines.update(self._evidence.graph.lines_behind(id_))
        self._explained.clear()
        for line in sorted(self._dirty_lines & self._all_lines()):
            self._services[line] = self._service(line, losses, incidents, now)
        self._dirty.clear()
        self._dirty_lines.clear()
        agents = {id_: self._agent(id_, now) for id_ in self._evidence.estate.agents}
        return dict(self._targets), dict(self._services), agents

    def _all_lines(self) -> Set[Line]:
        return self._services.keys() if self._services else set(self._evidence.graph.lines())

    def _note_changes(self, picture: Picture, incidents: Mapping[str, Incident]) -> None:
        """What the last correlation changed: who fails, who is behind whom, which lines hang on it."""
        failing, behind = _failing(picture), _behind(incidents)
        for old, new in ((self._failing, failing), (self._behind, behind)):
            self._dirty.update(id_ for id_ in old.keys() | new.keys() if old.get(id_) != new.get(id_))
        self._failing, self._behind = failing, behind
        self._dirty.update(self._unread)
        troubles = picture.troubles
        nodes = frozenset({*troubles.down, *troubles.degraded, *troubles.local_down, *troubles.local_degraded})
        for id_ in nodes | self._nodes:
            self._dirty_lines.update(self._evidence.graph.lines_behind(id_))
        self._nodes = nodes

    def _target(self, id_: str, pending: bool, now: float) -> TargetStatus:
        readings = list(self._evidence.of_target(id_))
        last_at = max((reading.started for reading in readings), default=None)
        outcome, reason, since = self._outcome(id_, readings, pending, now)
        before = self._targets.get(id_)
        if before is not None and before.outcome is outcome:
            since = before.since
        ok_at = self._ok_at(id_, readings, since if outcome is Outcome.FAILED else last_at)
        return TargetStatus(id_, outcome, reason, since, last_at, self._behind.get(id_), ok_at)

    def _ok_at(self, id_: str, readings: list[Reading], until: float | None) -> float | None:
        """When it answered last. Of the time before this start: it is taken to have answered until it began to fail."""
        at = max((reading.started for reading in readings if reading.outcome is Outcome.OK), default=None)
        known = max((one for one in (at, self._answered.get(id_)) if one is not None), default=None)
        return until if known is None and id_ in self._before else known

    def _outcome(self, id_: str, readings: list[Reading], pending: bool, now: float) -> tuple[Outcome, str, float]:
        """Over all vantage points: failing, proven, or not known."""
        failing = self._failing.get(id_)
        if failing is not None:
            return Outcome.FAILED, failing[0], failing[1]
        counting = [reading for reading in readings if self._evidence.counts(reading, now)]
        good = [reading for reading in counting if reading.outcome is Outcome.OK]
        if good:
            return Outcome.OK, "", min(reading.started for reading in good)
        before = self._targets.get(id_)
        unconfirmed = [reading for reading in counting if reading.outcome is Outcome.FAILED]
        if unconfirmed and before is not None and pending:
            return before.outcome, before.reason, before.since
        if unconfirmed:
            reason = unconfirmed[0].reason
            return Outcome.FAILED, reason.value if reason else "", unconfirmed[0].started
        return self._unseen(id_, readings, counting, now)

    def _unseen(
        self, id_: str, readings: list[Reading], counting: list[Reading], now: float
    ) -> tuple[Outcome, str, float]:
        """Nobody has looked, or all that is known comes from what it carries, or from the agent on it."""
        states = [self._agent(agent.id, now) for agent in self._evidence.agents_on(id_)]
        up = [state for state in states if state.state == "up"]
        if up and not counting:
            return Outcome.OK, "", max(state.last_at or now for state in up)
        if not readings and self._evidence.passes(id_, float("-inf"), now):
            return Outcome.OK, INFERRED, now
        newest = max(readings, key=lambda reading: reading.started, default=None)
        if newest is None:
            stopped = [state for state in states if state.state != "up"]
            return Outcome.UNKNOWN, stopped[0].state if stopped else "not_watched", now
        if newest.vantage in self._evidence.blind:
            return Outcome.UNKNOWN, "blind", now
        if not self._evidence.fresh(newest, now):
            return Outcome.UNKNOWN, "stale", newest.started
        return Outcome.UNKNOWN, newest.reason.value if newest.reason else "", newest.started

    def _service(self, line: Line, losses: Losses, incidents: Mapping[str, Incident], now: float) -> ServiceStatus:
        area, service = line
        graph = self._evidence.graph
        goal = graph.goal(area, service)
        state = losses.state(line)
        down, degraded = losses.seen_from(area)
        causes: frozenset[str] = frozenset()
        if state in (ServiceState.OK, ServiceState.AT_RISK):
            if graph.evaluate(goal, lambda id_: self._own(id_, down | degraded)) is None:
                state = ServiceState.UNKNOWN
            causes = frozenset(self._cache.closure(line) & down) if state is ServiceState.AT_RISK else causes
        else:
            causes = self._explanation(down | degraded).of_goal(goal)
        before = self._services.get(line)
        since = before.since if before is not None and before.state is state else _since(line, state, incidents, now)
        return ServiceStatus(
            area=area,
            service=service,
            state=state,
            since=since,
            paths=losses.paths(line),
            causes=tuple(sorted(causes)),
            proven_at=self._proven_at(line),
        )

    def _explanation(self, failing: frozenset[str]) -> Explanation:
        known = self._explained.get(failing)
        if known is None:
            known = self._explained[failing] = Explanation(self._evidence.graph, failing)
        return known

    def _own(self, id_: str, not_working: frozenset[str]) -> Tri:
        """What is known of a thing by itself: only what was seen counts as working."""
        if id_ in self._evidence.estate.services:
            return True
        if id_ in not_working:
            return False
        return None if self._targets[id_].outcome is Outcome.UNKNOWN else True

    def _proven_at(self, line: Line) -> float | None:
        """The newest look from the area itself that found what the service needs working."""
        area, service = line
        needed = dict.fromkeys(need_ids(self._evidence.graph.needs(service)))
        return max(
            (
                reading.started
                for id_ in needed
                for reading in self._evidence.of_target(id_)
                if reading.outcome is Outcome.OK
                and self._evidence.estate.vantage_area(reading.vantage) == area
                and self._evidence.host(reading.vantage) != id_
            ),
            default=None,
        )

    def _agent(self, id_: str, now: float) -> AgentStatus:
        agent = self._evidence.estate.agents[id_]
        state, at = self._evidence.presence.get(id_, ("never", 0.0))
        spans = [s for rule in self._index.for_agent(agent) if (s := absent_after(rule)) is not None]
        if state == "up" and now - at > min(spans, default=_SILENT_AFTER_S):
            state = "silent"
        return AgentStatus(id_, agent.target, state, None if state == "never" else at)


def _direct_users(evidence: Evidence) -> dict[str, list[str]]:
    """Services by the things that they name."""
    found: dict[str, list[str]] = {}
    for service in evidence.estate.services.values():
        for id_ in dict.fromkeys(need_ids(service.needs)):
            found.setdefault(id_, []).append(service.id)
    return found


def _failing(picture: Picture) -> dict[str, tuple[str, float]]:
    """Targets that are failing by the picture: reason and since when."""
    found: dict[str, tuple[str, float]] = {}
    for group in picture.groups:
        if group.kind is not IncidentKind.INCIDENT or group.faded:
            continue
        if group.root.reason == INFERRED:
            found[group.root.target] = (INFERRED, group.since)
        if group.areas is not None or not group.nodes:
            continue
        for alert, _ in group.members:
            if alert.effect is Effect.DOWN and alert.key.target not in found:
                found[alert.key.target] = (alert.reason.value if alert.reason else "", alert.bad_since)
    return found


def _behind(incidents: Mapping[str, Incident]) -> dict[str, str]:
    return {
        member.key.target: member.behind
        for incident in incidents.values()
        if incident.open
        for member in incident.members
        if member.behind is not None and member.cleared_at is None
    }


def _since(line: Line, state: ServiceState, incidents: Mapping[str, Incident], now: float) -> float:
    """Since when, as the incident says, else from now."""
    known = [
        one.since
        for incident in incidents.values()
        if incident.open
        for one in incident.impact
        if (one.area, one.service) == line and one.state is state
    ]
    return min(known, default=now)
