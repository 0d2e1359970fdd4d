"""/metrics as promtool and a real Prometheus parser see it."""

from __future__ import annotations

import subprocess

import aiohttp
import pytest

from daemons.process import need
from daemons.webboard import NOW, Hospital, hospital_app, sample_view, served
from healthmon.model.sample import Outcome, Reading, Sample

pytestmark = pytest.mark.wire


async def exposition(hospital: Hospital, accept: str = "") -> tuple[str, str]:
    async with (
        served(hospital_app(hospital)) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.status == 200
        return await answer.text(), answer.headers["Content-Type"]


def lint(text: str) -> str:
    """What promtool has to say; empty is clean."""
    done = subprocess.run(
        [need("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    return f"{done.stdout}{done.stderr}".strip() or ("" if done.returncode == 0 else f"exit {done.returncode}")


async def test_promtool_has_nothing_to_say() -> None:
    text, content_type = await exposition(Hospital())
    assert content_type.startswith("text/plain")
    assert lint(text) == ""


async def test_promtool_would_have_spoken() -> None:
    assert "no help text" in lint("# TYPE healthmon_x_count gauge\nhealthmon_x_count 1\n")


async def test_an_empty_hospital_is_clean_too() -> None:
    empty = sample_view(services={}, incidents=(), latest={}, agents={}, targets={}, alerts=())
    assert lint((await exposition(Hospital(empty)))[0]) == ""


async def test_awkward_names_and_labels_stay_clean() -> None:
    samples = (
        Sample("snmp-if", "in.octets_total", 1.0, {"interface": 'a"b\\c\nd'}),
        Sample("host_cpu", "cores_count", 4.0),
        Sample("x", "y_bucket", 4.0),
        Sample("x", "ratio", float("inf")),
        Sample("probe", "success", 1.0),
        Sample("agent", "up", 1.0),
    )
    latest = {
        ("sw-core", "icmp", "poller"): Reading("sw-core", "icmp", "poller", NOW, 0.1, Outcome.OK, samples=samples)
    }
    text, _ = await exposition(Hospital(sample_view(latest=latest)))
    assert lint(text) == ""
    assert 'interface="a\\"b/c\\nd"' in text


async def test_openmetrics_is_one_document_with_one_end() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text, content_type = await exposition(Hospital(), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.count("# EOF") == 1
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"healthmon_probe_success", "healthmon_service_state", "healthmon_notice"} <= names
