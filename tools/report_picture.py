"""Make docs/report.png and docs/report-example.json: the health check of a simulated week (needs Chromium).

Four faults of one week go through the real engine with the stock rules, its journal and an embedded store; between them
nothing is simulated and states are written as working. Wards, staff, logons and tickets are made up with a seed. It
shows what the report looks like and is no evidence of anything.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks.faultbench.trial import Run, stock

from healthmon.alerting.journal import Journal
from healthmon.app.reporting import asking, record_of
from healthmon.config import SiteConfig
from healthmon.impact.graph import NeedGraph
from healthmon.ingest.own import own_rows
from healthmon.model.incident import Command, Incident, IncidentState, NoticeResult, ServiceState
from healthmon.model.journal import Changes
from healthmon.model.sample import Row
from healthmon.model.view import Health
from healthmon.reports.care import Asked, Legacy, People
from healthmon.reports.healthcheck import as_data, sections
from healthmon.reports.page import html
from healthmon.reports.period import Period, month
from healthmon.reports.tickets import Ticket
from healthmon.simulation.faults import Fault, draw
from healthmon.simulation.plant import Plant
from healthmon.simulation.trust import Shape, trust
from healthmon.store.embedded import EmbeddedStore

DOCS = Path(__file__).parents[1] / "docs"
SEED = 11
WEEK_S, DAY_S = 7 * 86_400.0, 86_400.0
HEALTH = Health("ok", 0.0, 0.1, True, 0, True, "live")
CHANNELS = ("phone", "phone", "portal", "portal", "email", "chatbot")
LOOK = "--headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,2300".split()


def faults_of(plant: Plant, chance: random.Random) -> list[tuple[Fault, float]]:
    """(fault, how long it lasts), in the first week of the month."""
    drawn = [fault for fault in draw(plant, 16, seed=SEED) if not fault.blocked and not fault.blind][:4]
    spread = [replace(fault, at=fault.at - 2 * WEEK_S) for fault in drawn]
    return sorted(((one, chance.uniform(900.0, 3_600.0)) for one in spread), key=lambda pair: pair[0].at)


def play(plant: Plant, fault: Fault, lasts_s: float, kept: Journal, number: int) -> Iterator[Row]:
    """One fault through an engine of its own, until it is mended and closed; states every minute."""
    run = Run.of(plant, start=fault.at - 60.0, seed=number, with_peer=False)
    before, minute, mended = run.now, 0.0, False
    while run.now < fault.at + lasts_s + 2_700.0:
        fault.apply(run.world, after=before, until=run.now)
        if not mended and run.now >= fault.at + lasts_s:
            for change in fault.changes:
                run.world.put(change.target, None, at=run.now)
            mended = True
        before = run.now
        step = run.step(2.0 if run.now < fault.at + 120.0 else 20.0)
        sent = tuple(replace(one, result=NoticeResult.SENT, at=run.now + 1.0) for one in step.notices)
        kept.commit(step.changes)
        kept.commit(Changes(at=run.now, notices=sent))
        for one in [one for one in run.incidents.values() if one.state is IncidentState.MITIGATED]:
            if one.worst_severity <= 2 and one.mitigated_at is not None and run.now > one.mitigated_at + 600.0:
                closed = Command("resolve", one.id, "on-call", reason="mended", impact="care went on with paper")
                run.engine.act(closed, run.now)
        if run.now >= minute:
            minute = run.now + 60.0
            yield from (row for row in own_rows(run.engine.view(run.now, HEALTH)) if row.family == "service")


def quiet(plant: Plant, period: Period, busy: list[tuple[float, float]]) -> Iterator[Row]:
    """Every other minute as working."""
    fields = tuple(sorted((state.value, 1.0 if state is ServiceState.OK else 0.0) for state in ServiceState))
    lines = NeedGraph(plant.estate).lines()
    sites = {area.id: area.site for area in plant.estate.areas.values()}
    for at in range(int(period.start), int(period.until), 60):
        if not any(start <= at < end for start, end in busy):
            for area, service in lines:
                yield Row("service", (("area", area), ("service", service), ("site", sites[area])), fields, float(at))


def logons(plant: Plant, period: Period, chance: random.Random) -> Iterator[Row]:
    """A third of the PCs tell of logons, a few of them slow ones."""
    pcs = [one for one in plant.estate.targets.values() if one.kind in ("ward-workstation", "wow") and one.area]
    for pc in pcs:
        if chance.random() > 0.6:
            continue
        slow = 2.4 if chance.random() < 0.1 else 1.0
        at = period.start
        while (at := at + chance.expovariate(1 / 5_400.0)) < period.until:
            took = min(900.0, slow * chance.lognormvariate(3.4, 0.5))
            tags = {"area": pc.area or "", "target": pc.id, "kind": pc.kind, "check": "logons", "vantage": pc.id}
            fields = (("last_logon_age_seconds", 30.0), ("logon_seconds", round(took, 1)), ("sessions", 1.0))
            yield Row("host_logons", tuple(sorted(tags.items())), fields, at + 30.0)


def tickets(incidents: list[Incident], period: Period, chance: random.Random) -> Iterator[Ticket]:
    """Somebody on a ward reports most losses, some of them by a portal, some late, and other things besides."""
    for number, one in enumerate(incidents):
        lost = [line for line in one.impact if line.state is ServiceState.LOST]
        if lost and chance.random() < 0.75:
            line = chance.choice(lost)
            at = one.first_evidence_at + chance.expovariate(1 / 700.0)
            taken = at + chance.expovariate(1 / 1_500.0) if chance.random() < 0.9 else None
            yield Ticket(f"T{number}", at, chance.choice(CHANNELS), line.area, line.service, priority=2, owned_at=taken,
                         closed_at=at + 7_200.0, reopened=chance.random() < 0.15, source="made up")  # fmt: skip
    areas = sorted({line.area for one in incidents for line in one.impact})
    for number in range(12):
        at = period.start + chance.random() * (period.until - period.start)
        yield Ticket(f"U{number}", at, chance.choice(CHANNELS), chance.choice(areas), None, priority=3,
                     owned_at=at + chance.expovariate(1 / 9_000.0), source="made up")  # fmt: skip


def hospital(plant: Plant) -> SiteConfig:
    """The stock rules over the plant, with made-up staff, legacy and wishes."""
    areas = plant.estate.areas.values()
    people = {area.id: People(max(5.0, area.beds / 2.5), max(5.0, area.beds / 4)) for area in areas}
    pcs = [one.id for one in plant.estate.targets.values() if one.kind == "ward-workstation"]
    legacy = (
        Legacy("scanner-pcs", "PCs of the scanners", "Windows 7", tuple(pcs[:1]), date(2020, 1, 14),
               plan="Replaced with the scanners in spring"),
        Legacy("letters", "Letters server", "Server 2008", (), date(2020, 1, 14), retired_on=date(2026, 11, 3)),
    )  # fmt: skip
    wards = [area.id for area in areas if area.kind.value == "ward"]
    asked = (
        Asked("printer", wards[0], date(2026, 10, 5), "A second label printer", date(2026, 11, 5), "It is in bay 2"),
        Asked("carts", wards[1], date(2026, 9, 14), "Carts whose batteries last a round"),
    )
    site = stock()
    care = replace(site.care, people=people, legacy=legacy, asked=asked)
    return replace(site, estate=plant.estate, care=care)


async def main() -> None:
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed")
    chance, plant = random.Random(f"report-{SEED}"), trust(Shape(targets=150, vital_every_s=10.0, server_every_s=30.0))
    period = month("2026-11", now=1_794_182_400.0, timezone="Europe/London")
    with tempfile.TemporaryDirectory() as temporary:
        site = replace(hospital(plant), data_dir=Path(temporary))
        kept, store = Journal(site.data_dir / "journal.sqlite"), EmbeddedStore(site.data_dir / "store.sqlite")
        busy = []
        for number, (fault, lasts_s) in enumerate(faults_of(plant, chance)):
            print(f"fault {number}: {fault.kind}", file=sys.stderr, flush=True)
            await store.write(list(play(plant, fault, lasts_s, kept, number)))
            busy.append((fault.at - 120.0, fault.at + lasts_s + 2_700.0))
        batch: list[Row] = []
        for row in (*logons(plant, period, chance), *quiet(plant, period, busy)):
            batch.append(row)
            if len(batch) == 50_000:
                await store.write(batch)
                batch.clear()
        await store.write(batch)
        await store.close()
        reports = list(tickets(kept.incidents(period.start, period.until), period, chance))
        ask, close = asking(site)
        record = await record_of(site, period, ask=ask, journal=kept, tickets=reports)
        await close()
        kept.close()
        parts = sections(record)
        page = Path(temporary) / "report.html"
        page.write_text(html(record, parts), encoding="utf-8")
        data = as_data(record, parts)
        for part in data["sections"]:
            part["rows"] = part["rows"][:5]
        (DOCS / "report-example.json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        argv = [
            chromium,
            *LOOK,
            f"--user-data-dir={temporary}/chromium",
            f"--screenshot={DOCS / 'report.png'}",
            str(page),
        ]
        await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True, timeout=120)
        if len(sys.argv) > 1:
            shutil.copy(page, sys.argv[1])


asyncio.run(main())
