"""What it was like to work at a PC of each area: logons, screens, Wi-Fi, batteries, as measured there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.reports.figures import percentile
from healthmon.reports.lostwork import pcs_of, reporting
from healthmon.reports.record import Chart, Column, Record, Section, prose


def experience(record: Record) -> Section:
    """One row for each area with PCs or with looks at a service from it."""
    areas = sorted({pc.area for pc in record.pcs} | {area for area, _ in record.responses})
    rows = [_row(record, area) for area in areas]
    reported = sum(row["reporting"] for row in rows)
    says = (f"{reported} of {sum(row['pcs'] for row in rows)} PCs reported. Where few do, a row speaks for few.",)
    return Section("experience", "Working at a PC", says, {"reporting": reported}, _COLUMNS, tuple(rows), _COUNTED,
                   Chart("where", "screen_p95_seconds", "A screen at its slowest, by area"))  # fmt: skip


def _row(record: Record, area: str) -> Mapping[str, Any]:
    pcs = reporting(record.pcs, area)
    logons = [took for pc in pcs for took in pc.took("logon")]
    signal = [value for pc in pcs for value in pc.signal_dbm]
    screens = [took for (where, _), listed in sorted(record.responses.items()) if where == area for took in listed]
    return {
        "area": area, "where": record.area_name(area), "pcs": pcs_of(record, area), "reporting": len(pcs),
        "logons": len(logons), "logon_p50_seconds": percentile(logons, 0.5),
        "logon_p95_seconds": percentile(logons, 0.95), "restarts": sum(len(pc.took("restart")) for pc in pcs),
        "screens": len(screens), "screen_p50_seconds": percentile(screens, 0.5),
        "screen_p95_seconds": percentile(screens, 0.95),
        "attention_breaks": sum(took > ATTENTION_S for took in screens),
        "signal_p10_dbm": percentile(signal, 0.1), "roams": sum(pc.roams for pc in pcs),
        "battery_least_ratio": min((value for pc in pcs for value in pc.battery), default=None),
    }  # fmt: skip


#: Attention does not hold longer (Nielsen).
ATTENTION_S = 10.0
_COUNTED = prose("""
    A logon is each that a PC told of; a screen each good look at a service from a machine in the area, over 10
    s counted as an attention break; Wi-Fi is what nine in ten looks hear at least; a change of channel is a
    roam that was seen, so there were at least so many; a battery is its lowest off the mains.
""")
_COLUMNS = (
    Column("where", "Area"),
    Column("reporting", "PCs that report", "count"),
    Column("pcs", "PCs", "count"),
    Column("logon_p50_seconds", "Logon, half", "seconds"),
    Column("logon_p95_seconds", "Logon, slowest", "seconds"),
    Column("restarts", "Restarts", "count"),
    Column("screen_p50_seconds", "Screen, half", "seconds"),
    Column("screen_p95_seconds", "Screen, slowest", "seconds"),
    Column("attention_breaks", "Over 10 s", "count"),
    Column("signal_p10_dbm", "Wi-Fi, dBm", "number"),
    Column("roams", "Roams seen", "count"),
    Column("battery_least_ratio", "Lowest battery", "ratio"),
)
