"""What people reported: tickets and calls, and which incident each of them is about. Nothing about who reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from healthmon.model.incident import Incident

#: A report so long before the first evidence, or after the end, may still be about the incident.
BEFORE_S = 2 * 3600.0
AFTER_S = 1800.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """One report by a person. Times are Unix s; owned_at: when a named human took it; channel: phone, portal, ward ...

    priority: 1 (worst) to 5; again: reopened or followed by the source's own word; source: where it was read.
    """

    id: str
    opened_at: float
    channel: str = ""
    area: str | None = None
    service: str | None = None
    target: str | None = None
    priority: int | None = None
    owned_at: float | None = None
    closed_at: float | None = None
    reopened: bool = False
    incident: str | None = None
    source: str = ""


def by_incident(
    tickets: Iterable[Ticket], incidents: Sequence[Incident], *, until: float
) -> tuple[Mapping[str, tuple[Ticket, ...]], tuple[Ticket, ...]]:
    """Tickets by the incident that they are about, oldest first, and those that fit none."""
    found: dict[str, list[Ticket]] = {}
    lone: list[Ticket] = []
    known = {one.id for one in incidents}
    for ticket in sorted(tickets, key=lambda one: (one.opened_at, one.id)):
        named = [ticket.incident] if ticket.incident in known else None  # one that was merged away names nothing
        fits = [
            (_distance(ticket, one), one.id)
            for one in incidents
            if (one.id in named if named else _about(ticket, one, until))
        ]
        if fits:
            found.setdefault(min(fits)[1], []).append(ticket)
        else:
            lone.append(ticket)
    return {id_: tuple(listed) for id_, listed in found.items()}, tuple(lone)


def _about(ticket: Ticket, incident: Incident, until: float) -> bool:
    """Same time, and the same place or thing; what a ticket does not say fits anything, but it must say something."""
    ended = incident.mitigated_at if incident.mitigated_at is not None else incident.resolved_at
    if not incident.first_evidence_at - BEFORE_S <= ticket.opened_at <= (until if ended is None else ended) + AFTER_S:
        return False
    if ticket.target is not None and any(member.key.target == ticket.target for member in incident.members):
        return True
    lines = [(ticket.area in (None, one.area)) and (ticket.service in (None, one.service)) for one in incident.impact]
    return (ticket.area is not None or ticket.service is not None) and any(lines)


def _distance(ticket: Ticket, incident: Incident) -> tuple[int, float]:
    """The better it fits, the smaller."""
    same = any((ticket.area, ticket.service) == (line.area, line.service) for line in incident.impact)
    return 0 if same else 1, abs(ticket.opened_at - incident.opened_at)
