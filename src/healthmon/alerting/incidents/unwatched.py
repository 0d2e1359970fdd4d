"""What a new configuration asks no more: its alerts end, and their incidents say so instead of calling it recovered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from healthmon.alerting.detect.index import EVERYBODY, RuleIndex, known_alerts
from healthmon.alerting.incidents.reconcile import noted
from healthmon.alerting.incidents.text import Texts
from healthmon.model.alert import Alert, AlertKey, Phase
from healthmon.model.condition import Group
from healthmon.model.incident import Entry, Incident, IncidentState
from healthmon.model.sample import Reading
from healthmon.model.topology import Check, Estate

#: The word of the timeline for a member that nobody looks at any more.
UNWATCHED = "unwatched"
#: Readings under this check come unasked (SNMP traps), whatever the inventory declares.
UNASKED = "trap"


@dataclass(frozen=True, slots=True)
class Watched:
    """What of the last run still belongs to this configuration, and what ends with it."""

    alerts: Mapping[AlertKey, Alert]
    ended: tuple[Alert, ...]  # of phase CLEAR: the journal forgets them
    incidents: tuple[Incident, ...]  # those that changed


@dataclass(frozen=True, slots=True)
class Scope:
    """What this configuration asks: rules of series, and who may look."""

    index: RuleIndex
    estate: Estate
    server: str
    own_rule: str

    def asks(self, key: AlertKey) -> bool:
        """Whether this alert could still be raised by the same looker."""
        rule = self.index.rules.get(key.rule)
        if key.rule == self.own_rule or rule is None:
            return key.rule == self.own_rule
        if key.vantage == EVERYBODY:
            return isinstance(rule.condition, Group)
        if rule.on.agents:
            agent = self.estate.agents.get(key.vantage)
            return agent is not None and any(one.id == rule.id for one in self.index.for_agent(agent))
        if key.target not in self.estate.targets:
            return True  # not a series of one target; the desk knows it or has dropped it
        bound = self.index.bound(key.target, key.check)
        return self.looks(key.target, key.check, key.vantage) and any(one.rule.id == key.rule for one in bound)

    def looks(self, target: str, check: str, vantage: str) -> bool:
        """Whether this vantage point is still meant to look at this check of this target."""
        if target not in self.estate.targets or (vantage != self.server and vantage not in self.estate.agents):
            return False
        declared = self.index.check(target, check)
        host = self.estate.vantage_target(vantage)
        if (host is not None and host.id == target) or check == UNASKED:
            return True
        return declared is not None and self._named(declared, vantage)

    def _named(self, check: Check, vantage: str) -> bool:
        among = "agents" if vantage != self.server else self.server
        return not {vantage, among}.isdisjoint(check.vantages)


def watched(
    alerts: Mapping[AlertKey, Alert], incidents: Iterable[Incident], scope: Scope, texts: Texts, now: float
) -> Watched:
    """Sort what the journal held. `now` (Unix s) is when the end of the rest is written down."""
    known = known_alerts(alerts.values(), scope.index, scope.estate, own_rule=scope.own_rule)
    kept = {key: alert for key, alert in known.items() if scope.asks(key)}
    gone = {key: alert for key, alert in alerts.items() if alert.phase is not Phase.CLEAR and key not in kept}
    ended = tuple(replace(gone[key], phase=Phase.CLEAR, since=now) for key in sorted(gone))
    changed = (_without(incident, gone, texts, now) for incident in incidents if incident.open)
    return Watched(kept, ended, tuple(incident for incident in changed if incident is not None))


def readings_of(readings: Iterable[Reading], scope: Scope) -> Iterable[Reading]:
    """The newest looks that still count; what nobody looks at any more would only ever grow stale."""
    return (one for one in readings if scope.looks(one.target, one.check, one.vantage))


def _without(incident: Incident, gone: Mapping[AlertKey, Alert], texts: Texts, now: float) -> Incident | None:
    """The incident without these members; it ends when nothing that fails is left in it."""
    left = tuple(member for member in incident.members if member.key not in gone)
    if len(left) == len(incident.members):
        return None
    names = list(dict.fromkeys(texts.name(m.key.target) for m in incident.members if m.key in gone))
    text = texts.say("entry_unwatched", targets=", ".join(names[:5]) + (", ..." if len(names) > 5 else ""))
    after = noted(replace(incident, members=left or incident.members), Entry(now, UNWATCHED, text))
    if any(member.cleared_at is None for member in left) or incident.state is IncidentState.MITIGATED:
        return after
    closed = tuple(replace(member, cleared_at=member.cleared_at or now) for member in after.members)
    return replace(after, state=IncidentState.RESOLVED, resolved_at=now, members=closed, plain_text=text)
