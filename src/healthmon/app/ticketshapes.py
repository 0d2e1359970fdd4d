"""Tickets of other systems, read by a small map: number, when it was opened, its state, its place, its service. Pure.

Nothing else of a ticket is looked at: its texts may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from healthmon.model.report import Ticket
from healthmon.model.topology import Estate
from healthmon.model.wards import TicketSource

#: Where each system says what; the first path that leads somewhere counts.
SHAPES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "servicenow": {
        "number": ("number", "result.number", "record.number"),
        "opened_at": ("opened_at", "result.opened_at", "sys_created_on", "record.opened_at"),
        "state": ("state", "result.state", "incident_state", "record.state"),
        "area": ("location.display_value", "location.name", "location", "u_location", "result.location"),
        "service": ("business_service.display_value", "business_service", "cmdb_ci.display_value", "cmdb_ci"),
    },
    "ivanti": {
        "number": ("IncidentNumber", "Incident.IncidentNumber", "ServiceReqNumber"),
        "opened_at": ("CreatedDateTime", "Incident.CreatedDateTime"),
        "state": ("Status", "Incident.Status"),
        "area": ("Location", "Incident.Location", "ProfileLocation"),
        "service": ("Service", "Incident.Service", "CI"),
    },
    "jira": {
        "number": ("issue.key", "key"),
        "opened_at": ("issue.fields.created", "fields.created"),
        "state": ("issue.fields.status.name", "fields.status.name"),
        "area": ("issue.fields.environment", "issue.fields.location.value"),
        "service": ("issue.fields.components.0.name", "fields.components.0.name"),
    },
    "plain": {name: (name,) for name in ("number", "opened_at", "state", "area", "service")},
}
#: What systems call the ends of a ticket; everything else is open.
_STATES = {
    **dict.fromkeys(("6", "resolved", "done", "fixed"), "resolved"),
    **dict.fromkeys(("7", "8", "closed", "cancelled", "canceled", "complete", "completed"), "closed"),
    **dict.fromkeys(("reopened", "reopen"), "reopened"),
}
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/#-]{0,39}")
_MOST = 120


class NoTicket(ValueError):
    """The message names no ticket; its text says what is missing."""


def ticket_of(body: Mapping[str, Any], source: TicketSource, estate: Estate, now: float) -> Ticket:
    """What the message says. Raises NoTicket."""
    said = {name: _found(body, name, source) for name in ("number", "opened_at", "state", "area", "service")}
    number = said["number"]
    if not _NUMBER.fullmatch(number):
        raise NoTicket("number: no ticket number where it is looked for")
    opened_at = _moment(said["opened_at"])
    if opened_at is None or not 0.0 < opened_at <= now + 300.0:
        opened_at = now
    return Ticket(
        system=source.id,
        number=number,
        state=_STATES.get(said["state"].casefold(), "open"),
        at=now,
        opened_at=min(opened_at, now),
        area=_meant(said["area"], source.areas, estate.areas),
        service=_meant(said["service"], source.services, estate.services),
    )


def _found(body: Mapping[str, Any], name: str, source: TicketSource) -> str:
    own = source.fields.get(name)
    for path in (own,) if own else SHAPES[source.shape][name]:
        value = _at(body, path)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()[:_MOST]
    return ""


def _at(body: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(body, Mapping):
            body = body.get(step)
        elif isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body = body[int(step)]
        else:
            return None
    return body


def _meant(word: str, own: Mapping[str, str], known: Mapping[str, Any]) -> str:
    """An id of ours: by the map, by id or by name; empty where it means nothing to us."""
    wanted = word.casefold()
    mapped = {key.casefold(): id_ for key, id_ in own.items()}
    if wanted in mapped:
        return mapped[wanted]
    if wanted in known:
        return wanted
    return next((id_ for id_, one in known.items() if wanted and one.name.casefold() == wanted), "")


def _moment(text: str) -> float | None:
    """RFC 3339, `2026-11-29 03:10:00` (UTC), or Unix time in seconds or milliseconds."""
    if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
        number = float(text)
        return number / 1000.0 if number > 1e11 else number
    try:
        found = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.replace("Z", "+00:00")))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
