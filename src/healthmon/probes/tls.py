"""TLS: a handshake with the certificate's dates, which are reported even when the certificate is not believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Reading, Sample
from healthmon.probes.address import host_port
from healthmon.probes.certificate import TLS_FAMILY, peek, samples_of_peer
from healthmon.probes.connect import TLS_VERSIONS, Trust, dial, hang_up, of_version, open_streams, tls_object
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import CERTIFICATE_REASONS
from healthmon.runtime.deadline import within

FAMILIES = (TLS_FAMILY,)


@dataclass(frozen=True, slots=True)
class Params:
    """`server_name` is sent (SNI) and must be in the certificate; the default is the host of the address."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    server_name: str | None = None
    verify: bool = True
    ca_file: str | None = None
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    ip_version: int = 0
    max_version: str | None = None
    details: bool = False

    def __post_init__(self) -> None:
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"port: {self.port} (allowed: 1 to 65535)")
        if self.min_version not in TLS_VERSIONS:
            raise ValueError(f"min_version: {self.min_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.max_version is not None and self.max_version not in TLS_VERSIONS:
            raise ValueError(f"max_version: {self.max_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.max_version is not None and self.max_version < self.min_version:
            raise ValueError(f"max_version: {self.max_version} is below min_version {self.min_version}")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")

    def trust(self) -> Trust:
        """What the peer must show."""
        return Trust(
            self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file, max_version=self.max_version
        )


class TlsProbe:
    """Connects, shakes hands, looks at the certificate, hangs up; sends no request."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with cert_expired, cert_untrusted, cert_wrong_host, tls_handshake, refused ..."""
        params = self._settings.of(job)
        host, port = host_port(job.address, params.port or 443)
        port, name = params.port or port, params.server_name or host
        phases = Phases(sight)
        look = Look(job, sight)
        try:
            phases.enter("dns")
            addresses = of_version(await sight.resolve(host, port), params.ip_version)
            left_s = max(0.01, job.timeout_s - phases.total_s())
            async with within(left_s, sight.clock):
                certificate = await _shake(addresses, params, name, phases, sight, left_s)
        except (OSError, HealthmonError) as error:
            fault = phases.fault_of(error, job.timeout_s)
            reading = look.bad(fault, samples_of("tls", phases.fields()))
            if fault.reason not in CERTIFICATE_REASONS:
                return reading
            found = await peek(sight, host, port, params.trust(), name, job.timeout_s)
            return replace(reading, samples=(*reading.samples, *found))
        return look.ok([*samples_of("tls", {**phases.fields(), "verified": params.verify}), *certificate])


async def _shake(
    addresses: list[Address], params: Params, name: str, phases: Phases, sight: Sight, left_s: float
) -> list[Sample]:
    phases.enter("connect")
    sock, _ = await dial(addresses, left_s, sight.clock)
    phases.enter("handshake")
    _, writer = await open_streams(sock, params.trust(), name)
    phases.enter("")
    try:
        peer = tls_object(writer)
        return samples_of_peer(peer, sight.clock.now(), details=params.details) if peer else []
    finally:
        hang_up(writer)
