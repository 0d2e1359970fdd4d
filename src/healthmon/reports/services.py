"""Monthly availability for each area and service (M47)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.reports.availability import Tally, together
from healthmon.reports.record import Chart, Column, Record, Section, prose

_COUNTED = prose("""
    Minute by minute, from the states that were stored for each area and service, while the area is staffed.
    Available is `ok` and `at_risk` (working, no spare route left). `degraded` (slow or partly working) and
    `lost` are not. A minute without a stored state, and the state `unknown`, are unknown: never available, and
    not in the share. What was lost inside a planned change that carries the service is planned. Share =
    available / (available + degraded + lost).
""")


def availability(record: Record) -> Section:
    """One row for each area and service, what was worst first."""
    rows = [_row(record, line, tally) for line, tally in record.tallies.items()]
    rows.sort(key=lambda row: (-row["lost_seconds"] - row["degraded_seconds"], row["area"], row["service"]))
    total = together(record.tallies.values())
    by_service: dict[str, Tally] = {}
    for (_, service), tally in record.tallies.items():
        by_service.setdefault(service, Tally()).__iadd__(tally)
    figures = {"all": total.as_data(), "services": {id_: one.as_data() for id_, one in sorted(by_service.items())}}
    return Section(
        "availability", "Availability as wards saw it", _words(total, len(rows)), figures, _COLUMNS, tuple(rows),
        _COUNTED, Chart("where", "not_available_seconds", "Not available or slow, by area and service"),
    )  # fmt: skip


def _row(record: Record, line: tuple[str, str], tally: Tally) -> Mapping[str, Any]:
    area, service = line
    where = f"{record.area_name(area)}: {record.service_name(service)}"
    return {"area": area, "service": service, "where": where} | tally.as_data() | {
        "not_available_seconds": tally.bad_ms / 1000
    }  # fmt: skip


def _words(total: Tally, lines: int) -> tuple[str, ...]:
    if not total.counted_ms:
        return ("Nothing was stored for this month.",)
    ratio = "not known" if total.ratio is None else f"{total.ratio:.3%}"
    return (
        f"Over {lines} pairs of area and service: {ratio} available of the time that was seen.",
        f"Not available {total.lost_ms / 3.6e6:.1f} h, slow or partly working {total.degraded_ms / 3.6e6:.1f} h, "
        f"planned {total.planned_ms / 3.6e6:.1f} h, not known {total.unknown_ms / 3.6e6:.1f} h (sums over areas).",
    )


_COLUMNS = (
    Column("where", "Area and service"),
    Column("availability_ratio", "Available", "ratio"),
    Column("lost_seconds", "Not available", "seconds"),
    Column("degraded_seconds", "Slow or partly working", "seconds"),
    Column("planned_seconds", "Planned", "seconds"),
    Column("unknown_seconds", "Not known", "seconds"),
)
