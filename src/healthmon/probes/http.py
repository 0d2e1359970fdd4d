"""HTTP and HTTPS over a fresh connection, every phase timed, with what the answer must look like."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from healthmon import __version__
from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes.address import Url, parse_url, redirected
from healthmon.probes.certificate import TLS_FAMILY, peek, samples_of_peer
from healthmon.probes.connect import TLS_VERSIONS, Trust, dial, hang_up, of_version, open_streams, tls_object
from healthmon.probes.http_expect import Scalar, check_patterns, judge_body, judge_headers, statuses_of
from healthmon.probes.http_wire import Head, Wire, request_bytes
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import CERTIFICATE_REASONS, Fault, Finding

FAMILIES = (
    Family(
        "http",
        frozenset(
            {"dns_seconds", "connect_seconds", "tls_seconds", "wait_seconds", "transfer_seconds", "duration_seconds"}
            | {"status_code", "body_bytes", "redirects"}
        ),
    ),
    TLS_FAMILY,
)

_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
_REDIRECTS = (301, 302, 303, 307, 308)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: The only headers of ours that travel to another origin with a redirect.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})


@dataclass(frozen=True, slots=True)
class Params:
    """How to ask and what to expect. `path` is added to the address; `statuses` takes 200, "2xx", "200-299"."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    path: str = ""
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    statuses: tuple[int | str, ...] = ("2xx",)
    header_regex: dict[str, str] = field(default_factory=dict)
    body_regex: str | None = None
    body_not_regex: str | None = None
    json_path: dict[str, Scalar] = field(default_factory=dict)
    max_body_bytes: int = 1024 * 1024
    follow_redirects: bool = True
    max_redirects: int = 5
    verify: bool = True
    ca_file: str | None = None
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    host: str | None = None
    user: str | None = None
    password_file: str | None = None
    ip_version: int = 0

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"method: {self.method} (allowed: {', '.join(_METHODS)})")
        if self.min_version not in TLS_VERSIONS:
            raise ValueError(f"min_version: {self.min_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")
        if not 0 <= self.max_redirects <= 20:
            raise ValueError(f"max_redirects: {self.max_redirects} (allowed: 0 to 20)")
        if not 0 < self.max_body_bytes <= 64 * 1024 * 1024:
            raise ValueError(f"max_body_bytes: {self.max_body_bytes} (allowed: 1 to 67108864)")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        _check_headers(self.headers | ({"Host": self.host} if self.host is not None else {}))
        statuses_of(self.statuses)
        check_patterns(body_regex=self.body_regex, body_not_regex=self.body_not_regex, **self.header_regex)

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file, ("http/1.1",))


def _check_headers(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or any(char in value for char in "\r\n\0"):
            raise ValueError(f"headers: {name!r} is not a header (allowed: a token, and a value on one line)")


class HttpProbe:
    """One request (and its redirects). Failing, it still reports the phases that it got through."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with the first thing that was wrong."""
        params = self._settings.of(job)
        visit = Visit(job, params, sight)
        look = Look(job, sight)
        try:
            fault = await visit.make(parse_url(job.address, path=params.path))
        except (OSError, HealthmonError) as error:
            fault = visit.fault_of(error)
        if fault is None:
            return look.ok(visit.samples())
        reading = look.bad(fault, visit.samples())
        return await visit.with_bad_certificate(reading) if fault.reason in CERTIFICATE_REASONS else reading


class Visit:
    """The state of one run: where it is, how long each phase took, what came back."""

    def __init__(self, job: Job, params: Params, sight: Sight) -> None:
        self._job = job
        self._params = params
        self._sight = sight
        self._phases = Phases(sight)
        self._fields: dict[str, Value] = {}
        self._certificate: list[Sample] = []
        self._url: Url | None = None

    async def make(self, first: Url) -> Fault | None:
        """Ask, follow, judge. Raises OSError, Finding, Forbidden."""
        params, url, method = self._params, first, self._params.method
        for hop in range(params.max_redirects + 1):
            head, body = await self._ask(url, method, own=url.same_origin(first))
            self._fields |= {"status_code": float(head.status), "body_bytes": float(len(body)), "redirects": float(hop)}
            if not (params.follow_redirects and head.status in _REDIRECTS and "location" in head.headers):
                return self._judge(head, body)
            url = redirected(url, head.headers["location"])
            self._sight.trace(f"redirected to {url.shown}")
            if head.status == 303 or (head.status in (301, 302) and method == "POST"):
                method = "GET"
        raise Finding(Reason.BAD_RESPONSE, f"more than {params.max_redirects} redirects")

    def fault_of(self, error: Exception) -> Fault:
        """What went wrong, and for a timeout in which phase."""
        return self._phases.fault_of(error, self._job.timeout_s)

    def samples(self) -> list[Sample]:
        """Everything known so far."""
        return samples_of("http", {**self._phases.fields(), **self._fields}) + self._certificate

    async def with_bad_certificate(self, reading: Reading) -> Reading:
        """Adds the dates of a certificate that was refused, by a second handshake that believes anything."""
        url = self._url
        if url is None:
            return reading
        found = await peek(self._sight, url.host, url.port, self._params.trust(), self._name(url), self._job.timeout_s)
        return replace(reading, samples=(*reading.samples, *found))

    async def _ask(self, url: Url, method: str, *, own: bool) -> tuple[Head, bytes]:
        self._url = url
        self._sight.trace(f"{method} {url.shown}")
        self._phases.enter("dns")
        addresses = of_version(await self._sight.resolve(url.host, url.port), self._params.ip_version)
        left_s = max(0.01, self._job.timeout_s - self._phases.total_s())
        async with asyncio.timeout(left_s):
            return await self._exchange(addresses, url, self._request(url, method, own=own), method, left_s)

    async def _exchange(
        self, addresses: list[Address], url: Url, request: bytes, method: str, left_s: float
    ) -> tuple[Head, bytes]:
        self._phases.enter("connect")
        sock, address = await dial(addresses, left_s)
        self._sight.trace(f"connected to {address.ip} port {address.port}")
        if url.scheme == "https":
            self._phases.enter("tls")
            reader, writer = await open_streams(sock, self._params.trust(), self._name(url))
            self._certified(writer)
        else:
            reader, writer = await open_streams(sock)
        try:
            return await self._talk(reader, writer, request, method)
        finally:
            hang_up(writer)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, method: str
    ) -> tuple[Head, bytes]:
        self._phases.enter("wait")
        writer.write(request)
        wire = Wire(reader)
        head = await wire.head()
        self._fields["status_code"] = float(head.status)
        self._sight.trace(f"status {head.status}")
        self._phases.enter("transfer")
        body = await wire.body(head, method=method, most_bytes=self._params.max_body_bytes)
        self._phases.enter("")
        self._sight.trace(f"body of {len(body)} bytes")
        return head, body

    def _certified(self, writer: asyncio.StreamWriter) -> None:
        peer = tls_object(writer)
        if peer is not None:
            self._certificate = samples_of_peer(peer, self._sight.clock.now())
            self._sight.trace(f"{peer.version()}, certificate verified: {self._params.verify}")

    def _name(self, url: Url) -> str:
        return self._params.server_name or url.host

    def _request(self, url: Url, method: str, *, own: bool) -> bytes:
        """`own` is false after a redirect to another origin: our credentials stay at home."""
        params = self._params
        headers = {
            "Host": params.host if params.host and own else url.authority,
            "User-Agent": f"healthmon/{__version__}",
        }
        headers |= {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if own and params.user is not None and params.password_file is not None:
            secret = Path(params.password_file).read_text().rstrip("\r\n")
            headers["Authorization"] = "Basic " + base64.b64encode(f"{params.user}:{secret}".encode()).decode()
        given = {name: value for name, value in params.headers.items() if own or name.lower() in _HARMLESS}
        known = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in known} | given
        body = (params.body or "").encode() if method == params.method else b""
        if body or method in ("POST", "PUT"):
            headers["Content-Length"] = str(len(body))
        return request_bytes(method, url.target, headers, body)

    def _judge(self, head: Head, body: bytes) -> Fault | None:
        params = self._params
        if not statuses_of(params.statuses)(head.status):
            refused = head.status in (401, 407) and params.user is not None
            return Fault(Reason.AUTH_FAILED if refused else Reason.BAD_STATUS, str(head.status))
        return judge_headers(head, params.header_regex) or judge_body(
            head, body, regex=params.body_regex, not_regex=params.body_not_regex, json_path=params.json_path
        )
