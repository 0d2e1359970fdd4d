"""Which incident each failing alert belongs to: incidents are known by their members, never by their root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.incidents.groups import Group
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


def failing_members(incidents: Iterable[Incident]) -> set[AlertKey]:
    """What open incidents say fails."""
    members = (member for incident in incidents if incident.open for member in incident.members)
    return {member.key for member in members if member.cleared_at is None}


def _lone(incident: Incident, now: float) -> bool:
    """One old, mild failure: it must not glue weeks together."""
    old = now - incident.opened_at > _LONE_AFTER_S and incident.severity >= _LONE_FROM_SEVERITY
    return old and sum(member.cleared_at is None for member in incident.members) <= 1


class _Placer:
    def __init__(self, incidents: Mapping[str, Incident], ready: Callable[[Alert], bool], now: float) -> None:
        self._open = {id_: incident for id_, incident in incidents.items() if incident.open}
        self._ready = ready
        # What was put down to our blindness may also be known to an incident of its own, which is mitigated.
        self._home = self._members(blind=False)
        self._blind_home = self._members(blind=True)
        self._failing = failing_members(self._open.values())
        self._lone = {id_ for id_, incident in self._open.items() if _lone(incident, now)}
        self.placement = Placement()

    def _members(self, *, blind: bool) -> dict[AlertKey, str]:
        return {
            member.key: id_
            for id_, incident in self._open.items()
            if (incident.kind is IncidentKind.BLIND) is blind
            for member in incident.members
        }

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
        homes = self._blind_home if group.kind is IncidentKind.BLIND else self._home
        ids = {self._alias(homes[a.key]) for a, _ in group.members if a.key in homes}
        ids = {id_ for id_ in ids if len(group.members) == 1 or id_ not in self._lone}
        return sorted(ids, key=lambda id_: (self._open[id_].opened_at, id_))

    def _join(self, home: str, group: Group) -> None:
        members = []
        for alert, behind in group.members:
            if not self._blind_home and alert.key in self._failing and self._home.get(alert.key) == home:
                members.append((alert, behind))  # as before
                continue
            held = self._held(alert, group)
            if alert.key not in self._failing and not self._ready(alert):
                continue
            if held not in (None, home):
                self._add(held, None, [(alert, behind)])
                continue
            self._leave_blind(alert, group)
            members.append((alert, behind))
        self._add(home, group, members)

    def _stay_or_open(self, group: Group) -> None:
        """A group that links nowhere: members with another home stay there, ready ones open."""
        opening: list[tuple[Alert, str | None]] = []
        for alert, behind in group.members:
            held = self._held(alert, group)
            if held is not None:
                if alert.key in self._failing or self._ready(alert):
                    self._add(held, None, [(alert, behind)])
            elif self._ready(alert):
                self._leave_blind(alert, group)
                opening.append((alert, behind))
        if opening:
            self.placement.opening.append((group, tuple(opening)))

    def _held(self, alert: Alert, group: Group) -> str | None:
        """The incident that knows the alert already and keeps it.

        What is put down to our blindness brings back no incident that is over; it keeps its place there meanwhile.
        """
        own = self._home.get(alert.key)
        held = self._alias(own) if own is not None else None
        if group.kind is not IncidentKind.BLIND:
            return held
        if held is not None and self._open[held].state is not IncidentState.MITIGATED:
            return held
        unseen = self._blind_home.get(alert.key)
        return self._alias(unseen) if unseen is not None else None

    def _leave_blind(self, alert: Alert, group: Group) -> None:
        """What was put down to our blindness and fails by itself is no part of that any more."""
        unseen = self._blind_home.get(alert.key)
        if unseen is not None and group.kind is not IncidentKind.BLIND:
            self.placement.moved[alert.key] = self._alias(unseen)

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
