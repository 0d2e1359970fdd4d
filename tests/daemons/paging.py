"""A small hospital, its incidents and notices, and a real HTTP receiver: what tests of paging share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from healthmon.alerting.oncall.waking import DEFAULT_WAKING
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.incident import (
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Member,
    Notice,
    Paths,
    Policy,
    Root,
    ServiceState,
    Step,
    Why,
)
from healthmon.model.sample import Reason
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    Estate,
    Hours,
    Organisation,
    Service,
    Site,
    Target,
)

#: Friday 2027-01-15, 10:00 in London.
MORNING = 1_800_007_200.0
#: The same day, 23:00.
NIGHT = MORNING + 13 * 3600.0
#: The stock table without its waits: who is paged, not when.
AT_ONCE = replace(DEFAULT_WAKING, gather=(), storm_s=0.0)
PAGER = Policy("on-call", (Step(0.0, ("pager",)), Step(300.0, ("mail",))))


def estate() -> Estate:
    """One site: a ward, an emergency department, a clinic that is open on weekdays, one switch and one ward PC."""
    weekdays = Hours(tuple((day, 8 * 60, 18 * 60) for day in range(5)), closed_on_holidays=True)
    areas = (
        Area("ward-7", "Ward 7", AreaKind.WARD, Acuity.INPATIENT, "main", beds=28),
        Area("ed", "Emergency Department", AreaKind.ED, Acuity.CRITICAL, "main"),
        Area("clinic-a", "Clinic A", AreaKind.CLINIC, Acuity.OUTPATIENT, "main", staffed=weekdays),
    )
    targets = (
        Target("sw-ward7", "sw-ward7", "switch", "192.0.2.7", "main", "ward-7"),
        Target("pc-w7-01", "pc-w7-01", "pc", "192.0.2.71", "main", "ward-7"),
    )
    return Estate(
        organisation=Organisation("st-elsewhere", "St Elsewhere", "Europe/London"),
        sites={"main": Site("main", "Main site", "Europe/London")},
        areas={area.id: area for area in areas},
        services={"ehr": Service("ehr", "Patient record", 1, tuple(a.id for a in areas), everywhere=True)},
        targets={target.id: target for target in targets},
        teams={},
        agents={"pc-w7-01": Agent("pc-w7-01", "pc-w7-01", ("ward-workstation",))},
    )


def member(target: str = "sw-ward7", vantage: str = "poller", at: float = MORNING) -> Member:
    return Member(AlertKey("check-failed", target, "icmp", vantage), Effect.DOWN, at, "timeout")


def impact(*areas: str, state: ServiceState = ServiceState.LOST, at: float = MORNING) -> tuple[ImpactLine, ...]:
    return tuple(ImpactLine(area, "ehr", state, at, Paths(0, 1)) for area in areas)


def incident(
    severity: int = 2, *, at: float = MORNING, areas: tuple[str, ...] = ("ward-7",), **changes: Any
) -> Incident:
    """An open incident that two vantage points see."""
    made = Incident(
        id="inc-1",
        kind=IncidentKind.INCIDENT,
        state=IncidentState.OPEN,
        severity=severity,
        impact_level=2,
        urgency=1,
        title="Ward 7: Patient record not available",
        plain_text="The ward switch does not answer.",
        root=Root("sw-ward7", "icmp", "timeout", 0.97),
        members=(member(at=at), member("pc-w7-01", "pc-w7-01", at=at)),
        impact=impact(*areas, at=at),
        impact_known="full",
        opened_at=at,
        first_evidence_at=at - 5.0,
        worst_severity=severity,
    )
    return replace(made, **changes)


def mitigated(of: Incident, at: float) -> Incident:
    return replace(of, state=IncidentState.MITIGATED, mitigated_at=at)


def notice(key: str = "0123456789abcdef", *, channel: str = "pager", **changes: Any) -> Notice:
    made = Notice(
        key=key,
        incident="inc-1",
        step=0,
        channel=channel,
        to=channel,
        why=Why.OPENED,
        due=MORNING,
        subject="[sev 2] Ward 7: Patient record not available",
        text="Ward 7: Patient record not available\nIncident inc-1",
        body={"id": "inc-1", "severity": 2},
        severity=2,
        areas=("ward-7",),
    )
    return replace(made, **changes)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a receiver answers: `hang_s` before the status; `drop` closes the connection without a word."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    headers: dict[str, str]
    raw: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.raw, type=dict[str, Any])


class Receiver:
    """A real HTTP server on loopback that keeps what was posted and answers as it is told."""

    def __init__(self, answer: Callable[[int], Answer] = lambda number: Answer(), *, port: int = 0) -> None:
        self.posted: list[Posted] = []
        self.answer = answer
        self.found = b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.posted.append(Posted(self.path, dict(self.headers.items()), raw))
                receiver.reply(self, receiver.answer(len(receiver.posted)))

            def do_GET(self) -> None:
                """A search of a ticket system: `found` is what there is; any other answer is as for a post."""
                answer = receiver.answer(len(receiver.posted))
                good = 200 <= answer.status < 300  # a search that works is a 200
                receiver.reply(self, replace(answer, status=200) if good else answer, receiver.found)

            do_PATCH = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # the default of 5 drops connections that come together

        self._server = Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def reply(self, handler: BaseHTTPRequestHandler, answer: Answer, body: bytes = b"") -> None:
        time.sleep(answer.hang_s)
        if answer.drop:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        body = b"" if answer.status == 204 else body
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def alert(phase: Phase = Phase.FIRING, **labels: str) -> Alert:
    """An alert of a switch."""
    key = AlertKey("check-failed", "sw-ward7", "icmp", "poller", tuple(sorted(labels.items())))
    return Alert(key, phase, Effect.DOWN, MORNING, MORNING - 5, MORNING, 3, 1.0, Reason.TIMEOUT, "no answer")


def row(key: str = "k1", at: float = MORNING, cause: str = "shadow", of: str = "inc-1") -> LedgerRow:
    """A page that was held back."""
    return LedgerRow(at, of, key, "pager", cause, "would have paged")
