"""Panels as a table of what to show; everything that Grafana wants around them is added here."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from boards.ask import Ask, Pair
from boards.source import INFLUXDB, Asked, Source, target
from boards.states import StateAsk
from boards.words import CALM, GREY, NO_DATA, Json, State, mappings, nothing, thresholds

Steps = tuple[tuple[float | None, str], ...]
PLAIN: Steps = ((None, GREY),)


@dataclass(frozen=True, slots=True)
class Number:
    """One number now. bad: (from which value, colour) upwards; below all of them it is grey, never green."""

    title: str
    about: str
    ask: Ask
    unit: str = "short"
    bad: Steps = ()
    words: tuple[Json, ...] = ()
    size: tuple[int, int] = (4, 4)

    def render(self, source: Source) -> Json:
        defaults = {
            "color": {"mode": "thresholds"},
            "thresholds": thresholds((None, GREY), *self.bad),
            "mappings": [*self.words] or [nothing()],
        }
        options = {"colorMode": "background", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}
        return _panel(source, "stat", self, [target(source, self.ask, ref="A")], defaults, options)


@dataclass(frozen=True, slots=True)
class Word:
    """One state now, in words."""

    title: str
    about: str
    ask: StateAsk
    size: tuple[int, int] = (4, 4)
    unit: str = "short"

    def render(self, source: Source) -> Json:
        defaults = {
            "color": {"mode": "thresholds"},
            "thresholds": thresholds(*PLAIN),
            "mappings": mappings(self.ask.states),
        }
        fields = "/.*/" if source is INFLUXDB else f"/^{self.ask.text_field}$/"
        options = {
            "colorMode": "background",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": fields},
        }
        return _panel(source, "stat", self, [target(source, self.ask, ref="A")], defaults, options)


@dataclass(frozen=True, slots=True)
class Timeline:
    """States over time, a row each. A gap means that nothing was written."""

    title: str
    about: str
    ask: StateAsk
    alias: str
    size: tuple[int, int] = (24, 10)
    unit: str = "short"

    def render(self, source: Source) -> Json:
        defaults = {
            "mappings": mappings(self.ask.states, numbered=source is not INFLUXDB),
            "color": {"mode": "thresholds"},
            "thresholds": thresholds(*PLAIN),
            "custom": {"fillOpacity": 90, "spanNulls": False},
        }
        options = {"mergeValues": True, "showValue": "auto", "legend": {"displayMode": "list", "showLegend": True}}
        made = [target(source, self.ask, ref="A", alias=self.alias)]
        return _panel(source, "state-timeline", self, made, defaults, options)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by the same tags, one query each. words, units, links: by column."""

    title: str
    about: str
    columns: tuple[Asked, ...]
    words: Mapping[str, list[Json]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    bad: Mapping[str, Steps] = field(default_factory=dict)
    links: Mapping[str, Json] = field(default_factory=dict)
    sort: str = ""
    falling: bool = True
    size: tuple[int, int] = (12, 9)
    unit: str = "short"

    def render(self, source: Source) -> Json:
        refs = string.ascii_uppercase
        made = [target(source, ask, ref=refs[number]) for number, ask in enumerate(self.columns)]
        options = {"showHeader": True, "cellHeight": "sm"}
        if self.sort:
            options["sortBy"] = [{"displayName": self.sort, "desc": self.falling}]
        panel = _panel(source, "table", self, made, {"mappings": [nothing()]}, options)
        panel["fieldConfig"]["overrides"] = [self._override(name) for name in self._named()]
        panel["transformations"] = self._joined(source)
        return panel

    def _named(self) -> list[str]:
        return list(dict.fromkeys([*self.words, *self.units, *self.bad, *self.links]))

    def _override(self, name: str) -> Json:
        properties: list[Json] = []
        if name in self.words:
            properties.append({"id": "mappings", "value": self.words[name]})
        if name in self.units:
            properties.append({"id": "unit", "value": self.units[name]})
        if name in self.bad:
            properties.append({"id": "thresholds", "value": thresholds((None, GREY), *self.bad[name])})
            properties.append({"id": "color", "value": {"mode": "thresholds"}})
        if name in self.words or name in self.bad:
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        if name in self.links:
            properties.append({"id": "links", "value": [self.links[name]]})
        return {"matcher": {"id": "byName", "options": name}, "properties": properties}

    def _joined(self, source: Source) -> list[Json]:
        """The times of the queries differ and say nothing here; without them equal tags become one row."""
        steps: list[Json] = [
            {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time"]}}},
            {"id": "merge", "options": {}},
        ]
        if source is not INFLUXDB:
            steps.append({"id": "organize", "options": self._renamed()})
        return steps

    def _renamed(self) -> Json:
        """Prometheus' `Value #A` under the column's name; a state stands in its label, its value says nothing."""
        renamed: dict[str, str] = {}
        hidden: dict[str, bool] = {}
        for ref, ask in zip(string.ascii_uppercase, self.columns, strict=False):
            value = "Value" if len(self.columns) == 1 else f"Value #{ref}"
            if isinstance(ask, StateAsk):
                hidden[value] = True
                renamed[ask.text_field] = ask.name
            else:
                renamed[value] = ask.name
            renamed |= {ask.label(tag): tag for tag in ask.by if ask.label(tag) != tag}
        return {"excludeByName": hidden, "indexByName": {}, "renameByName": renamed}


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over time, with gaps where nothing was measured. alias: `$TAG` stands for a tag's value; limits: dashed."""

    title: str
    about: str
    asks: tuple[Ask | Pair, ...]
    alias: str | tuple[str, ...] = ""
    unit: str = "short"
    least: float | None = 0
    most: float | None = None
    bars: bool = False
    stacked: bool = False
    limits: Steps = ()
    size: tuple[int, int] = (12, 8)

    def render(self, source: Source) -> Json:
        aliases = (self.alias,) * len(self.asks) if isinstance(self.alias, str) else self.alias
        made = [
            target(source, ask, ref=string.ascii_uppercase[number], alias=alias)
            for number, (ask, alias) in enumerate(zip(self.asks, aliases, strict=True))
        ]
        defaults: Json = {"custom": self._style(), "mappings": [nothing()]}
        defaults |= {name: bound for name, bound in (("min", self.least), ("max", self.most)) if bound is not None}
        if self.limits:
            defaults["thresholds"] = thresholds((None, CALM), *self.limits)
        options = {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
        return _panel(source, "timeseries", self, made, defaults, options)

    def _style(self) -> Json:
        style: Json = {
            "drawStyle": "bars" if self.bars else "line",
            "lineWidth": 2,
            "spanNulls": False,
            "showPoints": "auto",
            "fillOpacity": 30 if self.stacked or self.bars else 0,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
        }
        if self.limits:
            style["thresholdsStyle"] = {"mode": "dashed"}
        return style


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar for each member of a group, now."""

    title: str
    about: str
    ask: Ask
    unit: str = "short"
    bad: Steps = ()
    most: float | None = None
    size: tuple[int, int] = (8, 8)

    def render(self, source: Source) -> Json:
        defaults: Json = {
            "min": 0,
            "color": {"mode": "thresholds"},
            "thresholds": thresholds((None, GREY), *self.bad),
            "mappings": [nothing()],
        }
        if self.most is not None:
            defaults["max"] = self.most
        options = {
            "orientation": "horizontal",
            "displayMode": "basic",
            "reduceOptions": {"calcs": ["lastNotNull"], "values": True},
        }
        return _panel(source, "bargauge", self, [target(source, self.ask, ref="A")], defaults, options)


Panel = Number | Word | Timeline | Table | Chart | Bars


def asks_of(panel: Panel) -> tuple[Asked, ...]:
    """What it asks, in the order of its targets."""
    if isinstance(panel, Table):
        return panel.columns
    return panel.asks if isinstance(panel, Chart) else (panel.ask,)


def states(ask: StateAsk) -> list[Json]:
    """The words of a table's column of states."""
    return mappings(ask.states)


def _panel(source: Source, kind: str, panel: Panel, targets: list[Json], defaults: Json, options: Json) -> Json:
    return {
        "type": kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source.ref,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "noValue": NO_DATA, **defaults}, "overrides": []},
        "options": options,
        "transformations": [],
    }


__all__ = ["Bars", "Chart", "Number", "Panel", "State", "Table", "Timeline", "Word", "asks_of", "states"]
