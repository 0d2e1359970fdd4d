"""Clinician time lost by role: what outages cost nurses, doctors and others, where roles are known (N5)."""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.impact.losttime import NOTHING, SMALL, Lost
from healthmon.reports.lostwork import Crew, lost_work
from healthmon.reports.record import Chart, Column, Record, Section, prose


def lost_by_role(record: Record) -> Section:
    """One row for each role, over all areas whose roles are known."""
    lost, people = _by_role(record)
    rows = []
    for role, sums in sorted(lost.items(), key=lambda item: (-item[1].usual_s, item[0])):
        small = people[role] < SMALL
        ends = (sums.low_s, sums.usual_s, sums.high_s)
        shown = dict.fromkeys(_ENDS) if small else dict(zip(_ENDS, (round(one, 3) for one in ends), strict=True))
        rows.append({"role": role, "people": None if small else people[role], "too_small": small, **shown})
    silent = sorted({area for area, _ in record.tallies} - {a for a, one in record.care.people.items() if one.roles})
    says = [f"{len(rows)} roles lost time that could be estimated."]
    if silent:
        says.append(f"Nobody says which roles work there, so these are left out: {', '.join(silent)}.")
    figures = {"areas_without_roles": silent}
    return Section("lost-time-by-role", "Clinician time lost, by role", tuple(says), figures, _COLUMNS, tuple(rows),
                   _COUNTED, Chart("role", "usual_seconds", "Clinician time lost by role", "hours"))  # fmt: skip


def _by_role(record: Record) -> tuple[dict[str, Lost], dict[str, float]]:
    """An area's lost time, divided as its people by day are; those whose role is not said stand under `other`."""
    lost: dict[str, Lost] = {}
    people: dict[str, float] = {}
    crew = Crew(record)
    for (area, _), one in sorted(lost_work(record).by_line().items()):
        said = record.care.people.get(area)
        if said is None or not said.roles or said.day <= 0 or crew.most(area) < SMALL:
            continue
        for role, share in roles_of(said.roles, said.day).items():
            part = Lost(one.low_s * share, one.usual_s * share, one.high_s * share)
            lost[role] = lost.get(role, NOTHING) + part
    for said in record.care.people.values():
        for role, share in roles_of(said.roles, said.day).items() if said.roles and said.day > 0 else ():
            people[role] = people.get(role, 0.0) + share * said.day
    return lost, people


def roles_of(roles: Mapping[str, float], day: float) -> dict[str, float]:
    """The share of each role among the people by day."""
    rest = day - sum(roles.values())
    return {role: count / day for role, count in roles.items()} | ({OTHER: rest / day} if rest > 0 else {})


OTHER = "other"
_ENDS = ("low_seconds", "usual_seconds", "high_seconds")
_COUNTED = prose("""
    The estimate of an area, divided as its people by day are (`care.people`, `roles`); the same division holds at
    night. Measured waits are not divided: who waited is never read. Roles with fewer than five people in all are
    not shown, areas with fewer than five are left out.
""")
_COLUMNS = (
    Column("role", "Role"),
    Column("people", "People by day", "number", "not shown"),
    Column("low_seconds", "At least", "hours", "not shown"),
    Column("usual_seconds", "Usual figure", "hours", "not shown"),
    Column("high_seconds", "At most", "hours", "not shown"),
)
