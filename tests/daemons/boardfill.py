"""A small hospital whose readings touch every family that a board asks about, through the real ingest and exporter.

Values follow from who looked at what and when, so that a query's answer can be worked out from the points alone.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from healthmon import collectors, probes
from healthmon.app import agent as agent_role
from healthmon.app.ownrows import OwnRows
from healthmon.ingest.pipeline import Admitted, Pipeline
from healthmon.ingest.rows import RESERVED_TAGS
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, IncidentState, Paths, Root, ServiceState
from healthmon.model.sample import Batch, Family, Outcome, Reading, Reason, Row, Sample
from healthmon.model.topology import Acuity, Agent, Area, AreaKind, Check, Estate, Organisation, Site, Target
from healthmon.model.view import AgentStatus, Health, ServiceStatus, View
from healthmon.probes.snmp_pack import pack_families
from healthmon.runtime.clock import ManualClock
from healthmon.web.exporter import Exporter

ROOT = Path(__file__).parents[2]
START = 1_794_996_000.0
RUNS, EVERY_S = 36, 10.0
END = START + RUNS * EVERY_S
AREAS = {"ward-7": ("pc-w7", "main"), "ed": ("pc-ed", "main")}
STATES = {
    ("ward-7", "ehr"): ServiceState.LOST,
    ("ward-7", "pas"): ServiceState.AT_RISK,
    ("ed", "ehr"): ServiceState.OK,
    ("ed", "pas"): ServiceState.UNKNOWN,
}
#: What one machine says of itself comes from its own agent.
_OWN = ("host_", "agent", "backup_evidence")


@cache
def declared() -> dict[str, Family]:
    """Every family that a probe, a collector, the agent or a stock SNMP pack may emit."""
    known = dict(probes.families() | collectors.families() | agent_role.FAMILIES)
    for pack in sorted((ROOT / "probes" / "snmp").glob("*.yaml")):
        known |= {family.name: family for family in pack_families(yaml.safe_load(pack.read_text()))}
    return known


@dataclass(frozen=True)
class Fill:
    """Every point that was written, and the expositions of the same moments."""

    rows: tuple[Row, ...]
    history: str


def fill(wanted: Mapping[str, set[str]], *, unknown: bool = False) -> Fill:
    """wanted: fields by family. unknown: nobody can see anything."""
    estate = _estate(wanted)
    pipeline = Pipeline(estate=estate, families=declared(), epochs={})
    clock = ManualClock(START)
    exporter = Exporter(clock=clock, series_cap=100_000)
    rows: list[Row] = []
    texts: list[str] = []
    own = OwnRows()
    for run in range(RUNS):
        at = START + run * EVERY_S
        seen = list(_readings(wanted, estate, run, unknown=unknown))
        for vantage in ("poller", "pc-w7", "pc-ed"):
            mine = tuple(one for one in seen if one.vantage == vantage)
            batch = Batch(vantage, "9f3c0d5e7a1b2c48", run + 1, at, run * EVERY_S, True, mine)
            admitted = pipeline.admit(batch, topic_agent=vantage, received_at=at)
            assert isinstance(admitted, Admitted), admitted
            rows += admitted.rows
        view = _view(estate, seen, at, run, unknown=unknown)
        rows += own.rows(view)
        body = asyncio.run(_exposed(exporter, view))
        texts.append(re.sub(r"(?m)^([^#\n].*)$", rf"\1 {at}", body.decode()).replace("# EOF\n", ""))
        asyncio.run(clock.advance(EVERY_S))
    assert not pipeline.rejected(), pipeline.rejected()
    return Fill(tuple(rows), "".join(texts) + "# EOF\n")


async def _exposed(exporter: Exporter, view: View) -> bytes:
    body, _ = await exporter.exposition(view, view.health, accept="application/openmetrics-text; version=1.0.0")
    return body


def _estate(wanted: Mapping[str, set[str]]) -> Estate:
    targets = {pc: Target(pc, pc, "workstation", "192.0.2.9", site, area) for area, (pc, site) in AREAS.items()}
    for family in wanted:
        for area, (_, site) in AREAS.items():
            id = f"{family}-{area}".replace("_", "-")
            checks = (Check(family, "tcp", EVERY_S, 1),)
            targets[id] = Target(id, id, "host", "192.0.2.1", site, area, checks=checks)
    return Estate(
        Organisation("st-elsewhere", "St Elsewhere", "Europe/London"),
        sites={"main": Site("main", "Main", "Europe/London")},
        areas={id: Area(id, id, AreaKind.WARD, Acuity.INPATIENT, site) for id, (_, site) in AREAS.items()},
        services={},
        targets=targets,
        teams={},
        agents={pc: Agent(pc, pc) for pc, _ in AREAS.values()},
    )


def _readings(wanted: Mapping[str, set[str]], estate: Estate, run: int, *, unknown: bool) -> Iterator[Reading]:
    for family, fields in sorted(wanted.items()):
        for area, (pc, _) in AREAS.items():
            own = family.startswith(_OWN)
            target = pc if own else f"{family}-{area}".replace("_", "-")
            for vantage in (pc,) if own else ("poller", pc) if family in ("http", "journey") else ("poller",):
                at = START + run * EVERY_S
                if unknown:
                    yield Reading(target, family, vantage, at, 0.1, Outcome.UNKNOWN, Reason.NO_ROUTE)
                    continue
                failed = area == "ward-7" and run % 2 == 1
                blind = area == "ed" and run % 4 == 0 and family == "icmp"
                outcome = Outcome.UNKNOWN if blind else Outcome.FAILED if failed else Outcome.OK
                reason = Reason.NO_ROUTE if blind else Reason.TIMEOUT if failed else None
                samples = () if blind else tuple(_samples(family, fields, target, vantage, run))
                yield Reading(target, family, vantage, at, 0.1, outcome, reason, samples=samples)


def _samples(family: str, fields: set[str], target: str, vantage: str, run: int) -> Iterator[Sample]:
    dims = sorted(declared()[family].labels - RESERVED_TAGS)
    for member in ("a", "b") if dims else ("",):
        labels = {dim: f"{dim}-{member}" for dim in dims}
        for field in sorted(fields):
            yield Sample(family, field, _value(field, f"{family}{target}{vantage}{member}", run), labels)


def _value(field: str, who: str, run: int) -> float:
    """Counters rise evenly; yes and no stay; the rest creeps by a thousandth of itself."""
    base = zlib.crc32(f"{who}{field}".encode()) % 89 + 1.0
    if field.endswith("_total"):
        return base * (run + 1)
    if field in _FLAGS:
        return base % 2
    scaled = base / 100 if field.endswith("_ratio") else -base if field.endswith("_dbm") else base
    return scaled * (1 + run / 1000)


_FLAGS = frozenset(
    "uplink_up oper_up admin_up on_battery battery_replace self_test_failed ok pending failed mains_present running "
    "ready".split()
)


def _view(estate: Estate, seen: list[Reading], at: float, run: int, *, unknown: bool) -> View:
    states = dict.fromkeys(STATES, ServiceState.UNKNOWN) if unknown else STATES
    impact = (ImpactLine("ward-7", "ehr", ServiceState.LOST, START, Paths(0, 1)),)
    incident = Incident(
        id="i-1",
        kind=IncidentKind.BLIND if unknown else IncidentKind.INCIDENT,
        state=IncidentState.OPEN,
        severity=2,
        impact_level=2,
        urgency=1,
        title="We cannot see" if unknown else "Ward 7 is cut off",
        plain_text="",
        root=Root("pc-w7", "icmp", "timeout", 0.9),
        members=(),
        impact=impact,
        impact_known="full",
        opened_at=START + 30,
        first_evidence_at=START + 26,
    )
    agents = {
        "pc-w7": AgentStatus("pc-w7", "pc-w7", "never" if unknown else "silent", at - 50, gaps=3),
        "pc-ed": AgentStatus("pc-ed", "pc-ed", "never" if unknown else "up", at - 1, skew_s=3600.0),
    }
    counters = {
        "notice_total{channel=pager,result=sent}": 2.0 * run,
        "pages_suppressed_total.shadow": 3.0 * run,
        "ingest_rejected_total.malformed": 1.0 * run,
        "ingest_deferred_total.store_queue_full": 1.0 * run,
        "probes_refused_total{prober=poller,why=denied}": 4.0 * run,
    }
    health = Health("degraded", START, 0.5, True, 7, True, "shadow", counters=counters)
    return View(
        version=run + 1,
        at=at,
        estate=estate,
        targets={},
        services={
            (area, service): ServiceStatus(area, service, state, START, Paths(1, 2))
            for (area, service), state in states.items()
        },
        incidents=(incident,),
        alerts=(),
        latest={(one.target, one.check, one.vantage): one for one in seen},
        agents=agents,
        health=health,
    )


__all__ = ["AREAS", "END", "EVERY_S", "RUNS", "START", "STATES", "Any", "Fill", "declared", "fill", "replace"]
