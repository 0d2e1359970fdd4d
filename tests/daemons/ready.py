"""A hospital in which everything that downtime needs is ready, and readings to make any of it not so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

from healthmon.config import SiteConfig
from healthmon.config.loading import load_text
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.view import Health, TargetStatus, View
from healthmon.reports.care import Expiry
from healthmon.reports.facts import DAY_S, Facts

NOW = 1_764_000_000.0
TODAY = date(2025, 11, 24)
SITE = """
organisation: {id: small, name: Small}
sites: [{id: main, name: Main}]
areas:
  - {id: ward-7, name: Ward 7, kind: ward, acuity: inpatient, downtime_pc: dt-7}
  - {id: ward-8, name: Ward 8, kind: ward, acuity: inpatient, downtime_pc: dt-8}
  - {id: attic, name: Attic, kind: office, acuity: none}
services:
  - {id: ehr, name: Record, tier: 1, used_in: all, needs: [ehr-db], fallback: {text: Read-only copy, proven_by: viewer}}
targets:
  - {id: ehr-db, kind: database, address: 192.0.2.10, checks: [{id: tls, kind: tls, port: 443}]}
  - {id: viewer, kind: server, address: 192.0.2.11, checks: [{id: downtime-copy, kind: http, path: /}]}
  - {id: keeper, kind: server, address: 192.0.2.12}
  - {id: dt-7, kind: ward-workstation, address: 192.0.2.21, area: ward-7}
  - {id: dt-8, kind: ward-workstation, address: 192.0.2.22, area: ward-8, labels: {printer: pr-8, ups: ups-8}}
  - {id: pr-7, kind: printer, address: 192.0.2.31, area: ward-7, labels: {purpose: downtime}}
  - {id: pr-8, kind: printer, address: 192.0.2.32, area: ward-8}
  - {id: ups-8, kind: ups, address: 192.0.2.33}
agents:
  - {id: dt-7, target: dt-7, roles: [downtime-pc]}
  - {id: dt-8, target: dt-8, roles: [downtime-pc]}
  - {id: keeper, target: keeper}
care:
  forms: [{id: pack, name: Downtime pack, version: "4", current: "4"}]
  expiries: [{id: lis, name: Results licence, kind: licence, expires_on: 2026-06-01, services: [ehr]}]
"""
Key = tuple[str, str]


def reading(target: str, check: str, family: str, *, outcome: Outcome = Outcome.OK, age_s: float = 60.0,
            labels: dict[str, str] | None = None, **values: float) -> Reading:  # fmt: skip
    samples = tuple(Sample(family, name, value, labels or {}) for name, value in values.items())
    reason = None if outcome is Outcome.OK else Reason.TIMEOUT
    return Reading(target, check, target, NOW - age_s, 0.1, outcome, reason, samples=samples)


BACKUP = {"found": 1.0, "age_seconds": 3_600.0, "restore_test_age_seconds": DAY_S, "off_site": 1.0, "immutable": 1.0}


def good() -> dict[Key, Reading]:
    """Readings of a good day, by target and check."""
    found = [
        reading("dt-7", "battery", "host_battery", on_mains=1.0),
        reading("dt-8", "battery", "host_battery", present=0.0),
        reading("ups-8", "snmp", "snmp_ups", on_battery=0.0),
        reading("pr-7", "ipp", "ipp", errors=0.0),
        reading("pr-8", "ipp", "ipp", errors=0.0),
        reading("viewer", "downtime-copy", "http", last_modified_age_seconds=600.0),
        reading("ehr-db", "tls", "tls", expires_in_seconds=60 * DAY_S, lifetime_left_ratio=0.6),
        replace(reading("keeper", "backups", "backup_evidence", labels={"backup": "record"}, **BACKUP)),
    ]
    return {(one.target, one.check): one for one in found}


@cache
def loaded(site: str) -> SiteConfig:
    return load_text(site, env={})


def facts(
    readings: dict[Key, Reading] | None = None,
    *,
    site: str = SITE,
    down: frozenset[str] = frozenset(),
    unseen: frozenset[str] = frozenset(),
    own: tuple[Expiry, ...] = (),
) -> Facts:
    """What readiness is judged by. down: targets that fail, unseen: those of which nothing is known."""
    config = loaded(site)
    estate = config.estate
    statuses = {
        id_: TargetStatus(
            id_,
            Outcome.FAILED if id_ in down else Outcome.UNKNOWN if id_ in unseen else Outcome.OK,
            "timeout" if id_ in down else "",
            NOW - 100.0,
            NOW,
        )
        for id_ in estate.targets
    }
    latest = {(one.target, one.check, one.vantage): one for one in (good() if readings is None else readings).values()}
    health = Health("ok", NOW, 0.1, True, 0, True, "live")
    view = View(1, NOW, estate, statuses, {}, (), (), latest, {}, health)
    return Facts(view, config.care, now=NOW, today=TODAY, own=own)
