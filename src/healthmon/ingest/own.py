"""What healthmon itself concludes, as points: services, incidents, agents, its own health. For charts and history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from healthmon.ingest.identifiers import scrub
from healthmon.model.incident import Incident, IncidentKind, ServiceState
from healthmon.model.sample import Row, Value
from healthmon.model.view import AgentStatus, Health, ServiceStatus, View

_SEVERITIES = range(1, 6)


def own_rows(view: View, agents: Iterable[AgentStatus]) -> tuple[Row, ...]:
    """One point per area x service, per severity x kind of open incidents, per incident and for each of these agents.

    States are text, and a state set beside it (exactly one 1.0): no number orders unknown beside ok.
    """
    return (
        *_services(view),
        *_incidents_open(view),
        *_agents(view, agents),
        _health(view.health, view.at),
        *map(_incident, view.incidents),
    )


def _services(view: View) -> Iterator[Row]:
    for status in view.services.values():
        area = view.estate.areas.get(status.area)
        tags = _tags(site=area.site if area else None, area=status.area, service=status.service)
        yield Row("service", tags, _service_fields(status), view.at)


def _service_fields(status: ServiceStatus) -> tuple[tuple[str, Value], ...]:
    fields: dict[str, Value] = {str(state): 1.0 if state is status.state else 0.0 for state in ServiceState}
    fields |= {
        "state": str(status.state),
        "paths_left": float(status.paths.left),
        "paths_of": float(status.paths.of),
    }
    return _fields(fields)


def _incidents_open(view: View) -> Iterator[Row]:
    """Zeros too: a severity that went back to none must not keep its last number on a chart."""
    open_now = Counter(
        (incident.severity, incident.kind) for incident in view.incidents if incident.open and not incident.merged_into
    )
    for severity in _SEVERITIES:
        for kind in IncidentKind:
            count = float(open_now[severity, kind])
            yield Row("incidents", _tags(severity=str(severity), kind=str(kind)), (("open", count),), view.at)
    for incident in view.incidents:
        if incident.open and not incident.merged_into:
            root = incident.root.target if incident.root else None
            tags = _tags(incident=incident.id, kind=str(incident.kind), state=str(incident.state), root=root)
            yield Row("incident_open", tags, (("severity", float(incident.severity)),), view.at)


def _agents(view: View, agents: Iterable[AgentStatus]) -> Iterator[Row]:
    for agent in agents:
        host = view.estate.vantage_target(agent.agent)
        tags = _tags(
            site=host.site if host else None,
            area=host.area if host else None,
            target=agent.target,
            vantage=agent.agent,
        )
        yield Row("agent", tags, _agent_fields(agent, view.at), view.at)


def _agent_fields(agent: AgentStatus, now: float) -> tuple[tuple[str, Value], ...]:
    fields: dict[str, Value] = {
        "up": 1.0 if agent.state == "up" else 0.0,
        "state": agent.state,
        "gaps": float(agent.gaps),
        "dropped": float(agent.dropped),
        "skew_seconds": agent.skew_s,
        "cloned": agent.cloned,
    }
    if agent.last_at is not None:
        fields["last_seen_seconds"] = max(0.0, now - agent.last_at)
    return _fields(fields)


def _health(health: Health, at: float) -> Row:
    fields: dict[str, Value] = {
        "status": health.status,
        "engine_tick_age_seconds": health.engine_tick_age_s,
        "store_queue_rows": float(health.store_queue),
        "store_up": float(health.store_ok),
        "broker_up": float(health.broker_ok),
        "config_ok": float(health.config_ok),
        "live_mode": float(health.mode == "live"),
        "probing_enabled": float(health.probing),
    }
    return Row("health", (), _fields(fields), at)


def _incident(incident: Incident) -> Row:
    """Always at the moment of opening, so that the newest state replaces the one before.

    The id is a tag, since two may open in one moment; a hospital has hundreds a year, not more.
    """
    fields: dict[str, Value] = {
        "severity": float(incident.severity),
        "state": str(incident.state),
        "title": scrub(incident.title),
        "areas": float(len({line.area for line in incident.impact})),
        "detection_seconds": max(0.0, incident.opened_at - incident.first_evidence_at),
    }
    if incident.resolved_at is not None:
        fields["open_seconds"] = max(0.0, incident.resolved_at - incident.opened_at)
    if incident.root is not None:
        fields["root"] = incident.root.target
    tags = _tags(kind=str(incident.kind), incident=incident.id)
    return Row("incident", tags, _fields(fields), incident.opened_at)


def _tags(**tags: str | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in tags.items() if value))


def _fields(fields: dict[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(fields.items()))
