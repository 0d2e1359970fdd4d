"""Things of the view as JSON of the public interface. Pure."""

from __future__ import annotations

from typing import Any

from healthmon.impact.functions import functions_of
from healthmon.model.alert import Alert
from healthmon.model.incident import LedgerRow
from healthmon.model.render import rfc3339
from healthmon.model.sample import Reading, Series
from healthmon.model.topology import Area, AtLeast, Fallback, Hours, Need, Service, Target
from healthmon.model.view import Health, PairHealth, Presence, ServiceStatus, TargetStatus, View
from healthmon.web.metrics import parse_counter

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def need_json(need: Need) -> Any:
    if isinstance(need, AtLeast):
        return {"at_least": need.n, "of": [need_json(one) for one in need.of]}
    return need


def hours_json(hours: Hours | None) -> Any:
    if hours is None:
        return "always"
    spans = [{"day": DAYS[day], "from": _clock(start), "to": _clock(end)} for day, start, end in hours.spans]
    return {"spans": spans, "closed_on_holidays": hours.closed_on_holidays}


def health_json(health: Health, *, version: str) -> dict[str, Any]:
    return {
        "status": health.status,
        "version": version,
        "started_at": rfc3339(health.started_at),
        "engine_tick_age_s": round(health.engine_tick_age_s, 3),
        "store_ok": health.store_ok,
        "store_queue": health.store_queue,
        "broker_ok": health.broker_ok,
        "config_ok": health.config_ok,
        "audit_ok": health.audit_ok,
        "journal_ok": health.journal_ok,
        "clock_ahead_s": round(health.clock_ahead_s, 1),
        "config_loaded_at": rfc3339(health.config_loaded_at or health.started_at),
        "mode": health.mode,
        "probing": health.probing,
        "ingest_rejected": rejected_json(health),
        "probers": probers_json(health),
        "pair": pair_json(health.pair),
        "baselines": {
            metric: {"known": known, "learning": learning} for metric, (known, learning) in health.baselines.items()
        },
    }


def pair_json(pair: PairHealth | None) -> dict[str, Any] | None:
    if pair is None:
        return None
    return {"name": pair.name, "term": pair.term, "copied": pair.copied, "doubtful": pair.doubtful}


def probers_json(health: Health) -> dict[str, dict[str, int]]:
    """What each prober of this process let through, held back (`waited.LIMIT`), refused (`refused.WHY`), left out."""
    found: dict[str, dict[str, int]] = {}
    for key, count in health.counters.items():
        name, labels = parse_counter(key)
        if "prober" in labels:
            word = name.removeprefix("healthmon_").removeprefix("probes_").removesuffix("_total")
            detail = labels.get("limit") or labels.get("why")
            found.setdefault(labels["prober"], {})[f"{word}.{detail}" if detail else word] = int(count)
    return found


def rejected_json(health: Health) -> dict[str, int]:
    """How many messages were refused since the start, by reason."""
    prefix = "ingest_rejected_total."
    return {key.removeprefix(prefix): int(count) for key, count in health.counters.items() if key.startswith(prefix)}


def target_json(view: View, target: Target, *, deep: bool = False) -> dict[str, Any]:
    status = view.targets.get(target.id)
    shape = {
        "id": target.id,
        "name": target.name,
        "kind": target.kind,
        "address": target.address,
        "site": target.site,
        "area": target.area,
        "team": target.team,
        "labels": dict(target.labels),
        **status_json(status),
    }
    if (present := view.presence.get(target.id)) is not None:
        shape["presence"] = presence_json(present)
    if deep:
        shape["needs"] = [need_json(need) for need in target.needs]
        shape["checks"] = [
            {"id": c.id, "kind": c.kind, "every_s": c.every_s, "timeout_s": c.timeout_s, "from": list(c.vantages)}
            for c in target.checks
        ]
        found = sorted(key for key in view.latest if key[0] == target.id)
        shape["latest"] = [reading_json(view.latest[key]) for key in found]
    return shape


def presence_json(present: Presence) -> dict[str, Any]:
    """Whether a machine that people switch off is on, why not, and what its hours are."""
    last = present.last
    return {
        "agent": present.agent,
        "state": present.state,
        "since": rfc3339(present.since),
        "told": present.told,
        "because": list(present.because),
        "usual_hours": present.usual_hours or None,
        "learning": present.learning,
        "usual_now": None if present.usual_now is None else round(present.usual_now, 2),
        "periods_known": present.periods,
        "port": present.port or None,
        "port_by": present.port_by or None,
        "last_absence": {
            "from": rfc3339(last.start),
            "to": rfc3339(last.end),
            "taken_for": last.judged,
            "turned_out": last.turned_out,
        }
        if last
        else None,
    }


def status_json(status: TargetStatus | None) -> dict[str, Any]:
    if status is None:
        return {"outcome": "unknown", "reason": "silent", "since": None, "last_at": None, "explained_by": None}
    return {
        "outcome": status.outcome.value,
        "reason": status.reason or None,
        "since": rfc3339(status.since),
        "last_at": rfc3339(status.last_at),
        "explained_by": status.explained_by,
    }


def reading_json(reading: Reading) -> dict[str, Any]:
    return {
        "target": reading.target,
        "check": reading.check,
        "vantage": reading.vantage,
        "started": rfc3339(reading.started),
        "took_s": reading.took,
        "rest_s": reading.rest_s,
        "outcome": reading.outcome.value,
        "reason": reading.reason.value if reading.reason else None,
        "detail": reading.detail,
        "samples": [
            {"family": s.family, "field": s.field, "value": s.value, "labels": s.labels} for s in reading.samples
        ],
    }


def area_json(view: View, area: Area, *, deep: bool = False) -> dict[str, Any]:
    contact = area.contact
    shape: dict[str, Any] = {
        "id": area.id,
        "name": area.name,
        "kind": area.kind.value,
        "acuity": area.acuity.value,
        "site": area.site,
        "beds": area.beds,
        "staffed": hours_json(area.staffed),
        "needs": [need_json(need) for need in area.needs],
        "contact": {"phone": contact.phone, "bleep": contact.bleep, "email": contact.email} if contact else None,
        "downtime_pc": area.downtime_pc,
    }
    if deep:
        shape["services"] = [service_state_json(s) for s in view.services.values() if s.area == area.id]
    return shape


def service_json(view: View, service: Service, *, deep: bool = False) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": service.id,
        "name": service.name,
        "tier": service.tier,
        "used_in": list(service.used_in),
        "everywhere": service.everywhere,
        "needs": [need_json(need) for need in service.needs],
        "fallback": fallback_json(service.fallback),
        "standards": dict(service.standards),
        "team": service.team,
        "functions": list(functions_of([service])),
    }
    if deep:
        shape["areas"] = [service_state_json(s) for s in view.services.values() if s.service == service.id]
    return shape


def fallback_json(fallback: Fallback | None) -> dict[str, Any] | None:
    return {"text": fallback.text, "proven_by": fallback.proven_by} if fallback else None


def service_state_json(status: ServiceStatus) -> dict[str, Any]:
    return {
        "area": status.area,
        "service": status.service,
        "state": status.state.value,
        "since": rfc3339(status.since),
        "paths": {"left": status.paths.left, "of": status.paths.of, "exact": status.paths.exact},
        "causes": list(status.causes),
        "proven_at": rfc3339(status.proven_at),
    }


def alert_json(alert: Alert) -> dict[str, Any]:
    key = alert.key
    return {
        "rule": key.rule,
        "target": key.target,
        "check": key.check,
        "vantage": key.vantage,
        "labels": dict(key.labels),
        "phase": alert.phase.value,
        "effect": alert.effect.value,
        "since": rfc3339(alert.since),
        "bad_since": rfc3339(alert.bad_since),
        "fired_at": rfc3339(alert.fired_at),
        "flapping_since": rfc3339(alert.flapping_since),
        "value": alert.value,
        "reason": alert.reason.value if alert.reason else None,
        "detail": alert.detail,
    }


def ledger_json(row: LedgerRow) -> dict[str, Any]:
    return {
        "at": rfc3339(row.at),
        "incident": row.incident,
        "key": row.key,
        "who": row.who,
        "cause": row.cause,
        "because": row.because,
        "what": row.what,
        "evidence": row.evidence,
        "expires_at": rfc3339(row.expires_at),
        "mute": row.mute or None,
        "was_real": row.real_at is not None,
        "real_at": rfc3339(row.real_at),
        "real_how": row.real_how or None,
    }


def series_json(series: Series) -> dict[str, Any]:
    return {"tags": dict(series.tags), "points": [[rfc3339(at), value] for at, value in series.points]}


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
