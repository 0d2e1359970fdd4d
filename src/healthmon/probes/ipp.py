"""IPP: what a printer or queue says of itself: state, reasons, jobs waiting, toner. Nothing is printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from healthmon import __version__
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes import ipp_wire as wire
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.dialogue import Dialogue, Place, place_for
from healthmon.probes.http_wire import Wire, request_bytes
from healthmon.probes.look import Settings, samples_of
from healthmon.probes.param_checks import check_network
from healthmon.probes.reasons import Finding

MARKER = "ipp_marker"
FAMILIES = (
    Family(
        "ipp",
        frozenset(
            {"dns_seconds", "connect_seconds", "tls_seconds", "answer_seconds", "duration_seconds", "state"}
            | {"accepting_jobs", "queued_jobs", "errors", "warnings", "reports"}
        ),
    ),
    Family(MARKER, frozenset({"level_ratio", "low"}), frozenset({"marker"})),
    TLS_FAMILY,
)

#: Never job attributes: a document's name may be a patient's.
WANTED = (
    "printer-state",
    "printer-state-reasons",
    "printer-is-accepting-jobs",
    "queued-job-count",
    "marker-names",
    "marker-levels",
    "marker-low-levels",
    "marker-types",
)
IDLE, PROCESSING, STOPPED = 3, 4, 5
_NO_ACCESS = (0x0401, 0x0402, 0x0403)
_STATUS = {
    0x0406: "no such printer", 0x0408: "request too large", 0x0503: "IPP version not supported",
    0x0501: "operation not supported", 0x0502: "service unavailable", 0x0505: "temporary error", 0x0507: "busy",
    0x0506: "takes no jobs", 0x0504: "device error", 0x0500: "internal error", 0x0400: "bad request",
}  # fmt: skip
_MOST_BYTES = 256 * 1024
_MOST_MARKERS = 32
_KEYWORD = re.compile(r"[a-z0-9][a-z0-9.-]{0,80}")
#: Containers that fill: for them the level is what is in, and full is bad.
_FILLING = ("waste",)


@dataclass(frozen=True, slots=True)
class Params:
    """`path` is where the printer (`/ipp/print`) or the queue of a print server (`/printers/NAME`) listens."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    path: str = "/ipp/print"
    tls: bool = False
    accepting: bool = True
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    min_version: str = "1.2"
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        if not re.fullmatch(r"/[^\s?#\0]{0,200}", self.path):
            raise ValueError("path: must begin with / and hold no space, ? or #")


class IppProbe:
    """One Get-Printer-Attributes over HTTP. Stopped is failed; warnings are figures for rules."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_status (stopped, not accepting, IPP or HTTP code), bad_response, refused ..."""
        params = self._settings.of(job)
        place = place_for(job, params, 631, tls=params.tls)

        async def talk(call: Dialogue) -> None:
            call.phases.enter("answer")
            attributes = await _ask(call, params.path)
            call.fields |= measured(attributes)
            call.more += markers(attributes)
            judge(attributes, params)

        return await Dialogue(job, sight, "ipp", place).hold(talk)


async def _ask(call: Dialogue, path: str) -> wire.Attributes:
    authority, target = _authority(call.place), quote(path, safe="/%-._~!$&'()*+,;=:@")
    body = wire.request(f"{'ipps' if call.place.tls else 'ipp'}://{authority}{target}", WANTED)
    headers = {"Host": authority, "User-Agent": f"healthmon/{__version__}", "Content-Type": "application/ipp"}
    headers |= {"Content-Length": str(len(body)), "Connection": "close"}
    reader, writer = await call.streams()
    writer.write(request_bytes("POST", target, headers, body))
    answer = Wire(reader)
    head = await answer.head()
    call.sight.trace(f"HTTP status {head.status}")
    if head.status in (401, 403):
        raise Finding(Reason.AUTH_FAILED, f"HTTP {head.status}")
    if head.status != 200:
        raise Finding(Reason.BAD_STATUS, f"HTTP {head.status}")
    status, attributes = wire.parse(await answer.body(head, method="POST", most_bytes=_MOST_BYTES))
    if status in _NO_ACCESS:
        raise Finding(Reason.AUTH_FAILED, "the printer wants a login")
    if status >= 0x0100:
        raise Finding(Reason.BAD_STATUS, f"{_STATUS.get(status, 'IPP status')} (0x{status:04x})")
    if "printer-state" not in attributes:
        raise Finding(Reason.BAD_RESPONSE, "the answer does not tell the printer's state")
    return attributes


def _authority(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{host}:{place.port}"


def reasons_of(attributes: wire.Attributes) -> list[str]:
    """The keywords that are one, `none` left out."""
    found = (str(reason).lower() for reason in attributes.get("printer-state-reasons", []))
    return [reason for reason in found if reason != "none" and _KEYWORD.fullmatch(reason)]


def measured(attributes: wire.Attributes) -> dict[str, Value]:
    """Figures of the printer. A reason without a suffix counts as an error (RFC 8011 section 5.4.12)."""
    reasons = reasons_of(attributes)
    warnings = sum(reason.endswith("-warning") for reason in reasons)
    reports = sum(reason.endswith("-report") for reason in reasons)
    fields: dict[str, Value] = {
        "errors": float(len(reasons) - warnings - reports),
        "warnings": float(warnings),
        "reports": float(reports),
    }
    for name, field in (("printer-state", "state"), ("queued-job-count", "queued_jobs")):
        value = _first(attributes, name)
        if isinstance(value, int):
            fields[field] = float(value)
    accepting = _first(attributes, "printer-is-accepting-jobs")
    return fields | ({"accepting_jobs": accepting} if isinstance(accepting, bool) else {})


def markers(attributes: wire.Attributes) -> list[Sample]:
    """Toner and ink, 0 to 1. Negative levels mean "not known": -3 is known to be some, and gives no figure."""
    names: Sequence[wire.IppValue] = attributes.get("marker-names", [])
    levels = attributes.get("marker-levels", [])
    lows = attributes.get("marker-low-levels", [])
    kinds = attributes.get("marker-types", [])
    found: list[Sample] = []
    seen: set[str] = set()
    for number, level in enumerate(levels[:_MOST_MARKERS]):
        if not isinstance(level, int) or not 0 <= level <= 100 or _filling(kinds, number):
            continue
        label = _label(names[number] if number < len(names) else "", number)
        if label in seen:
            label = f"{label} {number + 1}"
        seen.add(label)
        fields: dict[str, Value] = {"level_ratio": level / 100.0}
        low = lows[number] if number < len(lows) else None
        if isinstance(low, int) and 0 <= low <= 100:
            fields["low"] = level <= low
        found += samples_of(MARKER, fields, {"marker": label})
    return found


def _filling(kinds: Sequence[wire.IppValue], number: int) -> bool:
    return number < len(kinds) and any(word in str(kinds[number]) for word in _FILLING)


def _label(name: wire.IppValue, number: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9 ._-]+", " ", str(name)).strip()[:40].strip()
    return plain or f"marker {number + 1}"


def judge(attributes: wire.Attributes, params: Params) -> None:
    """Raises Finding(bad_status)."""
    reasons = ", ".join(reasons_of(attributes)[:5])
    if _first(attributes, "printer-state") == STOPPED:
        raise Finding(Reason.BAD_STATUS, f"stopped: {reasons or 'no reason given'}")
    if params.accepting and _first(attributes, "printer-is-accepting-jobs") is False:
        raise Finding(Reason.BAD_STATUS, f"takes no jobs: {reasons or 'no reason given'}")


def _first(attributes: wire.Attributes, name: str) -> wire.IppValue | None:
    return next(iter(attributes.get(name, [])), None)
