"""The zero-touch audit: how long a report of a person waited for a named human, and what should have been a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from healthmon.reports.figures import spread
from healthmon.reports.record import Chart, Column, Record, Section, prose
from healthmon.reports.tickets import Ticket

#: The same thing reported again so soon after a ticket was closed was not mended.
AGAIN_S = 72 * 3600.0
#: Ways in which a human answers at once.
CALLS = frozenset({"phone", "call", "ward", "walk-in"})
_WORST = 2

_COUNTED = prose("""
    To a named human = from the report to the moment the service desk says a person took it. Closed, then again
    = reopened, or the same area and service or machine reported within 72 h of closing. Should have been a call
    = came by portal, chatbot or e-mail, and its incident was severity 1 or 2, or its own priority was 1 or 2.
    Hours are local.
""")


def zero_touch(record: Record) -> Section:
    """One row for each area and hour of the day with reports."""
    audited = audit(record)
    rows = [_row(record, area, hour, listed) for (area, hour), listed in sorted(_grouped(record, audited).items())]
    waits = [one["human_seconds"] for one in audited if one["human_seconds"] is not None]
    figures = {
        "reports": len(audited),
        "human_seconds": spread(waits),
        "never_taken": sum(one["human_seconds"] is None for one in audited),
        "again": sum(one["again"] for one in audited),
        "should_have_been_calls": sum(one["should_have_been_a_call"] for one in audited),
        "by_channel": dict(sorted(Counter(one["channel"] for one in audited).items())),
        "tickets": audited,
    }
    return Section("zero-touch", "From a report to a human", _words(figures), figures, _COLUMNS, tuple(rows), _COUNTED,
                   Chart("when", "human_p50_seconds", "Half of the reports waited so long or longer"))  # fmt: skip


def audit(record: Record) -> list[dict[str, Any]]:
    """Each report, the oldest first."""
    by_incident, _ = record.reported()
    severity = {t.id: one.worst_severity for one in record.raised for t in by_incident.get(one.id, ())}
    incident = {t.id: id_ for id_, listed in by_incident.items() for t in listed}
    return [
        {
            "id": one.id,
            "opened_at": one.opened_at,
            "area": one.area,
            "channel": one.channel or "not known",
            "incident": incident.get(one.id),
            "human_seconds": None if one.owned_at is None else max(0.0, one.owned_at - one.opened_at),
            "again": closed_then_again(one, record.tickets),
            "should_have_been_a_call": should_have_been_a_call(one, severity.get(one.id)),
        }
        for one in sorted(record.tickets, key=lambda one: (one.opened_at, one.id))
    ]


def closed_then_again(ticket: Ticket, tickets: Iterable[Ticket]) -> bool:
    """Reopened, or the same was reported soon after it was closed."""
    if ticket.reopened:
        return True
    if ticket.closed_at is None or ticket.area is None:
        return False
    for other in tickets:
        same = other.area == ticket.area and (other.service, other.target) == (ticket.service, ticket.target)
        if same and ticket.closed_at <= other.opened_at <= ticket.closed_at + AGAIN_S and other.id != ticket.id:
            return True
    return False


def should_have_been_a_call(ticket: Ticket, severity: int | None) -> bool:
    """Critical and high are phoned in (Midlands and Lancashire CSU); what came another way waited in a queue."""
    bad = (severity is not None and severity <= _WORST) or (ticket.priority is not None and ticket.priority <= _WORST)
    return bad and ticket.channel not in CALLS and ticket.channel != ""


def _grouped(record: Record, audited: Sequence[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in audited:
        found.setdefault((one["area"] or "", record.period.local(one["opened_at"]).hour), []).append(one)
    return found


def _row(record: Record, area: str, hour: int, listed: list[dict[str, Any]]) -> Mapping[str, Any]:
    waits = spread([one["human_seconds"] for one in listed if one["human_seconds"] is not None])
    name = record.area_name(area) if area else "place not known"
    return {
        "area": area or None,
        "hour": hour,
        "when": f"{name}, {hour:02}:00",
        "reports": len(listed),
        "human_p50_seconds": waits["p50"],
        "human_most_seconds": waits["most"],
        "never_taken": sum(one["human_seconds"] is None for one in listed),
        "again": sum(one["again"] for one in listed),
        "should_have_been_calls": sum(one["should_have_been_a_call"] for one in listed),
    }


def _words(figures: Mapping[str, Any]) -> tuple[str, ...]:
    if not figures["reports"]:
        return ("No reports of people were given for this month (`--tickets`), so nothing is said of how they fared.",)
    wait = figures["human_seconds"]
    half = "not known" if wait["p50"] is None else f"{wait['p50'] / 60:.0f} min"
    return (
        f"{figures['reports']} reports; half of those that a person took waited at least {half} for a named human.",
        f"{figures['never_taken']} were taken by nobody as far as is known, {figures['again']} were closed and came "
        f"again, {figures['should_have_been_calls']} should have been calls.",
    )


_COLUMNS = (
    Column("when", "Area and hour"),
    Column("reports", "Reports", "count"),
    Column("human_p50_seconds", "Half waited at least", "seconds"),
    Column("human_most_seconds", "Longest", "seconds"),
    Column("never_taken", "Taken by nobody", "count"),
    Column("again", "Closed, then again", "count"),
    Column("should_have_been_calls", "Should have been calls", "count"),
)
