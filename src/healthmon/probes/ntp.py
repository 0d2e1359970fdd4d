"""NTP: is the time server synchronised, to what, and how far are its clock and ours apart (RFC 5905, client mode)."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Clock, Sight
from healthmon.model.sample import Family, Reading, Reason, Value
from healthmon.probes.datagram import Exchange, ask
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_network, check_range
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "ntp",
        frozenset(
            {"dns_seconds", "answer_seconds", "duration_seconds", "offset_seconds", "delay_seconds", "stratum", "leap"}
            | {"root_delay_seconds", "root_dispersion_seconds", "root_distance_seconds", "reference_age_seconds"}
        ),
    ),
)

_PACKET = struct.Struct("!BBbbII4sQQQQ")
PACKET_BYTES = _PACKET.size
_CLIENT, _SERVER = 3, 4
#: Seconds from 1900 to 1970; stamps whose highest bit is clear are of the era that begins in 2036.
_TO_UNIX_S, _ERA_S = 2_208_988_800, 2**32
UNSYNCHRONISED_LEAP, UNSYNCHRONISED_STRATUM = 3, 16


@dataclass(frozen=True, slots=True)
class Params:
    """Limits are off unless given: stock rules watch the figures. Offset is the server's clock minus ours."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    max_stratum: int = 15
    max_offset_s: float | None = None
    max_root_distance_s: float | None = None
    tries: int = 2
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version)
        check_range("max_stratum", self.max_stratum, 1, 15)
        check_range("tries", self.tries, 1, 3)
        for name, value in (("max_offset_s", self.max_offset_s), ("max_root_distance_s", self.max_root_distance_s)):
            if value is not None:
                check_range(name, value, 0.000001, 1e6)


@dataclass(frozen=True, slots=True)
class Answer:
    """A server packet; stamps are Unix seconds, `origin` is what we sent and get back."""

    leap: int
    stratum: int
    root_delay_s: float
    root_dispersion_s: float
    reference: bytes
    updated: float
    origin: int
    received: float
    sent: float


class NtpProbe:
    """One question (asked again when it got lost)."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_status (not synchronised, stratum, kiss), bad_body (a limit), timeout, refused ..."""
        params = self._settings.of(job)
        exchange = Exchange(job, sight, "ntp")

        async def put(addresses: Sequence[Address], left_s: float) -> None:
            asked = Asked(sight.clock)
            answer, times = await ask(
                addresses, asked.request, asked.accept, limit_s=left_s, tries=params.tries, clock=sight.clock
            )
            exchange.phases.enter("")
            exchange.fields |= measured(answer, times)
            sight.trace(f"stratum {answer.stratum}, leap {answer.leap}")
            judge(answer, exchange.fields, params)

        return await exchange.hold(params.port, 123, params.ip_version, put)


Times = tuple[float, float]


class Asked:
    """What went out and when. The stamp sent is random, so that nobody can forge an answer or read our clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[int, tuple[float, float]] = {}

    def request(self) -> bytes:
        """The next packet."""
        nonce = int.from_bytes(os.urandom(8), "big") or 1
        self._sent[nonce] = (self._clock.now(), self._clock.mono())
        return _PACKET.pack(4 << 3 | _CLIENT, 0, 0, 0, 0, 0, b"\0" * 4, 0, 0, 0, nonce)

    def accept(self, data: bytes) -> tuple[Answer, Times] | None:
        """The answer with the Unix seconds at which we asked and got it; None for anything else."""
        answer = parse(data)
        if answer is None or answer.origin not in self._sent:
            return None
        now, mono = self._sent[answer.origin]
        return answer, (now, now + self._clock.mono() - mono)


def parse(data: bytes) -> Answer | None:
    """A server's packet, or None for what is not one. Extensions and a MAC behind it are not read."""
    if len(data) < _PACKET.size:
        return None
    head, stratum, _, _, delay, dispersion, reference, updated, origin, received, sent = _PACKET.unpack_from(data)
    if head & 7 != _SERVER or not 1 <= head >> 3 & 7 <= 4:
        return None
    return Answer(
        head >> 6, stratum, delay / 65536.0, dispersion / 65536.0, reference, unix(updated), origin, unix(received),
        unix(sent),
    )  # fmt: skip


def unix(stamp: int) -> float:
    """A 64-bit NTP stamp as Unix seconds."""
    seconds = stamp >> 32
    era_s = 0 if seconds & 0x80000000 else _ERA_S
    return seconds + era_s - _TO_UNIX_S + (stamp & 0xFFFFFFFF) / _ERA_S


def measured(answer: Answer, times: Times) -> dict[str, Value]:
    """Offset and delay by the four stamps; root distance is half the delays plus the dispersion."""
    asked, got = times
    delay_s = max(0.0, (got - asked) - (answer.sent - answer.received))
    fields: dict[str, Value] = {"stratum": float(answer.stratum), "leap": float(answer.leap), "delay_seconds": delay_s}
    if answer.stratum == 0:
        return fields
    return fields | {
        "offset_seconds": ((answer.received - asked) + (answer.sent - got)) / 2.0,
        "root_delay_seconds": answer.root_delay_s,
        "root_dispersion_seconds": answer.root_dispersion_s,
        "root_distance_seconds": (answer.root_delay_s + delay_s) / 2.0 + answer.root_dispersion_s,
        "reference_age_seconds": max(0.0, answer.sent - answer.updated),
    }


def judge(answer: Answer, fields: dict[str, Value], params: Params) -> None:
    """Raises Finding with the first thing that is wrong."""
    kiss = answer.reference.rstrip(b"\0")
    if answer.stratum == 0 and kiss.isalnum():
        raise Finding(Reason.BAD_STATUS, f"the server refuses: {kiss.decode('ascii')}")
    if answer.leap == UNSYNCHRONISED_LEAP or not 1 <= answer.stratum < UNSYNCHRONISED_STRATUM:
        raise Finding(Reason.BAD_STATUS, "the server is not synchronised")
    if answer.stratum > params.max_stratum:
        raise Finding(Reason.BAD_STATUS, f"stratum {answer.stratum} is above {params.max_stratum}")
    for name, most in (("offset", params.max_offset_s), ("root_distance", params.max_root_distance_s)):
        value = fields.get(f"{name}_seconds", 0.0)
        if most is not None and isinstance(value, float) and abs(value) > most:
            raise Finding(Reason.BAD_BODY, f"{name.replace('_', ' ')} {value:+.3f} s is beyond {most:g} s")
