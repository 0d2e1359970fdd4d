"""Who took an incident and how soon; which pages were false, came at night, or were held back and real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.model.incident import Incident, Notice, NoticeResult
from healthmon.reports.figures import shared, spread
from healthmon.reports.record import BAD_NEWS, Column, Record, Section, prose

#: A named owner within so long (DOMAIN E).
OWNER_S = 300.0
#: An incident that was over so soon, untouched and without a lost service, was brief.
BRIEF_S = 120.0
_SENT = frozenset({NoticeResult.SENT, NoticeResult.ACKNOWLEDGED})
_TOUCHED = frozenset({"ack", "own", "note", "mitigated", "resolved", "passed"})


def owners(record: Record) -> Section:
    """Time from raising an incident to a named owner, by severity."""
    rows = []
    for severity in sorted({one.worst_severity for one in record.raised}):
        listed = [one for one in record.raised if one.worst_severity == severity]
        waits = [one.acknowledged_at - one.opened_at for one in listed if one.acknowledged_at is not None]
        within = shared(sum(wait <= OWNER_S for wait in waits), len(listed))
        rows.append({"severity": severity, "incidents": len(listed), "never": len(listed) - len(waits),
                     "within_ratio": within["ratio"], "owner_seconds": spread(waits),
                     "p50_seconds": spread(waits)["p50"], "p90_seconds": spread(waits)["p90"]})  # fmt: skip
    worst = [one for one in record.raised if one.worst_severity <= 2]
    quick = sum(one.acknowledged_at is not None and one.acknowledged_at - one.opened_at <= OWNER_S for one in worst)
    figures = {"severity_1_and_2_owned_in_5_minutes": shared(quick, len(worst))}
    says = (f"{quick} of {len(worst)} incidents of severity 1 and 2 had a named owner within 5 minutes.",)
    counted = "From the moment an incident was raised to the first person who said `I have it`. Never: nobody did."
    return Section("owners", "Time to an owner", says, figures, _OWNER_COLUMNS, tuple(rows), counted)


def pages(record: Record) -> Section:
    """Every incident that paged somebody, with what came of it."""
    rows = [row for one in record.raised if (row := _row(record, one, sent(record.notices.get(one.id, ()))))["pages"]]
    real = [
        {"at": row.at, "incident": row.incident, "cause": row.cause, "because": row.because, "real_at": row.real_at,
         "real_how": row.real_how}
        for row in record.ledger if row.real_at is not None
    ]  # fmt: skip
    figures = {
        "pages": sum(row["pages"] for row in rows),
        "night_pages": sum(row["night"] for row in rows),
        "called_false": sum(row["came_of_it"] == "called false" for row in rows),
        "brief": sum(row["came_of_it"] == "brief" for row in rows),
        "incidents_that_paged": len(rows),
        "held_back": len(record.ledger),
        "held_back_and_real": real,
    }
    says = (
        f"{figures['pages']} pages about {len(rows)} incidents, {figures['night_pages']} between 22:00 and 07:00.",
        f"{figures['called_false']} incidents that paged were called false by a person; {figures['brief']} more were "
        "over within two minutes with nobody doing anything and nothing lost.",
        f"{figures['held_back']} pages were held back, and {len(real)} of those turned out to be real.",
    )
    return Section("pages", "Pages: false, at night, held back", says, figures, _PAGE_COLUMNS, tuple(rows), _COUNTED)


def sent(notices: tuple[Notice, ...]) -> list[Notice]:
    """Bad news that went out."""
    return [one for one in notices if one.why in BAD_NEWS and one.result in _SENT]


def at_night(record: Record, at: float) -> bool:
    """Between 22:00 and 07:00 on the clocks of the hospital."""
    hour = record.period.local(at).hour
    return hour >= 22 or hour < 7


def came_of_it(incident: Incident) -> str:
    """called false, brief, or real as far as is known."""
    ends = [entry for entry in incident.timeline if entry.what == "resolved" and entry.by != "healthmon"]
    if any(entry.text.casefold().startswith("false") for entry in ends):
        return "called false"
    ended = incident.mitigated_at if incident.mitigated_at is not None else incident.resolved_at
    touched = any(entry.what in _TOUCHED and entry.by != "healthmon" for entry in incident.timeline)
    lost = any(line.state.value in ("lost", "degraded") for line in incident.impact)
    if ended is not None and ended - incident.opened_at <= BRIEF_S and not touched and not lost:
        return "brief"
    return "real"


def _row(record: Record, incident: Incident, told: list[Notice]) -> Mapping[str, Any]:
    return {
        "incident": incident.id,
        "title": incident.title,
        "severity": incident.worst_severity,
        "pages": len(told),
        "night": sum(at_night(record, one.at if one.at is not None else one.due) for one in told),
        "came_of_it": came_of_it(incident),
    }


_COUNTED = prose("""
    A page is one message to one reader that an incident opened, got worse, reached a new area or was escalated,
    and that its channel took. Called false: the person who resolved it began the reason with `false`. Held back
    and real: a page stood in the ledger, and then a person took the incident or a ward reported it.
""")
_OWNER_COLUMNS = (
    Column("severity", "Worst severity", "count"),
    Column("incidents", "Incidents", "count"),
    Column("p50_seconds", "Half within", "seconds"),
    Column("p90_seconds", "Nine in ten within", "seconds"),
    Column("within_ratio", "Within 5 min", "ratio"),
    Column("never", "Nobody", "count"),
)
_PAGE_COLUMNS = (
    Column("incident", "Incident"),
    Column("title", "What"),
    Column("severity", "Severity", "count"),
    Column("pages", "Pages", "count"),
    Column("night", "At night", "count"),
    Column("came_of_it", "What came of it"),
)
