"""Which incident each failing alert belongs to: incidents are known by their members, never by their root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.incidents.correlate import Group
from healthmon.model.alert import Alert, AlertKey
from healthmon.model.incident import Incident, IncidentKind, IncidentState

#: A lone member of an incident of this severity or milder stops drawing others in after a day.
_LONE_FROM_SEVERITY = 3
_LONE_AFTER_S = 86_400.0


@dataclass(slots=True)
class Placement:
    """The answer: groups by incident (cut down to the members that belong there), new ones, merges and moves."""

    here: dict[str, list[Group]] = field(default_factory=dict)
    active: dict[str, list[tuple[Alert, str | None]]] = field(default_factory=dict)
    opening: list[tuple[Group, tuple[tuple[Alert, str | None], ...]]] = field(default_factory=list)
    merged: dict[str, str] = field(default_factory=dict)  # younger -> older
    moved: dict[AlertKey, str] = field(default_factory=dict)  # member -> the incident that it leaves


def place(
    incidents: Mapping[str, Incident], groups: Iterable[Group], ready: Callable[[Alert], bool], now: float
) -> Placement:
    """Put every group where its members are; new alerts only once they are ready."""
    placer = _Placer(incidents, ready, now)
    for group in sorted(groups, key=lambda g: (g.kind is not IncidentKind.BLIND, g.since, g.root.target)):
        placer.put(group)
    return placer.placement


def _lone(incident: Incident, now: float) -> bool:
    """One old, mild failure: it must not glue weeks together."""
    old = now - incident.opened_at > _LONE_AFTER_S and incident.severity >= _LONE_FROM_SEVERITY
    return old and sum(member.cleared_at is None for member in incident.members) <= 1


class _Placer:
    def __init__(self, incidents: Mapping[str, Incident], ready: Callable[[Alert], bool], now: float) -> None:
        self._open = {id_: incident for id_, incident in incidents.items() if incident.open}
        self._ready = ready
        self._home = {member.key: id_ for id_, incident in self._open.items() for member in incident.members}
        self._failing = {
            member.key for incident in self._open.values() for member in incident.members if member.cleared_at is None
        }
        self._lone = {id_ for id_, incident in self._open.items() if _lone(incident, now)}
        self.placement = Placement()

    def put(self, group: Group) -> None:
        """Join the incident that knows a member, merging those that turn out to be one; else open."""
        linked = self._linked(group)
        if not linked:
            self._stay_or_open(group)
            return
        home = linked[0]
        for younger in linked[1:]:
            if self._may_merge(home, younger):
                self._merge(younger, home)
        self._join(home, group)

    def _linked(self, group: Group) -> list[str]:
        ids = {self._alias(self._home[a.key]) for a, _ in group.members if self._links(a.key, group)}
        return sorted(ids, key=lambda id_: (self._open[id_].opened_at, id_))

    def _links(self, key: AlertKey, group: Group) -> bool:
        id_ = self._home.get(key)
        if id_ is None:
            return False
        incident = self._open[self._alias(id_)]
        if (incident.kind is IncidentKind.BLIND) != (group.kind is IncidentKind.BLIND):
            return False
        return len(group.members) == 1 or incident.id not in self._lone

    def _join(self, home: str, group: Group) -> None:
        members = []
        for alert, behind in group.members:
            held = self._held(alert)
            if alert.key not in self._failing and not self._ready(alert):
                continue
            if held not in (None, home) and not self._leaves(held, group):
                self._add(held, None, [(alert, behind)])
                continue
            if held not in (None, home):
                self.placement.moved[alert.key] = held
            members.append((alert, behind))
        self._add(home, group, members)

    def _stay_or_open(self, group: Group) -> None:
        """A group that links nowhere: members with another home stay there or leave it, ready ones open."""
        opening: list[tuple[Alert, str | None]] = []
        for alert, behind in group.members:
            held = self._held(alert)
            if held is not None and not self._leaves(held, group):
                if alert.key in self._failing or self._ready(alert):
                    self._add(held, None, [(alert, behind)])
            elif self._ready(alert):
                if held is not None:
                    self.placement.moved[alert.key] = held
                opening.append((alert, behind))
        if opening:
            self.placement.opening.append((group, tuple(opening)))

    def _held(self, alert: Alert) -> str | None:
        """The incident that knows the alert already."""
        held = self._home.get(alert.key)
        return None if held is None else self._alias(held)

    def _leaves(self, held: str | None, group: Group) -> bool:
        """What was put down to our blindness and fails by itself gets an incident of its own.

        And what is put down to our blindness brings back no incident that is over.
        """
        if held is None:
            return False
        there = self._open[held]
        if group.kind is IncidentKind.BLIND:
            return there.kind is not IncidentKind.BLIND and there.state is IncidentState.MITIGATED
        return there.kind is IncidentKind.BLIND

    def _add(self, id_: str, group: Group | None, members: Sequence[tuple[Alert, str | None]]) -> None:
        if group is not None:
            self.placement.here.setdefault(id_, []).append(group)
        self.placement.active.setdefault(id_, []).extend(members)

    def _may_merge(self, older: str, younger: str) -> bool:
        """What a person has split stays split."""
        pair = (self._open[older], self._open[younger])
        return not any(entry.what == "split" for incident in pair for entry in incident.timeline)

    def _merge(self, younger: str, older: str) -> None:
        self.placement.merged[younger] = older
        self.placement.here.setdefault(older, []).extend(self.placement.here.pop(younger, []))
        self.placement.active.setdefault(older, []).extend(self.placement.active.pop(younger, []))

    def _alias(self, id_: str) -> str:
        while id_ in self.placement.merged:
            id_ = self.placement.merged[id_]
        return id_
