"""Scorecards: what each supplier and product, and each planned change, cost wards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from healthmon.impact.losttime import Lost
from healthmon.model.incident import Incident, IncidentKind
from healthmon.reports.figures import spread
from healthmon.reports.lostwork import lost_work
from healthmon.reports.record import Chart, Column, Record, Section, prose


def scorecard(record: Record) -> Section:
    """One row for each supplier (or team) and product that was at the root of an incident."""
    groups: dict[tuple[str, str], list[Incident]] = {}
    for one in record.raised:
        groups.setdefault((supplier_of(record, one), product_of(record, one)), []).append(one)
    lost = lost_work(record).by_incident()
    rows = [_row(record, *key, listed, lost) for key, listed in groups.items()]
    rows.sort(key=lambda row: (-row["lost_seconds"], -row["incidents"], row["supplier"], row["product"]))
    says = (f"{len(rows)} suppliers and products were at the root of an incident.",)
    return Section("scorecard", "Suppliers and products", says, {}, _COLUMNS, tuple(rows), _COUNTED,
                   Chart("who", "lost_seconds", "Clinician time lost, by supplier and product", "hours"))  # fmt: skip


def supplier_of(record: Record, incident: Incident) -> str:
    """Who answers for the root: its supplier, else its team, else the incident's."""
    root = incident.root
    target = record.estate.targets.get(root.target) if root else None
    team = (root.supplier if root else None) or (target.team if target else None) or incident.team
    found = record.estate.teams.get(team or "")
    return found.name if found else team or "nobody named"


def product_of(record: Record, incident: Incident) -> str:
    """The label `product` of the root, else its kind."""
    target = record.estate.targets.get(incident.root.target) if incident.root else None
    return (target.labels.get("product") or target.kind) if target else "not known"


def ended(incident: Incident, until: float) -> float:
    """When care had it back, or the end of the report."""
    return next((at for at in (incident.mitigated_at, incident.resolved_at) if at is not None), until)


def _row(
    record: Record, supplier: str, product: str, listed: Sequence[Incident], lost: Mapping[str, Lost]
) -> dict[str, Any]:
    hard = [one for one in listed if one.kind is IncidentKind.INCIDENT]
    waits = [one.acknowledged_at - one.opened_at for one in listed if one.acknowledged_at is not None]
    open_s = [ended(one, record.period.until) - one.opened_at for one in hard]
    return {
        "supplier": supplier, "product": product, "who": f"{supplier}: {product}", "incidents": len(hard),
        "warnings": len(listed) - len(hard), "worst_severity": min(one.worst_severity for one in listed),
        "open_seconds": sum(open_s), "mean_to_repair_seconds": sum(open_s) / len(hard) if hard else None,
        "owner_p50_seconds": spread(waits)["p50"],
        "lost_seconds": round(sum(lost[one.id].usual_s for one in listed if one.id in lost), 3),
    }  # fmt: skip


def changes(record: Record) -> Section:
    """Planned changes of the month and what began in their windows."""
    lost = lost_work(record).by_incident()
    rows: list[dict[str, Any]] = []
    for change in record.changes:
        begun = [one for one in record.raised if change.id in one.changes_open]
        hurt = [one for one in begun if one.kind is IncidentKind.INCIDENT and one.impact]
        rows.append({
            "change": change.id, "title": change.title, "owner": change.owner, "targets": list(change.targets),
            "starts_at": change.windows[0][0], "windows": len(change.windows), "incidents": len(begun),
            "hurt": bool(hurt), "worst_severity": min((one.worst_severity for one in begun), default=None),
            "lost_seconds": round(sum(lost[one.id].usual_s for one in begun if one.id in lost), 3),
        })  # fmt: skip
    rows.sort(key=lambda row: (not row["hurt"], -row["lost_seconds"], row["starts_at"], row["change"]))
    hurt_count = sum(row["hurt"] for row in rows)
    said = f"{hurt_count} of {len(rows)} planned changes were followed by an incident that took something from a ward."
    return Section("changes", "Changes that hurt", (said,), {"changes": len(rows), "hurt": hurt_count},
                   _CHANGE_COLUMNS, tuple(rows), _CHANGES)  # fmt: skip


_COUNTED = prose("""
    Supplier: who answers for the root cause by the incident, else the team of the target; product: the label
    `product` of the target, else its kind. Time to repair runs until wards had it back. Lost time is the
    estimate of its incidents.
""")
_CHANGES = prose("""
    A change has the incidents in which something began inside its window on what it works on, or needs that. It
    hurt when one of them took a service from an area.
""")
_COLUMNS = (
    Column("who", "Supplier and product"),
    Column("incidents", "Incidents", "count"),
    Column("warnings", "Warnings", "count"),
    Column("worst_severity", "Worst severity", "count"),
    Column("mean_to_repair_seconds", "Mean time to repair", "seconds"),
    Column("owner_p50_seconds", "Half owned within", "seconds"),
    Column("lost_seconds", "Clinician time lost", "hours"),
)
_CHANGE_COLUMNS = (
    Column("title", "Change"),
    Column("owner", "Owner"),
    Column("starts_at", "First window", "time"),
    Column("incidents", "Incidents", "count"),
    Column("hurt", "Hurt a ward"),
    Column("worst_severity", "Worst severity", "count", ""),
    Column("lost_seconds", "Clinician time lost", "hours"),
)
