"""What the monthly report costs for a whole trust: days of made-up data in an embedded store, then the report of them.

The data are written as the server writes them (each area and service every 15 s, logons of every PC, faults that lose
services), with a month's incidents in a journal. `HEALTHMON_REPORT_DAYS` says how many days (default 0.1): reading goes
day by day, so a month costs as many times more; lines and targets are those of the whole trust.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.faultbench.trial import stock
from healthmon.alerting.journal import Journal
from healthmon.app.reporting import asking, record_of
from healthmon.cli.report import progress_bar
from healthmon.config import SiteConfig
from healthmon.impact.graph import NeedGraph
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, IncidentState, Paths, Root, ServiceState
from healthmon.model.journal import Changes
from healthmon.model.sample import Row
from healthmon.reports.care import People
from healthmon.reports.healthcheck import as_data, sections
from healthmon.reports.page import html
from healthmon.reports.period import Period
from healthmon.simulation.trust import Shape, trust
from healthmon.store.embedded import EmbeddedStore

TARGETS, INCIDENTS, EVERY_S, START = 6_000, 400, 15, 1_793_491_200.0
DAYS = float(os.environ.get("HEALTHMON_REPORT_DAYS", "0.1"))
STATES = tuple(ServiceState)
_OK = tuple(sorted((state.value, float(state is ServiceState.OK)) for state in STATES))
_LOST = tuple(sorted((state.value, float(state is ServiceState.LOST)) for state in STATES))


def states(site: SiteConfig, until: float) -> Iterator[Row]:
    """Every line every 15 s; a twentieth of them loses half an hour of each day."""
    sites = {area.id: area.site for area in site.estate.areas.values()}
    lines = [
        ((("area", area), ("service", service), ("site", sites[area])), number % 20 == 0)
        for number, (area, service) in enumerate(NeedGraph(site.estate).lines())
    ]
    for at in range(int(START), int(until), EVERY_S):
        down = 36_000 <= (at - START) % 86_400 < 37_800
        for tags, falls in lines:
            yield Row("service", tags, _LOST if falls and down else _OK, float(at))


def logons(site: SiteConfig, until: float, chance: random.Random) -> Iterator[Row]:
    """Each PC of a ward tells every 15 minutes; about ten logons a day."""
    for pc in site.estate.targets.values():
        if pc.kind not in ("ward-workstation", "wow") or pc.area is None:
            continue
        tags = tuple(sorted({"area": pc.area, "target": pc.id, "kind": pc.kind, "check": "logons",
                             "vantage": pc.id}.items()))  # fmt: skip
        last, took = START - 3_600.0, 30.0
        for at in range(int(START), int(until), 900):
            if chance.random() < 0.1:
                last, took = at - 60.0, round(chance.lognormvariate(3.4, 0.5), 1)
            fields = (("last_logon_age_seconds", at - last), ("logon_seconds", took), ("sessions", 1.0))
            yield Row("host_logons", tags, fields, float(at))


def incidents(site: SiteConfig, chance: random.Random) -> list[Incident]:
    """A month's incidents, whatever the days of data."""
    lines = list(NeedGraph(site.estate).lines())
    targets = list(site.estate.targets)
    found = []
    for number in range(INCIDENTS):
        at = START + DAYS * 86_400.0 * number / INCIDENTS
        hurt = chance.sample(lines, 12)
        impact = tuple(ImpactLine(area, service, ServiceState.LOST, at, Paths(0, 1)) for area, service in hurt)
        found.append(
            Incident(
                id=f"inc-{number}",
                kind=IncidentKind.INCIDENT,
                state=IncidentState.RESOLVED,
                severity=1 + number % 4,
                impact_level=2,
                urgency=1,
                title="Made up",
                plain_text="",
                root=Root(chance.choice(targets), "icmp", "timeout", 0.9),
                members=(),
                impact=impact,
                impact_known="full",
                opened_at=at + 5.0,
                first_evidence_at=at,
                acknowledged_at=at + 200.0,
                mitigated_at=at + 1_800.0,
                resolved_at=at + 3_600.0,
                worst_severity=1 + number % 4,
            )
        )
    return found


async def _filled(site: SiteConfig, until: float) -> tuple[int, float]:
    """Rows written, and the seconds that took."""
    store, chance = EmbeddedStore(site.data_dir / "store.sqlite"), random.Random(7)
    journal = Journal(site.data_dir / "journal.sqlite")
    journal.commit(Changes(at=START, incidents=tuple(incidents(site, chance))))
    journal.close()
    began, batch, count = time.perf_counter(), [], 0
    for rows in (states(site, until), logons(site, until, chance)):
        for row in rows:
            batch.append(row)
            if len(batch) == 50_000:
                await store.write(batch)
                count, batch = count + len(batch), []
    await store.write([*batch, Row("service", (), _OK, until + 86_400.0)])
    wrote_s = time.perf_counter() - began
    await store.expire(
        until + 86_400.0
    )  # as the server does: days that are over are packed, with their minutes and hours
    await store.close()
    return count + len(batch), wrote_s


async def _measured(folder: Path) -> None:
    plant = trust(Shape(targets=TARGETS))
    wards = [area for area in plant.estate.areas.values() if area.beds]
    site = replace(stock(), estate=plant.estate, data_dir=folder)
    people = {area.id: People(9, 6, None, {"nurse": 6, "doctor": 2}) for area in wards}
    site = replace(site, care=replace(site.care, people=people))
    until = START + DAYS * 86_400.0
    rows, wrote_s = await _filled(site, until)
    lines = len(list(NeedGraph(site.estate).lines()))
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    there = f"{len(site.estate.targets):,} targets, {len(site.estate.areas)} areas, {lines:,} lines of area and service"
    print(
        f"{there}, {INCIDENTS} incidents; {DAYS:g} days, {rows:,} rows in {wrote_s:.0f} s, {size / 1e6:.0f} MB on disk"
    )
    period = Period("2026-11", START, until, until, "Europe/London")
    ask, close = asking(site)
    journal = Journal(site.data_dir / "journal.sqlite")
    wall, cpu = time.perf_counter(), time.process_time()
    record = await record_of(site, period, ask=ask, journal=journal, progress=progress_bar())
    read_s, read_cpu = time.perf_counter() - wall, time.process_time() - cpu
    wall, cpu = time.perf_counter(), time.process_time()
    parts = sections(record)
    page = html(record, parts)
    as_data(record, parts)
    made_s, made_cpu = time.perf_counter() - wall, time.process_time() - cpu
    await close()
    journal.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"reading {read_s:.1f} s ({read_cpu:.1f} s of CPU, {read_cpu / DAYS:.1f} s a day)  "
          f"counting and writing {made_s:.1f} s ({made_cpu:.1f} s of CPU)  page {len(page) / 1e6:.2f} MB  "
          f"peak {peak:.0f} MiB with the filling", file=sys.stdout)  # fmt: skip


def main() -> None:
    """One line of what there was, one of what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measured(Path(folder)))
