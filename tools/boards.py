"""Writes grafana/dashboards/*.json. Run it after a change: a test fails while a committed board is stale.

Panels are a table of what to show; everything that Grafana wants around it is added here. No state is told by
colour alone, and what nobody measured is written as "no data", never left to look fine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
SOURCE = {"type": "influxdb", "uid": "healthmon-influxdb"}
PLACE = '"site" =~ /^$site$/ AND "area" =~ /^$area$/'
NO_DATA = "no data: we cannot see"

#: State, the words of the board, and a colour that people with colour blindness tell apart.
SERVICE_STATES = (
    ("ok", "ok", "#2a7f9e"),
    ("at_risk", "at risk: working, no spare route left", "#c9a227"),
    ("degraded", "slow or partly working", "#d9730d"),
    ("lost", "NOT AVAILABLE", "#a4133c"),
    ("unknown", "UNKNOWN: we cannot see", "#6c5b9e"),
)
AGENT_STATES = (
    ("up", "up", "#2a7f9e"),
    ("stopped", "stopped on purpose", "#8d99ae"),
    ("silent", "SILENT: nothing heard", "#d9730d"),
    ("never", "never heard", "#6c5b9e"),
)
GREY = "#8d99ae"
#: A table cell whose word is coloured too.
IN_COLOUR = ("custom.cellOptions", {"type": "color-text"})


def mappings(states: tuple[tuple[str, str, str], ...]) -> list[Json]:
    """Words and colours of text states, and of their absence."""
    options = {
        value: {"text": text, "color": color, "index": index} for index, (value, text, color) in enumerate(states)
    }
    nothing = {"match": "null", "result": {"text": NO_DATA, "color": GREY, "index": len(states)}}
    return [{"type": "value", "options": options}, {"type": "special", "options": nothing}]


def target(query: str, *, alias: str = "", shape: str = "time_series", ref: str = "A") -> Json:
    """One InfluxQL query as it is written, not in Grafana's builder form."""
    return {
        "refId": ref,
        "datasource": SOURCE,
        "rawQuery": True,
        "query": query,
        "resultFormat": shape,
        **({"alias": alias} if alias else {}),
    }


def panel(
    kind: str,
    title: str,
    *targets: Json,
    at: tuple[int, int, int, int],
    about: str,
    unit: str = "short",
    defaults: Json | None = None,
    options: Json | None = None,
    overrides: list[Json] | None = None,
    transformations: list[Json] | None = None,
) -> Json:
    """`at` is x, y, width, height on a grid 24 wide."""
    x, y, width, height = at
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "targets": list(targets),
        "fieldConfig": {
            "defaults": {"unit": unit, "noValue": NO_DATA, **(defaults or {})},
            "overrides": overrides or [],
        },
        "options": options or {},
        "transformations": transformations or [],
    }


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colour from each value upwards; None is below all."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in steps],
    }


def count_of(state: str, title: str, color: str, x: int, about: str) -> Json:
    """How many area x service pairs are in one state now."""
    newest = f'SELECT last("{state}") AS "n" FROM "service" WHERE $timeFilter AND {PLACE} GROUP BY "area", "service"'
    return panel(
        "stat",
        title,
        target(f'SELECT sum("n") AS "{state}" FROM ({newest})', shape="table"),
        at=(x, 0, 4, 4),
        about=about,
        defaults={"color": {"mode": "thresholds"}, "thresholds": thresholds((None, GREY), (1, color))},
        options={"colorMode": "background", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}},
    )


def line(title: str, *targets: Json, at: tuple[int, int, int, int], about: str, unit: str, **custom: Any) -> Json:
    """A chart over time with gaps where nothing was measured."""
    bounds = {name: custom.pop(name) for name in ("min", "max") if name in custom}
    style = {"drawStyle": "line", "lineWidth": 2, "spanNulls": False, "showPoints": "auto", "fillOpacity": 0, **custom}
    return panel(
        "timeseries",
        title,
        *targets,
        at=at,
        about=about,
        unit=unit,
        defaults={"custom": style, **bounds},
        options={
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def by_name(name: str, *properties: tuple[str, Any]) -> Json:
    """An override for one column."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties],
    }


def services() -> list[Json]:
    """What works where."""
    lost, risk, slow, unknown = (
        next(color for name, _, color in SERVICE_STATES if name == state)
        for state in ("lost", "at_risk", "degraded", "unknown")
    )
    where = f'FROM "service" WHERE $timeFilter AND {PLACE}'
    return [
        count_of("lost", "Not available", lost, 0, "Services in areas that cannot be used now."),
        count_of("degraded", "Slow or partly working", slow, 4, "Services in areas that work badly now."),
        count_of("at_risk", "No spare route left", risk, 8, "Working now; one more failure loses them."),
        count_of("unknown", "Unknown", unknown, 12, "We cannot see. It says nothing about the service."),
        panel(
            "state-timeline",
            "Services by area",
            target(
                f'SELECT last("state") AS "state" {where} GROUP BY time($__interval), "area", "service" fill(null)',
                alias="$tag_area · $tag_service",
            ),
            at=(0, 4, 16, 12),
            about="State over time. A gap means that nothing was written: healthmon was not running.",
            defaults={"mappings": mappings(SERVICE_STATES), "custom": {"fillOpacity": 90, "spanNulls": False}},
            options={"mergeValues": True, "showValue": "auto", "legend": {"displayMode": "list", "showLegend": True}},
        ),
        panel(
            "table",
            "Services now",
            target(
                f'SELECT last("state") AS "state", last("paths_left") AS "spare failures left" {where} '
                'GROUP BY "area", "service"',
                shape="table",
            ),
            at=(16, 4, 8, 12),
            about="The newest state of every service in every area.",
            overrides=[
                by_name("Time", ("custom.hidden", True)),
                by_name("state", ("mappings", mappings(SERVICE_STATES)), IN_COLOUR),
            ],
            options={"showHeader": True, "sortBy": [{"displayName": "state", "desc": False}]},
        ),
    ]


def incidents() -> list[Json]:
    """What is open, and what was."""
    newest = 'SELECT last("open") AS "n" FROM "incidents" WHERE $timeFilter GROUP BY "severity", "kind"'
    return [
        panel(
            "bargauge",
            "Open incidents by severity",
            target(f'SELECT sum("n") AS "open" FROM ({newest}) GROUP BY "severity"', alias="severity $tag_severity"),
            at=(16, 0, 8, 4),
            about="Severity 1 is the worst. All sites.",
            defaults={
                "min": 0,
                "decimals": 0,
                "color": {"mode": "thresholds"},
                "thresholds": thresholds((None, GREY), (1, "#a4133c")),
            },
            options={"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
        ),
        panel(
            "table",
            "Incidents of this time",
            target(
                'SELECT "severity", "state", "title", "root", "areas", "detection_seconds" FROM "incident" '
                'WHERE $timeFilter GROUP BY "incident", "kind"',
                shape="table",
            ),
            at=(0, 16, 16, 8),
            about="By the moment of opening. Areas: how many are affected.",
            options={"showHeader": True, "sortBy": [{"displayName": "Time", "desc": True}]},
            overrides=[by_name("detection_seconds", ("unit", "s"))],
        ),
    ]


def checks() -> list[Json]:
    """What the probes say."""
    where = f'FROM "probe" WHERE $timeFilter AND {PLACE}'
    failed = f"""SELECT count("duration_seconds") AS "n" {where} AND "outcome" = 'failed' GROUP BY "target", "area\""""
    over_time = 'GROUP BY time($__interval), "vantage" fill(null)'
    ehr = f'FROM "http" WHERE $timeFilter AND "target" =~ /^$ehr$/ {over_time}'
    return [
        panel(
            "table",
            "Top failing targets",
            target(f'SELECT top("n", "target", "area", 10) AS "failed runs" FROM ({failed})', shape="table"),
            at=(16, 16, 8, 8),
            about="Failed runs of checks in this time. Runs that could not see are not counted.",
            overrides=[by_name("Time", ("custom.hidden", True))],
            options={"showHeader": True, "sortBy": [{"displayName": "failed runs", "desc": True}]},
        ),
        line(
            "Probe success by area",
            target(
                f'SELECT mean("success") AS "success" {where} GROUP BY time($__interval), "area" fill(null)',
                alias="$tag_area",
            ),
            at=(0, 24, 12, 8),
            about="Share of runs that passed, of those that could see.",
            unit="percentunit",
            min=0,
            max=1,
        ),
        line(
            "Checks that could not see, by area",
            target(
                f"""SELECT count("duration_seconds") AS "unknown" {where} AND "outcome" = 'unknown' """
                'GROUP BY time($__interval), "area" fill(0)',
                alias="$tag_area",
            ),
            at=(12, 24, 12, 8),
            about="Unknown says nothing about the target: no permission, no route, stopped, or our own fault.",
            unit="short",
            drawStyle="bars",
        ),
        line(
            "Patient record response time by vantage point",
            target(f'SELECT percentile("duration_seconds", 50) AS "p50" {ehr}', alias="p50 from $tag_vantage"),
            target(f'SELECT percentile("duration_seconds", 95) AS "p95" {ehr}', alias="p95 from $tag_vantage", ref="B"),
            at=(0, 32, 24, 9),
            about="As seen from the poller and from each agent: one slow ward is the network, all slow is the record.",
            unit="s",
            min=0,
        ),
    ]


def fleet() -> list[Json]:
    """The agents."""
    newest = f'SELECT last("up") AS "up" FROM "agent" WHERE $timeFilter AND {PLACE} GROUP BY "vantage"'
    return [
        panel(
            "stat",
            "Agents heard",
            target(f'SELECT sum("up") AS "up", count("up") AS "of" FROM ({newest})', shape="table"),
            at=(0, 41, 4, 9),
            about="Agents that are up, and how many are known.",
            options={"colorMode": "none", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}},
        ),
        panel(
            "table",
            "Agents",
            target(
                'SELECT last("state") AS "state", last("gaps") AS "gaps", last("skew_seconds") AS "clock off by" '
                f'FROM "agent" WHERE $timeFilter AND {PLACE} GROUP BY "area", "vantage"',
                shape="table",
            ),
            at=(4, 41, 8, 9),
            about="Gaps: batches that never arrived. Clock: corrected by this much.",
            overrides=[
                by_name("Time", ("custom.hidden", True)),
                by_name("state", ("mappings", mappings(AGENT_STATES)), IN_COLOUR),
                by_name("clock off by", ("unit", "s")),
            ],
            options={"showHeader": True},
        ),
        line(
            "Spool of each agent",
            target(
                f'SELECT last("spool_bytes") AS "spool" FROM "agent" WHERE $timeFilter AND {PLACE} '
                'GROUP BY time($__interval), "vantage" fill(null)',
                alias="$tag_vantage",
            ),
            at=(12, 41, 12, 9),
            about="Readings that wait on the agent's disk. It grows while the broker or the store is away.",
            unit="bytes",
            min=0,
        ),
    ]


def variable(name: str, label: str, query: str, **more: Any) -> Json:
    """A choice of tag values; everything by default."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        **more,
    }


def hospital_overview() -> Json:
    """The first board: state of services, incidents, checks, fleet."""
    panels = [*services(), *incidents(), *checks(), *fleet()]
    panels.sort(key=lambda one: (one["gridPos"]["y"], one["gridPos"]["x"]))
    for number, one in enumerate(panels, 1):
        one["id"] = number
    site = 'SHOW TAG VALUES FROM "probe" WITH KEY = "site"'
    area = 'SHOW TAG VALUES FROM "probe" WITH KEY = "area" WHERE "site" =~ /^$site$/'
    ehr = 'SHOW TAG VALUES FROM "http" WITH KEY = "target"'
    first = {"text": ["ehr-web"], "value": ["ehr-web"]}
    return {
        "uid": "healthmon-hospital-overview",
        "title": "Hospital overview",
        "description": "Which clinical service works in which area, what is open, and who is looking.",
        "tags": ["healthmon"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "10s",
        "timezone": "browser",
        "templating": {
            "list": [
                variable("site", "Site", site),
                variable("area", "Area", area),
                variable("ehr", "Patient record", ehr, includeAll=False, allValue=None, current=first),
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


BOARDS = {"hospital-overview.json": hospital_overview}


def render(board: Json) -> str:
    """The file's text."""
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write every board."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, build in BOARDS.items():
        (FOLDER / name).write_text(render(build()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
