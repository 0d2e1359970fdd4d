"""The slowest PCs: ids of machines, never of persons."""

from __future__ import annotations

from typing import Any

from healthmon.impact.losttime import measured_s
from healthmon.reports.figures import percentile
from healthmon.reports.lostwork import waits_of
from healthmon.reports.record import Chart, Column, Record, Section

#: Fewer logons than this say nothing of a machine.
LOGONS_LEAST = 5
_MOST = 20


def slowest(record: Record) -> Section:
    """The machines whose logons took longest, by the 95th percentile."""
    rows: list[dict[str, Any]] = []
    for pc in record.pcs:
        logons, restarts = pc.took("logon"), pc.took("restart")
        if len(logons) < LOGONS_LEAST:
            continue
        rows.append({
            "pc": pc.id, "area": pc.area, "where": record.area_name(pc.area), "logons": len(logons),
            "logon_p50_seconds": percentile(logons, 0.5), "logon_p95_seconds": percentile(logons, 0.95),
            "restarts": len(restarts), "restart_p50_seconds": percentile(restarts, 0.5),
            "lost_seconds": round(measured_s(waits_of(record, pc), record.care.costs), 3),
        })  # fmt: skip
    rows.sort(key=lambda row: (-row["logon_p95_seconds"], row["pc"]))
    reporting = sum(pc.reported for pc in record.pcs)
    says = (f"{reporting} of {len(record.pcs)} PCs of the inventory reported; {len(rows)} had at least {LOGONS_LEAST} "
            "logons.",)  # fmt: skip
    return Section("slowest-pcs", "Slowest PCs", says, {"reporting": reporting, "pcs": len(record.pcs)}, _COLUMNS,
                   tuple(rows[:_MOST]), "Machines that tell of logons, by the 95th percentile of a logon.",
                   Chart("pc", "logon_p95_seconds", "A logon at its slowest, by PC"))  # fmt: skip


_COLUMNS = (
    Column("pc", "PC"),
    Column("where", "Area"),
    Column("logons", "Logons", "count"),
    Column("logon_p50_seconds", "Half take at least", "seconds"),
    Column("logon_p95_seconds", "At its slowest", "seconds"),
    Column("restarts", "Restarts", "count"),
    Column("lost_seconds", "Lost (measured)", "seconds"),
)
