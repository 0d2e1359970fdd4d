"""The record of an incident in a ticket system: made once, told of every change, closed with the incident. Pure.

A record wakes nobody, so the waking table does not decide about it and it counts as no page; and it lives as long as
the incident: "reachable again" is a note in it, only the end closes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from healthmon.alerting.oncall.case import OVER, Case, areas_hit
from healthmon.alerting.oncall.ladder import LAPSED, PASSED, fits, is_taken
from healthmon.model.incident import IncidentState, Notice, NoticeResult, Policy, Step, Why
from healthmon.model.oncall import Reader

#: Lines of the timeline after which somebody else has it.
_HANDED = frozenset({"ack", "own", "unack", PASSED, LAPSED})


def records_due(case: Case, policies: Sequence[Policy]) -> Iterator[Notice]:
    """What every record of the incident has to hear now; the last word of each reader decides."""
    last = {(notice.channel, notice.to): notice for notice in case.recorded}
    for reader in dict.fromkeys((*last, *_wanted(case, policies))):
        why = _why(case, last.get(reader))
        if why is not None:
            yield case.notice(0, reader, why, "record", str(_count(case, reader)))


def _why(case: Case, last: Notice | None) -> Why | None:
    incident = case.incident
    if incident.merged_into is not None or incident.state is IncidentState.RESOLVED:
        return Why.RESOLVED if last is not None and last.why is not Why.RESOLVED else None
    if incident.state is IncidentState.MITIGATED:
        return Why.MITIGATED if last is not None and last.why not in (Why.MITIGATED, Why.RESOLVED) else None
    if last is None or last.why in (Why.MITIGATED, Why.RESOLVED):
        return Why.OPENED
    waited = case.now - last.due >= case.waking.regroup_s or last.result is NoticeResult.DEAD
    return _changed(case, last) if waited else None


def _changed(case: Case, last: Notice) -> Why | None:
    """Worse and further areas by their names; what eased, ended somewhere or was taken is a plain change."""
    incident, areas = case.incident, areas_hit(case.incident)
    if incident.severity < last.severity:
        return Why.WORSE
    if areas - set(last.areas):
        return Why.NEW_AREA
    same = (incident.severity, incident.kind, areas) == (last.severity, last.kind, frozenset(last.areas))
    handed = any(entry.at > last.due and entry.what in _HANDED for entry in incident.timeline)
    return Why.CHANGED if handed or not same else None


def _wanted(case: Case, policies: Sequence[Policy]) -> Iterator[Reader]:
    """Channels that keep records, of the steps that have come; not of what may heal before its page is due."""
    roster = case.roster
    if roster is None or not roster.plan.records or case.incident.state in OVER or case.incident.merged_into:
        return
    if any(until is not None and case.now < until for until in (case.held_until(), case.gathers_until())):
        return
    team = case.estate.teams.get(case.incident.team or "")
    for policy in (one for one in policies if fits(one, case.incident)):
        for number, step in enumerate(policy.steps):
            channels = (*step.channels, *(team.channels if team and number == 0 else ()))
            if _has_come(case, policy, step):
                yield from ((name, name) for name in channels if name in roster.plan.records)


def _has_come(case: Case, policy: Policy, step: Step) -> bool:
    if step.only and case.incident.severity not in step.only:
        return False
    if step.after_s > 0 and is_taken(case.incident, policy):
        return False
    return case.now >= case.started_at() + step.after_s


def _count(case: Case, reader: Reader) -> int:
    """How often the record was told something: sets apart two changes that look the same."""
    return sum((notice.channel, notice.to) == reader for notice in case.recorded)
