"""Clinician time lost, by ward, service and incident: measured and estimated apart, each with its inputs (N5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from healthmon.impact.losttime import (
    FTE_HOURS,
    NOTHING,
    REPORTING_LEAST,
    SMALL,
    Basis,
    Lost,
    Wait,
    extrapolated,
    measured_s,
    outage,
)
from healthmon.model.incident import Incident
from healthmon.reports.availability import Line
from healthmon.reports.care import Care
from healthmon.reports.endpoints import Event, Pc
from healthmon.reports.record import Chart, Column, Record, Section, prose

#: The service under which waits at the PC itself stand.
WORKSTATION = "workstation"
#: Which standard a wait is held against, and what holds where the pack has none.
_TARGETS = {
    "logon": ("logon_p95_seconds", 60.0),
    "app_start": ("app_start_p95_seconds", 10.0),
    "reconnect": ("reconnect_p95_seconds", 10.0),
    "record_open": ("response_p95_seconds", 2.0),
}


@dataclass(slots=True)
class LostWork:
    """All of a month's lost time. unknown: areas of which nobody says how many work there."""

    estimated: dict[tuple[str, str, str], Lost] = field(default_factory=dict)  # (area, service, incident or "")
    measured: dict[str, float] = field(default_factory=dict)  # by area
    whole: dict[str, Lost] = field(default_factory=dict)  # measured, for all PCs of the area
    unknown: set[str] = field(default_factory=set)

    def by_line(self) -> dict[Line, Lost]:
        return _summed(((area, service), lost) for (area, service, _), lost in self.estimated.items())

    def by_incident(self) -> dict[str, Lost]:
        return _summed((incident, lost) for (_, _, incident), lost in self.estimated.items())


def lost_work(record: Record) -> LostWork:
    """Work it out from the minutes and the PCs."""
    found = LostWork()
    crew = Crew(record)
    attributed = _Attribution(record.raised, record.period.until)
    for line, tally in record.tallies.items():
        for bad in tally.bad:
            people = crew.at(line[0], bad.at)
            if people is None:
                found.unknown.add(line[0])
                continue
            key = (*line, attributed.incident(line, bad.at))
            lost = outage(people, bad.lost_ms / 1000, bad.degraded_ms / 1000, record.care.costs)
            found.estimated[key] = found.estimated.get(key, NOTHING) + lost
    for area in sorted({pc.area for pc in record.pcs}):
        sums = [measured_s(waits_of(record, pc), record.care.costs) for pc in reporting(record.pcs, area)]
        found.measured[area] = sum(sums)
        whole = extrapolated(sums, pcs_of(record, area))
        if whole is not None:
            found.whole[area] = whole
    return found


def waits_of(record: Record, pc: Pc) -> list[Wait]:
    """Events of a PC as waits, each against its standard; a restart is lost from its beginning."""
    return [wait_of(event, record.care) for event in pc.events]


def wait_of(event: Event, care: Care) -> Wait:
    """One event, against its standard."""
    metric, otherwise = _TARGETS.get(event.kind, ("", 0.0))
    aim = next((one.aim for one in reversed(care.standards) if one.metric == metric), otherwise)
    return Wait(event.kind, event.took_s, aim, event.attended)


def reporting(pcs: Sequence[Pc], area: str) -> list[Pc]:
    return [pc for pc in pcs if pc.area == area and pc.reported]


def pcs_of(record: Record, area: str) -> int:
    """All PCs of an area: as the hospital says, else those of the inventory."""
    people = record.care.people.get(area)
    known = sum(pc.area == area for pc in record.pcs)
    return max(known, people.pcs if people and people.pcs else 0)


class Crew:
    """How many people are normally at work: as the hospital says, else sessions, where enough PCs report."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._hours: dict[int, int] = {}
        self._sessions = {area: self._measured(area) for area in {pc.area for pc in record.pcs}}

    def at(self, area: str, at: float) -> float | None:
        """None: nobody knows, and then nothing is estimated."""
        hour = self._hour(at)
        said = self._record.care.people.get(area)
        if said is not None:
            return said.at(hour)
        return (self._sessions.get(area) or {}).get(hour)

    def most(self, area: str) -> float:
        """By which small areas are told."""
        said = self._record.care.people.get(area)
        if said is not None:
            return max(said.day, said.night or 0.0)
        return max((self._sessions.get(area) or {}).values(), default=0.0)

    def _hour(self, at: float) -> int:
        key = int(at // 3600)
        if key not in self._hours:
            self._hours[key] = self._record.period.local(at).hour
        return self._hours[key]

    def _measured(self, area: str) -> dict[int, float] | None:
        pcs, all_pcs = reporting(self._record.pcs, area), pcs_of(self._record, area)
        if not pcs or len(pcs) / all_pcs < REPORTING_LEAST or not any(pc.sessions for pc in pcs):
            return None
        share = len(pcs) / all_pcs
        return {hour: sum(pc.sessions.get(hour, 0.0) for pc in pcs) / share for hour in range(24)}


class _Attribution:
    """Which incident a bad minute belongs to: of those open then that name the line, the oldest."""

    def __init__(self, incidents: Sequence[Incident], until: float) -> None:
        self._spans: dict[Line, list[tuple[float, float, str]]] = {}
        for one in sorted(incidents, key=lambda one: (one.opened_at, one.id)):
            ended = one.mitigated_at if one.mitigated_at is not None else one.resolved_at
            span = (one.first_evidence_at - 60.0, until if ended is None else ended + 60.0, one.id)
            for line in one.impact:
                self._spans.setdefault((line.area, line.service), []).append(span)

    def incident(self, line: Line, at: float) -> str:
        return next((id_ for start, end, id_ in self._spans.get(line, ()) if start <= at < end), "")


def lost_time(record: Record) -> Section:
    """The part of the report: one row for each area, service and basis."""
    work, crew = lost_work(record), Crew(record)
    rows = [*_estimated_rows(record, work, crew), *_measured_rows(record, work, crew)]
    rows.sort(key=lambda row: (-(row["usual_seconds"] or 0.0), row["where"], row["basis"]))
    figures = {
        "estimated": _ends(_total(row for row in rows if row["basis"] == Basis.ESTIMATED)),
        "measured_seconds": sum(row["usual_seconds"] or 0.0 for row in rows if row["basis"] == Basis.MEASURED),
        "areas_without_people": sorted(work.unknown),
        "areas_too_small": sorted({row["area"] for row in rows if row["too_small"]}),
        "fte_hours": FTE_HOURS,
        "assumptions": {
            "paper_lost": record.care.costs.paper_lost, "paper_degraded": record.care.costs.paper_degraded,
            "move_seconds": record.care.costs.move_s, "extrapolated_from_share": REPORTING_LEAST,
        },
    }  # fmt: skip
    return Section("lost-time", "Clinician time lost", _words(figures), figures, _COLUMNS, tuple(rows), _COUNTED,
                   Chart("where", "usual_seconds", "Clinician time lost, usual figure", "hours"))  # fmt: skip


def lost_by_incident(record: Record) -> Section:
    """Estimated lost time of each incident."""
    lost = lost_work(record).by_incident()
    names = {one.id: one for one in record.raised}
    rows = [
        {"incident": id_ or "none", "title": names[id_].title if id_ else "no incident covered these minutes",
         "severity": names[id_].worst_severity if id_ else None} | _ends(one)
        for id_, one in sorted(lost.items(), key=lambda item: (-item[1].usual_s, item[0]))
    ]  # fmt: skip
    says = (f"{len(rows)} incidents cost clinician time that could be estimated.",)
    return Section("lost-time-by-incident", "Clinician time lost, by incident", says, {}, _BY_INCIDENT, tuple(rows),
                   "The minutes of an area and service belong to the oldest incident that was open and named them.",
                   Chart("title", "usual_seconds", "Clinician time lost by incident", "hours"))  # fmt: skip


def _estimated_rows(record: Record, work: LostWork, crew: Crew) -> Iterator[dict[str, Any]]:
    for (area, service), lost in work.by_line().items():
        yield _row(record, crew, area, service, Basis.ESTIMATED.value, lost)


def _measured_rows(record: Record, work: LostWork, crew: Crew) -> Iterator[dict[str, Any]]:
    for area, seconds in work.measured.items():
        yield _row(record, crew, area, WORKSTATION, Basis.MEASURED.value, Lost(seconds, seconds, seconds))
    for area, whole in work.whole.items():
        yield _row(record, crew, area, WORKSTATION, "measured, for all PCs", whole)


def _row(record: Record, crew: Crew, area: str, service: str, basis: str, lost: Lost) -> dict[str, Any]:
    """A figure of fewer than five people is in no row and in no sum."""
    name = record.service_name(service) if service != WORKSTATION else "waits at PCs"
    small = crew.most(area) < SMALL
    ends = {"low_seconds": None, "usual_seconds": None, "high_seconds": None} if small else _ends(lost)
    where = f"{record.area_name(area)}: {name}"
    return {"area": area, "service": service, "where": where, "basis": basis, "too_small": small, **ends}


def _ends(lost: Lost) -> dict[str, float]:
    return {"low_seconds": round(lost.low_s, 3), "usual_seconds": round(lost.usual_s, 3),
            "high_seconds": round(lost.high_s, 3)}  # fmt: skip


def _total(rows: Iterator[Mapping[str, Any]]) -> Lost:
    total = NOTHING
    for row in rows:
        total += Lost(row["low_seconds"] or 0.0, row["usual_seconds"] or 0.0, row["high_seconds"] or 0.0)
    return total


def _summed(pairs: Iterator[tuple[Any, Lost]]) -> dict[Any, Lost]:
    found: dict[Any, Lost] = {}
    for key, lost in pairs:
        found[key] = found.get(key, NOTHING) + lost
    return found


def _words(figures: Mapping[str, Any]) -> tuple[str, ...]:
    low, usual, high = (figures["estimated"][f"{end}_seconds"] / 3600 for end in ("low", "usual", "high"))
    said = [
        f"Estimated for outages: {usual:.1f} h, between {low:.1f} and {high:.1f} h, under the assumptions below.",
        f"Measured at PCs (waits beyond their standard, restarts while somebody waited): "
        f"{figures['measured_seconds'] / 3600:.1f} h. The two are never added up.",
    ]
    if figures["areas_without_people"]:
        areas = ", ".join(figures["areas_without_people"])
        said.append(f"Not estimated, because nobody says how many people work there: {areas}.")
    if figures["areas_too_small"]:
        said.append(
            f"Not shown, fewer than {SMALL} people or nobody says how many: {', '.join(figures['areas_too_small'])}."
        )
    return tuple(said)


_COUNTED = prose("""
    Estimated = people normally at work in the area at that hour x (seconds not available x share of work that
    paper costs + seconds slow x its share), summed over minutes; the interval is that of the shares. People are
    what the hospital says, else the sessions that PCs report where at least 30 % of them do. Measured = for
    each logon, reconnect, start of a program and restart that was seen, max(0, wait - standard), capped at 10
    min (a record that opens: 60 s) and then a fixed move to another PC; nothing at an empty PC. `For all PCs`
    is the mean of those that report x all, with a 95 % interval. Only wards; figures of fewer than five people
    are left out, also of the sums.
""")
_COLUMNS = (
    Column("where", "Area and service"),
    Column("basis", "Basis"),
    Column("low_seconds", "At least", "hours", "not shown"),
    Column("usual_seconds", "Usual figure", "hours", "not shown"),
    Column("high_seconds", "At most", "hours", "not shown"),
)
_BY_INCIDENT = (
    Column("incident", "Incident"),
    Column("title", "What"),
    Column("severity", "Severity", "count", ""),
    Column("low_seconds", "At least", "hours"),
    Column("usual_seconds", "Usual figure", "hours"),
    Column("high_seconds", "At most", "hours"),
)
