"""Incidents as the JSON of the public interface (API, webhooks, MQTT speak the same)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from healthmon.model.incident import ImpactLine, Incident, Member, Notice
from healthmon.model.mute import HeldBy
from healthmon.model.report import WardReport


def rfc3339(at: float | None) -> str | None:
    """Unix seconds as RFC 3339 UTC with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def member_json(member: Member) -> dict[str, Any]:
    key = member.key
    return {
        "target": key.target,
        "check": key.check,
        "vantage": key.vantage,
        "labels": dict(key.labels),
        "rule": key.rule,
        "since": rfc3339(member.since),
        "cleared_at": rfc3339(member.cleared_at),
        "reason": member.reason,
    }


def impact_json(line: ImpactLine) -> dict[str, Any]:
    fallback = None
    if line.fallback_text:
        fallback = {"text": line.fallback_text, "proven_at": rfc3339(line.fallback_proven_at)}
    return {
        "area": line.area,
        "service": line.service,
        "state": line.state.value,
        "since": rfc3339(line.since),
        "paths": {"left": line.paths.left, "of": line.paths.of, "exact": line.paths.exact},
        "fallback": fallback,
    }


def notice_json(notice: Notice) -> dict[str, Any]:
    return {
        "key": notice.key,
        "channel": notice.channel,
        "to": notice.to,
        "why": notice.why.value,
        "at": rfc3339(notice.at or notice.due),
        "result": notice.result.value,
        "attempts": notice.attempts,
        "repeat": notice.repeat,
        "detail": notice.detail,
        "person": notice.person,
        "delivered_at": rfc3339(notice.delivered_at),
    }


def report_json(one: WardReport) -> dict[str, Any]:
    """What one area said; never its free text."""
    return {
        "area": one.area or None,
        "service": one.service or None,
        "effect": one.effect.value,
        "first_at": rfc3339(one.first_at),
        "last_at": rfc3339(one.last_at),
        "count": one.count,
        "source": one.source,
        "again_at": [rfc3339(at) for at in one.again_at],
        "works_at": rfc3339(one.works_at),
    }


def held_json(held: HeldBy) -> dict[str, Any]:
    return {
        "id": held.id,
        "kind": held.kind,
        "by": held.owner,
        "reason": held.reason,
        "until": rfc3339(held.until),
    }


def incident_json(incident: Incident, notices: Iterable[Notice] = ()) -> dict[str, Any]:
    """The incident of CONTRACT section 3. Pure; times RFC 3339 UTC."""
    root = None
    if incident.root:
        root = {
            "target": incident.root.target,
            "check": incident.root.check,
            "reason": incident.root.reason,
            "confidence": round(incident.root.confidence, 2),
            "certainty": incident.root.certainty,
            "alternatives": [{"target": target} for target in incident.root.alternatives],
            "in_common": list(incident.root.in_common),
            "supplier": incident.root.supplier,
        }
    lead_s = None
    if incident.first_human_report_at is not None:
        lead_s = incident.first_human_report_at - incident.opened_at
    return {
        "id": incident.id,
        "kind": incident.kind.value,
        "state": incident.state.value,
        "severity": incident.severity,
        "impact_level": incident.impact_level,
        "urgency": incident.urgency,
        "title": incident.title,
        "plain_text": incident.plain_text,
        "root": root,
        "members": [member_json(member) for member in incident.members],
        "suppressed": [
            {"target": m.key.target, "rule": m.key.rule, "why": f"behind {m.behind}"}
            for m in incident.members
            if m.behind
        ],
        "impact_known": incident.impact_known,
        "impact": [impact_json(line) for line in incident.impact],
        "opened_at": rfc3339(incident.opened_at),
        "first_evidence_at": rfc3339(incident.first_evidence_at),
        "first_human_report_at": rfc3339(incident.first_human_report_at),
        "lead_s": lead_s,
        "owner": incident.owner,
        "accepted_by": list(incident.accepted_by),
        "impact_note": incident.impact_note,
        "acknowledged_at": rfc3339(incident.acknowledged_at),
        "mitigated_at": rfc3339(incident.mitigated_at),
        "resolved_at": rfc3339(incident.resolved_at),
        "merged_into": incident.merged_into,
        "team": incident.team,
        "runbook": incident.runbook,
        "first_steps": list(incident.first_steps),
        "changes_open": list(incident.changes_open),
        "silenced": [held_json(one) for one in incident.silenced],
        "reports": [report_json(one) for one in incident.reports],
        "notices": [notice_json(notice) for notice in notices],
        "timeline": [{"at": rfc3339(e.at), "what": e.what, "text": e.text, "by": e.by} for e in incident.timeline],
    }
