"""FHIR: the capability statement, a test patient found by identifier, a sentinel resource read, on one connection."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from healthmon import __version__
from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes.address import Url, parse_url
from healthmon.probes.certificate import TLS_FAMILY, peek, samples_of_peer
from healthmon.probes.connect import (
    TLS_VERSIONS,
    Streams,
    Trust,
    dial,
    hang_up,
    of_version,
    open_streams,
    tls_object,
)
from healthmon.probes.fhir_answers import STATUSES, VERSIONS, Capability, Found, Resource, decode, first_issue
from healthmon.probes.http_wire import Head, Wire, request_bytes
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import CERTIFICATE_REASONS, Finding
from healthmon.probes.spacing import Spacing, check_spacing
from healthmon.runtime.deadline import within

FAMILIES = (
    Family(
        "fhir",
        frozenset({"dns_seconds", "connect_seconds", "tls_seconds", "capability_seconds", "search_seconds"})
        | {"read_seconds", "duration_seconds", "status_code", "matches", "fhir_version"}
        | {"issue_severity", "issue_code"},
    ),
    TLS_FAMILY,
)

_LEAST_S = 10.0
_MOST_CAPABILITY_BYTES = 16 * 1024 * 1024  # large servers list every profile: 1 to 5 MB are common
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,200}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class FhirSearch:
    """A search by identifier (`system|value`) that must count exactly `total`; only the count is asked for."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    identifier: str
    type: str = "Patient"
    total: int = 1

    def __post_init__(self) -> None:
        if not _PRINTABLE.fullmatch(self.identifier):
            raise ValueError("identifier: is not SYSTEM|VALUE (allowed: printable ASCII without spaces, up to 200)")
        if not _TYPE.fullmatch(self.type):
            raise ValueError(f"type: {self.type} (allowed: the name of a resource type, e.g. Patient)")
        if not 1 <= self.total <= 100:
            raise ValueError(f"total: {self.total} (allowed: 1 to 100)")

    @property
    def query(self) -> str:
        """The search, counted by the server: no resource is sent."""
        return f"{self.type}?identifier={quote(self.identifier, safe='')}&_summary=count"


@dataclass(frozen=True, slots=True)
class FhirRead:
    """A sentinel resource that must be there."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    id: str
    type: str = "Patient"

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError("id: is not a FHIR id (allowed: letters, digits, - and ., up to 64)")
        if not _TYPE.fullmatch(self.type):
            raise ValueError(f"type: {self.type} (allowed: the name of a resource type, e.g. Patient)")


@dataclass(frozen=True, slots=True)
class Params:
    """The address is the FHIR base URL, `path` is added to it. Reads only; nothing is ever written."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    path: str = ""
    capability: bool = True
    version: str = "4.0"
    statuses: tuple[str, ...] = ("active",)
    search: FhirSearch | None = None
    read: FhirRead | None = None
    headers: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    password_file: str | None = None
    token_file: str | None = None
    max_body_bytes: int = 256 * 1024
    min_every_s: float = 30.0
    verify: bool = True
    ca_file: str | None = None
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    ip_version: int = 0

    def __post_init__(self) -> None:
        if not any(known.startswith(self.version) for known in VERSIONS) or not self.version:
            raise ValueError(f"version: {self.version} (allowed: how one begins of {', '.join(VERSIONS)})")
        unknown = [status for status in self.statuses if status not in STATUSES]
        if unknown or not self.statuses:
            raise ValueError(f"statuses: {', '.join(unknown) or 'none'} (allowed: {', '.join(STATUSES)})")
        if not (self.capability or self.search or self.read):
            raise ValueError("capability: false leaves nothing to ask (allowed: with search or read)")
        if not 0 < self.max_body_bytes <= _MOST_CAPABILITY_BYTES:
            raise ValueError(f"max_body_bytes: {self.max_body_bytes} (allowed: 1 to {_MOST_CAPABILITY_BYTES})")
        if (self.user is None) != (self.password_file is None) or (self.user and self.token_file):
            raise ValueError("user: goes with password_file and without token_file")
        self._check_connection()
        check_spacing(self.min_every_s, _LEAST_S)

    def _check_connection(self) -> None:
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or any(char in value for char in "\r\n\0"):
                raise ValueError(f"headers: {name!r} is not a header (allowed: a token, and a value on one line)")
        if self.min_version not in TLS_VERSIONS:
            raise ValueError(f"min_version: {self.min_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file, ("http/1.1",))


class FhirProbe:
    """Asks up to three questions; of the answers only coded elements and a count are read."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._spacing = Spacing()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with auth_failed, bad_status, bad_body (not the sentinel), too_large, cert_expired ..."""
        params = self._settings.of(job)
        self._spacing.enter(job, sight, params.min_every_s)
        look, visit = Look(job, sight), Visit(job, params, sight)
        try:
            await visit.make()
        except (OSError, HealthmonError) as error:
            fault = visit.phases.fault_of(error, job.timeout_s)
        else:
            return look.ok(visit.samples())
        finally:
            visit.close()
        reading = look.bad(fault, visit.samples())
        if fault.reason not in CERTIFICATE_REASONS:
            return reading
        base, left_s = parse_url(job.address, path=params.path), max(0.01, job.timeout_s - look.took_s())
        name = params.server_name or base.host
        found = await peek(sight, base.host, base.port, params.trust(), name, left_s)
        return replace(reading, samples=(*reading.samples, *found))


class Visit:
    """The state of one run: the connection while the server keeps it, and what was learned."""

    def __init__(self, job: Job, params: Params, sight: Sight) -> None:
        self.phases = Phases(sight)
        self._job = job
        self._params = params
        self._sight = sight
        self._fields: dict[str, Value] = {}
        self._certificate: list[Sample] = []
        self._streams: Streams | None = None
        self._wire: Wire | None = None

    async def make(self) -> None:
        """Ask what is configured, in order. Raises OSError, Finding, Forbidden."""
        params = self._params
        base = parse_url(self._job.address, path=params.path)
        if params.capability:
            await self._step("capability", base, "metadata", self._capability, _MOST_CAPABILITY_BYTES)
        if params.search is not None:
            await self._step("search", base, params.search.query, self._found, params.max_body_bytes)
        if params.read is not None:
            where = f"{params.read.type}/{params.read.id}"
            await self._step("read", base, where, self._read, params.max_body_bytes)

    def samples(self) -> list[Sample]:
        """Everything known so far."""
        return samples_of("fhir", {**self.phases.fields(), **self._fields}) + self._certificate

    def close(self) -> None:
        """Hang up, if connected."""
        if self._streams is not None:
            hang_up(self._streams[1])
        self._streams = self._wire = None

    async def _step(self, name: str, base: Url, where: str, judge: Callable[[bytes], None], most_bytes: int) -> None:
        left_s = max(0.01, self._job.timeout_s - self.phases.total_s())
        wire = self._wire or await self._connect(base, left_s)
        left_s = max(0.01, self._job.timeout_s - self.phases.total_s())
        async with within(left_s, self._sight.clock):
            self.phases.enter(name)
            head, body = await self._ask(wire, base, where, most_bytes)
        self.phases.enter("")
        self._sight.trace(f"{name}: status {head.status}, {len(body)} bytes")
        self._judge_status(head, body)
        judge(body)

    async def _connect(self, base: Url, left_s: float) -> Wire:
        self.phases.enter("dns")
        addresses = of_version(await self._sight.resolve(base.host, base.port), self._params.ip_version)
        async with within(left_s, self._sight.clock):
            self.phases.enter("connect")
            sock, address = await dial(addresses[:1] if addresses[0].gentle else addresses, left_s, self._sight.clock)
            self._sight.trace(f"connected to {address.ip} port {address.port}")
            if base.scheme == "https":
                self.phases.enter("tls")
                self._streams = await open_streams(sock, self._params.trust(), self._params.server_name or base.host)
                peer = tls_object(self._streams[1])
                self._certificate = samples_of_peer(peer, self._sight.clock.now()) if peer else []
            else:
                self._streams = await open_streams(sock)
        self._wire = Wire(self._streams[0])
        return self._wire

    async def _ask(self, wire: Wire, base: Url, where: str, most_bytes: int) -> tuple[Head, bytes]:
        if self._streams is None:
            raise Finding(Reason.CLOSED, "closed before the question")
        self._streams[1].write(request_bytes("GET", f"{base.path.rstrip('/')}/{where}", self._headers(base), b""))
        head = await wire.head()
        self._fields["status_code"] = float(head.status)
        body = await wire.body(head, method="GET", most_bytes=most_bytes)
        if not _kept(head):
            self.close()
        return head, body

    def _headers(self, base: Url) -> dict[str, str]:
        params = self._params
        headers = {
            "Host": base.authority,
            "User-Agent": f"healthmon/{__version__}",
            "Accept": "application/fhir+json",
            "Accept-Encoding": "identity",
        }
        if params.user is not None and params.password_file is not None:
            pair = f"{params.user}:{_secret(params.password_file)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if params.token_file is not None:
            headers["Authorization"] = f"Bearer {_secret(params.token_file)}"
        return headers | params.headers

    # judging

    def _judge_status(self, head: Head, body: bytes) -> None:
        if head.status == 200:
            return
        issue = first_issue(body)
        text = str(head.status)
        if issue is not None:
            self._fields |= {"issue_severity": issue.severity, "issue_code": issue.code}
            text += f", OperationOutcome {issue.severity} {issue.code}"
        raise Finding(Reason.AUTH_FAILED if head.status in (401, 403) else Reason.BAD_STATUS, text)

    def _capability(self, body: bytes) -> None:
        statement = decode(body, Capability, "CapabilityStatement")
        if statement.fhirVersion in VERSIONS:
            self._fields["fhir_version"] = statement.fhirVersion
        if not statement.fhirVersion.startswith(self._params.version):
            raise Finding(Reason.BAD_BODY, f"the server does not speak FHIR {self._params.version}")
        if statement.status not in self._params.statuses:
            shown = statement.status if statement.status in STATUSES else "something else"
            raise Finding(Reason.BAD_BODY, f"the capability statement is {shown}")

    def _found(self, body: bytes) -> None:
        wanted = self._params.search.total if self._params.search else 1
        found = decode(body, Found, "Bundle")
        if found.type != "searchset" or found.total is None or not 0 <= found.total < 2**53:
            raise Finding(Reason.BAD_BODY, "the search gave no total")
        self._fields["matches"] = float(found.total)
        if found.total != wanted:
            raise Finding(Reason.BAD_BODY, f"the search gave {found.total} instead of {wanted}")

    def _read(self, body: bytes) -> None:
        read = self._params.read
        if read is not None and decode(body, Resource, read.type).id != read.id:
            raise Finding(Reason.BAD_BODY, "another resource than the sentinel")


def _kept(head: Head) -> bool:
    """Whether the next question may go over the same connection."""
    framed = "content-length" in head.headers or "chunked" in head.headers.get("transfer-encoding", "").lower()
    return framed and head.version == "HTTP/1.1" and "close" not in head.headers.get("connection", "").lower()


def _secret(file: str) -> str:
    return Path(file).read_text().rstrip("\r\n")
