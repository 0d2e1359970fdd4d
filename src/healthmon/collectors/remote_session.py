"""host_remote_session: how slow remote desktops are, where the platform tells (Windows); elsewhere unknown."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from typing import ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (Family("host_remote_session", frozenset({"sessions", "worst_latency_seconds", "mean_latency_seconds"})),)
COUNTERS = {
    "rdp": r"\RemoteFX Network(*)\Current TCP RTT",
    "ica": r"\ICA Session(*)\Latency - Session Average",
}


@dataclass(frozen=True, slots=True)
class Params:
    """`protocol`: rdp (Remote Desktop) or ica (Citrix)."""

    protocol: str = "rdp"

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.protocol not in COUNTERS:
            raise ValueError(f"protocol: {self.protocol} (allowed: {', '.join(COUNTERS)})")


class RemoteSessionCollector:
    """Performance counters by typeperf; names of sessions, which hold those of people, are dropped."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params = params_of(job, Params)
            if sys.platform != "win32":
                raise Unseen(Reason.NO_LIBRARY, "this platform does not tell how slow remote sessions are")
            found = parse_typeperf(run(["typeperf.exe", COUNTERS[params.protocol], "-sc", "1"]))
            return [Sample("host_remote_session", field, value) for field, value in found.items()]

        return await look(job, sight, see)


def parse_typeperf(text: str) -> dict[str, float]:
    """One row of headings, one of values in milliseconds; empty values and sessions that ended are passed over."""
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) > 1]
    if not rows or not rows[0][0].startswith("(PDH-CSV"):
        raise Unseen(Reason.NO_ANSWER, "the performance counter is not there")
    values = [float(cell) / 1000.0 for row in rows[1:2] for cell in row[1:] if _is_number(cell)]
    found = {"sessions": float(len(values))}
    if values:
        found |= {"worst_latency_seconds": max(values), "mean_latency_seconds": sum(values) / len(values)}
    return found


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()
