"""What one area can and cannot do now: functions by name, PCs that work, what still works and how that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from healthmon.impact.functions import functions_of
from healthmon.impact.severity import SeverityTable
from healthmon.model.incident import ImpactLine, Incident, ServiceState
from healthmon.model.sample import Outcome
from healthmon.model.topology import Estate, Target, need_ids
from healthmon.model.view import ServiceStatus, View

#: End devices that are no place to work at a record: of all end devices, those left are the clinical PCs.
_NO_PC = frozenset({"printer", "label-printer", "phone"})
PC_KINDS = frozenset(SeverityTable().end_devices) - _NO_PC
#: A proof may be this much older than its interval: the look itself takes time.
_PROOF_SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class Computers:
    """Clinical PCs of an area. `unknown`: not watched, asleep, or beyond what we can see; the rest are not working."""

    working: int
    total: int
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Proven:
    """A service that was seen working from the area itself, within the interval of that look (Unix s)."""

    service: str
    proven_at: float


@dataclass(frozen=True, slots=True)
class WardImpact:
    """One area of an incident. `works` names only what was proven from there; `not_known` is all the rest that is not
    lost or slow. `fallbacks`: (service, text, when it was proven ready for this area, or None)."""

    area: str
    beds: int
    functions_lost: tuple[str, ...]
    functions_slow: tuple[str, ...]
    pcs: Computers
    works: tuple[Proven, ...]
    not_known: tuple[str, ...]
    fallbacks: tuple[tuple[str, str, float | None], ...]


def ward_impact(incident: Incident, view: View) -> tuple[WardImpact, ...]:
    """Every area that the incident touches, as the snapshot has it: what loses a service, and where PCs have failed."""
    failing = {member.key.target for member in incident.members if member.cleared_at is None}
    lines: dict[str, list[ImpactLine]] = {t.area: [] for t in _pcs(view.estate) if t.area and t.id in failing}
    for line in incident.impact:
        lines.setdefault(line.area, []).append(line)
    return tuple(_ward(area, own, view) for area, own in sorted(lines.items()) if area in view.estate.areas)


def computers(area: str, view: View) -> Computers:
    """How many clinical PCs of the area work, of how many that are known."""
    mine = [pc.id for pc in _pcs(view.estate) if pc.area == area]
    states = [view.targets[id_].outcome if id_ in view.targets else Outcome.UNKNOWN for id_ in mine]
    return Computers(states.count(Outcome.OK), len(mine), states.count(Outcome.UNKNOWN))


def _pcs(estate: Estate) -> Iterator[Target]:
    roles = {agent.target for agent in estate.agents.values() if PC_KINDS.intersection(agent.roles)}
    return (one for one in estate.targets.values() if one.kind in PC_KINDS or one.id in roles)


def proven_from(status: ServiceStatus, estate: Estate, now: float) -> float | None:
    """When the service was last seen working from the area itself, if that is within the interval of the look."""
    if status.state not in (ServiceState.OK, ServiceState.AT_RISK) or status.proven_at is None:
        return None
    limits = [
        check.every_s + check.timeout_s
        for id_ in need_ids(estate.services[status.service].needs)
        if id_ in estate.targets
        for check in estate.targets[id_].checks
        if set(check.vantages) - {"poller"}
    ]
    in_time = now - status.proven_at <= max(limits, default=0.0) + _PROOF_SLACK_S
    return status.proven_at if in_time else None


def _ward(area: str, lines: Iterable[ImpactLine], view: View) -> WardImpact:
    own = {line.service: line for line in lines}
    used = sorted(id_ for id_, service in view.estate.services.items() if area in service.used_in)
    hurt = {id_ for id_, line in own.items() if line.state in (ServiceState.LOST, ServiceState.DEGRADED)}
    lost = _functions(view.estate, (id_ for id_ in hurt if own[id_].state is ServiceState.LOST))
    slow = _functions(view.estate, (id_ for id_ in hurt if own[id_].state is ServiceState.DEGRADED))
    works = []
    for id_ in used:
        status = view.services.get((area, id_))
        at = proven_from(status, view.estate, view.at) if status is not None and id_ not in hurt else None
        if at is not None:
            works.append(Proven(id_, at))
    proven = {one.service for one in works}
    return WardImpact(
        area=area,
        beds=view.estate.areas[area].beds,
        functions_lost=lost,
        functions_slow=tuple(one for one in slow if one not in lost),
        pcs=computers(area, view),
        works=tuple(works),
        not_known=tuple(id_ for id_ in used if id_ not in hurt and id_ not in proven),
        fallbacks=tuple(
            (id_, line.fallback_text, line.fallback_proven_at)
            for id_, line in sorted(own.items())
            if id_ in hurt and line.fallback_text
        ),
    )


def _functions(estate: Estate, services: Iterable[str]) -> tuple[str, ...]:
    return functions_of(estate.services[id_] for id_ in services if id_ in estate.services)
