"""Legacy that went and stays, what wards asked for, and how they said their shift was."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from healthmon.impact.losttime import SMALL
from healthmon.reports.care import Asked, Legacy
from healthmon.reports.record import Column, Record, Section, prose

#: Days before and after a system went that are compared.
COMPARED_DAYS = 90
ANSWERS = ("good", "slow", "bad")


def legacy(record: Record) -> Section:
    """The register: what is past its time, what went this month or lately, and incidents before and after."""
    last = last_day(record)
    rows = [_legacy_row(record, one, last) for one in record.care.legacy]
    rows.sort(key=lambda row: (row["state"] != "retired", row["end_of_support"] or "9999", row["id"]))
    retired = sum(row["state"] == "retired" for row in rows)
    past = sum(row["state"] == "out of support" for row in rows)
    says = (f"{len(rows)} systems in the register: {retired} retired, {past} out of support and still there.",)
    return Section("legacy", "Legacy, before and after", says, {"retired": retired, "out_of_support": past},
                   _LEGACY_COLUMNS, tuple(rows), _LEGACY)  # fmt: skip


def asked(record: Record) -> Section:
    """What wards asked for until the end of the month, open first, and what was done in it."""
    last = last_day(record)
    rows = [_asked_row(record, one, last) for one in record.care.asked if one.asked_on <= last]
    rows.sort(key=lambda row: (row["done_on"] is not None, row["asked_on"], row["id"]))
    done = sum(row["done_on"] is not None for row in rows)
    says = (f"Wards asked for {len(rows)} things; {done} are done, {len(rows) - done} are not.",)
    return Section("asked", "What wards asked for, and what was done", says, {"asked": len(rows), "done": done},
                   _ASKED_COLUMNS, tuple(rows))  # fmt: skip


def votes(record: Record) -> Section:
    """`How was IT this shift`, by area; fewer than five answers are not shown."""
    by_area: dict[str, Counter[str]] = {}
    for vote in record.votes:
        by_area.setdefault(vote.area, Counter())[vote.answer] += 1
    rows: list[dict[str, Any]] = [
        {"area": area, "where": record.area_name(area), "answers": counts.total()}
        | {answer: counts[answer] for answer in ANSWERS}
        for area, counts in sorted(by_area.items()) if counts.total() >= SMALL
    ]  # fmt: skip
    few = len(by_area) - len(rows)
    total = sum(row["answers"] for row in rows)
    says = (f"{total} answers from {len(rows)} areas; {few} areas had fewer than {SMALL} and are not shown.",)
    return Section("shifts", "How IT was this shift", says, {"answers": total, "areas_not_shown": few},
                   _VOTE_COLUMNS, tuple(rows), "One tap on the ward page. Only counts are kept, by shift.")  # fmt: skip


def last_day(record: Record) -> date:
    """The last local day of the report."""
    return record.period.local(record.period.until - 1.0).date()


def _legacy_row(record: Record, one: Legacy, last: date) -> dict[str, Any]:
    gone = one.retired_on is not None and one.retired_on <= last
    past = one.end_of_support is not None and one.end_of_support <= last
    row = {
        "id": one.id, "name": one.name, "system": one.system, "owner": one.owner, "plan": one.plan,
        "end_of_support": one.end_of_support.isoformat() if one.end_of_support else None,
        "retired_on": one.retired_on.isoformat() if one.retired_on and gone else None,
        "state": "retired" if gone else "out of support" if past else "supported",
        "incidents_before": None, "incidents_after": None, "days_after": None,
    }  # fmt: skip
    return row | (_before_and_after(record, one) if gone else {})


def _before_and_after(record: Record, one: Legacy) -> dict[str, Any]:
    """Incidents at the root of which it was, in equal times before and after it went."""
    assert one.retired_on is not None
    zone = ZoneInfo(record.period.timezone)
    at = datetime(one.retired_on.year, one.retired_on.month, one.retired_on.day, tzinfo=zone).timestamp()
    days = min(float(COMPARED_DAYS), (record.period.until - at) / 86_400.0)
    mine = [i.opened_at for i in record.history if i.root and i.root.target in one.targets and not i.merged_into]
    span_s = days * 86_400.0
    return {
        "incidents_before": sum(at - span_s <= opened < at for opened in mine),
        "incidents_after": sum(at <= opened < at + span_s for opened in mine),
        "days_after": round(days, 3),
    }


def _asked_row(record: Record, one: Asked, last: date) -> dict[str, Any]:
    done = one.done_on is not None and one.done_on <= last
    return {
        "id": one.id, "area": one.area, "where": record.area_name(one.area), "asked_on": one.asked_on.isoformat(),
        "text": one.text, "done_on": one.done_on.isoformat() if one.done_on and done else None,
        "done": one.done if done else "", "waiting_days": None if done else (last - one.asked_on).days,
    }  # fmt: skip


_LEGACY = prose("""
    Before and after: incidents at whose root it was, in as many days before it went as have passed since, 90 at
    most. What depends on it is on the readiness page.
""")
_LEGACY_COLUMNS = (
    Column("name", "System"),
    Column("system", "Runs on"),
    Column("state", "State"),
    Column("end_of_support", "Support ends"),
    Column("retired_on", "Retired", empty="no"),
    Column("incidents_before", "Incidents before", "count", ""),
    Column("incidents_after", "Incidents after", "count", ""),
    Column("days_after", "Days compared", "count", ""),
    Column("plan", "Plan"),
)
_ASKED_COLUMNS = (
    Column("where", "Area"),
    Column("asked_on", "Asked"),
    Column("text", "For"),
    Column("done_on", "Done", empty="not yet"),
    Column("done", "What was done"),
    Column("waiting_days", "Waiting, days", "count", ""),
)
_VOTE_COLUMNS = (
    Column("where", "Area"),
    Column("answers", "Answers", "count"),
    Column("good", "Good", "count"),
    Column("slow", "Slow", "count"),
    Column("bad", "Bad", "count"),
)
