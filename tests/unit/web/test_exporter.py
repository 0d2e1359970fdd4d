"""The metrics of a view, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemons.webboard import NOW, health, sample_view, severe
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.runtime.clock import ManualClock
from healthmon.web.exporter import Exporter
from healthmon.web.metrics import CORE, counter_key, parse_counter, sample_name


async def scrape(
    exporter: Exporter, view: object, **changes: object
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, _ = await exporter.exposition(view, health(**changes), accept="")  # type: ignore[arg-type]
    families = text_string_to_metric_families(body.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def exporter(cap: int = 20_000) -> Exporter:
    return Exporter(clock=ManualClock(NOW), series_cap=cap)


def of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> list[float]:
    wanted = frozenset(labels.items())
    return [value for (metric, pairs), value in found.items() if metric == name and wanted <= pairs]


async def test_the_stable_core_is_there() -> None:
    found = await scrape(exporter(), sample_view())
    names = {name for name, _ in found}
    for metric in CORE:
        assert metric.name in names or f"{metric.name}_bucket" in names, metric.name


async def test_success_is_absent_while_unknown() -> None:
    found = await scrape(exporter(), sample_view())
    assert of(found, "healthmon_probe_success", target="sw-core") == [1.0]
    assert of(found, "healthmon_probe_success", target="ehr-web") == [0.0]
    assert of(found, "healthmon_probe_success", target="sw-imaging") == []
    assert of(found, "healthmon_probe_outcome", target="sw-imaging", outcome="unknown") == [1.0]


async def test_service_states_are_a_state_set() -> None:
    found = await scrape(exporter(), sample_view())
    view = sample_view()
    for area, service in view.services:
        assert sum(of(found, "healthmon_service_state", area=area, service=service)) == 1.0
    assert of(found, "healthmon_service_state", area="icu", service="ehr", state="lost") == [1.0]


async def test_open_incidents_by_severity_and_kind_with_zeros() -> None:
    found = await scrape(exporter(), sample_view())
    assert of(found, "healthmon_incidents_open", severity="1", kind="incident") == [1.0]
    assert of(found, "healthmon_incidents_open", severity="2", kind="blind") == [1.0]
    assert of(found, "healthmon_incidents_open", severity="4", kind="incident") == [0.0]


async def test_samples_carry_target_area_and_their_own_labels() -> None:
    found = await scrape(exporter(), sample_view())
    key = {"target": "pc-w7-01", "area": "ward-7", "site": "main", "vantage": "pc-w7-01", "mount": "C:"}
    assert of(found, "healthmon_host_disk_used_ratio", **key) == [0.71]
    assert of(found, "healthmon_host_net_received_bytes_total", interface="eth0") == [9.9e9]
    assert of(found, "healthmon_host_net_up", interface="eth0") == [1.0]
    assert of(found, "healthmon_spool_bytes", agent="pc-w7-01") == [20480.0]


async def test_a_stale_reading_is_not_the_present_one() -> None:
    view = sample_view()
    old = {key: replace(reading, started=NOW - 400) for key, reading in view.latest.items()}
    assert of(await scrape(exporter(), replace(view, latest=old)), "healthmon_probe_success") == []


async def test_series_over_the_cap_are_counted_and_the_core_stays() -> None:
    many = tuple(Sample("snmp_if", "speed_bytes", 1.0, {"interface": f"ge-{n}"}) for n in range(50))
    latest = {("sw-core", "icmp", "poller"): Reading("sw-core", "icmp", "poller", NOW, 0.1, Outcome.OK, samples=many)}
    found = await scrape(exporter(cap=20), sample_view(latest=latest))
    assert len(of(found, "healthmon_snmp_if_speed_bytes")) == 20
    assert of(found, "healthmon_exporter_series_dropped_total") == [30.0]
    assert of(found, "healthmon_probe_success", target="sw-core") == [1.0]


async def test_a_dimension_cannot_take_a_label_of_the_series() -> None:
    bad = Sample("x", "y", 1.0, {"target": "other", "le": "1", "path": "C:\\temp"})
    latest = {("sw-core", "icmp", "poller"): Reading("sw-core", "icmp", "poller", NOW, 0.1, Outcome.OK, samples=(bad,))}
    found = await scrape(exporter(), sample_view(latest=latest))
    assert of(found, "healthmon_x_y", target="sw-core", dim_target="other", dim_le="1", path="C:/temp") == [1.0]


async def test_a_reading_cannot_take_a_name_of_the_core() -> None:
    bad = Sample("service", "state", 1.0)
    latest = {("sw-core", "icmp", "poller"): Reading("sw-core", "icmp", "poller", NOW, 0.1, Outcome.OK, samples=(bad,))}
    found = await scrape(exporter(), sample_view(latest=latest, services={}))
    assert of(found, "healthmon_service_state") == []


async def test_baselines_tell_how_far_they_have_learned() -> None:
    found = await scrape(exporter(), sample_view(), baselines={"http.duration_seconds": (3, 12)})
    named = {"metric": "http.duration_seconds"}
    assert of(found, "healthmon_baselines", state="known", **named) == [3.0]
    assert of(found, "healthmon_baselines", state="learning", **named) == [12.0]


async def test_counters_of_health_with_their_labels() -> None:
    found = await scrape(exporter(), sample_view())
    assert of(found, "healthmon_ingest_accepted_total") == [120.0]
    assert of(found, "healthmon_ingest_rejected_total", reason="malformed") == [2.0]
    assert of(found, "healthmon_notice_total", channel="pager", result="sent") == [3.0]
    assert of(found, "healthmon_store_rows_accepted_total") == [4000.0]


async def test_a_counter_told_under_two_names_is_one_series() -> None:
    counters = {"batches_admitted": 9.0, "notice_total.mail.sent": 1.0, 'notice{channel="mail",result="sent"}': 1.0}
    body, _ = await exporter().exposition(sample_view(), health(counters=counters), accept="")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    assert lines.count("healthmon_ingest_accepted_total 9.0") == 1
    assert sum(line.startswith("healthmon_notice_total{") for line in lines) == 1


async def test_each_incident_is_timed_once_and_those_before_the_start_never() -> None:
    timed, clock = exporter(), ManualClock(NOW)
    timed._clock = clock
    view = sample_view()
    for version in (7, 8):
        found = await scrape(timed, replace(view, version=version))
        await clock.advance(2.0)
    assert of(found, "healthmon_detection_seconds_count") == [3.0]
    assert of(found, "healthmon_detection_seconds_sum") == [pytest.approx(5.0 + 10.0 + 3.0)]
    assert of(found, "healthmon_detection_seconds_bucket", le="5.0") == [2.0]
    late = await scrape(exporter(), view, started_at=severe().opened_at - 1)
    assert of(late, "healthmon_detection_seconds_count") == [1.0]


async def test_rendered_at_most_once_a_second_and_not_again_while_nothing_changed() -> None:
    clock = ManualClock(NOW)
    one = Exporter(clock=clock, series_cap=100)
    rendered: list[int] = []
    real = one.collect
    one.collect = lambda view, *, now: (rendered.append(view.version), real(view, now=now))[1]  # type: ignore[method-assign]
    view = sample_view()
    await asyncio.gather(*(one.exposition(view, health(), accept="") for _ in range(5)))
    await one.exposition(replace(view, version=8), health(), accept="")  # within the second: the older one
    await clock.advance(2.0)
    await one.exposition(replace(view, version=8), health(), accept="")
    await clock.advance(2.0)
    await one.exposition(replace(view, version=8), health(), accept="")
    assert rendered == [7, 8]


async def test_a_stuck_engine_shows_although_nothing_is_rendered_again() -> None:
    one = exporter()
    await scrape(one, sample_view())
    assert of(await scrape(one, sample_view(), engine_tick_age_s=77.0), "healthmon_engine_tick_age_seconds") == [77.0]


@pytest.mark.parametrize(
    ("key", "name", "labels"),
    [
        ("batches", "healthmon_batches_total", {}),
        ("batches_total", "healthmon_batches_total", {}),
        ("ingest_rejected_total.oversize", "healthmon_ingest_rejected_total", {"reason": "oversize"}),
        ("notice.mail.dead", "healthmon_notice_total", {"channel": "mail", "result": "dead"}),
        (counter_key("notice", channel="a", result="b"), "healthmon_notice_total", {"channel": "a", "result": "b"}),
        ('x_total{k="v"}', "healthmon_x_total", {"k": "v"}),
    ],
)
def test_counter_keys(key: str, name: str, labels: dict[str, str]) -> None:
    assert parse_counter(key) == (name, labels)


@pytest.mark.parametrize(
    ("family", "field", "name"),
    [
        ("icmp", "rtt_avg_seconds", ("healthmon_icmp_rtt_avg_seconds", "gauge")),
        ("host_net", "sent_bytes_total", ("healthmon_host_net_sent_bytes_total", "counter")),
        ("host_cpu", "cores_count", ("healthmon_host_cpu_cores_count_value", "gauge")),
        ("a-b", "c.d", ("healthmon_a_b_c_d", "gauge")),
    ],
)
def test_sample_names(family: str, field: str, name: tuple[str, str]) -> None:
    assert sample_name(family, field) == name
