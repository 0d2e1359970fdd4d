"""Which wards are told by SMS now: once what they have lost, once that it is back, no all-clear without a proof. Pure.

A ward hears only of what IT was paged about: what is in shadow, held, silenced or not woken for tells no ward either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from healthmon.alerting.incidents.phrases import Phrases
from healthmon.alerting.oncall.wording import mitigated_by_person
from healthmon.impact.wards import proven_from
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, IncidentState, Notice, ServiceState, Why
from healthmon.model.view import View
from healthmon.model.wards import Desk, WardTexts

_HURT = (ServiceState.LOST, ServiceState.DEGRADED)
_OVER = (IncidentState.MITIGATED, IncidentState.RESOLVED)
#: `step` of a notice to a ward.
LOST, BACK = 0, 1
#: A recovery that could not be told for so long tells nobody anything new.
FORGET_S = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class Ward:
    """One area and how it is spoken to."""

    id: str
    phones: tuple[str, ...]
    phrases: Phrases
    desk: Desk
    staffed: bool = True


def about(incident: str) -> str:
    """What the told-log calls texts to wards about an incident: no page, so it counts in no step of a policy."""
    return f"ward-{incident}"


def texts_due(
    incident: Incident, ward: Ward, told: Sequence[Notice], *, plan: WardTexts, view: View, paged: bool
) -> list[Notice]:
    """New texts to one ward. told: those about this incident so far, with bodies; paged: IT was told of it."""
    mine = sorted((one for one in told if one.areas == (ward.id,)), key=lambda one: (one.due, one.step))
    last = mine[-1] if mine else None
    if last is None or last.step == BACK:
        lost = _lost(incident, ward.id, plan, view)
        return _made(incident, ward, LOST, _round(mine), plan, view, lost) if paged and lost and ward.staffed else []
    services = tuple(str(one) for one in last.body.get("services", ()))
    back = view.at - last.due < FORGET_S and _is_back(incident, ward.id, services, last.due, view)
    over = replace(incident, state=IncidentState.MITIGATED)
    return _made(over, ward, BACK, _round(mine), plan, view, services) if back else []


def _lost(incident: Incident, area: str, plan: WardTexts, view: View) -> tuple[str, ...]:
    """Services of this incident that the area has not had for long enough."""
    serious = incident.severity <= plan.severity and incident.kind is IncidentKind.INCIDENT
    if not serious or incident.state in _OVER or incident.merged_into is not None:
        return ()
    return tuple(
        line.service
        for line in incident.impact
        if line.area == area
        and line.state is ServiceState.LOST
        and (not plan.services or line.service in plan.services)
        and view.at - line.since >= plan.after_s
    )


def _is_back(incident: Incident, area: str, services: Collection[str], since: float, view: View) -> bool:
    """Seen working from the ward since it was told, or said by a person; and nothing speaks against it."""
    if incident.state not in _OVER or incident.merged_into is not None or not services:
        return False
    if any(one.area == area and one.works_at is None for one in incident.reports):
        return False
    if any(line.area == area and line.service in services and line.state in _HURT for line in _others(incident, view)):
        return False
    return mitigated_by_person(incident) or all(_proven(area, one, since, view) for one in services)


def _others(incident: Incident, view: View) -> Iterator[ImpactLine]:
    for one in view.incidents:
        if one.open and one.state not in _OVER and one.id != incident.id:
            yield from one.impact


def _proven(area: str, service: str, since: float, view: View) -> bool:
    status = view.services.get((area, service))
    at = proven_from(status, view.estate, view.at) if status is not None else None
    return at is not None and at > since


def _made(
    incident: Incident, ward: Ward, step: int, count: int, plan: WardTexts, view: View, services: Sequence[str]
) -> list[Notice]:
    text = ward.phrases.sms(incident, ward.id, ward.desk, view.at)
    return [
        Notice(
            hashlib.sha256(f"ward|{incident.id}|{ward.id}|{phone}|{count}".encode()).hexdigest()[:16],
            about(incident.id), step, plan.channel, phone, Why.WARD, view.at, text, text,
            body={"services": list(services), "area": ward.id}, severity=incident.severity, areas=(ward.id,),
            episode=incident.episode,
        )
        for phone in ward.phones
    ]  # fmt: skip


def _round(mine: Sequence[Notice]) -> int:
    """Texts of one round go to each telephone of the ward."""
    return len({(one.due, one.step) for one in mine})
