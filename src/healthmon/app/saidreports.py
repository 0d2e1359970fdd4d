"""What people said that the journal has: reports of wards and tickets of other systems, as reports of the month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from healthmon.alerting.journal import Event, Journal
from healthmon.model.incident import Incident
from healthmon.reports.period import Period
from healthmon.reports.tickets import Ticket

#: The audit kind of tickets that came over the API.
TICKET = "ticket"
#: Where a report comes from that was pressed on a ward page.
WARD = "ward"
_MOST = 1_000_000
_OVER = ("resolved", "closed")


def told_tickets(journal: Journal, period: Period, owned: Mapping[str, float]) -> list[Ticket]:
    """Tickets opened in the month, each with how it went on. owned: when each incident had a named owner."""
    lines: dict[tuple[str, str], list[Event]] = {}
    for event in journal.events(TICKET, period.start, _MOST):
        lines.setdefault((str(event.body["system"]), str(event.body["number"])), []).append(event)
    found = [_ticket(listed, owned) for listed in lines.values()]
    return [one for one in found if period.holds(one.opened_at)]


def ward_reports(incidents: Iterable[Incident]) -> list[Ticket]:
    """What areas pressed on their page. The named human is who took the incident; said again is reported again."""
    return [
        Ticket(
            f"{incident.id}/{one.area}/{one.service}",
            one.first_at,
            channel="ward",
            area=one.area or None,
            service=one.service or None,
            priority=one.effect.rank + 1,
            owned_at=incident.acknowledged_at,
            reopened=bool(one.again_at),
            incident=incident.id,
            source=WARD,
        )
        for incident in incidents
        for one in incident.reports
        if one.source == WARD
    ]


def both(exported: Iterable[Ticket], told: Iterable[Ticket]) -> list[Ticket]:
    """Of a ticket that came both ways the export's, which says more."""
    found = {one.id: one for one in told}
    found.update((one.id, one) for one in exported)
    return list(found.values())


def _ticket(lines: list[Event], owned: Mapping[str, float]) -> Ticket:
    first: Mapping[str, Any] = lines[0].body
    incident = next((str(line.body["incidents"][0]) for line in lines if line.body.get("incidents")), None)
    return Ticket(
        str(first["number"]),
        min(float(line.body["opened_at"]) for line in lines),
        area=str(first.get("area") or "") or None,
        service=str(first.get("service") or "") or None,
        owned_at=owned.get(incident or ""),
        closed_at=max((line.at for line in lines if line.body["state"] in _OVER), default=None),
        reopened=any(line.body["state"] == "reopened" for line in lines),
        incident=incident,
        source=str(first["system"]),
    )
