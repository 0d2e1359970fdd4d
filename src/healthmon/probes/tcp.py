"""TCP: does the port accept, does TLS come up behind it, and does what comes back look right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading
from healthmon.probes.address import host_port
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.connect import TLS_VERSIONS, Trust
from healthmon.probes.dialogue import Dialogue, Place
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_choice, check_network, check_range
from healthmon.probes.starttls import PRESETS, upgrade
from healthmon.probes.tcp_steps import Step, converse

FAMILIES = (
    Family("tcp", frozenset({"dns_seconds", "connect_seconds", "tls_seconds", "answer_seconds", "duration_seconds"})),
    TLS_FAMILY,
)


@dataclass(frozen=True, slots=True)
class Params:
    """TLS first, if wished; then `send` goes out; then what comes must match `expect` within `max_bytes`.

    `steps` take their place where one question is not enough.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    send: str | None = None
    expect: str | None = None
    max_bytes: int = 4096
    ip_version: int = 0
    tls: bool = False
    starttls: str | None = None
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    max_version: str | None = None
    steps: tuple[Step, ...] = ()
    details: bool = False

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        check_range("max_bytes", self.max_bytes, 1, 1024 * 1024)
        check_patterns(expect=self.expect)
        if self.max_version is not None:
            check_choice("max_version", self.max_version, TLS_VERSIONS)
            if self.max_version < self.min_version:
                raise ValueError(f"max_version: {self.max_version} is below min_version {self.min_version}")
        if self.steps and (self.send is not None or self.expect is not None):
            raise ValueError("steps: take the place of send and expect; use one of them")
        if self.starttls is not None:
            check_choice("starttls", self.starttls, tuple(PRESETS))
            if self.tls:
                raise ValueError("starttls: TLS is there from the first byte with tls: true; use one of them")


class TcpProbe:
    """Connects; without `expect` an accepted connection (and its TLS) is enough."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, timeout, reset, closed, bad_response, tls_handshake, cert_expired ..."""
        params = self._settings.of(job)
        host, port = host_port(job.address, params.port)
        trust = Trust(
            params.ca_file,
            params.verify,
            params.min_version,
            params.cert_file,
            params.key_file,
            max_version=params.max_version,
        )
        port = params.port or port
        place = Place(host, port, params.ip_version, trust, params.tls, params.server_name, params.details)

        async def talk(call: Dialogue) -> None:
            if params.starttls is not None:
                call.phases.enter("tls")
                await upgrade(call, params.starttls)
            await converse(call, params.steps)
            if params.send is None and params.expect is None:
                return
            call.phases.enter("answer")
            if params.send:
                await call.send(params.send.encode())
            if params.expect is not None:
                await call.until(re.compile(params.expect.encode()), params.max_bytes)

        return await Dialogue(job, sight, "tcp", place).hold(talk)
