"""/probe: one look on demand, in the words of blackbox_exporter."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from healthmon.model.errors import NotAllowed
from healthmon.model.sample import Outcome, Reading
from healthmon.web.access import from_own_page
from healthmon.web.exporter import Families
from healthmon.web.metrics import Metric
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB

#: our (family, field) -> blackbox_exporter's metric, label name, label value
NAMES: dict[tuple[str, str], tuple[str, str, str]] = {
    ("http", "status_code"): ("probe_http_status_code", "", ""),
    ("http", "dns_seconds"): ("probe_http_duration_seconds", "phase", "resolve"),
    ("http", "connect_seconds"): ("probe_http_duration_seconds", "phase", "connect"),
    ("http", "tls_seconds"): ("probe_http_duration_seconds", "phase", "tls"),
    ("http", "wait_seconds"): ("probe_http_duration_seconds", "phase", "processing"),
    ("http", "transfer_seconds"): ("probe_http_duration_seconds", "phase", "transfer"),
    ("http", "body_bytes"): ("probe_http_uncompressed_body_length", "", ""),
    ("http", "redirects"): ("probe_http_redirects", "", ""),
    ("icmp", "rtt_avg_seconds"): ("probe_icmp_duration_seconds", "phase", "rtt"),
    ("tls", "expires_in_seconds"): ("probe_ssl_earliest_cert_expiry", "", ""),
}
HELP = {
    "probe_success": "Displays whether or not the probe was a success",
    "probe_duration_seconds": "Returns how long the probe took to complete in seconds",
    "probe_http_status_code": "Response HTTP status code",
    "probe_http_duration_seconds": "Duration of http request by phase, summed over all redirects",
    "probe_http_uncompressed_body_length": "Length of uncompressed response body",
    "probe_http_redirects": "The number of redirects",
    "probe_icmp_duration_seconds": "Duration of icmp request by phase",
    "probe_ssl_earliest_cert_expiry": "Returns earliest SSL cert expiry in unixtime",
}


async def probe(request: web.Request) -> web.Response:
    """Probe now. An unknown outcome is no answer (503): the scrape fails instead of blaming the target."""
    prober = request.app[WEB].prober
    target, module = request.query.get("target"), request.query.get("module")
    if not from_own_page(request, strict=False):
        raise Problem(403, "cross-site", "another site's page may not probe from here")
    if not target:
        raise bad_request("target", "is missing")
    if prober is None:
        raise web.HTTPNotFound
    try:
        reading = await prober(module or "http_2xx", target)
    except NotAllowed as error:
        raise Problem(403, "not-allowed", str(error)) from error
    if reading.outcome is Outcome.UNKNOWN:
        reason = reading.reason.value if reading.reason else "unknown"
        raise Problem(503, "unknown", f"{reason}: this says nothing about the target")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(exposed(reading)), headers={"Content-Type": content_type})


def exposed(reading: Reading) -> Families:
    """A reading under blackbox_exporter's metric names."""
    families = Families()
    _put(families, "probe_success", float(reading.outcome is Outcome.OK))
    _put(families, "probe_duration_seconds", reading.took)
    for sample in reading.samples:
        known = NAMES.get((sample.family, sample.field))
        if known and not isinstance(sample.value, str):
            moment = (
                reading.started if known[0] == "probe_ssl_earliest_cert_expiry" else 0.0
            )  # they say when, not how long
            _put(families, known[0], moment + float(sample.value), label=known[1], word=known[2])
    return families


def _put(families: Families, name: str, value: float, *, label: str = "", word: str = "") -> None:
    if name not in families.found:
        families.declare([Metric(name, "gauge", HELP[name], (label,) if label else ())])
    families.put(name, [word] if label else [], value)
