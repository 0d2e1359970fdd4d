"""TCP: does the port accept, and does what comes back look right."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.address import host_port
from healthmon.probes.connect import dial, hang_up, of_version, open_streams
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding

FAMILIES = (Family("tcp", frozenset({"dns_seconds", "connect_seconds", "answer_seconds", "duration_seconds"})),)


@dataclass(frozen=True, slots=True)
class Params:
    """`send` goes out first; then what comes must match `expect` within `max_bytes`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    send: str | None = None
    expect: str | None = None
    max_bytes: int = 4096
    ip_version: int = 0

    def __post_init__(self) -> None:
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"port: {self.port} (allowed: 1 to 65535)")
        if not 0 < self.max_bytes <= 1024 * 1024:
            raise ValueError(f"max_bytes: {self.max_bytes} (allowed: 1 to 1048576)")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")
        check_patterns(expect=self.expect)


class TcpProbe:
    """Connects; without `expect` an accepted connection is enough."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, timeout, reset, closed, bad_response ..."""
        params = self._settings.of(job)
        phases = Phases(sight)
        look = Look(job, sight)
        try:
            phases.enter("dns")
            host, port = host_port(job.address, params.port)
            addresses = of_version(await sight.resolve(host, params.port or port), params.ip_version)
            left_s = max(0.01, job.timeout_s - phases.total_s())
            async with asyncio.timeout(left_s):
                await _converse(addresses, params, phases, left_s)
        except (OSError, HealthmonError) as error:
            fault = phases.fault_of(error, job.timeout_s)
            return look.bad(fault, samples_of("tcp", phases.fields()))
        return look.ok(samples_of("tcp", phases.fields()))


async def _converse(addresses: list[Address], params: Params, phases: Phases, left_s: float) -> None:
    phases.enter("connect")
    sock, _ = await dial(addresses, left_s)
    if params.send is None and params.expect is None:
        sock.close()
        phases.enter("")
        return
    phases.enter("answer")
    reader, writer = await open_streams(sock)
    try:
        writer.write((params.send or "").encode())
        await _expect(reader, params)
    finally:
        hang_up(writer)
    phases.enter("")


async def _expect(reader: asyncio.StreamReader, params: Params) -> None:
    if params.expect is None:
        return
    pattern, got = re.compile(params.expect.encode()), b""
    while len(got) < params.max_bytes:
        more = await reader.read(params.max_bytes - len(got))
        got += more
        if pattern.search(got):
            return
        if not more:
            break
    if not got:
        raise Finding(Reason.CLOSED, "closed without an answer")
    raise Finding(Reason.BAD_RESPONSE, "the answer does not match")
