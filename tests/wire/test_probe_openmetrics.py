"""The openmetrics probe against Debian's node_exporter and Prometheus, and against pages that are wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.process import Daemon, free_port, listens, need, running
from daemons.wire_faults import drip, flood, half_close, hang, request, reset, says, serving
from healthmon.config import stock_root
from healthmon.ingest.guard import PatientDataGuard
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes import families, load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.openmetrics_pack import with_scraped
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire
UP = {"metric": "up", "family": "thing", "field": "up"}


async def scrape(
    port: int,
    *,
    times: int = 1,
    timeout_s: float = 5.0,
    safety: Safety | None = None,
    host: str = "127.0.0.1",
    **params: Any,
) -> Reading:
    """Several looks at one target (rates need two); ingest must admit every sample."""
    clock = SystemClock()
    guard = Guard(safety or Safety(rates=Rates(1e4, 1e4, 1e4)), clock)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    job = Job(f"t{port}", "c", "openmetrics", f"http://{host}:{port}", 30.0, timeout_s, params)
    for _ in range(times):
        reading = await runner.run_once(job)
    admitted = PatientDataGuard(with_scraped(families(), [params])).admit(reading)
    assert admitted.samples == reading.samples
    return reading


def values(reading: Reading, family: str) -> dict[str, Any]:
    return {s.field: s.value for s in reading.samples if s.family == family}


def pack(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((stock_root() / "probes" / "openmetrics" / f"{name}.yaml").read_text())
    return data


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    listen = [f"--web.listen-address={host}:{port}" for host in ("127.0.0.1", "[::1]")]
    argv = [need("prometheus-node-exporter"), *listen]
    with running(Daemon(argv, ready=listens(port), log=tmp_path_factory.mktemp("exporter") / "log")):
        yield port


async def test_ipv6(exporter: int) -> None:
    reading = await scrape(exporter, host="[::1]", pack=pack("node-exporter"))
    assert reading.outcome is Outcome.OK, reading
    assert values(reading, "node_host")["memory_total_bytes"] > 0.0


async def test_a_real_node_exporter(exporter: int) -> None:
    first = await scrape(exporter, pack=pack("node-exporter"))
    assert first.outcome is Outcome.OK, first
    await asyncio.sleep(0.2)
    reading = await scrape(exporter, times=2, pack=pack("node-exporter"))
    host = values(reading, "node_host")
    meminfo = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
    assert host["memory_total_bytes"] == float(meminfo["MemTotal:"]) * 1024
    assert 0.0 < host["memory_used_ratio"] < 1.0
    assert host["load15"] == pytest.approx(float(Path("/proc/loadavg").read_text().split()[2]), abs=1.0)
    assert host["utilisation_ratio"] == pytest.approx(1.0 - host["idle_ratio"], abs=1e-6)
    own = values(reading, "openmetrics")
    assert own["series"] > 100.0
    assert own["kept_series"] == len([s for s in reading.samples if s.family != "openmetrics"])
    assert own["body_bytes"] > 10_000  # unpacked
    known = {"openmetrics", "node_host", "node_disk", "node_network", "storage"}
    assert {sample.family for sample in reading.samples} <= known


async def test_only_what_is_named(exporter: int) -> None:
    one = {"metric": "node_load1", "family": "host", "field": "load1"}
    reading = await scrape(exporter, metrics=[one])
    assert set(values(reading, "host")) == {"load1"}
    gone = {**one, "metric": "node_of_long_ago"}
    reading = await scrape(exporter, metrics=[one, gone])
    assert (reading.outcome, values(reading, "openmetrics")["missing_metrics"]) == (Outcome.OK, 1.0)
    reading = await scrape(exporter, metrics=[one, {**gone, "required": True}])
    assert (reading.reason, reading.detail) == (Reason.BAD_BODY, "node_of_long_ago is missing")
    assert set(values(reading, "host")) == {"load1"}
    assert (await scrape(exporter, metrics=[gone])).detail == "none of the metrics is there"


async def test_caps(exporter: int) -> None:
    cpu = {"metric": "node_cpu_seconds_total", "family": "host", "field": "cpu", "combine": "sum"}
    reading = await scrape(exporter, metrics=[cpu], max_series=3)
    assert (reading.reason, reading.detail) == (
        Reason.TOO_LARGE,
        "more than 3 series of the metrics that are wanted",
    )
    assert (await scrape(exporter, metrics=[cpu], max_body_bytes=5000)).reason is Reason.TOO_LARGE
    reading = await scrape(exporter, metrics=[{**cpu, "combine": "only"}])
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)
    assert (await scrape(exporter, path="/", metrics=[cpu])).reason is Reason.BAD_RESPONSE  # a page for people


async def test_a_real_prometheus(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    argv = [
        need("prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(Daemon(argv, ready=listens(port), log=tmp_path / "log")):
        for _ in range(50):
            reading = await scrape(port, times=2, pack=pack("prometheus"))
            if values(reading, "prometheus").get("config_loaded") == 1.0:
                break
            await asyncio.sleep(0.1)
    assert reading.outcome is Outcome.OK, reading
    assert values(reading, "prometheus")["dropped_notifications_per_second"] == 0.0


def answer(body: str, content_type: str = "text/plain; version=0.0.4") -> bytes:
    data = body.encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (says(answer("up 1\n")), None),
        (says(answer("up 1\n# EOF\n", OPEN)), None),
        (says(answer("up 1\n", OPEN)), Reason.BAD_RESPONSE),
        (says(answer("<html><title>Log in</title></html>", "text/html")), Reason.BAD_RESPONSE),
        (says(answer("up 1\nup{ 2\n")), Reason.BAD_RESPONSE),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nup \xff1"), Reason.BAD_RESPONSE),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.BAD_RESPONSE),
        (says(answer("up 1\n")[:-3]), Reason.CLOSED),
        (says(answer("")), Reason.BAD_BODY),
        (says(answer("up NaN\n")), None),
        (says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), Reason.BAD_STATUS),
        (hang, Reason.TIMEOUT),
        (drip, Reason.TIMEOUT),
        (reset, Reason.RESET),
        (half_close, Reason.CLOSED),
        (flood, Reason.TOO_LARGE),
    ],
)
async def test_pages_that_are_wrong(behaviour: Any, reason: Reason | None) -> None:
    async with serving(behaviour) as port:
        reading = await scrape(port, timeout_s=0.7, metrics=[UP], max_body_bytes=1024 * 1024)
    assert reading.reason is reason, reading


async def test_a_closed_port_and_a_network_that_is_denied() -> None:
    assert (await scrape(free_port(), metrics=[UP])).reason is Reason.REFUSED
    reading = await scrape(free_port(), metrics=[UP], safety=Safety(deny=("127.0.0.0/8",)))
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NOT_ALLOWED)


async def test_both_formats_are_asked_for() -> None:
    asked: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await request(reader))
        writer.write(answer("up 1\n"))
        await writer.drain()

    async with serving(note) as port:
        await scrape(port, metrics=[UP])
    assert b"GET /metrics HTTP/1.1" in asked[0]
    assert b"application/openmetrics-text" in asked[0]
    assert b"gzip" in asked[0]


@pytest.mark.parametrize("params", [{}, {"metrics": [{"metric": "up"}]}, {"metrics": [UP], "max_series": 0}])
async def test_wrong_params_are_ours(params: dict[str, Any]) -> None:
    runner_reading = await _bare(params)
    assert (runner_reading.outcome, runner_reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)


async def _bare(params: dict[str, Any]) -> Reading:
    clock = SystemClock()
    guard = Guard(Safety(), clock)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    return await runner.run_once(Job("bare", "c", "openmetrics", "http://127.0.0.1:9", 30.0, 1.0, params))
