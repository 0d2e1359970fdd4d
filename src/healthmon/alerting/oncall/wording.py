"""The words of a page: plain, short lines, local time, no promise that the data do not support."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from healthmon.model.incident import ImpactLine, Incident, IncidentKind, Root, ServiceState, Why
from healthmon.model.topology import Area, Estate

_STATE = {
    ServiceState.LOST: "not available",
    ServiceState.DEGRADED: "slow or partly working",
    ServiceState.AT_RISK: "working, no spare route left",
    ServiceState.UNKNOWN: "we cannot see",
    ServiceState.OK: "working",
}
_LEAD = {
    Why.OPENED: "",
    Why.WORSE: "WORSE: ",
    Why.NEW_AREA: "MORE AREAS: ",
    Why.ESCALATED: "NOBODY HAS TAKEN THIS YET: ",
    Why.MITIGATED: "REACHABLE AGAIN: ",
    Why.RESOLVED: "CLOSED: ",
    Why.MUTE: "",
    Why.CHANGED: "CHANGED: ",
    Why.WARD: "",
    Why.DUTY: "",
    Why.DRILL: "",
}
#: Lines of impact in one message; the rest is counted, the board has them all.
_MOST_LINES = 12


def zone_of(incident: Incident, estate: Estate) -> ZoneInfo:
    """The time zone of the site that the incident is at; the organisation's when that is not known."""
    area = next((estate.areas[line.area] for line in incident.impact if line.area in estate.areas), None)
    target = estate.targets.get(incident.root.target) if incident.root else None
    site = estate.sites.get(area.site if area else target.site if target else "")
    return ZoneInfo(site.timezone if site else estate.organisation.timezone)


def organisation_zone(estate: Estate) -> ZoneInfo:
    """The time zone of the organisation."""
    return ZoneInfo(estate.organisation.timezone)


def clock_text(at: float, zone: ZoneInfo) -> str:
    """HH:MM at the site."""
    return datetime.fromtimestamp(at, zone).strftime("%H:%M")


def subject(incident: Incident, why: Why) -> str:
    """One line, also fit for a pager."""
    label = {
        IncidentKind.BLIND: "monitoring fault",
        IncidentKind.EARLY_WARNING: "early warning",
    }.get(incident.kind)
    head = f"[sev {incident.severity}{', ' + label if label else ''}]"
    return f"{head} {_LEAD[why]}{incident.title}"


def text(incident: Incident, why: Why, estate: Estate) -> str:
    """The whole message as plain text."""
    zone = zone_of(incident, estate)
    lines = [f"{_LEAD[why]}{incident.title}"]
    if why in (Why.MITIGATED, Why.RESOLVED):
        lines.append(_ending(incident, why, zone))
    elif incident.plain_text and incident.plain_text != incident.title:
        lines.append(incident.plain_text)
    lines += ["", *_impact(incident, estate)]
    if incident.root:
        lines.append(_cause(incident.root))
    if why not in (Why.MITIGATED, Why.RESOLVED):
        lines += [f"{number}. {step}" for number, step in enumerate(incident.first_steps, start=1)]
    lines.append(f"First sign {clock_text(incident.first_evidence_at, zone)}, severity {incident.severity}.")
    if incident.owner:
        lines.append(f"Owner: {incident.owner}.")
    elif why not in (Why.MITIGATED, Why.RESOLVED):
        lines.append("Nobody has taken it yet.")
    lines.append(f"Incident {incident.id}")
    return "\n".join(lines)


def mitigated_by_person(incident: Incident) -> bool:
    """Whether the newest word that it works again came from a person."""
    said = [entry for entry in incident.timeline if entry.what in ("mitigated", "mitigate")]
    return bool(said) and said[-1].by != "healthmon"


def _ending(incident: Incident, why: Why, zone: ZoneInfo) -> str:
    at = incident.mitigated_at if why is Why.MITIGATED else incident.resolved_at
    when = clock_text(at, zone) if at is not None else "just now"
    if why is Why.RESOLVED:
        unwatched = [entry.text for entry in incident.timeline if entry.what == "unwatched"]
        return f"Closed at {when}. {unwatched[-1]}." if unwatched else f"Closed at {when}."
    if mitigated_by_person(incident):
        return f"IT reports working again since {when}; keep using paper until the nurse in charge says stop."
    return f"Reachable again since {when}; keep using paper until the nurse in charge says stop."


def _impact(incident: Incident, estate: Estate) -> list[str]:
    if not incident.impact:
        if incident.impact_known == "none" and incident.kind is not IncidentKind.BLIND:
            behind = incident.root.target if incident.root else "it"
            return [f"Clinical impact not known: nothing is mapped behind {behind}."]
        return []
    shown = [_impact_line(line, estate) for line in incident.impact[:_MOST_LINES]]
    rest = len(incident.impact) - len(shown)
    return [*shown, f"and {rest} more, see the board"] if rest else shown


def _impact_line(line: ImpactLine, estate: Estate) -> str:
    area, service = estate.areas.get(line.area), estate.services.get(line.service)
    told = f"- {_area_text(area, line.area)}: {service.name if service else line.service}: {_STATE[line.state]}"
    if line.fallback_text and line.fallback_proven_at is not None:
        zone = ZoneInfo(estate.sites[area.site].timezone if area else estate.organisation.timezone)
        told += f"; instead: {line.fallback_text} (proven {clock_text(line.fallback_proven_at, zone)})"
    return told


def _area_text(area: Area | None, area_id: str) -> str:
    if area is None:
        return area_id
    return f"{area.name} ({area.kind.value} with {area.beds} beds)" if area.beds else area.name


def _cause(root: Root) -> str:
    sure = "Very likely" if root.confidence >= 0.9 else "Likely" if root.confidence >= 0.6 else "One of these"
    named = [root.target, *root.alternatives[:3]] if root.confidence < 0.6 else [root.target]
    return f"{sure}: {', '.join(named)} ({root.check}: {root.reason})"
