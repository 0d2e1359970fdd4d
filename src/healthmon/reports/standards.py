"""Minimum standards: what each area got, against what it should have, and never `met` where it was not seen (M46)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from healthmon.reports.availability import Tally
from healthmon.reports.care import Standard
from healthmon.reports.endpoints import Pc
from healthmon.reports.figures import percentile, shared
from healthmon.reports.lostwork import reporting
from healthmon.reports.record import Column, Record, Section, prose

MET, MISSED, UNKNOWN = "met", "missed", "not known"
#: Fewer looks than this say nothing of a percentile.
LOOKS_LEAST = 20
_SHARES = {"response_p50_seconds": 0.5, "response_p95_seconds": 0.95}


@dataclass(frozen=True, slots=True)
class Judged:
    """One standard for one area (and service): value None and `not known` where too little was seen."""

    standard: str
    area: str
    service: str | None
    value: float | None
    aim: float
    verdict: str
    looks: int
    unknown_seconds: float = 0.0


def judged(record: Record) -> list[Judged]:
    """Every standard of every area."""
    return [one for standard in record.care.standards for one in _by_standard(record, standard)]


def available(tally: Tally, aim: float) -> str:
    """met even if all that was not seen was bad; missed even if it was good; else not known."""
    due = tally.due_ms
    if not due:
        return UNKNOWN
    allowed = due * (1.0 - aim)
    if tally.bad_ms + tally.unknown_ms <= allowed:
        return MET
    return MISSED if tally.bad_ms > allowed else UNKNOWN


def _by_standard(record: Record, standard: Standard) -> Iterator[Judged]:
    if standard.metric == "availability_ratio":
        yield from _availability(record, standard)
    elif standard.metric in _SHARES:
        yield from _responses(record, standard)
    else:
        yield from _machines(record, standard)


def _availability(record: Record, standard: Standard) -> Iterator[Judged]:
    for (area, service), tally in record.tallies.items():
        if _for(record, standard, service):
            aim = record.care.aim(standard, service)
            verdict, unknown_s = available(tally, aim), tally.unknown_ms / 1000
            looks = tally.counted_ms // 60_000
            yield Judged(standard.id, area, service, tally.ratio, aim, verdict, looks, unknown_s)


def _responses(record: Record, standard: Standard) -> Iterator[Judged]:
    for area, service in record.tallies:
        if not _for(record, standard, service):
            continue
        took = record.responses.get((area, service), ())
        aim = record.care.aim(standard, service)
        value = percentile(took, _SHARES[standard.metric]) if len(took) >= LOOKS_LEAST else None
        verdict = UNKNOWN if value is None else MET if value <= aim else MISSED
        yield Judged(standard.id, area, service, value, aim, verdict, len(took))


def _machines(record: Record, standard: Standard) -> Iterator[Judged]:
    for area in sorted({pc.area for pc in record.pcs}):
        value, looks = _measured(reporting(record.pcs, area), standard.metric)
        verdict = UNKNOWN if value is None else MET if standard.met(value) else MISSED
        yield Judged(standard.id, area, None, value, standard.aim, verdict, looks)


def _measured(pcs: list[Pc], metric: str) -> tuple[float | None, int]:
    """A value over all PCs of an area. Nine in ten looks must hear the Wi-Fi; a battery counts at its lowest.

    Reconnects and starts of programs are known where a script times them, crashes where the system records them.
    """
    match metric:
        case "logon_p95_seconds":
            return _of([took for pc in pcs for took in pc.took("logon")], 0.95)
        case "reconnect_p95_seconds" | "app_start_p95_seconds":
            return _of([took for pc in pcs for took in pc.took(metric.removesuffix("_p95_seconds"))], 0.95)
        case "crash_free_ratio":
            return _crash_free([pc for pc in pcs if "crashes" in pc.sums])
        case "wifi_signal_dbm":
            return _of([value for pc in pcs for value in pc.signal_dbm], 0.1)
        case "wifi_snr_db":
            return _of([value for pc in pcs for value in pc.snr_db], 0.1)
        case "battery_ratio":
            looks = [value for pc in pcs for value in pc.battery]
            return min(looks, default=None), len(looks)
        case _:
            return None, 0


def _crash_free(pcs: list[Pc]) -> tuple[float | None, int]:
    """Of sessions that began with a logon or a reconnect, those without a crash or a hang: at most one for each."""
    began = sum(len(pc.took("logon")) + len(pc.took("reconnect")) for pc in pcs)
    broke = sum(pc.sums["crashes"] + pc.sums.get("hangs", 0.0) for pc in pcs)
    return (1.0 - min(1.0, broke / began) if began >= LOOKS_LEAST else None), began


def _of(values: list[float], share: float) -> tuple[float | None, int]:
    return (percentile(values, share) if len(values) >= LOOKS_LEAST else None), len(values)


def _for(record: Record, standard: Standard, service: str) -> bool:
    found = record.estate.services.get(service)
    own = (service, standard.id) in record.care.own
    return own or (found is not None and (not standard.tiers or found.tier in standard.tiers))


def standards(record: Record) -> Section:
    """One row for each standard and area, what was missed first; shares of areas that met each."""
    names = {one.id: one for one in record.care.standards}
    found = judged(record)
    rank = {MISSED: 0, UNKNOWN: 1, MET: 2}
    rows = [_row(record, names[one.standard], one) for one in found]
    rows.sort(key=lambda row: (rank[row["verdict"]], row["standard"], row["where"]))
    figures: dict[str, Any] = {
        "standards": [
            {"id": one.id, "aim": one.aim, "unit": one.unit, "source": one.source} | _share(found, one.id)
            for one in record.care.standards
        ]
    }
    counts = {word: sum(one.verdict == word for one in found) for word in (MET, MISSED, UNKNOWN)}
    says = (
        f"Of {len(found)} standards for areas and services {counts[MET]} were met, {counts[MISSED]} missed, and of "
        f"{counts[UNKNOWN]} it is not known.",
        *(
            f"{names[one['id']].name}: {one['met']['count']} of {one['met']['of']} met, {one['unknown']} not known."
            for one in figures["standards"]
        ),
    )
    return Section("standards", "Minimum standards", says, figures, _COLUMNS, tuple(rows), _COUNTED)


def _share(found: list[Judged], id_: str) -> dict[str, Any]:
    mine = [one for one in found if one.standard == id_]
    known = [one for one in mine if one.verdict != UNKNOWN]
    met = sum(one.verdict == MET for one in known)
    return {"met": shared(met, len(known)), "unknown": len(mine) - len(known)}


def _row(record: Record, standard: Standard, one: Judged) -> Mapping[str, Any]:
    where = record.area_name(one.area) + (f": {record.service_name(one.service)}" if one.service else "")
    return {
        "standard": standard.id, "name": standard.name, "area": one.area, "service": one.service, "where": where,
        "value": one.value, "aim": one.aim, "verdict": one.verdict, "looks": one.looks,
        "unknown_seconds": one.unknown_seconds,
        "value_words": in_words(one.value, standard.unit), "aim_words": in_words(one.aim, standard.unit),
    }  # fmt: skip


def in_words(value: float | None, unit: str) -> str:
    """A value with its unit; a share in per cent."""
    if value is None:
        return "not known"
    return f"{value:.3%}" if unit == "ratio" else f"{value:.3g} {unit}"


_COUNTED = prose("""
    Availability is met only if it would be met even were all unseen time bad, missed only if it would be missed
    even were all unseen time good, else not known; planned changes are left out. A screen is each look at the
    service from a machine in the area itself. Percentiles are by nearest rank over every look, and need 20 of
    them. No published standard for response times of records was found: two seconds are a convention.
""")
_COLUMNS = (
    Column("name", "Standard"),
    Column("where", "Where"),
    Column("verdict", "Verdict"),
    Column("value_words", "Was"),
    Column("aim_words", "Should be"),
    Column("looks", "Looks", "count"),
    Column("unknown_seconds", "Not known", "seconds"),
)
