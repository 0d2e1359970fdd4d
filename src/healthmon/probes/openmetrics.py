"""openmetrics: scrape an exporter that the hospital has, and keep what the check or its pack names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes.address import parse_url
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.http_client import Client, Request
from healthmon.probes.http_params import ClientParams
from healthmon.probes.http_wire import Head
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.openmetrics_pack import Mapped, pack_families, parse_metrics
from healthmon.probes.openmetrics_text import Page, Series, parse_page
from healthmon.probes.param_checks import check_range
from healthmon.probes.reasons import Fault, Finding

__all__ = ["FAMILIES", "OpenmetricsProbe", "Params", "pack_families"]

_PHASES = ("dns", "connect", "proxy", "tls", "token", "wait", "transfer")
#: What the probe says of itself; the families of the metrics are declared by packs and checks.
FAMILIES = (
    Family(
        "openmetrics",
        frozenset(f"{phase}_seconds" for phase in _PHASES)
        | {"duration_seconds", "status_code", "body_bytes", "redirects", "series", "kept_series", "missing_metrics"},
    ),
    TLS_FAMILY,
)
_ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_FORGET_S = 3600.0
_MOST_MAPPED = 200

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Params(ClientParams):
    """`pack` is the data of a pack; `metrics` are more of the same kind, or all there are."""

    path: str = "/metrics"
    metrics: tuple[dict[str, Any], ...] = ()
    pack: dict[str, Any] = field(default_factory=dict)
    max_series: int = 200
    max_body_bytes: int = 8 * 1024 * 1024
    compression: str = "gzip"

    def __post_init__(self) -> None:
        ClientParams.__post_init__(self)
        check_range("max_series", self.max_series, 1, 1500)
        if not 0 < len(self.mapped()) <= _MOST_MAPPED:
            raise ValueError(f"metrics: name 1 to {_MOST_MAPPED} metrics, or a pack")

    def mapped(self) -> tuple[Mapped, ...]:
        """Everything that is kept. Raises ValueError."""
        return parse_metrics([*(self.pack.get("metrics") or ()), *self.metrics])


class OpenmetricsProbe:
    """A scrape is ok when the page is one and holds at least one of the metrics, and all that are `required`."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._tokens: dict[tuple[object, ...], tuple[str, float]] = {}
        self._rates: dict[tuple[str, str], Rates] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_status, bad_response (no metrics), bad_body (one is missing), too_large ..."""
        params = self._settings.of(job)
        look = Look(job, sight)
        url = parse_url(job.address, path="" if _has_path(job.address) else params.path)
        client = Client(params, sight, home=url, limit_s=job.timeout_s, tokens=self._tokens)
        found: list[Sample] = []
        facts: dict[str, Value] = {}
        try:
            head, body = await client.ask(Request("GET", url, {"Accept": _ACCEPT} | params.headers))
            _check(head, params)
            mapped = params.mapped()
            page = _page(head, body, mapped, params.max_series)
            rates = self._rates.setdefault((job.target, job.check), Rates())
            found = list(kept(page, mapped, rates, sight.clock.mono()))
            missing = absent(page, mapped)
            facts = {
                "series": float(page.all_series),
                "kept_series": float(len(found)),
                "missing_metrics": float(len(missing)),
            }
            fault = _judge(mapped, missing)
        except (OSError, HealthmonError) as error:
            fault = client.phases.fault_of(error, job.timeout_s)
        own = samples_of("openmetrics", {**client.phases.fields(), **client.fields, **facts}) + client.certificate
        return look.ok([*own, *found]) if fault is None else look.bad(fault, [*own, *found])


def _has_path(address: str) -> bool:
    """An address like https://host/probe?target=x says itself where the page is."""
    return "/" in address.partition("://")[2].rstrip("/") or "?" in address


def _check(head: Head, params: Params) -> None:
    if head.status != 200:
        known = params.user is not None or params.bearer_file is not None or params.oauth_token_url is not None
        raise Finding(Reason.AUTH_FAILED if known and head.status == 401 else Reason.BAD_STATUS, str(head.status))


def _page(head: Head, body: bytes, mapped: Iterable[Mapped], most_series: int) -> Page:
    wanted = frozenset(name for one in mapped for name in one.names())
    openmetrics = head.headers.get("content-type", "").lower().startswith("application/openmetrics-text")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Finding(Reason.BAD_RESPONSE, "the page is not UTF-8") from None
    return parse_page(text, wanted, openmetrics=openmetrics, most_series=most_series)


def absent(page: Page, mapped: Iterable[Mapped]) -> set[str]:
    """Metrics that are named and not on the page."""
    there = {series.name for series in page.series}
    return {name for one in mapped for name in one.names()} - there


def _judge(mapped: Iterable[Mapped], missing: set[str]) -> Fault | None:
    named = {name for one in mapped for name in one.names()}
    required = sorted(name for one in mapped if one.required for name in one.names() if name in missing)
    if required:
        return Fault(Reason.BAD_BODY, f"{required[0]} is missing")
    return Fault(Reason.BAD_BODY, "none of the metrics is there") if missing == named else None


def kept(page: Page, mapped: Iterable[Mapped], rates: Rates, mono: float) -> Iterator[Sample]:
    """The page in our words. Raises Finding(bad_params) when series look alike and nothing says how to combine them."""
    by_name: dict[str, list[Series]] = {}
    for series in page.series:
        by_name.setdefault(series.name, []).append(series)
    rates.begin(mono)
    for one in mapped:
        places: dict[Labels, list[float]] = {}
        below = {_key(series): series.value for series in by_name.get(one.over or "", ())}
        for series in by_name.get(one.metric, ()):
            if one.takes(series.labels):
                value = _value(one, series, below, rates, mono)
                labels = tuple((ours, series.labels.get(theirs, "")) for ours, theirs in one.labels.items())
                places.setdefault(labels, []).extend([] if value is None else [value])
        for labels, values in places.items():
            if values:
                yield Sample(one.family, one.field, _combined(one, values) * one.scale, dict(labels))


def _key(series: Series) -> Labels:
    return tuple(sorted(series.labels.items()))


def _value(one: Mapped, series: Series, below: Mapping[Labels, float], rates: Rates, mono: float) -> float | None:
    """None when there is no figure (not a number, first look at a counter, nothing to divide by)."""
    value: float | None = series.value
    if one.rate:
        value = rates.of((one.family, one.field, series.name, *_key(series)), series.value, mono)
    if value is not None and one.over is not None:
        whole = below.get(_key(series), 0.0)
        value = value / whole if whole else None
    if value is None or not math.isfinite(value):
        return None
    return 1.0 - value if one.one_minus else value


def _combined(one: Mapped, values: list[float]) -> float:
    if one.combine == "only" and len(values) > 1:
        what = f"{len(values)} series of {one.metric} look alike here"
        raise Finding(Reason.BAD_PARAMS, f"{what}: name a label, or say how to combine them")
    match one.combine:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "avg":
            return math.fsum(values) / len(values)
        case _:
            return math.fsum(values)


class Rates:
    """The last value of every counter of one exporter; a counter that went back gives no rate."""

    def __init__(self) -> None:
        self._last: dict[tuple[object, ...], tuple[float, float]] = {}

    def begin(self, mono: float) -> None:
        """Forget counters that were not seen for an hour."""
        self._last = {key: seen for key, seen in self._last.items() if mono - seen[1] <= _FORGET_S}

    def of(self, key: tuple[object, ...], value: float, mono: float) -> float | None:
        """Per second since the last look."""
        before = self._last.get(key)
        self._last[key] = (value, mono)
        if before is None or mono <= before[1] or value < before[0]:
            return None
        return (value - before[0]) / (mono - before[1])
