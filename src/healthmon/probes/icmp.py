"""ICMP echo: several packets, what was lost, and the spread of the round trips."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.address import host_port
from healthmon.probes.connect import of_version
from healthmon.probes.echo import SMALLEST_BYTES, EchoSocket, EchoSockets, Flight
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.reasons import Fault

_RTT_FIELDS = ("min", "avg", "median", "p95", "max", "jitter")

FAMILIES = (
    Family(
        "icmp",
        frozenset({"loss_ratio", "sent", "received", "hop_limit"} | {f"rtt_{name}_seconds" for name in _RTT_FIELDS}),
    ),
)


@dataclass(frozen=True, slots=True)
class Params:
    """`wait_s` is how long the last packet may take; above `max_loss_ratio` the check has failed.

    `hop_limit` is how many routers a packet may pass; the default is the system's.

    In a medical network one packet is sent, whatever `count` says.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    count: int = 3
    spacing_s: float = 0.2
    wait_s: float = 1.0
    size_bytes: int = 56
    max_loss_ratio: float = 0.5
    ip_version: int = 0
    hop_limit: int | None = None

    def __post_init__(self) -> None:
        _within("count", self.count, 1, 50)
        _within("spacing_s", self.spacing_s, 0.05, 10.0)
        _within("wait_s", self.wait_s, 0.05, 30.0)
        _within("size_bytes", self.size_bytes, SMALLEST_BYTES, 1472)
        _within("max_loss_ratio", self.max_loss_ratio, 0.0, 1.0)
        if self.hop_limit is not None:
            _within("hop_limit", self.hop_limit, 1, 255)
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: {value} (allowed: {low} to {high})")


class IcmpProbe:
    """All targets share one socket for each address family."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._sockets = EchoSockets()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok; failed with timeout (all lost), unreachable or packet_loss; unknown with no_permission."""
        params = self._settings.of(job)
        host, _ = host_port(job.address, 0)
        address = of_version(await sight.resolve(host, 0), params.ip_version)[0]
        look = Look(job, sight)
        flight = Flight(address.ip)
        count = 1 if address.gentle else params.count
        with self._sockets.use(address.family, sight.clock) as echo:
            try:
                await _fly(flight, echo, params, count, job.timeout_s, sight)
            finally:
                echo.forget(flight)
        fields, fault = summary(flight.rtts_s), judged(flight, params.max_loss_ratio)
        if flight.hop_limit is not None:
            fields["hop_limit"] = float(flight.hop_limit)
        sight.trace(f"{int(fields['sent'])} sent, {int(fields['received'])} received")
        return look.ok(samples_of("icmp", fields)) if fault is None else look.bad(fault, samples_of("icmp", fields))


async def _fly(flight: Flight, echo: EchoSocket, params: Params, count: int, timeout_s: float, sight: Sight) -> None:
    """Send in steps of the spacing, then wait until every packet is answered or its time is over."""
    clock = sight.clock
    turns_s = clock.standstill.turns_s
    end = turns_s() + timeout_s
    for number in range(count):
        if number:
            await clock.sleep(params.spacing_s)
        if turns_s() >= end:
            break
        await echo.send(flight, size_bytes=params.size_bytes, hop_limit=params.hop_limit)
    if not await flight.landed(clock, max(0.0, min(params.wait_s, end - turns_s()))):
        echo.drain()  # what came while the loop was busy has come


def judged(flight: Flight, max_loss_ratio: float) -> Fault | None:
    """What the lost packets mean."""
    sent = len(flight.rtts_s)
    lost = sum(1 for rtt_s in flight.rtts_s if rtt_s is None)
    if lost == sent and flight.error is not None:
        return Fault(Reason.UNREACHABLE, flight.error)
    if lost == sent:
        return Fault(Reason.TIMEOUT, f"none of {sent} packets came back")
    if lost / sent > max_loss_ratio:
        return Fault(Reason.PACKET_LOSS, f"{lost} of {sent} packets lost")
    return None


def summary(rtts_s: list[float | None]) -> dict[str, float]:
    """Fields of family `icmp`; jitter is the mean step between round trips that follow each other."""
    came = [rtt_s for rtt_s in rtts_s if rtt_s is not None]
    sent = len(rtts_s)
    fields = {"sent": float(sent), "received": float(len(came)), "loss_ratio": 1.0 - len(came) / sent if sent else 1.0}
    if not came:
        return fields
    ordered = sorted(came)
    steps = [abs(after - before) for before, after in itertools.pairwise(came)]
    spread = {
        "min": ordered[0],
        "avg": statistics.fmean(ordered),
        "median": statistics.median(ordered),
        "p95": ordered[math.ceil(0.95 * len(ordered)) - 1],
        "max": ordered[-1],
        "jitter": statistics.fmean(steps) if steps else 0.0,
    }
    return fields | {f"rtt_{name}_seconds": value for name, value in spread.items()}
