"""/probe: one look on demand, in the words of blackbox_exporter (compared with 0.23)."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from healthmon.model.errors import NotAllowed, NotFound
from healthmon.model.sample import Outcome, Reading, Reason, Value
from healthmon.web.access import from_own_page
from healthmon.web.exporter import Families
from healthmon.web.metrics import Metric
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB, Demand, Found

#: What blackbox_exporter takes off the scrape's own timeout.
_OFFSET_S = 0.5
_PHASE = "probe_http_duration_seconds"

#: our phases of `http` -> its phases; a proxy and a token are ways to a connection there
_HTTP_PHASES = {
    "resolve": ("dns_seconds",),
    "connect": ("connect_seconds", "proxy_seconds"),
    "tls": ("tls_seconds",),
    "processing": ("token_seconds", "wait_seconds"),
    "transfer": ("transfer_seconds",),
}
HELP = {
    "probe_success": "Displays whether or not the probe was a success",
    "probe_duration_seconds": "Returns how long the probe took to complete in seconds",
    "probe_dns_lookup_time_seconds": "Returns the time taken for probe dns lookup in seconds",
    "probe_ip_protocol": "Specifies whether probe ip protocol is IP4 or IP6",
    "probe_ip_addr_hash": "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
    "probe_failed_due_to_regex": "Indicates if probe failed due to regex",
    "probe_http_status_code": "Response HTTP status code",
    "probe_http_version": "Returns the version of HTTP of the probe response",
    "probe_http_ssl": "Indicates if SSL was used for the final redirect",
    "probe_http_redirects": "The number of redirects",
    "probe_http_content_length": "Length of http content response",
    "probe_http_uncompressed_body_length": "Length of uncompressed response body",
    "probe_http_last_modified_timestamp_seconds": "Returns the Last-Modified HTTP response header in unixtime",
    _PHASE: "Duration of http request by phase, summed over all redirects",
    "probe_icmp_duration_seconds": "Duration of icmp request by phase",
    "probe_icmp_reply_hop_limit": "Replied packet hop limit (TTL for ipv4)",
    "probe_dns_duration_seconds": "Duration of DNS request by phase",
    "probe_dns_answer_rrs": "Returns number of entries in the answer resource record list",
    "probe_dns_authority_rrs": "Returns number of entries in the authority resource record list",
    "probe_dns_additional_rrs": "Returns number of entries in the additional resource record list",
    "probe_dns_query_succeeded": "Displays whether or not the query was executed successfully",
    "probe_dns_serial": "Returns the serial number of the zone",
    "probe_ssl_earliest_cert_expiry": "Returns last SSL chain expiry in unixtime",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Returns last SSL chain expiry in timestamp",
    "probe_ssl_last_chain_info": "Contains SSL leaf certificate information",
    "probe_tls_version_info": "Returns the TLS version used or NaN when unknown",
}

Fields = dict[tuple[str, str], Value]


async def probe(request: web.Request) -> web.Response:
    """Probe now. An unknown outcome is no answer (503): the scrape fails instead of blaming the target."""
    prober = request.app[WEB].prober
    if not from_own_page(request, strict=False):
        raise Problem(403, "cross-site", "another site's page may not probe from here")
    if not request.query.get("target"):
        raise bad_request("target", "is missing")
    if prober is None:
        raise web.HTTPNotFound
    try:
        found = await prober(_demand(request))
    except NotFound as error:
        raise bad_request("module", str(error)) from error
    except NotAllowed as error:
        raise Problem(403, "not-allowed", str(error)) from error
    if request.query.get("debug") == "true":
        return web.Response(text=_told(found))
    reading = found.reading
    if reading.outcome is Outcome.UNKNOWN:
        reason = reading.reason.value if reading.reason else "unknown"
        status = (403, "not-allowed") if reading.reason is Reason.NOT_ALLOWED else (503, "unknown")
        raise Problem(*status, f"{reason}: {reading.detail}; this says nothing about the target")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(exposed(found)), headers={"Content-Type": content_type})


def _demand(request: web.Request) -> Demand:
    query = request.query
    return Demand(
        module=query.get("module") or "http_2xx",
        target=query["target"],
        hostname=query.get("hostname", ""),
        limit_s=_limit_s(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", "")),
    )


def _limit_s(header: str) -> float | None:
    try:
        limit_s = float(header)
    except ValueError:
        return None
    if not math.isfinite(limit_s) or limit_s <= 0.0:
        return None
    return limit_s - _OFFSET_S if limit_s > 2 * _OFFSET_S else limit_s


def _told(found: Found) -> str:
    encode, _ = choose_encoder("")
    return "\n".join(["Logs for the probe:", *found.lines, "", "Metrics:", encode(exposed(found)).decode()])


def exposed(found: Found) -> Families:
    """A reading under blackbox_exporter's metric names; like there, what was not reached is 0."""
    reading, families = found.reading, Families()
    fields: Fields = {(sample.family, sample.field): sample.value for sample in reading.samples}
    _put(families, "probe_success", float(reading.outcome is Outcome.OK))
    _put(families, "probe_duration_seconds", reading.took)
    _put(families, "probe_dns_lookup_time_seconds", found.dns_s)
    if found.address:
        _put(families, "probe_ip_protocol", float(ipaddress.ip_address(found.address).version))
        _put(families, "probe_ip_addr_hash", float(_fnv1a(ipaddress.ip_address(found.address).packed)))
    if found.kind in ("http", "tcp", "tls"):
        _put(families, "probe_failed_due_to_regex", float(_by_pattern(reading, found.kind)))
    if found.kind == "http":
        _http(families, fields, reading.started)
    if found.kind == "icmp":
        phases = {"resolve": found.dns_s, "setup": 0.0, "rtt": _number(fields, "icmp", "rtt_avg_seconds")}
        _put_each(families, "probe_icmp_duration_seconds", "phase", phases.items())
        if ("icmp", "hop_limit") in fields:
            _put(families, "probe_icmp_reply_hop_limit", _number(fields, "icmp", "hop_limit"))
    if found.kind == "dns":
        _dns(families, fields, found.dns_s)
    if ("tls", "expires_in_seconds") in fields:
        _tls(families, fields, reading.started)
    return families


def _http(families: Families, fields: Fields, started: float) -> None:
    phases = {name: sum(_number(fields, "http", ours) for ours in parts) for name, parts in _HTTP_PHASES.items()}
    _put_each(families, _PHASE, "phase", phases.items())
    _put(families, "probe_http_status_code", _number(fields, "http", "status_code"))
    _put(families, "probe_http_version", _number(fields, "http", "version"))
    _put(families, "probe_http_ssl", float(_number(fields, "http", "tls_seconds") > 0.0))
    _put(families, "probe_http_redirects", _number(fields, "http", "redirects"))
    answered = ("http", "body_bytes") in fields
    length = _number(fields, "http", "content_length_bytes", absent=-1.0 if answered else 0.0)
    _put(families, "probe_http_content_length", length)
    _put(families, "probe_http_uncompressed_body_length", _number(fields, "http", "body_bytes"))
    if ("http", "last_modified_age_seconds") in fields:
        age_s = _number(fields, "http", "last_modified_age_seconds")
        _put(families, "probe_http_last_modified_timestamp_seconds", _moment(started, -age_s))


def _dns(families: Families, fields: Fields, dns_s: float) -> None:
    phases = {
        name: _number(fields, "dns", f"{ours}_seconds")
        for name, ours in (("connect", "connect"), ("request", "answer"))
    }
    _put_each(families, "probe_dns_duration_seconds", "phase", {"resolve": dns_s, **phases}.items())
    for name, ours in (("answer", "answers"), ("authority", "authority_records"), ("additional", "additional_records")):
        _put(families, f"probe_dns_{name}_rrs", _number(fields, "dns", ours))
    _put(families, "probe_dns_query_succeeded", float(("dns", "rcode") in fields))
    if ("dns", "soa_serial") in fields:
        _put(families, "probe_dns_serial", _number(fields, "dns", "soa_serial"))


def _tls(families: Families, fields: Fields, started: float) -> None:
    _put(families, "probe_ssl_earliest_cert_expiry", _moment(started, _number(fields, "tls", "expires_in_seconds")))
    if ("tls", "chain_expires_in_seconds") in fields:
        ends = _moment(started, _number(fields, "tls", "chain_expires_in_seconds"))
        _put(families, "probe_ssl_last_chain_expiry_timestamp_seconds", ends)
    if ("tls", "subject") in fields:
        names = {
            "fingerprint_sha256": "fingerprint_sha256",
            "issuer": "issuer",
            "subject": "subject",
            "subjectalternative": "alternatives",
        }
        labels = {name: str(fields.get(("tls", ours), "")) for name, ours in names.items()}
        _put(families, "probe_ssl_last_chain_info", 1.0, labels)
    version = str(fields.get(("tls", "version"), "")).replace("TLSv", "TLS ")
    _put(families, "probe_tls_version_info", 1.0, {"version": version})


def _by_pattern(reading: Reading, kind: str) -> bool:
    """Whether it failed because of what was written, not of how it was sent."""
    if kind != "http":
        return reading.reason is Reason.BAD_RESPONSE
    return reading.reason is Reason.BAD_BODY or reading.detail.startswith("header ")


def _number(fields: Fields, family: str, field: str, *, absent: float = 0.0) -> float:
    value = fields.get((family, field), absent)
    return absent if isinstance(value, str) else float(value)


def _moment(started: float, from_now_s: float) -> float:
    """Unix seconds. Certificates and headers speak in whole ones; the look began a little before it read them."""
    return float(math.ceil(started + from_now_s - 1e-3))


def _fnv1a(data: bytes) -> int:
    """FNV-1a, 32 bits: what blackbox_exporter makes of an address."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _put(families: Families, name: str, value: float, labels: dict[str, str] | None = None) -> None:
    if name not in families.found:
        families.declare([Metric(name, "gauge", HELP[name], tuple(labels or ()))])
    families.put(name, (labels or {}).values(), value)


def _put_each(families: Families, name: str, label: str, values: Iterable[tuple[str, float]]) -> None:
    for word, value in values:
        _put(families, name, value, {label: word})
