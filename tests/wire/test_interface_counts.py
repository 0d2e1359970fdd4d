"""Messages per interface from the host of an interface engine: a real snmpd, the documented lines, a stored series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.process import running
from daemons.snmpd import COMMUNITY, make_snmpd
from healthmon.app.wiring import declared_families
from healthmon.config import SiteConfig, load, poller_plan
from healthmon.ingest.guard import PatientDataGuard
from healthmon.ingest.rows import RowMaker
from healthmon.model.plan import Broker
from healthmon.model.sample import Outcome, Query, Reading
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
from healthmon.store.embedded import EmbeddedStore

pytestmark = pytest.mark.wire
SECTION = re.search(
    r"^## Interfaces: (.*?)^## ", (Path(__file__).parents[2] / "docs" / "probes.md").read_text(), flags=re.M | re.S
)
NAME = "Mrs Zebedee Quill"


def documented(start: str) -> str:
    """The block of the page that starts with this word."""
    assert SECTION is not None
    found = re.search(rf"^```[a-z]*\n({start}.*?)^```", SECTION[1], flags=re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """snmpd with the lines of the page, and two extensions that go wrong."""
    folder = tmp_path_factory.mktemp("engine")
    count = folder / "count-messages"
    count.write_text('#!/bin/sh\ncat "$(dirname "$0")/$1"\n')
    count.chmod(0o755)
    (folder / "lims-ehr-results").write_text("48211\n")
    (folder / "pas-adt-out").write_text("7\n")
    (folder / "talks").write_text(f"PID|1||943 476 5919||{NAME}\n")
    lines = documented("extend") + "extend talks /usr/local/bin/count-messages talks\nextend gone /usr/bin/false gone\n"
    daemon, port = make_snmpd(folder, users=lines.replace("/usr/local/bin/count-messages", str(count)))
    with running(daemon):
        yield folder, port


def site_of(folder: Path, port: int) -> SiteConfig:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "snmp").write_text(f"{COMMUNITY}\n")
    text = documented("targets").replace("engine-1.example", f"127.0.0.1:{port}")
    (folder / "healthmon.yaml").write_text(f"organisation: {{id: st-e, name: St E, timezone: UTC}}\n{text}")
    return load(folder / "healthmon.yaml", env={})


async def test_counts_of_each_interface_end_in_a_stored_series(engine: tuple[Path, int], tmp_path: Path) -> None:
    folder, port = engine
    site = site_of(folder, port)
    (job,) = poller_plan(site, broker=Broker("mqtt://127.0.0.1")).jobs
    readings: list[Reading] = []
    clock = SystemClock()
    runner = Runner(
        vantage="poller", guard=Guard(site.safety, clock), clock=clock, probes=load_probe, on_reading=readings.append
    )
    admit, rows, store = PatientDataGuard(declared_families(site)), RowMaker(site.estate), EmbeddedStore(tmp_path / "s")
    begun = clock.now()
    for sent in (48211, 48213):
        (folder / "lims-ehr-results").write_text(f"{sent}\n")
        reading = await runner.run_once(job)
        assert reading.outcome is Outcome.OK, reading
        assert NAME not in repr(reading)
        admitted = admit.admit(reading)
        assert admitted.samples == reading.samples
        written = await store.write(rows.rows_of([admitted]))
        assert not written.rejected

    found = await values(store, "messages_total", begun, clock.now() + 1.0)
    assert found.keys() == {"lims-ehr-results", "pas-adt-out"}
    assert found["lims-ehr-results"][-1] in (48211.0, 48213.0)  # snmpd keeps an extension's answer for some seconds
    assert found["pas-adt-out"] == [7.0, 7.0]
    assert (await values(store, "last_message_age_seconds", begun, clock.now() + 1.0)).keys() == found.keys()


async def values(store: EmbeddedStore, field: str, start: float, end: float) -> dict[str, list[Any]]:
    series = await store.query(Query("interface", field, start=start, end=end))
    return {one.tags["interface"]: [value for _, value in one.points] for one in series}
