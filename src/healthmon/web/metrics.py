"""The catalogue of exported metrics: the stable core, its labels and its help texts."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family of the stable core. kind: gauge, counter, histogram; counters are named with `_total`."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


SERIES = ("site", "area", "target", "kind", "check", "vantage")
SERVICE_STATES = ("ok", "at_risk", "degraded", "lost", "unknown")
AGENT_STATES = ("up", "stopped", "silent", "never")
OUTCOMES = ("ok", "failed", "unknown")
DETECTION_BUCKETS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)

CORE = (
    Metric("healthmon_probe_success", "gauge", "1 if the check passed, 0 if it failed; absent while unknown.", SERIES),
    Metric(
        "healthmon_probe_outcome",
        "gauge",
        "Outcome of the newest reading of a check, a state set: exactly one is 1.",
        (*SERIES, "outcome"),
    ),
    Metric("healthmon_probe_duration_seconds", "gauge", "How long the newest run of a check took.", SERIES),
    Metric(
        "healthmon_probe_rest_seconds",
        "gauge",
        "How much later than its interval a check runs next, because it times out again and again; else absent.",
        SERIES,
    ),
    Metric(
        "healthmon_service_state",
        "gauge",
        "State of a service in an area, a state set: exactly one is 1.",
        ("area", "service", "state"),
    ),
    Metric(
        "healthmon_service_paths_left",
        "gauge",
        "Further single failures that lose the service for the area.",
        ("area", "service"),
    ),
    Metric("healthmon_incidents_open", "gauge", "Open incidents.", ("severity", "kind")),
    Metric(
        "healthmon_incident_info",
        "gauge",
        "Severity of each open incident (1 is the worst); what it is stands in the labels.",
        ("incident", "kind", "state", "root"),
    ),
    Metric(
        "healthmon_area_info", "gauge", "Always 1; where an area is and what it is.", ("area", "site", "kind", "acuity")
    ),
    Metric("healthmon_agent_info", "gauge", "Always 1; where an agent is.", ("agent", "site", "area", "target")),
    Metric("healthmon_agent_state", "gauge", "State of an agent, a state set: exactly one is 1.", ("agent", "state")),
    Metric("healthmon_agent_skew_seconds", "gauge", "By how much an agent's clock is corrected.", ("agent",)),
    Metric("healthmon_mutes_active", "gauge", "Silences and changes that are in force.", ("kind",)),
    Metric("healthmon_agent_up", "gauge", "1 if the agent is heard, 0 if it is silent or was stopped.", ("agent",)),
    Metric("healthmon_agent_last_seen_seconds", "gauge", "Age of the newest batch of an agent.", ("agent",)),
    Metric("healthmon_agent_gaps", "gauge", "Batches of an agent that never arrived, this epoch.", ("agent",)),
    Metric("healthmon_spool_bytes", "gauge", "Size of an agent's spool as it last said.", ("agent",)),
    Metric(
        "healthmon_detection_seconds",
        "histogram",
        "From the first evidence to the incident, for incidents raised since the start.",
    ),
    Metric("healthmon_build_info", "gauge", "Always 1; the version is a label.", ("version",)),
)

#: healthmon's own state: rendered at every scrape, so that a stuck engine shows.
SELF = (
    Metric("healthmon_start_time_seconds", "gauge", "When the server started, Unix seconds."),
    Metric("healthmon_engine_tick_age_seconds", "gauge", "Time since the engine last ticked."),
    Metric("healthmon_status", "gauge", "healthmon's own status, a state set.", ("status",)),
    Metric("healthmon_store_up", "gauge", "1 if the time-series store takes writes."),
    Metric("healthmon_store_queue_rows", "gauge", "Rows waiting for the store."),
    Metric("healthmon_broker_up", "gauge", "1 if the broker is connected."),
    Metric("healthmon_ha_term", "gauge", "Of two servers: the term of the one that leads; absent where there is one."),
    Metric("healthmon_ha_standby_copied", "gauge", "1 while the other server of a pair has the newest commit."),
    Metric("healthmon_ha_lease_doubtful", "gauge", "1 while the other server of a pair may be leading as well."),
    Metric("healthmon_workers", "gauge", "Workers that take the batches; absent where the server takes them itself."),
    Metric("healthmon_config_ok", "gauge", "1 if the configuration on disk is the one that runs."),
    Metric("healthmon_config_last_reload_success", "gauge", "0 if the last reload was refused and the old one runs."),
    Metric("healthmon_config_last_reload_timestamp_seconds", "gauge", "When the running one was read, Unix seconds."),
    Metric("healthmon_audit_ok", "gauge", "0 while what people do cannot be written down: the audit has a gap."),
    Metric("healthmon_journal_ok", "gauge", "0 while the journal's stream lacks a commit; 1 where none is configured."),
    Metric(
        "healthmon_clock_ahead_seconds", "gauge", "The server's time less its machine's clock, after that went back."
    ),
    Metric("healthmon_live_mode", "gauge", "1 if the site pages people, 0 in shadow mode."),
    Metric(
        "healthmon_baselines",
        "gauge",
        "Series that rules compare with their usual, by metric and state (known, learning).",
        ("metric", "state"),
    ),
    Metric("healthmon_drill_age_seconds", "gauge", "Since the last fire drill that passed; absent without one."),
    Metric("healthmon_drill_overdue", "gauge", "1 when the plan of fire drills is not kept."),
    Metric("healthmon_probing_enabled", "gauge", "0 while the stop button is pressed."),
    Metric("healthmon_exporter_series", "gauge", "Series of readings in this exposition."),
)

COUNTERS = (
    Metric(
        "healthmon_clinician_lost_seconds_total",
        "counter",
        "Working time of staff lost to IT, by how it is known (measured, estimated); docs/report.md has the formula.",
        ("area", "service", "basis"),
    ),
    Metric("healthmon_clock_steps_total", "counter", "Steps of the server's clock: forward, back.", ("direction",)),
    Metric("healthmon_drills_total", "counter", "Fire drills by how they ended: passed, failed.", ("result",)),
    Metric("healthmon_ingest_accepted_total", "counter", "Batches that the server took."),
    Metric("healthmon_ingest_rejected_total", "counter", "Batches that the server refused, by reason.", ("reason",)),
    Metric("healthmon_lines_points_total", "counter", "Values taken as line protocol from other tools."),
    Metric("healthmon_lines_refused_total", "counter", "Lines of line protocol left out, by reason.", ("reason",)),
    Metric("healthmon_ingest_deferred_total", "counter", "Batches left in the spool for later.", ("reason",)),
    Metric("healthmon_notice_total", "counter", "Notices by channel and result.", ("channel", "result")),
    Metric(
        "healthmon_exporter_series_dropped_total",
        "counter",
        "Series of readings left out over the cap, summed over expositions.",
    ),
    Metric("healthmon_probes_admitted_total", "counter", "Probes that the guard let through.", ("prober",)),
    Metric(
        "healthmon_probes_waited_total",
        "counter",
        "Probes that waited for a limit: target, subnet, global or medical.",
        ("prober", "limit"),
    ),
    Metric(
        "healthmon_probes_refused_total",
        "counter",
        "Probes that the guard refused: a limit that asked too long a wait, or denied, medical_denied, stopped.",
        ("prober", "why"),
    ),
    Metric(
        "healthmon_runs_rested_total", "counter", "Runs left out because the target timed out each time.", ("prober",)
    ),
    Metric(
        "healthmon_looks_starved_total",
        "counter",
        "Looks that say nothing because this machine let us stand still.",
        ("prober",),
    ),
    Metric("healthmon_pages_suppressed_total", "counter", "Pages not sent since the start, by cause.", ("cause",)),
    Metric("healthmon_web_errors_total", "counter", "Requests that crashed."),
    Metric(
        "healthmon_ha_commits_uncopied_total", "counter", "Commits that the other server of a pair has not heard of."
    ),
    Metric("healthmon_ha_notices_marked_total", "counter", "Messages marked as possible repeats by a doubtful lease."),
    Metric("healthmon_workers_lost_total", "counter", "Workers that fell silent without a goodbye."),
    Metric("healthmon_audit_failures_total", "counter", "Deeds of people that could not be written to the audit."),
    Metric("healthmon_workers_stalls_total", "counter", "Times that nothing came of a partition for a while."),
    Metric(
        "healthmon_journal_stream_behind_total",
        "counter",
        "Commits that were not on the journal's stream before anybody was paged.",
    ),
    Metric("healthmon_workers_readings_judged_total", "counter", "Readings that workers have judged."),
    Metric(
        "healthmon_workers_readings_unjudged_total",
        "counter",
        "Readings that a worker judged by other rules than the server's: what needs memory stayed open.",
    ),
    Metric("healthmon_workers_hands_missed_total", "counter", "Hands that the line threw away before they were read."),
)

RESERVED = frozenset(metric.name for metric in (*CORE, *SELF, *COUNTERS))
BY_NAME = {metric.name: metric for metric in (*CORE, *SELF, *COUNTERS)}

#: What the pipeline calls its counts, under the names of the public interface.
SYNONYMS = {"batches_admitted": "ingest_accepted"}

_KEY = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*?)(?:_total)?(?:\.(?P<words>[^{]*)|\{(?P<pairs>.*)\})?")
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")
_RUNTIME_SUFFIX = re.compile(r"_(count|sum|bucket|info|created)$")


def counter_key(name: str, **labels: str) -> str:
    """The key under which a labelled counter stands in `Health.counters`: `name{label=value,...}`."""
    return f"{name}{{{','.join(f'{k}={v}' for k, v in labels.items())}}}" if labels else name


def parse_counter(key: str) -> tuple[str, dict[str, str]]:
    """(metric name, labels) of a key of `Health.counters`.

    Accepted are `name`, `name{label=value,...}` and `name.value.value`, whose labels the catalogue names
    (else `reason`); a `_total` in it is optional.
    """
    found = _KEY.fullmatch(key)
    if not found:
        return f"healthmon_{clean(key)}_total", {}
    name = f"healthmon_{clean(SYNONYMS.get(found['name'], found['name']))}_total"
    if found["pairs"]:
        pairs = (pair.partition("=") for pair in found["pairs"].split(","))
        return name, {clean(k.strip()): v.strip().strip('"') for k, _, v in pairs}
    if found["words"] is None:
        return name, {}
    names = BY_NAME[name].labels if name in BY_NAME and BY_NAME[name].labels else ("reason",)
    values = found["words"].split(".", len(names) - 1)
    return name, dict(zip(names, values, strict=False))


def clean(text: str) -> str:
    """As Prometheus takes it in a name."""
    return _UNFIT.sub("_", text)


def sample_name(family: str, field: str) -> tuple[str, str]:
    """(metric name, gauge or counter) of one field of a family."""
    name = f"healthmon_{clean(family)}_{clean(field)}"
    if name.endswith("_total"):
        return name, "counter"
    return _RUNTIME_SUFFIX.sub(r"_\1_value", name), "gauge"
