"""host_smart: what disks say of their own health (smartmontools). Serial numbers are not read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (
    Family(
        "host_smart",
        frozenset({"passed", "temperature_celsius", "power_on_seconds", "reallocated_sectors", "pending_sectors"})
        | {"uncorrectable_sectors", "media_errors", "damaged_places", "used_life_ratio", "spare_ratio", "answers"},
        frozenset({"disk"}),
    ),
)
#: ATA attributes that foretell a failure, by number.
_ATA = {5: "reallocated_sectors", 197: "pending_sectors", 198: "uncorrectable_sectors"}
#: What cannot be read any more, in the words of ATA and of NVMe.
_DAMAGE = ("pending_sectors", "uncorrectable_sectors", "media_errors")
_MOST_DISKS = 64


@dataclass(frozen=True, slots=True)
class Params:
    """`disks`: these devices (default: all that smartctl finds); `sudo`: ask through `sudo -n`."""

    disks: tuple[str, ...] = ()
    sudo: bool = False

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if any(not disk or disk.startswith("-") for disk in self.disks):
            raise ValueError("a disk is a device like /dev/sda")


class SmartCollector:
    """Wakes no sleeping disk (`-n standby`). Reading needs rights that an agent seldom has: then it is unknown."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: _see(params_of(job, Params)))


def _see(params: Params) -> list[Sample]:
    smartctl = ["sudo", "-n", "smartctl"] if params.sudo else ["smartctl"]
    named = [(disk, "") for disk in params.disks]
    disks = named or parse_scan(_json(run([*smartctl, "--scan", "--json"], codes=None)))
    if not disks:
        raise Unseen(Reason.NO_ANSWER, "smartctl finds no disk")
    samples: list[Sample] = []
    for disk, kind in disks[:_MOST_DISKS]:
        how = ["-d", kind] if kind else []
        answer = _json(run([*smartctl, "--json", "-H", "-A", "-n", "standby", *how, disk], codes=None))
        if refused(answer):
            raise Unseen(Reason.NO_PERMISSION, "smartctl may not open the disks: run it through sudo (`sudo: true`)")
        facts = parse_smart(answer)
        samples += [Sample("host_smart", field, value, {"disk": disk}) for field, value in facts.items()]
    return samples


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise Unseen(Reason.NO_ANSWER, "smartctl did not answer in JSON (it needs version 7)") from None
    return found if isinstance(found, dict) else {}


def parse_scan(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(device, type) of every disk found."""
    devices = answer.get("devices")
    rows = [row for row in devices if isinstance(row, dict)] if isinstance(devices, list) else []
    return [(str(row["name"]), str(row.get("type", ""))) for row in rows if row.get("name")]


def refused(answer: Mapping[str, Any]) -> bool:
    """Whether smartctl was not let near the device."""
    messages = _mapping(answer, "smartctl").get("messages") or []
    return any("Permission denied" in str(message) for message in messages)


def parse_smart(answer: Mapping[str, Any]) -> dict[str, float]:
    """`smartctl --json -H -A` of an ATA, SCSI or NVMe disk. A disk that sleeps or is not known has `answers` 0."""
    status = _mapping(answer, "smart_status").get("passed")
    if not isinstance(status, bool):
        return {"answers": 0.0}
    found = {"answers": 1.0, "passed": float(status)}
    _take(found, "temperature_celsius", _mapping(answer, "temperature").get("current"))
    _take(found, "power_on_seconds", _mapping(answer, "power_on_time").get("hours"), 3600.0)
    table = _mapping(answer, "ata_smart_attributes").get("table")
    for row in table if isinstance(table, list) else ():
        if isinstance(row, dict) and row.get("id") in _ATA:
            _take(found, _ATA[row["id"]], _mapping(row, "raw").get("value"))
    nvme = _mapping(answer, "nvme_smart_health_information_log")
    _take(found, "media_errors", nvme.get("media_errors"))
    found["damaged_places"] = sum(found.get(name, 0.0) for name in _DAMAGE)  # always there: a rule must clear as well
    _take(found, "used_life_ratio", nvme.get("percentage_used"), 0.01)
    _take(found, "spare_ratio", nvme.get("available_spare"), 0.01)
    return found


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _take(found: dict[str, float], field: str, value: Any, factor: float = 1.0) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        found[field] = float(value) * factor
