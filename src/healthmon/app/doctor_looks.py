"""The looks that doctor takes, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Iterator

from healthmon.app import doctor_disk, doctor_lines, doctor_services
from healthmon.app.doctor import Finding, Look, Patient, Verdict


def configuration(patient: Patient) -> Iterator[Finding]:
    """It was read, or we would not be here; its warnings."""
    site = patient.site
    yield Finding("config", Verdict.OK, f"{len(site.files)} files, {len(site.estate.targets)} targets, "
                  f"{len(site.estate.agents)} agents, mode {site.alerting.mode}")  # fmt: skip
    for warning in site.warnings[:20]:
        yield Finding("config", Verdict.LOOK, warning, fix="healthmon check")
    if len(site.warnings) > 20:
        yield Finding("config", Verdict.LOOK, f"and {len(site.warnings) - 20} more warnings", fix="healthmon check")


LOOKS: dict[str, Look] = {
    "config": configuration,
    "folder": doctor_disk.folder,
    "permissions": doctor_disk.permissions,
    "disk": doctor_disk.room,
    "databases": doctor_disk.databases,
    "spool": doctor_disk.waiting,
    "server": doctor_services.server,
    "broker": doctor_services.broker,
    "lines": doctor_lines.lines,
    "certificates": doctor_services.certificates,
    "clock": doctor_services.clock,
    "agents": doctor_services.fleet,
    "quarantine": doctor_disk.quarantined,
    "dead letters": doctor_disk.pages,
}
