"""/metrics: the view as Prometheus sees it, rendered off the loop and at most once a second."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Exposed
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Sample

from healthmon import __version__
from healthmon.model.incident import Incident, IncidentKind
from healthmon.model.mute import Change, MuteState, Silence
from healthmon.model.ports import Clock
from healthmon.model.sample import Outcome, Reading
from healthmon.model.view import Health, View
from healthmon.web.metrics import (
    AGENT_STATES,
    BY_NAME,
    CORE,
    COUNTERS,
    DETECTION_BUCKETS_S,
    OUTCOMES,
    RESERVED,
    SELF,
    SERIES,
    SERVICE_STATES,
    Metric,
    clean,
    counter_key,
    parse_counter,
    sample_name,
)

__all__ = ["Exporter", "counter_key"]

SPACING_S = 1.0  # never rendered more often
OLDEST_S = 15.0  # rendered again after so long even when nothing changed: readings grow stale
STALE_INTERVALS = 3.0
STALE_FLOOR_S = 60.0
STALE_UNKNOWN_S = 300.0  # for checks whose interval the estate does not state (Prometheus' own lookback)
SEEN_MOST = 10_000

Labels = tuple[str, ...]


class Registry(Protocol):
    """What the encoders of prometheus_client read."""

    def collect(self) -> Iterable[Exposed]: ...


@dataclass(slots=True)
class Families:
    """Metric families being filled, in the order of first use."""

    found: dict[str, Any] = field(default_factory=dict)

    def declare(self, metrics: Iterable[Metric]) -> None:
        for metric in metrics:
            self.found[metric.name] = _family(metric)

    def put(self, name: str, labels: Iterable[str], value: float) -> None:
        self.found[name].add_metric(list(labels), value)

    def collect(self) -> Iterator[Exposed]:
        yield from self.found.values()


@dataclass(slots=True)
class Rendered:
    """One encoded exposition. `at`: monotonic seconds."""

    version: int
    at: float
    body: bytes


class Exporter:
    """Renders views; remembers what must only grow."""

    def __init__(self, *, clock: Clock, series_cap: int) -> None:
        self._clock = clock
        self._cap = series_cap
        self._lock = asyncio.Lock()
        self._kept: dict[str, Rendered] = {}
        self._series = 0
        self._dropped = 0
        self._names: frozenset[str] = frozenset()
        self._detections = Detections()

    async def exposition(self, view: View, health: Health, *, accept: str, web_errors: int = 0) -> tuple[bytes, str]:
        """(body, content type) for this Accept header."""
        encode, content_type = choose_encoder(accept)
        async with self._lock:
            body = await self._body(view, health, encode, content_type)
            own = encode(self._own(health, web_errors))
        return own.removesuffix(b"# EOF\n") + body, content_type

    async def _body(self, view: View, health: Health, encode: Callable[[Any], bytes], content_type: str) -> bytes:
        now = self._clock.mono()
        kept = self._kept.get(content_type)
        if kept:
            age_s = now - kept.at
            if age_s < SPACING_S or (kept.version == view.version and age_s < OLDEST_S):
                return kept.body
        body = await asyncio.to_thread(self._render, view, health.started_at, encode)
        if len(self._kept) > 8:  # one client cannot fill memory with Accept headers
            self._kept.clear()
        self._kept[content_type] = Rendered(view.version, now, body)
        return body

    def _render(self, view: View, started_at: float, encode: Callable[[Any], bytes]) -> bytes:
        self._detections.learn(view.incidents, since=started_at)
        return encode(self.collect(view, now=self._clock.now()))

    def collect(self, view: View, *, now: float) -> Families:
        """The stable core and the samples of every fresh reading."""
        families = Families()
        families.declare(metric for metric in CORE if metric.kind != "histogram")
        families.put("healthmon_build_info", [__version__], 1.0)
        fresh = [reading for reading in view.latest.values() if now - reading.started <= stale_after_s(view, reading)]
        put_probes(families, view, fresh)
        put_services(families, view)
        put_incidents(families, view.incidents)
        put_mutes(families, view)
        put_agents(families, view, fresh, now=now)
        families.found["healthmon_detection_seconds"] = self._detections.family()
        self._series, dropped = put_samples(families, view, fresh, cap=self._cap)
        self._dropped += dropped
        self._names = frozenset(families.found)
        return families

    def _own(self, health: Health, web_errors: int) -> Registry:
        families = Families()
        families.declare((*SELF, *COUNTERS))
        families.put("healthmon_exporter_series", [], self._series)
        families.put("healthmon_exporter_series_dropped_total", [], self._dropped)
        families.put("healthmon_web_errors_total", [], web_errors)
        put_health(families, health)
        put_counters(families, health.counters, taken=self._names)
        return families


class Detections:
    """Times from first evidence to incident; each incident counts once, those before the start never."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._counts = [0] * (len(DETECTION_BUCKETS_S) + 1)
        self._sum_s = 0.0

    def learn(self, incidents: Iterable[Incident], *, since: float) -> None:
        """Count incidents not seen before."""
        for incident in incidents:
            if incident.id in self._seen or incident.opened_at < since:
                continue
            self._seen[incident.id] = None
            took_s = max(0.0, incident.opened_at - incident.first_evidence_at)
            self._sum_s += took_s
            slot = next((n for n, edge in enumerate(DETECTION_BUCKETS_S) if took_s <= edge), len(DETECTION_BUCKETS_S))
            self._counts[slot] += 1
        while len(self._seen) > SEEN_MOST:
            self._seen.popitem(last=False)

    def family(self) -> HistogramMetricFamily:
        """As a cumulative histogram."""
        metric = BY_NAME["healthmon_detection_seconds"]
        edges = [*map(str, DETECTION_BUCKETS_S), "+Inf"]
        totals = [sum(self._counts[: n + 1]) for n in range(len(edges))]
        pairs = list(zip(edges, map(float, totals), strict=True))
        return HistogramMetricFamily(metric.name, metric.help, buckets=pairs, sum_value=self._sum_s)


def stale_after_s(view: View, reading: Reading) -> float:
    """How old a reading may be and still be exported as present."""
    target = view.estate.targets.get(reading.target)
    for check in target.checks if target else ():
        if check.id == reading.check:
            return max(STALE_FLOOR_S, STALE_INTERVALS * (check.every_s + reading.rest_s))
    return STALE_UNKNOWN_S


def series_labels(view: View, reading: Reading) -> Labels:
    """site, area, target, kind, check, vantage: the tags that the store has too."""
    target = view.estate.targets.get(reading.target)
    if target is None:
        return ("", "", reading.target, "", reading.check, reading.vantage)
    return (target.site, target.area or "", target.id, target.kind, reading.check, reading.vantage)


def put_probes(families: Families, view: View, readings: Iterable[Reading]) -> None:
    for reading in readings:
        labels = series_labels(view, reading)
        if reading.outcome is not Outcome.UNKNOWN:
            families.put("healthmon_probe_success", labels, float(reading.outcome is Outcome.OK))
        families.put("healthmon_probe_duration_seconds", labels, reading.took)
        if reading.rest_s:
            families.put("healthmon_probe_rest_seconds", labels, reading.rest_s)
        for outcome in OUTCOMES:
            families.put("healthmon_probe_outcome", (*labels, outcome), float(reading.outcome == outcome))


def put_services(families: Families, view: View) -> None:
    for area in view.estate.areas.values():
        families.put("healthmon_area_info", (area.id, area.site, area.kind.value, area.acuity.value), 1.0)
    for status in view.services.values():
        for state in SERVICE_STATES:
            families.put("healthmon_service_state", (status.area, status.service, state), float(status.state == state))
        families.put("healthmon_service_paths_left", (status.area, status.service), float(status.paths.left))


def put_incidents(families: Families, incidents: Iterable[Incident]) -> None:
    counts = {(severity, kind): 0 for severity in range(1, 6) for kind in IncidentKind}
    for incident in incidents:
        if incident.open and not incident.merged_into:
            key = (incident.severity, incident.kind)
            counts[key] = counts.get(key, 0) + 1
            root = incident.root.target if incident.root else ""
            labels = (incident.id, incident.kind.value, incident.state.value, root)
            families.put("healthmon_incident_info", labels, float(incident.severity))
    for (severity, kind), count in counts.items():
        families.put("healthmon_incidents_open", (str(severity), kind.value), float(count))


def put_mutes(families: Families, view: View) -> None:
    active = [one.mute for one in view.mutes if one.state is MuteState.ACTIVE]
    for kind, noun in (("silence", Silence), ("change", Change)):
        families.put("healthmon_mutes_active", [kind], float(sum(isinstance(mute, noun) for mute in active)))


def put_agents(families: Families, view: View, readings: Iterable[Reading], *, now: float) -> None:
    for agent in view.agents.values():
        families.put("healthmon_agent_up", [agent.agent], float(agent.state == "up"))
        families.put("healthmon_agent_gaps", [agent.agent], float(agent.gaps))
        families.put("healthmon_agent_skew_seconds", [agent.agent], agent.skew_s)
        host = view.estate.vantage_target(agent.agent)
        place = (host.site, host.area or "") if host else ("", "")
        families.put("healthmon_agent_info", (agent.agent, *place, agent.target or ""), 1.0)
        for state in AGENT_STATES:
            families.put("healthmon_agent_state", (agent.agent, state), float(agent.state == state))
        if agent.last_at is not None:
            families.put("healthmon_agent_last_seen_seconds", [agent.agent], max(0.0, now - agent.last_at))
    spools = {
        reading.vantage: float(sample.value)
        for reading in readings
        for sample in reading.samples
        if (sample.family, sample.field) in (("agent", "spool_bytes"), ("spool", "bytes"))
        and not isinstance(sample.value, str)
    }
    for name, size in sorted(spools.items()):
        families.put("healthmon_spool_bytes", [name], size)


def put_samples(families: Families, view: View, readings: Iterable[Reading], *, cap: int) -> tuple[int, int]:
    """Every numeric sample as its own series; gives (series put, series dropped over the cap)."""
    put = dropped = 0
    for reading in sorted(readings, key=lambda r: (r.target, r.check, r.vantage)):
        fixed = series_labels(view, reading)
        for sample in reading.samples:
            name, kind = sample_name(sample.family, sample.field)
            if isinstance(sample.value, str) or name in RESERVED:
                continue
            if put >= cap:
                dropped += 1
                continue
            family = families.found.get(name)
            if family is None:
                families.found[name] = family = _family(_sample_metric(name, kind, sample.family, sample.field))
            labels = dict(zip(SERIES, fixed, strict=True)) | dimensions(sample.labels)
            family.samples.append(_sample(family, kind, labels, float(sample.value)))
            put += 1
    return put, dropped


def dimensions(labels: Mapping[str, str]) -> dict[str, str]:
    """A sample's own labels, kept apart from the six of the series and from names that Prometheus owns.

    A backslash becomes a slash, as in the store: `C:\\` and `C:/` would be two series.
    """
    taken = {*SERIES, "le", "quantile", "job", "instance"}
    return {
        (f"dim_{name}" if (name := clean(key)) in taken else name): value.replace("\\", "/")
        for key, value in labels.items()
    }


def put_health(families: Families, health: Health) -> None:
    values = {
        "healthmon_start_time_seconds": health.started_at,
        "healthmon_engine_tick_age_seconds": health.engine_tick_age_s,
        "healthmon_store_up": health.store_ok,
        "healthmon_store_queue_rows": health.store_queue,
        "healthmon_broker_up": health.broker_ok,
        "healthmon_config_ok": health.config_ok,
        "healthmon_config_last_reload_success": not health.config_refused,
        "healthmon_config_last_reload_timestamp_seconds": health.config_loaded_at or health.started_at,
        "healthmon_audit_ok": health.audit_ok,
        "healthmon_journal_ok": health.journal_ok,
        "healthmon_clock_ahead_seconds": health.clock_ahead_s,
        "healthmon_live_mode": health.mode == "live",
        "healthmon_probing_enabled": health.probing,
        "healthmon_drill_overdue": health.drill_overdue,
    }
    if health.drill_age_s is not None:
        families.put("healthmon_drill_age_seconds", [], health.drill_age_s)
    if health.pair is not None:
        values |= {
            "healthmon_ha_term": health.pair.term,
            "healthmon_ha_standby_copied": health.pair.copied,
            "healthmon_ha_lease_doubtful": health.pair.doubtful,
        }
    if health.workers is not None:
        families.put("healthmon_workers", [], float(health.workers))
    for name, value in values.items():
        families.put(name, [], float(value))
    for metric, (known, learning) in health.baselines.items():
        families.put("healthmon_baselines", [metric, "known"], float(known))
        families.put("healthmon_baselines", [metric, "learning"], float(learning))
    for status in ("ok", "degraded", "failing"):
        families.put("healthmon_status", [status], float(health.status == status))


def put_counters(families: Families, counters: Mapping[str, float], *, taken: frozenset[str] = frozenset()) -> None:
    """healthmon's own counters; those that the catalogue does not know get a plain help text.

    A name that readings have taken is left out: declared twice, it would spoil the whole scrape.
    """
    shown = taken | {"healthmon_exporter_series_dropped_total", "healthmon_web_errors_total"}
    done: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for key in sorted(counters):
        name, labels = parse_counter(key)
        series = (name, frozenset(labels.items()))
        if name in shown or series in done:
            continue
        done.add(series)
        if name not in families.found:
            words = name.removeprefix("healthmon_").removesuffix("_total").replace("_", " ")
            families.declare([Metric(name, "counter", f"Count of {words} since the start.", tuple(labels))])
        family = families.found[name]
        family.samples.append(_sample(family, "counter", labels, counters[key]))
    if not families.found["healthmon_ingest_accepted_total"].samples:
        families.put("healthmon_ingest_accepted_total", [], 0.0)


def _family(metric: Metric) -> Any:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def _sample_metric(name: str, kind: str, family: str, field_: str) -> Metric:
    return Metric(name, kind, f"Newest {field_} of the {family} readings.")


def _sample(family: Any, kind: str, labels: dict[str, str], value: float) -> Any:
    return Sample(f"{family.name}_total" if kind == "counter" else family.name, labels, value)
