"""HTTP and HTTPS over a fresh connection, every phase timed, with what the answer must look like."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes.address import Url, parse_url
from healthmon.probes.certificate import TLS_FAMILY, peek
from healthmon.probes.http_client import Client, Request
from healthmon.probes.http_expect import (
    Patterns,
    Scalar,
    check_patterns,
    judge_body,
    judge_headers,
    statuses_of,
)
from healthmon.probes.http_json import check_json
from healthmon.probes.http_params import ClientParams
from healthmon.probes.http_wire import Head
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.reasons import CERTIFICATE_REASONS, Fault

PHASES = ("dns", "connect", "proxy", "tls", "token", "wait", "transfer")
FAMILIES = (
    Family(
        "http",
        frozenset(f"{phase}_seconds" for phase in PHASES)
        | {"duration_seconds", "status_code", "body_bytes", "redirects"}
        | {"version", "content_length_bytes", "last_modified_age_seconds"},
    ),
    TLS_FAMILY,
)

#: A check reads. POST is there for servers that answer nothing else; nothing that changes or deletes by its name.
_SPOKEN = frozenset({"1.0", "1.1"})
_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_TLS = ("any", "required", "forbidden")


@dataclass(frozen=True, slots=True)
class Params(ClientParams):
    """How to ask and what to expect. `path` is added to the address; `statuses` takes 200, "2xx", "200-299"."""

    path: str = ""
    method: str = "GET"
    body: str | None = None
    body_file: str | None = None
    follow_redirects: bool = True
    tls: str = "any"
    http_versions: tuple[str, ...] = ()
    statuses: tuple[int | str, ...] = ("2xx",)
    header_regex: dict[str, str] = field(default_factory=dict)
    header_not_regex: dict[str, str] = field(default_factory=dict)
    headers_may_miss: tuple[str, ...] = ()
    body_regex: Patterns = None
    body_not_regex: Patterns = None
    json_path: dict[str, Scalar] = field(default_factory=dict)
    json_compare: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ClientParams.__post_init__(self)
        if self.method not in _METHODS:
            raise ValueError(f"method: {self.method} (allowed: {', '.join(_METHODS)}: checks write nothing)")
        if self.tls not in _TLS:
            raise ValueError(f"tls: {self.tls} (allowed: {', '.join(_TLS)})")
        if self.body is not None and self.body_file is not None:
            raise ValueError("give body or body_file, not both")
        statuses_of(self.statuses)
        if self.http_versions and not _SPOKEN.intersection(map(plain_version, self.http_versions)):
            raise ValueError("http_versions: HTTP/1.1 is spoken, so one of 1.0 and 1.1 must be allowed (HTTP/2 is not)")
        patterns = {**self.header_regex, **self.header_not_regex}
        check_patterns(body_regex=self.body_regex, body_not_regex=self.body_not_regex, **patterns)
        check_json(self.json_path, self.json_compare)


def plain_version(text: str) -> str:
    """`1.1` of `HTTP/1.1`, as blackbox_exporter writes it."""
    return text.removeprefix("HTTP/")


class HttpProbe:
    """One request (and its redirects). Failing, it still reports the phases that it got through."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._tokens: dict[tuple[object, ...], tuple[str, float]] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with the first thing that was wrong."""
        params = self._settings.of(job)
        look = Look(job, sight)
        url = parse_url(job.address, path=params.path)
        client = Client(params, sight, home=url, limit_s=job.timeout_s, tokens=self._tokens)
        facts: dict[str, Value] = {}
        try:
            head, body = await client.ask(_request(params, url))
            fault = _judge(params, client, head, body)
            facts = _details(head, sight.clock.now()) if params.details else facts
        except (OSError, HealthmonError) as error:
            fault = client.phases.fault_of(error, job.timeout_s)
        samples = samples_of("http", {**client.phases.fields(), **client.fields, **facts}) + client.certificate
        if fault is None:
            return look.ok(samples)
        reading = look.bad(fault, samples)
        if fault.reason in CERTIFICATE_REASONS and client.url is not None and not client.proxied:
            return await _with_bad_certificate(reading, params, client.url, sight, job.timeout_s)
        return reading


def _request(params: Params, url: Url) -> Request:
    body = (params.body or "").encode() if params.body_file is None else Path(params.body_file).read_bytes()
    return Request(params.method, url, params.headers, body, follow=params.follow_redirects)


def _judge(params: Params, client: Client, head: Head, body: bytes) -> Fault | None:
    if not statuses_of(params.statuses)(head.status):
        known = params.user is not None or params.bearer_file is not None or params.oauth_token_url is not None
        if head.status == 401:
            client.forget_token()
        return Fault(Reason.AUTH_FAILED if known and head.status in (401, 407) else Reason.BAD_STATUS, str(head.status))
    if params.http_versions and plain_version(head.version) not in map(plain_version, params.http_versions):
        return Fault(Reason.BAD_RESPONSE, f"the server speaks {head.version[:10]}")
    secured = client.url is not None and client.url.scheme == "https"
    if params.tls != "any" and secured != (params.tls == "required"):
        return Fault(Reason.BAD_RESPONSE, "the answer came " + ("over TLS" if secured else "without TLS"))
    return judge_headers(head, params.header_regex, params.header_not_regex, params.headers_may_miss) or judge_body(
        head,
        body,
        regex=params.body_regex,
        not_regex=params.body_not_regex,
        json_path=params.json_path,
        json_compare=params.json_compare,
    )


def _details(head: Head, now: float) -> dict[str, Value]:
    """What `/probe` shows beside the rest."""
    facts: dict[str, Value] = {}
    version = head.version.removeprefix("HTTP/")
    if version.replace(".", "", 1).isdigit():
        facts["version"] = float(version)
    length = head.headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        facts["content_length_bytes"] = float(length[:20])
    if "last-modified" in head.headers:
        from email.utils import parsedate_to_datetime

        try:
            facts["last_modified_age_seconds"] = now - parsedate_to_datetime(head.headers["last-modified"]).timestamp()
        except (ValueError, OverflowError):
            pass
    return facts


async def _with_bad_certificate(
    reading: Reading, params: ClientParams, url: Url, sight: Sight, limit_s: float
) -> Reading:
    """Adds the dates of a certificate that was refused, by a second handshake that believes anything."""
    name = params.server_name or url.host
    found: list[Sample] = await peek(sight, url.host, url.port, params.trust(), name, limit_s)
    return replace(reading, samples=(*reading.samples, *found))
