"""host_logons: sessions, when somebody last logged on, and how long that took. Who it was is never read."""

from __future__ import annotations

import re
import struct
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import psutil

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import events_xml
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (Family("host_logons", frozenset({"sessions", "last_logon_age_seconds", "logon_seconds", "boot_seconds"})),)
#: glibc's struct utmp: 384 bytes, the type in front, the time at byte 340; what stands between is not looked at.
_RECORD_BYTES, _TIME_AT, _USER_PROCESS = 384, 340, 7
_MOST_RECORDS = 2000
_POLICY_LOG = "Microsoft-Windows-GroupPolicy/Operational"
_BOOT_LOG = "Microsoft-Windows-Diagnostics-Performance/Operational"


@dataclass(frozen=True, slots=True)
class Params:
    """host_logons has nothing to set."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class LogonsCollector:
    """Linux: loginctl or utmp, and wtmp. Windows: how long group policy took at the last logon, and the last boot."""

    def __init__(self, wtmp: Path = Path("/var/log/wtmp")) -> None:
        self._wtmp = wtmp

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params_of(job, Params)
            found = ask_windows(sight.clock.now()) if sys.platform == "win32" else self._linux(sight.clock.now())
            return [Sample("host_logons", field, value) for field, value in found.items()]

        return await look(job, sight, see)

    def _linux(self, now: float) -> dict[str, float]:
        found = {"sessions": _sessions()}
        try:
            last_at = last_logon(self._wtmp)
        except OSError:
            return found
        if last_at is not None:
            found["last_logon_age_seconds"] = max(0.0, now - last_at)
        return found


def _sessions() -> float:
    """logind knows them where utmp has gone (Debian 13, 64-bit times); elsewhere utmp does."""
    try:
        return parse_loginctl(run(["loginctl", "list-sessions", "--no-legend", "--no-pager"]))
    except Unseen:
        return float(len(psutil.users()))


def parse_loginctl(text: str) -> float:
    """One session on each line; only the lines are counted."""
    return float(sum(1 for line in text.splitlines() if line.strip()))


def last_logon(wtmp: Path) -> float | None:
    """Unix time of the last logon in the file; only types and times are unpacked. Raises OSError."""
    with wtmp.open("rb") as file:
        size = file.seek(0, 2) // _RECORD_BYTES * _RECORD_BYTES
        file.seek(max(0, size - _MOST_RECORDS * _RECORD_BYTES))
        data = file.read(size)
    for at in range(len(data) - len(data) % _RECORD_BYTES - _RECORD_BYTES, -1, -_RECORD_BYTES):
        (kind,) = struct.unpack_from("h", data, at)
        if kind == _USER_PROCESS:
            return float(struct.unpack_from("I", data, at + _TIME_AT)[0])
    return None


def ask_windows(now: float) -> dict[str, float]:
    """Blocking. Raises Unseen."""
    found = {"sessions": float(len(psutil.users()))}
    policy = events_xml(_POLICY_LOG, "EventID=8001", most=1)
    found |= parse_policy_event(policy) | parse_age(policy, now)
    try:
        found |= parse_boot_event(events_xml(_BOOT_LOG, "EventID=100", most=1))
    except Unseen:
        pass  # that log wants an administrator
    return found


def parse_policy_event(xml: str) -> dict[str, float]:
    """Event 8001: policy for a logon is done, in whole seconds (Windows writes "Elasped"); the user is passed over."""
    match = re.search(r"""Name=["']PolicyEla(?:sp|ps)edTimeInSeconds["']\s*>(\d{1,6})<""", xml)
    return {"logon_seconds": float(match.group(1))} if match else {}


def parse_age(xml: str, now: float) -> dict[str, float]:
    """How long ago the event was: each look repeats the last one, and only its time tells two logons apart."""
    match = re.search(r"""<TimeCreated\s+SystemTime=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?""", xml)
    if match is None:
        return {}
    at = datetime.fromisoformat(f"{match[1]}+00:00").timestamp() + float(match[2] or 0.0)
    return {"last_logon_age_seconds": max(0.0, now - at)}


def parse_boot_event(xml: str) -> dict[str, float]:
    """Event 100: the last boot, in milliseconds."""
    match = re.search(r"""Name=["']BootTime["']\s*>(\d{1,9})<""", xml)
    return {"boot_seconds": float(match.group(1)) / 1000.0} if match else {}
