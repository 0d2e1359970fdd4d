"""A small hospital in memory behind the web's ports: 12 areas, 10 services, one severity 1 and one blind incident."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.alerting.mutes.preview import preview
from healthmon.alerting.mutes.scope import MuteScope
from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import (
    Command,
    Entry,
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    LedgerFilter,
    LedgerRow,
    Member,
    Notice,
    NoticeResult,
    Paths,
    Root,
    ServiceState,
    Why,
)
from healthmon.model.mute import Mute, MuteCommand, MuteEvent, MuteSettings, Preview, Standing
from healthmon.model.sample import Outcome, Query, Reading, Reason, Sample, Series
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    AtLeast,
    Check,
    Contact,
    Estate,
    Fallback,
    Organisation,
    Service,
    Site,
    Target,
    Team,
)
from healthmon.model.view import AgentStatus, Health, ServiceStatus, TargetStatus, View
from healthmon.runtime.standstill import Standstill
from healthmon.web import WebSettings, make_app

NOW = 1_795_356_300.0  # Sun 22 Nov 2026, 14:05 in London
TOKEN = "a-token-of-the-test-hospital"

AREAS = (
    ("ed", "Emergency Department", AreaKind.ED, Acuity.CRITICAL, 40),
    ("icu", "Intensive Care", AreaKind.ICU, Acuity.CRITICAL, 18),
    ("theatres", "Theatres 1-8", AreaKind.THEATRE, Acuity.CRITICAL, 0),
    ("maternity", "Labour Ward", AreaKind.MATERNITY, Acuity.CRITICAL, 14),
    ("ward-5", "Ward 5 Surgery", AreaKind.WARD, Acuity.INPATIENT, 26),
    ("ward-6", "Ward 6 Stroke", AreaKind.WARD, Acuity.INPATIENT, 24),
    ("ward-7", "Ward 7 Respiratory", AreaKind.WARD, Acuity.INPATIENT, 28),
    ("ward-8", "Ward 8 Elderly Care", AreaKind.WARD, Acuity.INPATIENT, 28),
    ("clinic-a", "Outpatient Clinic A", AreaKind.CLINIC, Acuity.OUTPATIENT, 0),
    ("pharmacy", "Pharmacy", AreaKind.PHARMACY, Acuity.HIGH, 0),
    ("lab", "Blood Sciences", AreaKind.LAB, Acuity.HIGH, 0),
    ("imaging", "Imaging", AreaKind.IMAGING, Acuity.HIGH, 0),
)
SERVICES = (
    ("identity", "Sign-in and DNS", 0),
    ("ehr", "Patient record", 1),
    ("epma", "Prescribing", 1),
    ("results", "Test results", 1),
    ("pacs", "Images (PACS)", 1),
    ("labels", "Label printing", 1),
    ("bleep", "Bleeps and phones", 1),
    ("transfusion", "Transfusion", 1),
    ("orders", "Order comms", 2),
    ("letters", "Letters", 3),
)


def estate() -> Estate:
    """The declared hospital."""
    areas = {
        key: Area(key, name, kind, acuity, "main", beds, needs=(f"sw-{key}",), contact=Contact(phone="2-7117"))
        for key, name, kind, acuity, beds in AREAS
    }
    everywhere = tuple(areas)
    services = {
        key: Service(key, name, tier, everywhere, True, (f"{key}-app", AtLeast(1, ("db-a", "db-b"))), team="apps")
        for key, name, tier in SERVICES
        if key not in ("ehr", "transfusion")
    }
    services["ehr"] = Service(
        "ehr", "Patient record", 1, everywhere, True, ("ehr-web",), Fallback("Read-only copy", "ehr-ro"), team="apps"
    )
    services["transfusion"] = Service("transfusion", "Transfusion", 1, ("ed", "theatres", "lab"), False, ("bb-app",))
    icmp = Check("icmp", "icmp", 5.0, 2.0)
    targets = {
        f"sw-{key}": Target(
            f"sw-{key}", f"Switch {name}", "switch", "192.0.2.7", "main", key, ("sw-core",), "network", (icmp,)
        )
        for key, name, *_ in AREAS
    }
    targets["sw-core"] = Target("sw-core", "Core switch", "switch", "192.0.2.1", "main", checks=(icmp,))
    up = Check("up", "http", 5.0, 2.0, vantages=("poller", "agents"))
    targets["ehr-web"] = Target(
        "ehr-web", "EHR front door", "endpoint", "https://ehr.example", "main", None, ("sw-core",), "apps", (up,)
    )
    backends = [*(f"{key}-app" for key in services if key not in ("ehr", "transfusion")), "db-a", "db-b", "bb-app"]
    for name in (*backends, "ehr-ro"):
        targets[name] = Target(name, name, "server", "192.0.2.9", "main", None, ("sw-core",), "apps")
    targets["pc-w7-01"] = Target(
        "pc-w7-01", "pc-w7-01", "workstation", "192.0.2.71", "main", "ward-7", ("sw-ward-7",),
        checks=(Check("icmp", "icmp", 10.0, 2.0),),
    )  # fmt: skip
    return Estate(
        Organisation("st-elsewhere", "St Elsewhere Hospitals", "Europe/London"),
        {"main": Site("main", "Main site", "Europe/London")},
        areas,
        services,
        targets,
        {"network": Team("network", "Network"), "apps": Team("apps", "Applications")},
        {"poller": Agent("poller"), "pc-w7-01": Agent("pc-w7-01", "pc-w7-01", ("ward-workstation",))},
    )


def impact_line(area: str, service: str, state: ServiceState, **more: Any) -> ImpactLine:
    """One line that began eight minutes ago."""
    return ImpactLine(area, service, state, NOW - 480, Paths(0 if state is ServiceState.LOST else 1, 2), **more)


def severe() -> Incident:
    """The EHR's front door answers with errors: lost in critical areas, slow elsewhere."""
    lost = [impact_line(a, "ehr", ServiceState.LOST) for a in ("ed", "icu", "theatres", "maternity", "ward-7")]
    proven = {"fallback_text": "Read-only copy on the downtime PC", "fallback_proven_at": NOW - 120}
    lost[4] = impact_line("ward-7", "ehr", ServiceState.LOST, **proven)
    slow = [impact_line(a, "epma", ServiceState.DEGRADED) for a in ("ed", "ward-7")]
    risk = [impact_line("ward-8", "ehr", ServiceState.AT_RISK)]
    members = [
        Member(AlertKey("check-failed", "ehr-web", "up", vantage), Effect.DOWN, NOW - 485, "bad_status")
        for vantage in ("poller", "pc-w7-01")
    ]
    members += [
        Member(
            AlertKey("check-failed", f"{name}-app", "up", "poller"), Effect.DOWN, NOW - 470, "timeout", None, "ehr-web"
        )
        for name in ("epma", "orders", "results")
    ]
    return Incident(
        id="i-20261122-0003",
        kind=IncidentKind.INCIDENT,
        state=IncidentState.OPEN,
        severity=1,
        impact_level=1,
        urgency=1,
        title="Patient record not available in 5 areas",
        plain_text="The patient record cannot be opened in ED, ICU, theatres, the labour ward and ward 7. "
        "Use the downtime procedure. Next update 14:20.",
        root=Root("ehr-web", "up", "bad_status", 0.97, ("db-a", "sw-core")),
        members=tuple(members),
        impact=(*lost, *slow, *risk),
        impact_known="full",
        opened_at=NOW - 480,
        first_evidence_at=NOW - 485,
        team="apps",
        worst_severity=1,
        timeline=(
            Entry(NOW - 485, "evidence", "EHR front door answers with an error (503), seen from poller"),
            Entry(NOW - 480, "opened", "Raised as severity 1: patient record not available in 5 areas"),
            Entry(NOW - 470, "told", "Pager: on-call applications"),
        ),
    )


def blind() -> Incident:
    """An agent's whole area has gone silent: we cannot see imaging."""
    key = AlertKey("agent-silent", "pc-img-01", "agent", "pc-img-01")
    return Incident(
        id="i-20261122-0002",
        kind=IncidentKind.BLIND,
        state=IncidentState.ACKNOWLEDGED,
        severity=2,
        impact_level=2,
        urgency=2,
        title="We cannot see Imaging",
        plain_text="Nothing is heard from the monitors in Imaging. What works there is not known.",
        root=Root("sw-imaging", "icmp", "silent", 0.55, ("pc-img-01", "sw-core")),
        members=(Member(key, Effect.DOWN, NOW - 3000, "silent"),),
        impact=(
            impact_line("imaging", "pacs", ServiceState.UNKNOWN),
            impact_line("imaging", "ehr", ServiceState.UNKNOWN),
        ),
        impact_known="partial",
        opened_at=NOW - 2990,
        first_evidence_at=NOW - 3000,
        team="network",
        owner="R. Okafor",
        acknowledged_at=NOW - 2800,
        worst_severity=2,
    )


def closed() -> Incident:
    """A printer of yesterday."""
    key = AlertKey("check-failed", "prn-w5", "tcp", "poller")
    return Incident(
        id="i-20261121-0001",
        kind=IncidentKind.INCIDENT,
        state=IncidentState.RESOLVED,
        severity=4,
        impact_level=4,
        urgency=3,
        title="Label printer on Ward 5 does not answer",
        plain_text="",
        root=None,
        members=(Member(key, Effect.DOWN, NOW - 80000, "timeout", NOW - 78000),),
        impact=(),
        impact_known="none",
        opened_at=NOW - 80000,
        first_evidence_at=NOW - 80003,
        resolved_at=NOW - 76000,
        worst_severity=4,
    )


def statuses(hospital: Estate) -> dict[tuple[str, str], ServiceStatus]:
    """The matrix that goes with the incidents; ward 7 has an agent that proves what works."""
    found = {}
    for service in hospital.services.values():
        for area in service.used_in:
            proven = NOW - 20 if area in ("ward-7", "ed") else None
            found[area, service.id] = ServiceStatus(
                area, service.id, ServiceState.OK, NOW - 90000, Paths(2, 2), proven_at=proven
            )
    for incident in (severe(), blind()):
        for line in incident.impact:
            causes = (incident.root.target,) if incident.root else ()
            found[line.area, line.service] = ServiceStatus(
                line.area, line.service, line.state, line.since, line.paths, causes
            )
    return found


def readings() -> dict[tuple[str, str, str], Reading]:
    """The newest of each check."""
    found = [
        Reading(
            "sw-core",
            "icmp",
            "poller",
            NOW - 2,
            0.004,
            Outcome.OK,
            samples=(Sample("icmp", "rtt_avg_seconds", 0.0008),),
        ),
        Reading(
            "ehr-web",
            "up",
            "poller",
            NOW - 3,
            0.21,
            Outcome.FAILED,
            Reason.BAD_STATUS,
            "503",
            (Sample("http", "status_code", 503.0), Sample("http", "tls_version", "TLSv1.3")),
        ),
        Reading("sw-imaging", "icmp", "poller", NOW - 4, 0.0, Outcome.UNKNOWN, Reason.NO_ROUTE),
        Reading("pc-w7-01", "icmp", "poller", NOW - 9, 2.0, Outcome.FAILED, Reason.TIMEOUT, rest_s=30.0),
        Reading(
            "pc-w7-01",
            "agent",
            "pc-w7-01",
            NOW - 5,
            0.001,
            Outcome.OK,
            samples=(
                Sample("agent", "spool_bytes", 20480.0),
                Sample("host_disk", "used_ratio", 0.71, {"mount": "C:"}),
                Sample("host_net", "received_bytes_total", 9.9e9, {"interface": "eth0"}),
                Sample("host_net", "up", True, {"interface": "eth0"}),
                Sample("host_users", "session_count", 2.0),
            ),
        ),
    ]
    return {(r.target, r.check, r.vantage): r for r in found}


def health(**changes: Any) -> Health:
    """healthmon at its best, but for `changes`."""
    well = Health(
        status="ok",
        started_at=NOW - 86400,
        engine_tick_age_s=0.3,
        store_ok=True,
        store_queue=12,
        broker_ok=True,
        mode="shadow",
        counters={
            "ingest_accepted_total": 120.0,
            "ingest_rejected_total.malformed": 2.0,
            "notice{channel=pager,result=sent}": 3.0,
            "store_rows_accepted_total": 4000.0,
        },
    )
    return replace(well, **changes)


def sample_view(**changes: Any) -> View:
    """Everything together."""
    hospital = estate()
    targets = {
        key: TargetStatus(key, Outcome.OK, "", NOW - 90000, NOW - 3)
        for key in hospital.targets
        if key not in ("ehr-web", "sw-imaging")
    }
    targets["ehr-web"] = TargetStatus("ehr-web", Outcome.FAILED, "bad_status", NOW - 485, NOW - 3)
    targets["sw-imaging"] = TargetStatus("sw-imaging", Outcome.UNKNOWN, "no_route", NOW - 3000, NOW - 3000)
    targets["pc-w7-01"] = TargetStatus("pc-w7-01", Outcome.FAILED, "timeout", NOW - 400, NOW - 3, "sw-ward-7")
    key = AlertKey("check-failed", "ehr-web", "up", "poller")
    view = View(
        version=7,
        at=NOW - 1,
        estate=hospital,
        targets=targets,
        services=statuses(hospital),
        incidents=(severe(), blind(), closed()),
        alerts=(
            Alert(key, Phase.FIRING, Effect.DOWN, NOW - 485, NOW - 487, NOW - 480, 3, None, Reason.BAD_STATUS, "503"),
        ),
        latest=readings(),
        agents={
            "poller": AgentStatus("poller", None, "up", NOW - 1, "0123456789abcdef", 900),
            "pc-w7-01": AgentStatus("pc-w7-01", "pc-w7-01", "silent", NOW - 500, "fedcba9876543210", 12, gaps=2),
        },
        health=health(),
        ledger=(LedgerRow(NOW - 470, "i-20261122-0003", "n1", "on-call applications", "shadow", "severity 1, step 1"),),
    )
    return replace(view, **changes)


class Hospital:
    """Queries and Commands over one view in memory; `show` replaces it as the engine would."""

    def __init__(self, view: View | None = None) -> None:
        self._view = view or sample_view()
        self._changed = asyncio.Event()
        self.commands: list[Command] = []
        self.asked: list[Query] = []
        self.tokens = {"tok-1": "i-20261122-0003"}
        self.mutes = MuteDesk(NeedGraph(self._view.estate), MuteSettings())
        self.wanted: LedgerFilter | None = None
        self.ledger_rows = [
            LedgerRow(NOW - n // 3, "i-20261122-0003", f"n{n}", "on-call", "shadow", f"row {n}") for n in range(25)
        ]

    def show(self, **changes: Any) -> None:
        """The next view."""
        self._view = replace(self._view, version=self._view.version + 1, **changes)
        self._changed.set()
        self._changed = asyncio.Event()

    def view(self) -> View:
        return self._view

    async def changed(self, version: int, timeout_s: float, spacing_s: float = 0.0) -> View:
        if self._view.version <= version:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
        return self._view

    async def series(self, query: Query) -> list[Series]:
        self.asked.append(query)
        return [Series({"target": name}, [(NOW - 60, 1.0), (NOW - 30, 2.5)]) for name in ("sw-core", "sw-ed")]

    async def notices(self, incident: str) -> Sequence[Notice]:
        if incident != "i-20261122-0003":
            return []
        told = Notice("n1", incident, 1, "pager", "on-call applications", Why.OPENED, NOW - 470, "subject", "text")
        return [replace(told, result=NoticeResult.SENT, at=NOW - 469, attempts=1)]

    async def timeline(self, incident: str) -> Sequence[Entry]:
        return next((i.timeline for i in self._view.incidents if i.id == incident), ())

    async def ledger(
        self, limit: int, before: float | None = None, wanted: LedgerFilter | None = None
    ) -> Sequence[LedgerRow]:
        self.wanted = wanted
        return [row for row in self.ledger_rows if before is None or row.at < before][:limit]

    async def preview(self, mute: Mute) -> Preview:
        scope = MuteScope(self.mutes.graph.estate, {}, lambda _rule, _target: True)
        return preview(mute, self.mutes.graph, self._view.alerts, self._view.incidents, scope)

    async def mute_events(self, mute: str) -> Sequence[MuteEvent]:
        return [event for event in self.mutes.events if event.id == mute]

    async def mute(self, command: MuteCommand) -> Standing:
        done = self.mutes.act(command, NOW)
        self.show(mutes=self.mutes.standings(NOW))
        return self.mutes.standing(done, NOW)

    async def act(self, command: Command) -> Incident:
        found = next((i for i in self._view.incidents if i.id == command.incident), None)
        if found is None:
            raise NotFound(f"no incident {command.incident}")
        if not found.open and command.action == "ack":
            raise Conflict("the incident is closed")
        self.commands.append(command)
        if command.action == "ack":
            done = replace(found, state=IncidentState.ACKNOWLEDGED, owner=command.by, acknowledged_at=NOW)
            self.show(incidents=tuple(done if i.id == done.id else i for i in self._view.incidents))
            return done
        return found

    async def probing(self, *, resume: bool, by: str) -> None:
        self.commands.append(Command("resume" if resume else "stop", "", by))
        self.show(health=replace(self._view.health, probing=resume))

    async def incident_for_token(self, token: str) -> Incident:
        wanted = self.tokens.get(token)
        for found in self._view.incidents:
            if found.id == wanted:
                return found
        raise NotFound("this link is not known or has expired")

    async def acknowledge_by_token(self, token: str, by: str) -> Incident:
        return await self.act(Command("ack", (await self.incident_for_token(token)).id, by))

    async def pass_by_token(self, token: str, by: str, to: str) -> Incident:
        return await self.act(Command("pass", (await self.incident_for_token(token)).id, by, to=to))


class StandingClock:
    """Real waiting at a standing hour, so that pages say the same each time."""

    def __init__(self, now: float = NOW) -> None:
        self.at = now
        self.standstill = Standstill(self)

    def now(self) -> float:
        return self.at

    def mono(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call)


def hospital_app(hospital: Hospital, **more: Any) -> web.Application:
    """The application over it."""
    settings = more.pop("settings", WebSettings(token=TOKEN))
    more.setdefault("clock", StandingClock())
    return make_app(hospital, hospital, settings=settings, **more)


@contextlib.asynccontextmanager
async def served(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    """The application on a real loopback socket; gives its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
