"""The same month gives the same report, to the byte: twice from the embedded store, and from a real InfluxDB 1.x."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemons.influx import Influx
from daemons.month import SITE, TICKETS, journal, october, pc_rows, rows, site
from daemons.process import running
from healthmon.app.reporting import asking, journal_of, record_of
from healthmon.cli.commands import app
from healthmon.config import SiteConfig
from healthmon.config.site import StoreConfig
from healthmon.config.tickets import read_ticket_map, read_tickets
from healthmon.reports.healthcheck import as_data, sections
from healthmon.reports.page import html
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.influx import InfluxStore

pytestmark = pytest.mark.wire
DAYS = 1.2


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    daemon = Influx(tmp_path_factory.mktemp("influx"))
    with running(daemon):
        yield daemon


async def fill(path: Path, hospital: SiteConfig, days: float) -> None:
    store = EmbeddedStore(path)
    await store.write([*rows(hospital, days), *pc_rows(hospital)])
    await store.close()


async def made(hospital: SiteConfig, tickets: Path) -> tuple[str, str]:
    kept = journal_of(hospital)
    ask, close = asking(hospital)
    read, _ = read_tickets(tickets, read_ticket_map("servicenow"), hospital.estate)
    record = await record_of(hospital, october(), ask=ask, journal=kept, tickets=read)
    await close()
    kept.close()
    parts = sections(record)
    return json.dumps(as_data(record, parts), sort_keys=True), html(record, parts)


async def test_the_same_report_from_both_stores_and_twice(tmp_path: Path, influx: Influx) -> None:
    hospital = site(tmp_path)
    stored = [*rows(hospital, DAYS), *pc_rows(hospital)]
    await fill(tmp_path / "store.sqlite", hospital, DAYS)
    influx.sql("CREATE DATABASE healthmon")
    elsewhere = replace(hospital, store=StoreConfig("influxdb", url=influx.url, version=1))
    other = InfluxStore(influx.url, version=1, database="healthmon")
    for first in range(0, len(stored), 20_000):
        assert not (await other.write(stored[first : first + 20_000])).rejected
    await other.close()
    journal(tmp_path / "journal.sqlite").close()
    tickets = tmp_path / "tickets.csv"
    tickets.write_text(TICKETS)
    first = await made(hospital, tickets)
    assert first == await made(hospital, tickets)
    assert first == await made(elsewhere, tickets)
    lost = next(part for part in json.loads(first[0])["sections"] if part["id"] == "availability")["figures"]["all"]
    asked = influx.sql('SELECT sum("lost") * 15 FROM "service"')[0]["values"][0][1]
    planned_and_closed = 2 * 1800 + lost["planned_seconds"]  # asked without hours and changes
    assert lost["lost_seconds"] <= asked <= lost["lost_seconds"] + planned_and_closed


def test_the_command_writes_the_page_and_its_json(tmp_path: Path) -> None:
    config = tmp_path / "healthmon.yaml"
    config.write_text(SITE + f"data_dir: {tmp_path / 'data'}\n")
    (tmp_path / "data").mkdir()
    runner = CliRunner()
    asked = ["report", "--month", "2025-10", "-c", str(config), "-o", str(tmp_path / "october.html")]
    missing = runner.invoke(app, asked)
    assert missing.exit_code == 3
    assert "no journal is there" in missing.output
    journal(tmp_path / "data" / "journal.sqlite").close()
    asyncio.run(fill(tmp_path / "data" / "store.sqlite", site(tmp_path), 0.6))
    tickets = tmp_path / "tickets.csv"
    tickets.write_text(TICKETS)
    result = runner.invoke(app, [*asked, "--tickets", str(tickets), "--json"])
    assert result.exit_code == 0, result.output
    page, data = (tmp_path / "october.html").read_text(), json.loads((tmp_path / "october.json").read_text())
    assert "Service health check 2025-10" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert data["month"] == "2025-10"
    assert data["complete"]
    one = runner.invoke(app, [*asked, "--area", "ward-7"])
    assert one.exit_code == 0
    areas = {row["area"] for part in json.loads((tmp_path / "october.json").read_text())["sections"]
             if part["id"] == "availability" for row in part["rows"]}  # fmt: skip
    assert areas == {"ward-7"}
    for wrong, words in ((["--month", "soon"], "is no month"), (["--area", "ward-99"], "no such area"),
                         (["--tickets", str(tickets), "--map", "nothing"], "nor a map that is shipped")):  # fmt: skip
        bad = runner.invoke(app, [*asked, *wrong])
        assert (bad.exit_code, words in bad.output) == (2, True), bad.output
