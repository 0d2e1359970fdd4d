"""What a ward says becomes part of an incident: the one that is known, the one that others reported, or a new one.

Pure. A report is never refused; every report belongs to exactly one incident, and the same thing said again joins
what was said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from healthmon.alerting.incidents.reconcile import HELD_OPEN, incident_id, merged, noted
from healthmon.alerting.incidents.text import Texts
from healthmon.model.incident import (
    Entry,
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    Paths,
    ServiceState,
)
from healthmon.model.report import SEVERITY_OF, Filed, Said, Ticket, WardReport
from healthmon.model.topology import Estate

#: Two areas within this, with no fault known, are one incident of severity 2.
TOGETHER_S = 600.0
#: What a person closed is opened again when its ward says within this that it still does not work.
CLOSED_TOO_EARLY_S = 3_600.0
#: So many texts of people are kept with one incident; after that they are only counted.
_TEXTS_MOST = 20
_FILINGS_KEPT = 20
_HIT = (ServiceState.LOST, ServiceState.DEGRADED)
_STATE_OF = {
    Said.NOBODY_CAN_WORK: ServiceState.LOST,
    Said.ONE_OF_US_CANNOT: ServiceState.DEGRADED,
    Said.CAN_WAIT: ServiceState.DEGRADED,
}
#: Impact and urgency that give each severity in the table.
_WEIGHT = {2: (2, 2), 3: (3, 2), 4: (4, 4)}


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a report went: the incident as it is now, its report, and whether that was open already."""

    incident: Incident
    report: WardReport
    joined: bool


def take(incidents: Mapping[str, Incident], filed: Filed, now: float, *, texts: Texts, estate: Estate) -> Placed:
    """The report inside the incident that it belongs to."""
    known = _filed_before(incidents.values(), filed)
    if known is not None:
        return known
    every = incidents.values()
    found = matching(every, filed.area, filed.service) or _said_by_others(every, filed, estate)
    found = found or _closed_too_early(every, filed, now)
    if found is None:
        return _opened(filed, now, texts, estate)
    return _joined(found, filed, now, texts, estate)


def matching(incidents: Iterable[Incident], area: str, service: str) -> Incident | None:
    """The open incident that is known to take this service from this area; with no service named, any from there."""
    if not area:
        return None
    ranked = []
    for incident in incidents:
        if not incident.open or not incident.members or incident.kind is IncidentKind.BLIND:
            continue
        lines = [line for line in incident.impact if line.area == area and (not service or line.service == service)]
        if not service:
            lines = [line for line in lines if line.state in _HIT]
        if lines:
            sure = incident.kind is IncidentKind.INCIDENT
            ranked.append((not sure, incident.severity, incident.opened_at, incident.id, incident))
    return min(ranked)[-1] if ranked else None


def _filed_before(incidents: Iterable[Incident], filed: Filed) -> Placed | None:
    """The same filing once more: it waited for the engine, or its sender did not hear the answer."""
    for incident in incidents:
        for report in incident.reports:
            if filed.id in report.filed:
                return Placed(incident, report, joined=True)
    return None


def works_again(incident: Incident, area: str, now: float, texts: Texts) -> Incident:
    """A ward says that it can work again; the incident itself stays as it is."""
    reports = tuple(
        replace(one, works_at=now) if one.area == area and one.works_at is None else one for one in incident.reports
    )
    if reports == incident.reports:
        return incident
    said = texts.say("entry_works", area=_place(area, texts))
    return noted(replace(incident, reports=reports), Entry(now, "works_again", said, area or "ward"))


def seen_too(incidents: Mapping[str, Incident], now: float, texts: Texts) -> tuple[Incident, ...]:
    """What people reported first and a fault explains now is one incident: it keeps the older id and its owner."""
    changed: dict[str, Incident] = {}
    for incident in incidents.values():
        if not incident.open or incident.members or not incident.reports:
            continue
        others = [changed.get(one.id, one) for one in incidents.values() if one.kind is IncidentKind.INCIDENT]
        fault = next((f for r in incident.reports if (f := matching(others, r.area, r.service))), None)
        if fault is not None:
            kept, ended = _explained(incident, fault, now, texts)
            changed[kept.id], changed[ended.id] = kept, ended
    return tuple(changed.values())


def _explained(reported: Incident, fault: Incident, now: float, texts: Texts) -> tuple[Incident, Incident]:
    kept, ended = merged(reported, fault, now, texts, by="healthmon")
    kept = replace(
        kept,
        kind=fault.kind,
        severity=min(fault.severity, 2) if kept.nobody_can_work else fault.severity,
        impact_level=fault.impact_level,
        urgency=fault.urgency,
        title=fault.title,
        plain_text=fault.plain_text,
        root=fault.root,
        impact=fault.impact,
        impact_known=fault.impact_known,
        team=kept.team if kept.passed_to.startswith("team:") else fault.team or kept.team,
        runbook=fault.runbook,
        first_steps=fault.first_steps,
    )
    return kept, ended


def _said_by_others(incidents: Iterable[Incident], filed: Filed, estate: Estate) -> Incident | None:
    """An incident that people reported and nothing explains yet, which this report is about as well."""
    open_ = [one for one in incidents if one.open and one.reports and not one.members]
    alike = [one for one in open_ if any(_alike(report, filed, estate) for report in one.reports)]
    return min(alike, key=lambda one: (one.opened_at, one.id), default=None)


def _alike(report: WardReport, filed: Filed, estate: Estate) -> bool:
    """The same service, the same place, or two places of one site that cannot work within ten minutes."""
    if report.service == filed.service and filed.service:
        return True
    if report.area == filed.area and (not report.service or not filed.service):
        return True
    pressing = Said.CAN_WAIT not in (report.effect, filed.effect)
    return pressing and filed.at - report.last_at <= TOGETHER_S and _one_site(report.area, filed.area, estate)


def _one_site(one: str, other: str, estate: Estate) -> bool:
    if one == other or one not in estate.areas or other not in estate.areas:
        return False
    return estate.areas[one].site == estate.areas[other].site


def _closed_too_early(incidents: Iterable[Incident], filed: Filed, now: float) -> Incident | None:
    """What was closed a moment ago and hit this very place."""
    for incident in incidents:
        recent = incident.resolved_at is not None and now - incident.resolved_at <= CLOSED_TOO_EARLY_S
        if incident.open or incident.merged_into or not recent or filed.effect is Said.CAN_WAIT:
            continue
        said = any((one.area, one.service) == (filed.area, filed.service) for one in incident.reports)
        hit = any((line.area, line.service) == (filed.area, filed.service) for line in incident.impact)
        if said or hit:
            return incident
    return None


def _opened(filed: Filed, now: float, texts: Texts, estate: Estate) -> Placed:
    report = _first(filed)
    service = estate.services.get(filed.service)
    severity = SEVERITY_OF[filed.effect]
    incident = Incident(
        id=incident_id([f"report|{filed.area}|{filed.service}"], now),
        kind=IncidentKind.INCIDENT,
        state=IncidentState.OPEN,
        severity=severity,
        impact_level=_WEIGHT[severity][0],
        urgency=_WEIGHT[severity][1],
        title="",
        plain_text="",
        root=None,
        members=(),
        impact=(),
        impact_known="partial" if filed.area else "none",
        opened_at=now,
        first_evidence_at=filed.at,
        team=service.team if service else None,
        worst_severity=severity,
        first_human_report_at=filed.at,
        reports=(report,),
    )
    incident = _told_by_people(incident, texts, estate)
    incident = noted(incident, Entry(now, "opened", texts.say("entry_opened", title=incident.title)))
    return Placed(_with_entry(incident, report, filed, now, texts), report, joined=False)


def _joined(incident: Incident, filed: Filed, now: float, texts: Texts, estate: Estate) -> Placed:
    before = next((r for r in incident.reports if (r.area, r.service) == (filed.area, filed.service)), None)
    over = incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED)
    report = _repeated(before, filed, now, over=over)
    others = tuple(one for one in incident.reports if one is not before)
    earliest = min(filed.at, incident.first_human_report_at or filed.at)
    after = replace(incident, reports=(*others, report), first_human_report_at=earliest)
    news = before is None or before.effect is not report.effect or before.works_at is not None or over
    if news or filed.text:
        after = _with_entry(after, report, filed, now, texts)
    if over:
        after = _held_open(after, filed, now, texts)
    if not after.members:
        after = _told_by_people(after, texts, estate)
    return Placed(_as_severe(after, now, texts), report, joined=before is not None and before.works_at is None)


def _first(filed: Filed) -> WardReport:
    return WardReport(
        filed.area, filed.service, filed.effect, filed.at, filed.at, source=filed.source, filed=(filed.id,)
    )


def _repeated(before: WardReport | None, filed: Filed, now: float, *, over: bool) -> WardReport:
    again = (now,) if over else ()
    if before is None:
        return replace(_first(filed), again_at=again)
    effect = min(before.effect, filed.effect, key=lambda said: said.rank)
    return replace(
        before, effect=effect, last_at=max(before.last_at, filed.at), count=before.count + 1, works_at=None,
        again_at=(*before.again_at, *again)[-50:], filed=(*before.filed, filed.id)[-_FILINGS_KEPT:],
    )  # fmt: skip


def _held_open(incident: Incident, filed: Filed, now: float, texts: Texts) -> Incident:
    """Called over, and a ward still cannot work: open until a person says otherwise, and told anew."""
    said = texts.say("entry_still", area=_place(filed.area, texts), service=_thing(filed.service, texts))
    after = noted(incident, Entry(now, HELD_OPEN, said, filed.area or "ward"))
    return replace(after, state=IncidentState.OPEN, mitigated_at=None, resolved_at=None, episode=incident.episode + 1)


def _as_severe(incident: Incident, now: float, texts: Texts) -> Incident:
    """As bad as people say: somewhere nobody can work, or two areas at once with no fault known."""
    severe = incident.nobody_can_work or (not incident.members and _two_at_once(incident))
    milder = min((SEVERITY_OF[one.effect] for one in incident.reports), default=incident.severity)
    wanted = 2 if severe else incident.severity if incident.members else milder
    if wanted >= incident.severity:
        return incident
    after = noted(incident, Entry(now, "severity", texts.say("entry_severity", after=wanted, before=incident.severity)))
    level, urgency = _WEIGHT[wanted]
    return replace(
        after, severity=wanted, worst_severity=min(wanted, incident.worst_severity), milder_since=None,
        impact_level=min(level, incident.impact_level), urgency=min(urgency, incident.urgency),
    )  # fmt: skip


def _two_at_once(incident: Incident) -> bool:
    latest: dict[str, float] = {}
    for one in incident.reports:
        if one.area:
            latest[one.area] = max(one.last_at, latest.get(one.area, one.last_at))
    times = sorted(latest.values())
    return any(later - earlier <= TOGETHER_S for earlier, later in pairwise(times))


def _told_by_people(incident: Incident, texts: Texts, estate: Estate) -> Incident:
    """Impact and words of an incident that only people know of."""
    standing = [one for one in incident.reports if one.works_at is None] or list(incident.reports)
    lines = tuple(
        ImpactLine(one.area, one.service, _STATE_OF[one.effect], one.first_at, Paths(0, 0, exact=False))
        for one in standing
        if one.area in estate.areas and one.service in estate.services
    )
    worst = min((one.effect for one in standing), key=lambda said: said.rank)
    areas = texts.areas(one.area for one in standing if one.area) or texts.say("place_unknown")
    services = texts.services(one.service for one in standing if one.service) or texts.say("service_unknown")
    since = texts.clock(min(one.first_at for one in standing), standing[0].area)
    title = texts.say("title_reported", areas=areas, effect=texts.say(f"effect_{worst}"), services=services)
    plain = texts.say("reported", areas=areas, since=since)
    return replace(incident, impact=lines, title=title, plain_text=f"{title}. {plain}")


def _with_entry(incident: Incident, report: WardReport, filed: Filed, now: float, texts: Texts) -> Incident:
    """A line of the timeline, with the person's own words while there is room for them."""
    kept = sum(entry.what == "report" for entry in incident.timeline) < _TEXTS_MOST
    said = texts.say(
        "entry_report",
        area=_place(report.area, texts),
        effect=texts.say(f"effect_{filed.effect}"),
        service=_thing(report.service, texts),
    )
    text = f"{said}: {filed.text}" if filed.text and kept else said
    return noted(incident, Entry(now, "report", text, filed.area or filed.source))


def _place(area: str, texts: Texts) -> str:
    return texts.name(area) if area else texts.say("place_unknown")


def _thing(service: str, texts: Texts) -> str:
    return texts.name(service) if service else texts.say("service_unknown")


def ticketed(
    incidents: Iterable[Incident], ticket: Ticket, now: float, *, before_s: float, texts: Texts
) -> tuple[Incident, ...]:
    """The open incidents that a ticket is about, with the time at which a person first said so."""
    found = []
    for incident in incidents:
        if incident.open and _about(ticket, incident) and incident.first_evidence_at - ticket.opened_at <= before_s:
            first = min(ticket.opened_at, incident.first_human_report_at or ticket.opened_at)
            said = texts.say("entry_ticket", number=ticket.number, system=ticket.system)
            known = any(entry.what == "ticket" and entry.text == said for entry in incident.timeline)
            after = replace(incident, first_human_report_at=first)
            found.append(after if known else noted(after, Entry(now, "ticket", said, ticket.system)))
    return tuple(found)


def _about(ticket: Ticket, incident: Incident) -> bool:
    """Everything that the ticket says fits, and it says something."""
    if not (ticket.area or ticket.service) or incident.kind is IncidentKind.BLIND:
        return False
    hit = [(line.area, line.service) for line in incident.impact if line.state in _HIT]
    hit += [(one.area, one.service) for one in incident.reports]
    return any(ticket.area in ("", area) and ticket.service in ("", service) for area, service in hit)
