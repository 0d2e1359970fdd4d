"""The Grafana board: fresh, complete, and every query answered by a real InfluxDB filled by the real ingest.

Grafana itself is not run here: what is shown is that the JSON says what the generator says and that the database
understands and answers every query of it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.influx import Influx
from daemons.process import running
from healthmon import collectors, probes
from healthmon.ingest.own import own_rows
from healthmon.ingest.pipeline import Admitted, Pipeline
from healthmon.model.incident import (
    ImpactLine,
    Incident,
    IncidentKind,
    IncidentState,
    Paths,
    Root,
    ServiceState,
)
from healthmon.model.sample import Batch, Family, Outcome, Reading, Reason, Row, Sample
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    Check,
    Estate,
    Organisation,
    Site,
    Target,
)
from healthmon.model.view import AgentStatus, Health, ServiceStatus, View
from healthmon.store.influx import InfluxStore

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))

NOW = 1_800_000_000.0
RUNS = 60  # one every 10 s
AREAS = ("ward-7", "ed")
#: What each state of the view is, by (area, service).
STATES = {
    ("ward-7", "ehr"): ServiceState.LOST,
    ("ward-7", "pas"): ServiceState.AT_RISK,
    ("ed", "ehr"): ServiceState.OK,
    ("ed", "pas"): ServiceState.UNKNOWN,
}


def target(id: str, area: str | None, *checks: str) -> Target:
    return Target(id, id, "host", "192.0.2.1", "main", area, checks=tuple(Check(c, c, 10, 1) for c in checks))


ESTATE = Estate(
    Organisation("st-elsewhere", "St Elsewhere", "Europe/London"),
    sites={"main": Site("main", "Main", "Europe/London")},
    areas={id: Area(id, id, AreaKind.WARD, Acuity.INPATIENT, "main") for id in AREAS},
    services={},
    targets={
        t.id: t
        for t in (
            target("ehr-web", None, "http"),
            target("sw-ward7", "ward-7", "icmp"),
            target("sw-ed", "ed", "icmp"),
            target("pc-w7", "ward-7"),
            target("pc-ed", "ed"),
        )
    },
    teams={},
    agents={"pc-w7": Agent("pc-w7", "pc-w7"), "pc-ed": Agent("pc-ed", "pc-ed")},
)


def readings(vantage: str, run: int) -> Iterator[Reading]:
    """The ward's switch fails every second time, the ED's cannot be seen every fourth; the record is slow from w7."""
    at = NOW + run * 10.0
    took = (0.9 if vantage == "pc-w7" else 0.1) + run / 1000
    web = [Sample("http", "duration_seconds", took), Sample("http", "status_code", 200.0)]
    yield Reading("ehr-web", "http", vantage, at, took, Outcome.OK, samples=tuple(web))
    if vantage == "poller":
        failed = Outcome.FAILED if run % 2 else Outcome.OK
        yield Reading("sw-ward7", "icmp", vantage, at, 0.01, failed, Reason.TIMEOUT if run % 2 else None)
        hidden = run % 4 == 0
        yield Reading(
            "sw-ed",
            "icmp",
            vantage,
            at,
            0.01,
            Outcome.UNKNOWN if hidden else Outcome.OK,
            Reason.NO_ROUTE if hidden else None,
        )
    else:
        own = (Sample("agent", "spool_bytes", 1000.0 * run),)
        yield Reading(vantage, "agent", vantage, at, 0.0, Outcome.OK, samples=own)


def view(at: float) -> View:
    incident = Incident(
        id="i-1",
        kind=IncidentKind.INCIDENT,
        state=IncidentState.OPEN,
        severity=2,
        impact_level=2,
        urgency=1,
        title="Ward 7 is cut off",
        plain_text="",
        root=Root("sw-ward7", "icmp", "timeout", 0.9),
        members=(),
        impact=(ImpactLine("ward-7", "ehr", ServiceState.LOST, NOW, Paths(0, 1)),),
        impact_known="full",
        opened_at=NOW + 30,
        first_evidence_at=NOW + 26,
    )
    return View(
        version=1,
        at=at,
        estate=ESTATE,
        targets={},
        services={
            (area, service): ServiceStatus(area, service, state, NOW, Paths(1, 2))
            for (area, service), state in STATES.items()
        },
        incidents=(incident,),
        alerts=(),
        latest={},
        agents={
            "pc-w7": AgentStatus("pc-w7", "pc-w7", "silent", NOW, gaps=3),
            "pc-ed": AgentStatus("pc-ed", "pc-ed", "up", NOW, skew_s=3600.0),
        },
        health=Health("ok", NOW, 0.0, True, 0, True, "shadow"),
    )


def rows() -> Iterator[Row]:
    families = probes.families() | collectors.families() | {"agent": Family("agent", frozenset({"spool_bytes"}))}
    pipeline = Pipeline(estate=ESTATE, families=families, epochs={})
    for run in range(RUNS):
        at = NOW + run * 10.0
        for agent in ("poller", "pc-w7", "pc-ed"):
            batch = Batch(agent, "9f3c0d5e7a1b2c48", run + 1, at, run * 10.0, True, tuple(readings(agent, run)))
            admitted = pipeline.admit(batch, topic_agent=agent, received_at=at)
            assert isinstance(admitted, Admitted)
            yield from admitted.rows
        yield from own_rows(view(at))
    assert not pipeline.rejected()


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    async def fill(url: str) -> None:
        store = InfluxStore(url)
        written = await store.write(list(rows()))
        assert not written.rejected
        await store.close()

    with running(Influx(tmp_path_factory.mktemp("grafana"))) as daemon:
        assert isinstance(daemon, Influx)
        asyncio.run(fill(daemon.url))
        yield daemon


def board(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def panels() -> list[Any]:
    return [
        pytest.param(panel, id=f"{path.stem}: {panel['title']}") for path in BOARDS for panel in board(path)["panels"]
    ]


def ask(influx: Influx, query: str, **chosen: str) -> list[dict[str, Any]]:
    """Run a query as Grafana would send it: time, interval and choices put in."""
    texts = {"site": ".*", "area": ".*", "ehr": "ehr-web", "__interval": "60s"} | chosen
    texts["timeFilter"] = f"time >= {int(NOW)}s AND time < {int(NOW) + RUNS * 10}s"
    text = re.sub(r"\$(\w+)", lambda match: texts[match.group(1)], query)
    return influx.sql(text)


def table(influx: Influx, title: str, index: int = 0, **chosen: str) -> list[dict[str, Any]]:
    """The rows that a panel's query gives, tags and columns together."""
    (panel,) = [p for path in BOARDS for p in board(path)["panels"] if p["title"] == title]
    return [
        {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
        for series in ask(influx, panel["targets"][index]["query"], **chosen)
        for values in series["values"]
    ]


# -- what the file says


def test_committed_boards_are_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("boards", ROOT / "tools" / "boards.py")
    assert spec
    assert spec.loader
    boards = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(boards)
    assert {path.name for path in BOARDS} == set(boards.BOARDS)
    for name, build in boards.BOARDS.items():
        assert (GRAFANA / "dashboards" / name).read_text() == boards.render(build()), "run tools/boards.py"


def test_the_overview_keeps_its_address_and_variables() -> None:
    overview = board(GRAFANA / "dashboards" / "hospital-overview.json")
    assert overview["uid"] == "healthmon-hospital-overview"
    assert {"site", "area"} <= {one["name"] for one in overview["templating"]["list"]}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_fit_the_grid_and_have_their_own_ids(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    found = board(path)["panels"]
    for one in found:
        x, y, width, height = (one["gridPos"][key] for key in "xywh")
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert x + width <= 24
        assert not cells & taken, one["title"]
        taken |= cells
    assert len({one["id"] for one in found}) == len(found)


@pytest.mark.parametrize("panel", panels())
def test_every_panel_says_what_it_shows_and_what_no_data_means(panel: dict[str, Any]) -> None:
    assert panel["description"]
    assert "no data" in panel["fieldConfig"]["defaults"]["noValue"]
    sources = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "healthmon.yaml").read_text())
    assert {one["uid"] for one in sources} <= {one["uid"] for one in provisioned["datasources"]}


def test_every_state_has_words_and_a_colour_of_its_own() -> None:
    overview = board(GRAFANA / "dashboards" / "hospital-overview.json")
    (timeline,) = [one for one in overview["panels"] if one["type"] == "state-timeline"]
    values, nothing = timeline["fieldConfig"]["defaults"]["mappings"]
    assert set(values["options"]) == {str(state) for state in ServiceState}
    looks = [(one["text"], one["color"]) for one in (*values["options"].values(), nothing["options"]["result"])]
    assert len({text for text, _ in looks}) == len({color for _, color in looks}) == 6


# -- what the database answers


@pytest.mark.wire
@pytest.mark.parametrize("panel", panels())
def test_every_query_is_answered(influx: Influx, panel: dict[str, Any]) -> None:
    for one in panel["targets"]:
        for chosen in ({}, {"area": "(ward-7|ed)", "site": "main"}):
            found = ask(influx, one["query"], **chosen)
            assert any(value is not None for series in found for row in series["values"] for value in row[1:])
        words = re.findall(r"\$tag_(\w+)", one.get("alias", ""))
        assert all(set(words) <= series.get("tags", {}).keys() for series in ask(influx, one["query"]))


@pytest.mark.wire
def test_variables_offer_what_there_is(influx: Influx) -> None:
    offered = {
        one["name"]: {value for series in ask(influx, one["query"]) for _, value in series["values"]}
        for path in BOARDS
        for one in board(path)["templating"]["list"]
    }
    assert offered == {"site": {"main"}, "area": set(AREAS), "ehr": {"ehr-web"}}


@pytest.mark.wire
def test_states_are_counted_for_the_chosen_areas(influx: Influx) -> None:
    titles = {"Not available": "lost", "No spare route left": "at_risk", "Unknown": "unknown"}
    assert {title: table(influx, title)[0][name] for title, name in titles.items()} == dict.fromkeys(titles, 1)
    assert table(influx, "Not available", area="ed")[0]["lost"] == 0
    assert table(influx, "Slow or partly working")[0]["degraded"] == 0
    now = {(one["area"], one["service"]): one["state"] for one in table(influx, "Services now")}
    assert now == {pair: str(state) for pair, state in STATES.items()}


@pytest.mark.wire
def test_open_incidents_by_severity(influx: Influx) -> None:
    counts = {one["severity"]: one["open"] for one in table(influx, "Open incidents by severity")}
    assert counts == {"1": 0, "2": 1, "3": 0, "4": 0, "5": 0}
    (incident,) = table(influx, "Incidents of this time")
    assert (incident["title"], incident["root"], incident["detection_seconds"]) == ("Ward 7 is cut off", "sw-ward7", 4)


@pytest.mark.wire
def test_success_leaves_unknown_out_and_shows_it_beside(influx: Influx) -> None:
    success = {(one["area"], one["success"]) for one in table(influx, "Probe success by area")}
    assert {value for area, value in success if area == "ward-7"} == {(6 + 3) / (6 + 6)}  # its PC's own reading passes
    assert {value for area, value in success if area == "ed"} == {1}
    unknown = table(influx, "Checks that could not see, by area")
    assert sum(one["unknown"] for one in unknown if one["area"] == "ed") == RUNS / 4
    assert {one["unknown"] for one in unknown if one["area"] == "ward-7"} <= {0}


@pytest.mark.wire
def test_response_times_by_vantage_point(influx: Influx) -> None:
    for index, share in ((0, 50), (1, 95)):
        by_vantage: dict[str, list[float]] = {}
        for one in table(influx, "Patient record response time by vantage point", index):
            by_vantage.setdefault(one["vantage"], []).append(one[f"p{share}"])
        assert set(by_vantage) == {"poller", "pc-w7", "pc-ed"}
        assert min(by_vantage["pc-w7"]) > 0.9 > 0.2 > max(by_vantage["poller"])


@pytest.mark.wire
def test_top_failing_targets(influx: Influx) -> None:
    (top,) = table(influx, "Top failing targets")
    assert (top["target"], top["area"], top["failed runs"]) == ("sw-ward7", "ward-7", RUNS / 2)


@pytest.mark.wire
def test_agents(influx: Influx) -> None:
    (heard,) = table(influx, "Agents heard")
    assert (heard["up"], heard["of"]) == (1, 2)
    states = {one["vantage"]: (one["state"], one["gaps"], one["clock off by"]) for one in table(influx, "Agents")}
    assert states == {"pc-w7": ("silent", 3, 0), "pc-ed": ("up", 0, 3600)}
    spools = {one["vantage"] for one in table(influx, "Spool of each agent") if one["spool"]}
    assert spools == {"pc-w7", "pc-ed"}
