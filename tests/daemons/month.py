"""A made-up month of a small hospital: its configuration, what the store and the journal kept, and its tickets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from healthmon.alerting.journal import Journal
from healthmon.config import SiteConfig
from healthmon.config.loading import load_text
from healthmon.model.alert import AlertKey, Effect
from healthmon.model.incident import (
    Entry,
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    LedgerRow,
    Member,
    Notice,
    NoticeResult,
    Paths,
    Root,
    ServiceState,
    Why,
)
from healthmon.model.journal import Changes
from healthmon.model.sample import Row
from healthmon.reports.period import Period, month

DAY_S = 86_400.0
#: 1 October 2025, 00:00 in London (summer time), and the moment the reports are made.
START = 1_759_273_200.0
NOW = START + 40 * DAY_S
STATES = tuple(ServiceState)

SITE = """
organisation: {id: small, name: Small Hospital, timezone: Europe/London}
sites: [{id: main, name: Main}]
areas:
  - {id: ed, name: Emergency, kind: ed, acuity: critical, beds: 40, contact: {phone: "1"}}
  - {id: ward-7, name: Ward 7, kind: ward, acuity: inpatient, beds: 28, needs: [sw-7], contact: {phone: "2"}}
  - {id: clinic, name: Clinic, kind: clinic, acuity: outpatient, staffed: {mon-fri: "08:00-18:00"},
     contact: {phone: "3"}}
services:
  - {id: ehr, name: Patient record, tier: 1, used_in: all, needs: [ehr-web], team: apps}
  - {id: lab, name: Results, tier: 2, used_in: [ed, ward-7], needs: [lims], team: apps}
targets:
  - {id: sw-7, kind: switch, address: 192.0.2.7, checks: [icmp]}
  - {id: ehr-web, kind: server, address: 192.0.2.10, team: supplier-x, labels: {product: record},
     checks: [{id: page, kind: http, from: [poller, agents]}]}
  - {id: lims, kind: server, address: 192.0.2.11, team: apps, labels: {product: lims}, checks: [icmp]}
  - {id: old-pc, kind: server, address: 192.0.2.12, labels: {product: scanner}, checks: [icmp]}
  - {id: pc-1, kind: ward-workstation, address: 192.0.2.21, area: ward-7, needs: [sw-7]}
  - {id: pc-2, kind: ward-workstation, address: 192.0.2.22, area: ward-7, needs: [sw-7]}
  - {id: wow-1, kind: wow, address: 192.0.2.23, area: ward-7, needs: [sw-7]}
  - {id: pc-ed, kind: ward-workstation, address: 192.0.2.24, area: ed}
agents:
  - {id: pc-1, target: pc-1}
  - {id: pc-2, target: pc-2}
  - {id: wow-1, target: wow-1}
  - {id: pc-ed, target: pc-ed}
teams: {apps: {phone: "10"}, supplier-x: {desk: Supplier X, phone: "11"}}
changes:
  - {id: patch, title: Patch, targets: [lims], starts_at: "2025-10-02T01:00:00Z", ends_at: "2025-10-02T02:00:00Z",
     expected: [down], owner: apps}
care:
  people: {ward-7: {day: 9, night: 6, pcs: 4}, clinic: {day: 3}}
  legacy:
    - {id: scanner, name: Old scanner, system: Windows 7, targets: [old-pc], end_of_support: 2020-01-14,
       retired_on: 2025-10-11}
    - {id: lims-7, name: Results server, system: Server 2012, targets: [lims], end_of_support: 2023-10-10,
       plan: Move in May}
  asked:
    - {id: a1, area: ward-7, asked_on: 2025-09-01, text: A second label printer, done_on: 2025-10-20,
       done: It stands in bay 2}
    - {id: a2, area: ed, asked_on: 2025-10-05, text: Screens that stay logged on}
    - {id: a3, area: ed, asked_on: 2025-11-05, text: Not of this month}
"""


def site(data_dir: Path, extra: str = "") -> SiteConfig:
    """The hospital, with further blocks of configuration."""
    return replace(load_text(SITE + extra, env={"HEALTHMON_DATA_DIR": str(data_dir)}), data_dir=data_dir)


def october() -> Period:
    return month("2025-10", now=NOW, timezone="Europe/London")


def state_at(area: str, service: str, at: float) -> ServiceState | None:
    """What was so; None while the server was down."""
    since = at - START
    if 30_000 <= since < 30_600:  # ten minutes in which the server was down
        return None
    if area == "ward-7" and 36_000 <= since < 41_430:  # an hour and a half, and half a minute
        return ServiceState.LOST
    if service == "ehr" and 50_000 <= since < 50_900:
        return ServiceState.DEGRADED
    if service == "lab" and DAY_S + 3_600 <= since < DAY_S + 9_000:  # from an hour before the planned window's end
        return ServiceState.LOST
    if area == "ed" and 60_000 <= since < 63_600:
        return ServiceState.AT_RISK
    if area == "ed" and 70_000 <= since < 70_300:
        return ServiceState.UNKNOWN
    return ServiceState.OK


def rows(site_: SiteConfig, days: float = 2.0) -> Iterator[Row]:
    """What the server stores of each area and service, every 15 s of the first days."""
    lines = [(area, service.id) for service in site_.estate.services.values() for area in service.used_in]
    for number in range(int(days * DAY_S / 15)):
        at = START + 15.0 * number + 0.25
        for area, service in lines:
            state = state_at(area, service, at)
            if state is not None:
                fields = tuple(sorted((one.value, 1.0 if one is state else 0.0) for one in STATES))
                yield Row("service", (("area", area), ("service", service), ("site", "main")), fields, at)


#: Logons by PC: (seconds after START, seconds that they took); looks come every five minutes.
LOGONS = {
    "pc-1": [(28_000.0 + 3_000.0 * n, 40.0 + 10.0 * n) for n in range(8)],
    "pc-2": [(29_000.0, 20.0), (31_000.0, 700.0)],
}
#: Seconds of good looks at the record from a PC of ward 7; one in ten fails and does not count.
LOOKS = [0.2 + 0.01 * n for n in range(100)]


def pc_rows(site_: SiteConfig) -> Iterator[Row]:
    """What PCs of ward 7 told: logons of two, Wi-Fi and battery of a trolley, looks at the record; ED's none."""
    for pc, logons in LOGONS.items():
        for number in range(288):
            at = START + 300.0 * number + 7.0
            last = [(when, took) for when, took in logons if START + when <= at]
            fields = {"sessions": 1.0 if last else 0.0}
            if last:
                fields |= {"last_logon_age_seconds": at - START - last[-1][0], "logon_seconds": last[-1][1]}
            fields["boot_seconds"] = 90.0 if number < 120 else 95.5
            yield Row("host_logons", _tags(pc, "logons", pc), tuple(sorted(fields.items())), at)
    for number in range(50):
        at, tags = START + 600.0 * number, _tags("wow-1", "wifi", "wow-1")
        wifi = {"signal_dbm": -60.0 - number / 2, "noise_dbm": -92.0, "frequency_hertz": 5.18e9 + 2e7 * (number // 10)}
        yield Row("host_wifi", tuple(sorted((*tags, ("interface", "wlan0")))), tuple(sorted(wifi.items())), at)
        battery = {"charge_ratio": 1.0 - number / 60, "on_mains": 0.0 if number < 40 else 1.0}
        yield Row("host_battery", tags, tuple(sorted(battery.items())), at)
    for number, took in enumerate(LOOKS):
        for outcome, fields in (("ok", {"success": 1.0}), ("failed", {"success": 0.0})):
            at = START + 300.0 * number + (0.0 if outcome == "ok" else 100.0)
            if outcome == "ok" or number % 10 == 0:
                shown = {**fields, "duration_seconds": took if outcome == "ok" else 30.0}
                yield Row("probe", _tags("ehr-web", "page", "pc-1"), tuple(sorted(shown.items())), at)


def _tags(target: str, check: str, vantage: str) -> tuple[tuple[str, str], ...]:
    area = {"ehr-web": ""}.get(target, "ward-7")
    pairs = {"area": area, "target": target, "check": check, "vantage": vantage, "site": "main"}
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def incident(id_: str, opened: float, **changes: object) -> Incident:
    """An incident of ward 7 that its switch explains, mitigated after an hour and resolved after two."""
    at = START + opened
    made = Incident(
        id=id_,
        kind=IncidentKind.INCIDENT,
        state=IncidentState.RESOLVED,
        severity=2,
        impact_level=2,
        urgency=1,
        title="Ward 7: patient record not available",
        plain_text="",
        root=Root("sw-7", "icmp", "timeout", 0.95),
        members=(Member(AlertKey("check-failed", "sw-7", "icmp", "poller"), Effect.DOWN, at - 3.0),),
        impact=(ImpactLine("ward-7", "ehr", ServiceState.LOST, at, Paths(0, 1)),
                ImpactLine("ward-7", "lab", ServiceState.LOST, at, Paths(0, 1))),
        impact_known="full",
        opened_at=at,
        first_evidence_at=at - 3.0,
        team="apps",
        owner="Duty engineer",
        acknowledged_at=at + 120.0,
        mitigated_at=at + 3600.0,
        resolved_at=at + 7200.0,
        worst_severity=2,
        timeline=(Entry(at, "opened", "Opened"),),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def notice(incident_: Incident, number: int = 0, *, why: Why = Why.OPENED, after_s: float = 1.0) -> Notice:
    at = incident_.opened_at + after_s
    return Notice(
        key=f"{incident_.id}-{number}", incident=incident_.id, step=0, channel="pager", to="net", why=why, due=at,
        subject=incident_.title, text="", result=NoticeResult.SENT, at=at, severity=incident_.severity,
    )  # fmt: skip


def incidents() -> list[Incident]:
    """One that a ward reported after 5 min, one reported 4 min before, one that nobody reported, one merged away."""
    elsewhere = ImpactLine("ed", "ehr", ServiceState.DEGRADED, START + 50_000, Paths(1, 2))
    return [
        incident("inc-a", 36_010.0),
        incident("inc-b", 50_020.0, impact=(elsewhere,), severity=3, worst_severity=3,
                 root=Root("ehr-web", "icmp", "timeout", 0.9, supplier="supplier-x")),
        incident("inc-c", 60_000.0, kind=IncidentKind.EARLY_WARNING, severity=4, worst_severity=4, impact=()),
        incident("inc-d", 36_020.0, merged_into="inc-a"),
        incident("inc-e", DAY_S + 3_590.0, impact=(ImpactLine("ward-7", "lab", ServiceState.LOST, START, Paths(0, 1)),),
                 root=Root("lims", "icmp", "timeout", 0.9), changes_open=("patch",), acknowledged_at=None, owner=None),
        incident("inc-f", 2 * DAY_S + 82_000.0, severity=3, worst_severity=3, impact=(), acknowledged_at=None,
                 owner=None, mitigated_at=START + 2 * DAY_S + 82_060.0, root=Root("old-pc", "icmp", "timeout", 0.9)),
        incident("inc-g", -20 * DAY_S, root=Root("old-pc", "icmp", "timeout", 0.9)),
    ]  # fmt: skip


def journal(path: Path) -> Journal:
    """The journal of that month."""
    kept = Journal(path)
    held = LedgerRow(START + 60_001.0, "inc-c", "k1", "apps", "not_woken", "severity 4 wakes nobody")
    found = incidents()
    for number, answer in enumerate(["good", "good", "slow", "bad", "good", "good"]):
        kept.append("shift_vote", at=START + 28_800.0, body={"area": "ward-7", "answer": answer}, key=f"v{number}")
    kept.append("shift_vote", at=START + 28_800.0, body={"area": "ed", "answer": "bad"}, key="v9")
    kept.commit(
        Changes(
            at=NOW,
            incidents=tuple(found),
            notices=(
                notice(found[0]),
                notice(found[1]),
                notice(found[5]),
                notice(found[4]),
                notice(found[0], 1, why=Why.MITIGATED, after_s=3600.0),
            ),
            ledger=(held,),
        )
    )
    return kept


#: One export as a service desk writes it; local times.
TICKETS = """number,opened_at,work_start,closed_at,reopen_count,contact_type,location,business_service,cmdb_ci,priority
INC1,2025-10-01 10:05:10,2025-10-01 10:20:10,2025-10-01 12:30:00,0,Self-service,Ward 7,Patient record,,2 - High
INC2,2025-10-01 10:31:00,2025-10-01 10:33:00,2025-10-01 12:30:00,1,Phone,Ward 7,,,3 - Moderate
INC3,2025-10-01 13:49:40,,,0,Phone,Emergency,Patient record,,1 - Critical
INC4,2025-10-09 09:00:00,2025-10-09 15:00:00,2025-10-09 16:00:00,0,Email,Clinic,Patient record,,4 - Low
INC5,2025-10-10 09:00:00,2025-10-10 10:00:00,,0,Virtual Agent,Clinic,Patient record,,2 - High
"""
