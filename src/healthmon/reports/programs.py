"""Programs, reconnects, crashes and roams by area, as PCs told: what a ward waits for after the logon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from healthmon.reports.endpoints import Pc
from healthmon.reports.figures import percentile
from healthmon.reports.lostwork import reporting
from healthmon.reports.record import Chart, Column, Record, Section, prose


def programs(record: Record) -> Section:
    """One row for each area where a PC told of any of these."""
    rows = [row for area in sorted({pc.area for pc in record.pcs}) if (row := _row(record, area))]
    told = sum(row["pcs"] for row in rows)
    says = (f"{told} PCs told of programs, reconnects, crashes or roams; of all others nothing is known.",)
    return Section("programs", "Programs, reconnects, crashes", says, {"pcs": told}, _COLUMNS, tuple(rows), _COUNTED,
                   Chart("where", "app_start_p95_seconds", "Start of a program at its slowest, by area"))  # fmt: skip


def _row(record: Record, area: str) -> Mapping[str, Any] | None:
    pcs = [pc for pc in reporting(record.pcs, area) if pc.sums or pc.took("app_start") or pc.took("reconnect")]
    if not pcs:
        return None
    starts = [took for pc in pcs for took in pc.took("app_start")]
    back = [took for pc in pcs for took in pc.took("reconnect")]
    return {
        "area": area, "where": record.area_name(area), "pcs": len(pcs),
        "app_starts": len(starts), "app_start_p50_seconds": percentile(starts, 0.5),
        "app_start_p95_seconds": percentile(starts, 0.95), "reconnects": len(back),
        "reconnect_p50_seconds": percentile(back, 0.5), "reconnect_p95_seconds": percentile(back, 0.95),
        "crashes": _sum(pcs, "crashes"), "hangs": _sum(pcs, "hangs"), "stops": _sum(pcs, "unplanned_stops"),
        "worst_roam_seconds": max((pc.worst_roam_s for pc in pcs if pc.worst_roam_s is not None), default=None),
        "losses": _sum(pcs, "losses"), "away_seconds": _sum(pcs, "away_seconds"),
    }  # fmt: skip


def _sum(pcs: Sequence[Pc], name: str) -> float | None:
    """None where nobody told."""
    told = [pc.sums[name] for pc in pcs if name in pc.sums]
    return sum(told) if told else None


_COUNTED = prose("""
    Starts of programs and reconnects are those that a script in the session timed; waits of the same look count
    as their mean. Crashes and hangs are what the system recorded; a stop is one without a shutdown. A roam lasts
    from leaving an access point to being associated with the next, as the kernel says; Wi-Fi lost counts what
    nobody wanted, and the time until the next connection. Machines, never persons.
""")
_COLUMNS = (
    Column("where", "Area"),
    Column("pcs", "PCs that tell", "count"),
    Column("app_starts", "Starts", "count"),
    Column("app_start_p50_seconds", "Start, half", "seconds"),
    Column("app_start_p95_seconds", "Start, slowest", "seconds"),
    Column("reconnects", "Reconnects", "count"),
    Column("reconnect_p50_seconds", "Reconnect, half", "seconds"),
    Column("reconnect_p95_seconds", "Reconnect, slowest", "seconds"),
    Column("crashes", "Crashes", "count"),
    Column("hangs", "Hangs", "count"),
    Column("stops", "Unplanned stops", "count"),
    Column("worst_roam_seconds", "Longest roam", "seconds"),
    Column("losses", "Wi-Fi lost", "count"),
    Column("away_seconds", "Without Wi-Fi", "seconds"),
)
