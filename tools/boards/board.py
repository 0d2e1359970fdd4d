"""A board: rows of panels, choices, marks of incidents, and links; rendered for one database."""

from __future__ import annotations

from dataclasses import dataclass

from boards import influxql, promql
from boards.panels import Panel
from boards.source import INFLUXDB, Source
from boards.words import BAD, Json

#: Where the incident pages are; a choice of every board, so that one edit serves all links.
HOME = "http://127.0.0.1:8470"


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable. family, tag: what it may be; metric: the same for Prometheus; many: several at once and all."""

    name: str
    label: str
    family: str
    tag: str
    metric: str
    many: bool = True
    narrowed: tuple[str, ...] = ()

    def render(self, source: Source) -> Json:
        if source is INFLUXDB:
            where = " AND ".join(f'"{tag}" =~ /^${tag}$/' for tag in self.narrowed)
            query = influxql.values_of(self.family, self.tag, where=where)
        else:
            where = ", ".join(f'{tag}=~"${tag}"' for tag in self.narrowed)
            query = promql.values_of(self.metric, self.tag, where=where)
        everything = {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if self.many else {}
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": source.ref,
            "query": query,
            "refresh": 2,
            "sort": 1,
            "multi": self.many,
            "includeAll": self.many,
            **everything,
        }


SITE = Choice("site", "Site", "probe", "site", "healthmon_probe_outcome")
AREA = Choice("area", "Area", "probe", "area", "healthmon_probe_outcome", narrowed=("site",))


def target_choice(family: str, metric: str, label: str = "Target") -> Choice:
    """All targets that have this family."""
    return Choice("target", label, family, "target", metric, narrowed=("site", "area"))


@dataclass(frozen=True, slots=True)
class Board:
    """uid: never changes; it is what links and bookmarks know."""

    uid: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    choices: tuple[Choice, ...] = (SITE, AREA)
    since: str = "now-6h"
    refresh: str = "30s"

    def render(self, source: Source) -> Json:
        """Grafana's JSON."""
        return {
            "uid": self.uid + source.suffix,
            "title": self.title if source is INFLUXDB else f"{self.title} (Prometheus)",
            "description": self.about,
            "tags": ["healthmon", source.slug],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "time": {"from": self.since, "to": "now"},
            "refresh": self.refresh,
            "timezone": "browser",
            "templating": {"list": [*(one.render(source) for one in self.choices), _home()]},
            "annotations": {"list": [_incidents(source)]},
            "links": _links(source),
            "panels": placed([one.render(source) for one in self.panels], [one.size for one in self.panels]),
        }


def placed(panels: list[Json], sizes: list[tuple[int, int]]) -> list[Json]:
    """From left to right, then down; a row is as high as its highest panel."""
    x = y = height = 0
    for number, (panel, (width, tall)) in enumerate(zip(panels, sizes, strict=True), 1):
        if x + width > 24:
            x, y, height = 0, y + height, 0
        panel["id"] = number
        panel["gridPos"] = {"x": x, "y": y, "w": width, "h": tall}
        x, height = x + width, max(height, tall)
    return panels


def _home() -> Json:
    shown = {"text": HOME, "value": HOME}
    return {
        "type": "textbox",
        "name": "healthmon",
        "label": "healthmon",
        "query": HOME,
        "current": shown,
        "options": [{**shown, "selected": True}],
        "hide": 2,
    }


def _incidents(source: Source) -> Json:
    """A mark where an incident opened (InfluxDB), or a stretch while it is open (Prometheus)."""
    made: Json = {"name": "Incidents", "datasource": source.ref, "enable": True, "iconColor": BAD}
    if source is INFLUXDB:
        query = 'SELECT "title", "severity", "root" FROM "incident" WHERE $timeFilter'
        columns = {"textColumn": "title", "tagsColumn": "severity"}
        how = {"rawQuery": True, "fromAnnotations": True, "textEditor": True}
        return made | {"target": {"refId": "Anno", "query": query, **columns, **how}}
    expr = "max by (incident, kind, root) (healthmon_incident_info)"
    return made | {"target": {"refId": "Anno", "expr": expr, "range": True, "interval": "30s"}}


def _links(source: Source) -> list[Json]:
    others = {"type": "dashboards", "title": "healthmon boards", "tags": ["healthmon", source.slug], "asDropdown": True}
    common = {"icon": "external link", "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": ""}
    pages = (("Live board and incidents", "${healthmon}/"), ("Not covered", "${healthmon}/coverage"))
    own = [
        {"type": "link", "title": title, "url": url, "tags": [], "asDropdown": False, **common, "includeVars": False}
        for title, url in pages
    ]
    return [{**others, "url": "", **common}, *own]


#: Opens an incident on healthmon's own page.
INCIDENT_LINK: Json = {
    "title": "Open the incident: cause, impact, first steps of the runbook",
    "url": "${healthmon}/incident/${__value.raw}",
    "targetBlank": True,
}
