"""The Grafana boards: fresh, typed, and every query answered by a real InfluxDB and a real Prometheus.

Both are filled by the real ingest and the real exporter with the same readings; a third reader works out from the
points what each question must be answered with. Grafana itself is not run here.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from boards.__main__ import text_of
from boards.ask import Ask, Over
from boards.board import Board
from boards.pages import BOARDS
from boards.panels import Panel, asks_of
from boards.source import INFLUXDB, PROMETHEUS, SOURCES, Source
from boards.states import StateAsk
from boards.words import CALM, NO_DATA
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from daemons import boardoracle
from daemons.boardfill import AREAS, END, EVERY_S, START, Fill, declared, fill
from daemons.influx import Influx
from daemons.nodemodules import node_modules
from daemons.process import need, running
from daemons.prometheus import Prometheus
from healthmon.model.incident import ServiceState
from healthmon.store.influx import InfluxStore

GRAFANA = Path(__file__).parents[2] / "grafana"
PANELS = [
    pytest.param(board, panel, id=f"{board.uid.removeprefix('healthmon-')}: {panel.title}")
    for board in BOARDS
    for panel in board.panels
]
STEP_S = 60
CHOICES = {"site": "main", "area": ".*", "target": ".*", "ehr": ".*", "pc": ".*", "service": ".*"}
CHOSEN = (CHOICES, CHOICES | {"area": "ward-7", "service": "ehr", "pc": "pc-w7"})
#: What healthmon knows of itself and says even when it sees nothing else.
KNOWN_ALWAYS = frozenset({"health", "own_counter", "incidents", "incident_open"})


def wanted() -> dict[str, set[str]]:
    """Fields by family that some board asks readings for."""
    found: dict[str, set[str]] = {}
    for board in BOARDS:
        for panel in board.panels:
            for ask in asks_of(panel):
                if isinstance(ask, Ask) and ask.family in declared() and ask.field in declared()[ask.family].fields:
                    found.setdefault(ask.family, set()).add(ask.field)
    return found


class Filled:
    """Both databases, full of the same."""

    def __init__(self, influx: Influx, prometheus: Prometheus, points: Fill, database: str) -> None:
        self.influx, self.prometheus, self.points, self.database = influx, prometheus, points, database

    def ask_influx(self, query: str, chosen: dict[str, str]) -> list[dict[str, Any]]:
        """As Grafana would send it: time, interval and choices put in."""
        query = query.replace("${__to}", str(int(END * 1000)))
        query = query.replace("$timeFilter", f"time >= {int(START)}s AND time <= {int(END)}s")
        return self.influx.sql(chosen_in(query, chosen), database=self.database)

    def ask_prometheus(self, target: dict[str, Any], chosen: dict[str, str]) -> list[dict[str, Any]]:
        expr = target["expr"].replace("$__rate_interval", f"{STEP_S}s").replace("$__range", f"{int(END - START)}s")
        expr = chosen_in(expr, chosen)
        if target["instant"]:
            return self.prometheus.now(expr, END - EVERY_S)
        return self.prometheus.over(expr, start=START + STEP_S, end=END - EVERY_S, step_s=STEP_S)


def chosen_in(text: str, chosen: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: (chosen | {"__interval": f"{STEP_S}s"})[match.group(1)], text)


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Filled]]:
    seen, unseen = fill(wanted()), fill(wanted(), unknown=True)
    root = tmp_path_factory.mktemp("grafana")

    async def write(url: str, database: str, points: Fill) -> None:
        store = InfluxStore(url, database=database)
        written = await store.write(list(points.rows))
        assert not written.rejected
        await store.close()

    with (
        running(Influx(root / "influx")) as influx,
        running(Prometheus(root / "seen", history=seen.history)) as one,
        running(Prometheus(root / "unseen", history=unseen.history)) as other,
    ):
        assert isinstance(influx, Influx)
        assert isinstance(one, Prometheus)
        assert isinstance(other, Prometheus)
        asyncio.run(write(influx.url, "seen", seen))
        asyncio.run(write(influx.url, "unseen", unseen))
        yield {"seen": Filled(influx, one, seen, "seen"), "unseen": Filled(influx, other, unseen, "unseen")}


@pytest.fixture
def filled(daemons: dict[str, Filled]) -> Filled:
    return daemons["seen"]


# -- what the files say


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.slug)
def test_committed_boards_are_what_the_generator_writes(source: Source) -> None:
    folder = GRAFANA / "dashboards" / source.slug
    made = {f"{board.uid.removeprefix('healthmon-')}.json": text_of(board.render(source)) for board in BOARDS}
    assert {path.name: path.read_text() for path in folder.glob("*.json")} == made, "run: make boards"


def test_boards_keep_their_addresses_and_choices() -> None:
    uids = [board.uid + source.suffix for board in BOARDS for source in SOURCES]
    assert len(set(uids)) == len(uids) == 24
    assert all(len(uid) <= 40 for uid in uids)  # Grafana's own limit
    assert uids[0] == "healthmon-hospital-overview"
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "healthmon.yaml").read_text())
    assert {source.uid for source in SOURCES} == {one["uid"] for one in provisioned["datasources"]}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.slug)
def test_panels_fit_the_grid_and_have_their_own_ids(board: Board, source: Source) -> None:
    taken: set[tuple[int, int]] = set()
    found = board.render(source)["panels"]
    for one in found:
        x, y, width, height = (one["gridPos"][key] for key in "xywh")
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert x + width <= 24
        assert not cells & taken, one["title"]
        taken |= cells
    assert len({one["id"] for one in found}) == len({one["title"] for one in found}) == len(found)


@pytest.mark.parametrize(("board", "panel"), PANELS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.slug)
def test_every_panel_says_what_it_shows_and_what_no_data_means(source: Source, board: Board, panel: Panel) -> None:
    made = panel.render(source)
    assert len(made["description"]) >= 8
    assert made["fieldConfig"]["defaults"]["unit"]
    assert made["fieldConfig"]["defaults"]["noValue"] == NO_DATA
    nulls = [one for one in made["fieldConfig"]["defaults"]["mappings"] if one["type"] == "special"]
    assert [one["options"]["result"]["text"] for one in nulls] == [NO_DATA]
    variables = {one["name"] for one in board.render(source)["templating"]["list"]}
    for target in made["targets"]:
        used = set(re.findall(r"\$([a-z]\w*)", target.get("query") or target["expr"])) - {"timeFilter"}
        assert used <= variables, f"{used - variables} is no choice of the board {board.title}"


def test_every_state_has_words_and_a_colour_of_its_own() -> None:
    (timeline,) = [one for one in BOARDS[0].render(INFLUXDB)["panels"] if one["type"] == "state-timeline"]
    values, nothing = timeline["fieldConfig"]["defaults"]["mappings"]
    assert set(values["options"]) == {str(state) for state in ServiceState}
    looks = [(one["text"], one["color"]) for one in (*values["options"].values(), nothing["options"]["result"])]
    assert len({text for text, _ in looks}) == len({color for _, color in looks}) == 6


# -- what the databases answer


def influx_groups(found: list[dict[str, Any]], by: tuple[str, ...], name: str) -> dict[tuple[str, ...], list[float]]:
    """Values of each group; tags stand beside the columns, or in them."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for series in found:
        for row in series["values"]:
            columns = series.get("tags", {}) | dict(zip(series["columns"], row, strict=True))
            if columns[name] is not None:
                groups.setdefault(tuple(columns.get(tag) or "" for tag in by), []).append(columns[name])
    return groups


def prometheus_groups(found: list[dict[str, Any]], ask: Ask) -> dict[tuple[str, ...], list[float]]:
    groups: dict[tuple[str, ...], list[float]] = {}
    for series in found:
        group = tuple(series["metric"].get(ask.label(tag), "") for tag in ask.by)
        values = series.get("values") or [series["value"]]
        groups.setdefault(group, []).extend(float(value) for _, value in values)
    return groups


def both(
    filled: Filled, panel: Panel, number: int, ask: Ask, chosen: dict[str, str]
) -> list[dict[tuple[str, ...], list[float]]]:
    """What each database answers to one question."""
    query = panel.render(INFLUXDB)["targets"][number]["query"]
    target = panel.render(PROMETHEUS)["targets"][number]
    return [
        influx_groups(filled.ask_influx(query, chosen), ask.by, ask.name),
        prometheus_groups(filled.ask_prometheus(target, chosen), ask),
    ]


@pytest.mark.wire
@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_both_databases_answer_what_the_points_imply(filled: Filled, board: Board, panel: Panel) -> None:
    for number, ask in enumerate(asks_of(panel)):
        for chosen in CHOSEN:
            if isinstance(ask, StateAsk):
                check_states(filled, panel, number, ask, chosen)
            elif isinstance(ask, Ask) and ask.chart:
                check_chart(filled, panel, number, ask, chosen)
            elif isinstance(ask, Ask):
                check_now(filled, panel, number, ask, chosen)
            else:
                check_pair(filled, panel, number)


def check_now(filled: Filled, panel: Panel, number: int, ask: Ask, chosen: dict[str, str]) -> None:
    expected = boardoracle.now(ask, filled.points.rows, chosen)
    assert expected or chosen is not CHOICES
    for found in both(filled, panel, number, ask, chosen):
        if ask.most and len(expected) == ask.most:  # equal ones may come in any order
            assert sorted(v for (v,) in found.values()) == pytest.approx(sorted(expected.values()), rel=0.05, abs=0.02)
        else:
            flat = {group: value for group, (value,) in found.items()}
            assert flat == {group: pytest.approx(value, rel=0.05, abs=0.02) for group, value in expected.items()}


def check_chart(filled: Filled, panel: Panel, number: int, ask: Ask, chosen: dict[str, str]) -> None:
    lines = boardoracle.groups(ask, filled.points.rows, chosen)
    assert lines or chosen is not CHOICES
    influx, prometheus = both(filled, panel, number, ask, chosen)
    assert set(influx) == set(prometheus) == lines
    for line in lines:
        assert len(influx[line]) >= 4
        middle = sorted(influx[line])[len(influx[line]) // 2]
        assert sorted(prometheus[line])[len(prometheus[line]) // 2] == pytest.approx(
            middle, rel=0.15, abs=0.02
        )  # a window holds both its ends
        if ask.over not in (Over.RATE, Over.INCREASE):
            assert min(influx[line]) >= 0 or ask.field.endswith("_dbm")


def check_states(filled: Filled, panel: Panel, number: int, ask: StateAsk, chosen: dict[str, str]) -> None:
    expected = boardoracle.states(ask, filled.points.rows, chosen)
    assert expected
    influx = filled.ask_influx(panel.render(INFLUXDB)["targets"][number]["query"], chosen)
    newest = {
        tuple(series.get("tags", {}).get(tag, "") for tag in ask.by): [v[1] for v in series["values"] if v[1]][-1]
        for series in influx
    }
    assert newest == expected
    words = [state for state, _, _ in ask.states]
    shown = {}
    for series in filled.ask_prometheus(panel.render(PROMETHEUS)["targets"][number], chosen):
        group = tuple(series["metric"].get(ask.label(tag), "") for tag in ask.by)
        shown[group] = words[int(series["values"][-1][1]) - 1] if ask.chart else series["metric"][ask.text_field]
    assert shown == expected


def check_pair(filled: Filled, panel: Panel, number: int) -> None:
    """Written out by hand: both give the same groups, and values."""
    (ask,) = asks_of(panel)
    found = filled.ask_influx(panel.render(INFLUXDB)["targets"][number]["query"], CHOICES)
    groups = {group for group, values in influx_groups(found, ask.by, ask.name).items() if any(values)}
    shown = filled.ask_prometheus(panel.render(PROMETHEUS)["targets"][number], CHOICES)
    assert {tuple(series["metric"].get(tag, "") for tag in ask.by) for series in shown} == groups
    assert groups in ({("ed",)}, {("i-1", "incident")})


@pytest.mark.wire
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_choices_offer_what_there_is(filled: Filled, board: Board) -> None:
    for one in board.render(INFLUXDB)["templating"]["list"]:
        if one["type"] != "query":
            continue
        offered = {value for series in filled.ask_influx(one["query"], CHOICES) for _, value in series["values"]}
        (other,) = [two for two in board.render(PROMETHEUS)["templating"]["list"] if two["name"] == one["name"]]
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", other["query"]).groups()  # type: ignore[union-attr]
        found = filled.prometheus.now(f"count by ({label}) ({chosen_in(series, CHOICES)})", END - EVERY_S)
        assert offered
        assert offered == {one["metric"].get(label, "") for one in found}
        if one["name"] == "area":
            assert offered == set(AREAS)


@pytest.mark.wire
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_incidents_mark_the_charts(filled: Filled, board: Board) -> None:
    (influx,) = board.render(INFLUXDB)["annotations"]["list"]
    columns = [series["columns"] for series in filled.ask_influx(influx["target"]["query"], CHOICES)]
    assert columns
    assert {influx["target"]["textColumn"], influx["target"]["tagsColumn"]} <= set(columns[0])
    (prometheus,) = board.render(PROMETHEUS)["annotations"]["list"]
    (found,) = filled.prometheus.now(prometheus["target"]["expr"], END - EVERY_S)
    assert found["metric"]["incident"] == "i-1"


# -- filled only with what nobody could see


def colour_of(panel: dict[str, Any], column: str, value: object) -> str | None:
    """As Grafana picks it: a value's mapping first, then the step it reaches."""
    config: dict[str, Any] = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == column:
            config |= {one["id"]: one["value"] for one in override["properties"]}
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    for mapping in config.get("mappings", []):
        if mapping["type"] == "value" and text in mapping["options"]:
            return str(mapping["options"][text]["color"])
    if isinstance(value, float) and config.get("color", {}).get("mode") == "thresholds":
        steps = config["thresholds"]["steps"]
        return str([one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1])
    return None


@pytest.mark.wire
@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_no_panel_looks_fine_when_nobody_can_see(daemons: dict[str, Filled], board: Board, panel: Panel) -> None:
    blind = daemons["unseen"]
    made = panel.render(INFLUXDB)
    for number, ask in enumerate(asks_of(panel)):
        if getattr(ask, "family", "") in KNOWN_ALWAYS:
            continue
        found = blind.ask_influx(made["targets"][number]["query"], CHOICES)
        for series in found:
            column = series["columns"].index(ask.name)
            for row in series["values"]:
                value = float(row[column]) if isinstance(row[column], int | float) else row[column]
                assert colour_of(made, ask.name, value) != CALM, (ask.name, value)
        if isinstance(ask, Ask) and ask.family in declared() and ask.field in declared()[ask.family].fields:
            assert not found, f"{ask.name}: a number where nobody looked"
            assert not blind.ask_prometheus(panel.render(PROMETHEUS)["targets"][number], CHOICES)


# -- Grafana's own types

TYPES = """type Loose<T> = T extends string ? `${T}` : T extends (infer U)[] ? Loose<U>[] :
  T extends object ? {[K in keyof T]: Loose<T[K]>} : T;
import type { Dashboard } from '@grafana/schema';
type Board = Loose<Dashboard> & {annotations: {list: {target: Record<string, unknown>}[]}};
"""
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
    },
    "files": ["check.ts"],
}


@pytest.mark.wire
def test_boards_are_what_grafana_says_a_board_is(tmp_path: Path) -> None:
    """TypeScript's compiler holds every board against the types that Grafana publishes."""
    modules = node_modules("@grafana/schema", "typescript")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    boards = [board.render(source) for board in BOARDS for source in SOURCES]
    lines = [f"export const board{number}: Board = {json.dumps(one)};" for number, one in enumerate(boards)]
    (tmp_path / "check.ts").write_text(TYPES + "\n".join(lines))
    compiler = [need("node"), str(modules / "typescript" / "bin" / "tsc"), "-p", str(tmp_path)]
    found = subprocess.run(compiler, capture_output=True, text=True, timeout=100)
    assert found.returncode == 0, found.stdout[:2000]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.slug)
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_no_key_is_lost_on_the_way_through_grafanas_library(board: Board, source: Source) -> None:
    made = board.render(source)
    back = json.loads(JSONEncoder().encode(Dashboard.from_json(made)))
    # The library knows only Grafana's own annotations; a database's target in them is left to the compiler.
    unknown = [path for path in lost(made, back) if not path.startswith(".annotations.list[].target")]
    assert not unknown, "keys that Grafana does not know"


def lost(before: object, after: object, path: str = "") -> list[str]:
    """Paths that are in the first and not in the second; empty lists and nulls say nothing."""
    if isinstance(before, dict):
        known = after if isinstance(after, dict) else {}
        missing = [f"{path}.{key}" for key, value in before.items() if key not in known and value not in (None, [], {})]
        return missing + [
            one for key in before.keys() & known.keys() for one in lost(before[key], known[key], f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list):
        return [one for old, new in zip(before, after, strict=False) for one in lost(old, new, f"{path}[]")]
    return []
