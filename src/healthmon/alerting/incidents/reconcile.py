"""The life of incidents: opening, growing, merging, mitigating, resolving, coming back. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.incidents.assess import Assessment, Weighing
from healthmon.alerting.incidents.groups import Group
from healthmon.alerting.incidents.placing import Placement
from healthmon.alerting.incidents.text import Texts
from healthmon.model.alert import Alert, AlertKey, Phase
from healthmon.model.incident import (
    Entry,
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Member,
    ServiceState,
)

#: A severity falls once it has been milder for so many seconds on end; it rises at once.
FALL_AFTER_S = 300.0
#: Nothing but a figure in the words has changed: they stand for so long.
REWORD_S = 30.0
#: So long the last word on an incident stands while its members come back one by one.
RECOVERY_S = 30.0
_TIMELINE_HEAD = 50
_TIMELINE_TAIL = 150
_HIT = (ServiceState.LOST, ServiceState.DEGRADED)
#: A ward said so after the incident was called over: it stays open until a person says otherwise.
HELD_OPEN = "still_down"

Pair = tuple[Alert, str | None]


@dataclass(slots=True)
class Reconciled:
    """Incidents that changed, rows for pages that are not sent, and when to look again without news."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    ledger: list[LedgerRow] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Reconciler:
    """One step over all incidents. `failing_since` tells whether an alert has failed afresh since a time."""

    incidents: Mapping[str, Incident]
    weighing: Weighing
    texts: Texts
    failing_since: Callable[[Alert, float], bool]
    now: float
    auto_resolve_s: float
    hold_resolution: bool = False  # a looker is cut off: nothing ends by itself
    done: Reconciled = field(default_factory=Reconciled)

    def run(self, placement: Placement) -> Reconciled:
        """Every incident as it is after this step."""
        for younger, older in sorted(placement.merged.items()):
            self._merge(younger, older, placement)
        for id_ in sorted(self.incidents):
            incident = self.done.incidents.get(id_, self.incidents[id_])
            if incident.open:
                self._update(incident, placement)
        for group, members in placement.opening:
            self._open(group, members)
        self.done.incidents = {
            id_: incident for id_, incident in self.done.incidents.items() if self.incidents.get(id_) != incident
        }
        return self.done

    def _open(self, group: Group, pairs: Sequence[Pair]) -> None:
        assessment = self.weighing.assess([group], None)
        keys = sorted(str(alert.key) for alert, _ in pairs)
        incident = Incident(
            id=incident_id(keys, self.now),
            kind=assessment.kind,
            state=IncidentState.OPEN,
            severity=assessment.score.severity,
            impact_level=assessment.score.impact,
            urgency=assessment.score.urgency,
            title=assessment.title,
            plain_text=assessment.plain_text,
            root=assessment.root,
            members=tuple(_member(alert, behind) for alert, behind in pairs),
            impact=assessment.lines,
            impact_known=assessment.impact_known,
            opened_at=self.now,
            first_evidence_at=min(alert.bad_since for alert, _ in pairs),
            team=assessment.team,
            runbook=assessment.runbook,
            first_steps=assessment.first_steps,
            worst_severity=assessment.score.severity,
            worded_at=self.now,
            timeline=(Entry(self.now, "opened", self.texts.say("entry_opened", title=assessment.title)),),
        )
        self._ledger_joined(incident, pairs, opening=True)
        self.done.incidents[incident.id] = incident

    def _update(self, incident: Incident, placement: Placement) -> None:
        pairs = placement.active.get(incident.id, [])
        left = {key for key, id_ in placement.moved.items() if id_ == incident.id}
        after = self._with_members(incident, pairs, left)
        groups = placement.here.get(incident.id, [])
        if groups and pairs and not self._recovering(after, pairs):
            found = self.weighing.assess(groups, incident)
            after = self._worded(incident, self._with_assessment(after, found), found)
        after = self._with_state(after, pairs)
        if after != incident:
            self.done.incidents[incident.id] = after

    def _recovering(self, incident: Incident, pairs: Sequence[Pair]) -> bool:
        """Some members have just come back and the others have not been looked at since: no second thoughts yet."""
        ends = [member.cleared_at for member in incident.members if member.cleared_at is not None]
        ends += [alert.since for alert, _ in pairs if alert.phase is Phase.CLEARING]
        latest = max(ends, default=float("-inf"))
        if self.now - latest >= RECOVERY_S or not ends:
            return False
        known = {member.key for member in incident.members}
        new = any(alert.key not in known for alert, _ in pairs)
        afresh = any(self.failing_since(alert, latest) for alert, _ in pairs)
        if not new and not afresh:
            self.done.deadlines.append(latest + RECOVERY_S)
        return not new and not afresh

    def _with_members(self, incident: Incident, pairs: Sequence[Pair], left: set[AlertKey]) -> Incident:
        active = {alert.key: (alert, behind) for alert, behind in pairs}
        members: list[Member] = []
        for member in incident.members:
            if member.key in left:
                continue
            pair = active.pop(member.key, None)
            members.append(_ended(member, self.now) if pair is None else _renewed(member, *pair))
        joined = [pair for pair in pairs if pair[0].key in active]
        members += [_member(alert, behind) for alert, behind in joined]
        first = min([incident.first_evidence_at, *(alert.bad_since for alert, _ in joined)])
        after = replace(incident, members=tuple(members), first_evidence_at=first)
        if left:
            after = self._noted(after, "moved", self.texts.say("entry_moved", count=len(left)))
        if joined:
            self._ledger_joined(incident, joined, opening=False)
            targets = self._names(alert.key.target for alert, _ in joined)
            after = self._noted(after, "joined", self.texts.say("entry_joined", count=len(joined), targets=targets))
        return after

    def _with_assessment(self, incident: Incident, found: Assessment) -> Incident:
        after = self._with_severity(incident, found)
        if found.kind is not incident.kind:
            text = self.texts.say("entry_kind", after=_word(found.kind), before=_word(incident.kind))
            after = self._noted(after, "kind", text)
        if incident.root and found.root.target != incident.root.target:
            names = (self.texts.name(found.root.target), self.texts.name(incident.root.target))
            text = self.texts.say("entry_rerooted", root=names[0], before=names[1])
            after = self._noted(after, "rerooted", text)
        new_areas = _areas_hit(found.lines) - _areas_hit(incident.impact)
        if new_areas:
            after = self._noted(after, "new_area", self.texts.say("entry_areas", areas=self.texts.areas(new_areas)))
        return replace(
            after,
            kind=found.kind,
            root=found.root,
            impact=found.lines,
            impact_known=found.impact_known,
            team=incident.team if incident.passed_to.startswith("team:") else found.team or incident.team,
            runbook=found.runbook or incident.runbook,
            first_steps=found.first_steps or incident.first_steps,
        )

    def _worded(self, before: Incident, after: Incident, found: Assessment) -> Incident:
        """What has changed is said at once; a figure that moves with each look, every half minute."""
        if (found.title, found.plain_text) == (before.title, before.plain_text):
            return after
        due = float("-inf") if before.worded_at is None else before.worded_at + REWORD_S
        if after == before and self.now < due:
            self.done.deadlines.append(due)
            return after
        return replace(after, title=found.title, plain_text=found.plain_text, worded_at=self.now)

    def _with_severity(self, incident: Incident, found: Assessment) -> Incident:
        """Worse at once; milder only after it has been milder for a while without a break."""
        severity = min(found.score.severity, 2) if incident.nobody_can_work else found.score.severity
        if severity > incident.severity:
            since = incident.milder_since if incident.milder_since is not None else self.now
            if self.now < since + FALL_AFTER_S:
                self.done.deadlines.append(since + FALL_AFTER_S)
                return replace(incident, milder_since=since)
        after = incident
        if severity != incident.severity:
            text = self.texts.say("entry_severity", after=severity, before=incident.severity)
            after = self._noted(incident, "severity", text)
        return replace(
            after,
            severity=severity,
            impact_level=found.score.impact,
            urgency=found.score.urgency,
            worst_severity=min(severity, incident.worst_severity),
            milder_since=None,
        )

    def _with_state(self, incident: Incident, pairs: Sequence[Pair]) -> Incident:
        if pairs:
            return self._failing(incident, pairs)
        if not incident.members and incident.state is not IncidentState.MITIGATED:
            return incident  # people reported it; no look can say that it is over
        if incident.state is not IncidentState.MITIGATED:
            return self._mitigated(incident)
        return self._resolved(incident)

    def _failing(self, incident: Incident, pairs: Sequence[Pair]) -> Incident:
        """A member that fails after the incident was mitigated brings it back."""
        since = incident.mitigated_at
        if incident.state is not IncidentState.MITIGATED or since is None:
            return incident
        again = [alert for alert, _ in pairs if self.failing_since(alert, since)]
        if not again:
            return incident
        text = self.texts.say("entry_reopened", targets=self._names(alert.key.target for alert in again))
        after = self._noted(incident, "reopened", text)
        return replace(after, state=IncidentState.OPEN, mitigated_at=None, episode=incident.episode + 1)

    def _mitigated(self, incident: Incident) -> Incident:
        """Reachable again, once all members are clear; one that a person reopened waits for a person."""
        held_at = max((e.at for e in incident.timeline if e.what in ("reopen", HELD_OPEN)), default=None)
        cleared = max((m.cleared_at for m in incident.members if m.cleared_at is not None), default=self.now)
        if held_at is not None and cleared <= held_at:
            return incident
        self.done.deadlines.append(self.now + self.auto_resolve_s)
        since = self.texts.clock(self.now, next((line.area for line in incident.impact), None))
        after = self._noted(incident, "mitigated", self.texts.say("mitigated", since=since))
        return replace(after, state=IncidentState.MITIGATED, mitigated_at=self.now)

    def _resolved(self, incident: Incident) -> Incident:
        """What was mild, or only a warning, ends by itself after a while; the rest waits for a person."""
        mild = incident.worst_severity >= 3 or incident.kind is IncidentKind.EARLY_WARNING
        if not mild or incident.mitigated_at is None:
            return incident
        due = incident.mitigated_at + self.auto_resolve_s
        if self.now < due or self.hold_resolution:
            self.done.deadlines.append(max(due, self.now + 1.0))
            return incident
        minutes = round(self.auto_resolve_s / 60)
        after = self._noted(incident, "resolved", self.texts.say("entry_resolved", minutes=minutes))
        return replace(after, state=IncidentState.RESOLVED, resolved_at=self.now)

    def _merge(self, younger_id: str, older_id: str, placement: Placement) -> None:
        younger = self.done.incidents.get(younger_id, self.incidents[younger_id])
        older = self.done.incidents.get(older_id, self.incidents[older_id])
        older, younger = merged(older, younger, self.now, self.texts, by="healthmon")
        self.done.incidents[younger_id] = younger
        self.done.incidents[older_id] = older

    def _ledger_joined(self, incident: Incident, pairs: Sequence[Pair], *, opening: bool) -> None:
        """Every firing that pages nobody by itself is written down."""
        first = _first_own(pairs) if opening else None
        for index, (alert, behind) in enumerate(pairs):
            if behind is not None:
                cause, because = "behind_root", f"behind {self.texts.name(behind)}"
            elif index == first:
                continue
            else:
                cause, because = "same_incident", "part of an incident that is already told of"
            what = str(alert.key)
            key = f"{what}#{alert.fired_at or alert.since:.3f}"
            seen = f"{alert.key.check} {alert.reason.value if alert.reason else alert.effect.value}"
            row = LedgerRow(self.now, incident.id, key, "nobody", cause, because, what=what, evidence=seen)
            self.done.ledger.append(row)

    def _noted(self, incident: Incident, what: str, text: str) -> Incident:
        return noted(incident, Entry(self.now, what, text))

    def _names(self, targets: Iterable[str]) -> str:
        names = [self.texts.name(id_) for id_ in dict.fromkeys(targets)]
        return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def incident_id(keys: Sequence[str], opened_at: float) -> str:
    """Derived from what opened it, so that the same night twice gives the same ids."""
    text = "\n".join([*keys, f"{opened_at:.6f}"])
    return "inc-" + hashlib.sha256(text.encode()).hexdigest()[:10]


def noted(incident: Incident, entry: Entry) -> Incident:
    """The incident with one more line; of a very long timeline the middle is dropped."""
    timeline = (*incident.timeline, entry)
    if len(timeline) > _TIMELINE_HEAD + _TIMELINE_TAIL:
        kept = [e for e in timeline[_TIMELINE_HEAD:-_TIMELINE_TAIL] if e.by != "healthmon"]
        timeline = (*timeline[:_TIMELINE_HEAD], *kept, *timeline[-_TIMELINE_TAIL:])
    return replace(incident, timeline=timeline)


def merged(older: Incident, younger: Incident, now: float, texts: Texts, *, by: str) -> tuple[Incident, Incident]:
    """Both incidents after the younger has gone into the older."""
    known = {member.key for member in older.members}
    members = (*older.members, *(member for member in younger.members if member.key not in known))
    reports = [at for at in (older.first_human_report_at, younger.first_human_report_at) if at is not None]
    older = noted(older, Entry(now, "absorbed", texts.say("entry_absorbed", incident=younger.id), by))
    older = replace(
        older,
        members=members,
        first_evidence_at=min(older.first_evidence_at, younger.first_evidence_at),
        first_human_report_at=min(reports, default=None),
        worst_severity=min(older.worst_severity, younger.worst_severity),
        owner=older.owner or younger.owner,
        accepted_by=tuple(dict.fromkeys((*older.accepted_by, *younger.accepted_by))),
        reports=(*older.reports, *younger.reports),
    )
    younger = noted(younger, Entry(now, "merged", texts.say("entry_merged", incident=older.id), by))
    ended = replace(younger, state=IncidentState.RESOLVED, merged_into=older.id, resolved_at=now)
    return older, replace(ended, members=(), reports=())


def _member(alert: Alert, behind: str | None) -> Member:
    reason = alert.reason.value if alert.reason else ""
    return Member(key=alert.key, effect=alert.effect, since=alert.bad_since, reason=reason, behind=behind)


def _renewed(member: Member, alert: Alert, behind: str | None) -> Member:
    """The member as its alert is now; it keeps when it began, unless it had cleared in between."""
    if member.cleared_at is not None:
        return _member(alert, behind)
    reason = alert.reason.value if alert.reason else ""
    if member.effect is alert.effect and member.reason == reason and member.behind == behind:
        return member
    return replace(member, effect=alert.effect, reason=reason, behind=behind)


def _ended(member: Member, now: float) -> Member:
    return member if member.cleared_at is not None else replace(member, cleared_at=now)


def _areas_hit(lines: Iterable[ImpactLine]) -> set[str]:
    return {line.area for line in lines if line.state in _HIT}


def _first_own(pairs: Sequence[Pair]) -> int:
    return next((index for index, (_, behind) in enumerate(pairs) if behind is None), -1)


def _word(kind: IncidentKind) -> str:
    return kind.value.replace("_", " ")
