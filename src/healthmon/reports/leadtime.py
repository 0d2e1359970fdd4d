"""Who was first: incidents raised before the first report of a person, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.model.incident import Incident, Notice
from healthmon.reports.figures import shared, spread
from healthmon.reports.record import BAD_NEWS, Chart, Column, Record, Section, prose
from healthmon.reports.tickets import Ticket

_COUNTED = prose("""
    An incident counts when a person reported it: by the ward button, a ticket or a call. A ticket belongs to
    the incident that covers its time (from 2 h before the first evidence to 30 min after the end) and its area,
    service or machine. Lead time is the first report minus the moment the incident was raised; below zero, the
    person was first. This says `before the first report`, never `before anyone noticed`: people notice before
    they report.
""")


def lead_times(record: Record) -> Section:
    """Share raised before the first report, lead times, what nobody reported, and what was never raised."""
    tickets, lone = record.reported()
    rows = [_row(one, tickets.get(one.id, ()), record) for one in record.raised]
    reported = [row for row in rows if row["first_report_at"] is not None]
    leads = [row["lead_seconds"] for row in reported]
    paged = [row["page_lead_seconds"] for row in reported if row["page_lead_seconds"] is not None]
    first = sum(lead > 0 for lead in leads)
    figures = {
        "raised_before_the_first_report": shared(first, len(reported)),
        "lead_seconds": spread(leads),
        "page_lead_seconds": spread(paged),
        "paged_before_the_first_report": shared(sum(lead > 0 for lead in paged), len(reported)),
        "nobody_reported": len(rows) - len(reported),
        "reports_without_an_incident": len(lone),
    }
    return Section(
        "lead-time", "Before the first report", _words(figures), figures, _COLUMNS,
        tuple(sorted(rows, key=lambda row: (row["first_report_at"] is None, row["opened_at"]))), _COUNTED,
        Chart("incident", "lead_seconds", "Lead before the first report, by incident"),
    )  # fmt: skip


def first_report(incident: Incident, tickets: tuple[Ticket, ...]) -> float | None:
    """When the first person said so, by any way that is known."""
    times = [ticket.opened_at for ticket in tickets]
    times += [] if incident.first_human_report_at is None else [incident.first_human_report_at]
    return min(times, default=None)


def first_page(notices: tuple[Notice, ...]) -> float | None:
    """When the first page was on its way."""
    return min((one.at for one in notices if one.at is not None and one.why in BAD_NEWS), default=None)


def _row(incident: Incident, tickets: tuple[Ticket, ...], record: Record) -> Mapping[str, Any]:
    report, page = first_report(incident, tickets), first_page(record.notices.get(incident.id, ()))
    return {
        "incident": incident.id,
        "title": incident.title,
        "kind": incident.kind.value,
        "severity": incident.worst_severity,
        "opened_at": incident.opened_at,
        "first_page_at": page,
        "first_report_at": report,
        "lead_seconds": None if report is None else report - incident.opened_at,
        "page_lead_seconds": None if report is None or page is None else report - page,
        "reports": len(tickets),
    }


def _words(figures: Mapping[str, Any]) -> tuple[str, ...]:
    share, lead = figures["raised_before_the_first_report"], figures["lead_seconds"]
    if not share["of"]:
        said = "No incident of this month was reported by a person, so no lead time can be said."
    else:
        low, high = share["interval_95"]
        said = (
            f"{share['count']} of {share['of']} incidents that people reported were raised before the first report "
            f"(95 % interval {low:.0%} to {high:.0%}); half of the leads were at least {lead['p50'] / 60:.1f} min."
        )
    return (
        said,
        f"{figures['nobody_reported']} incidents were reported by nobody; they are not in that share.",
        f"{figures['reports_without_an_incident']} reports fit no incident: what they were about was not raised.",
    )


_COLUMNS = (
    Column("incident", "Incident"),
    Column("title", "What"),
    Column("severity", "Worst severity", "count"),
    Column("opened_at", "Raised", "time"),
    Column("first_report_at", "First report", "time", "nobody"),
    Column("lead_seconds", "Lead", "seconds", ""),
    Column("page_lead_seconds", "Page before report", "seconds", ""),
    Column("reports", "Reports", "count"),
)
