"""The two databases that a board can ask, and how Grafana writes a query for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from boards.ask import Ask, Pair
from boards.influxql import influxql
from boards.promql import promql
from boards.states import StateAsk, state_influxql, state_promql
from boards.words import Json

Asked = Ask | StateAsk | Pair


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of database. slug: its folder; suffix: of the boards' uids."""

    slug: str
    kind: str
    uid: str
    suffix: str
    text: Callable[[Asked], str]

    @property
    def ref(self) -> Json:
        return {"type": self.kind, "uid": self.uid}


def _influx(ask: Asked) -> str:
    if isinstance(ask, Pair):
        return ask.influxql
    return state_influxql(ask) if isinstance(ask, StateAsk) else influxql(ask)


def _prom(ask: Asked) -> str:
    if isinstance(ask, Pair):
        return ask.promql
    return state_promql(ask) if isinstance(ask, StateAsk) else promql(ask)


INFLUXDB = Source("influxdb", "influxdb", "healthmon-influxdb", "", _influx)
PROMETHEUS = Source("prometheus", "prometheus", "healthmon-prometheus", "-prometheus", _prom)
SOURCES = (INFLUXDB, PROMETHEUS)


def target(source: Source, ask: Asked, *, ref: str, alias: str = "") -> Json:
    """One query, written out rather than in Grafana's builder form. alias: with `$TAG` for a tag's value."""
    made = {"refId": ref, "datasource": source.ref}
    text = source.text(ask)
    if source is INFLUXDB:
        shape = "time_series" if ask.chart else "table"
        named = {"alias": _words(alias, ask.by, "$tag_{}")} if ask.chart else {}
        return made | {"rawQuery": True, "query": text, "resultFormat": shape} | named
    if ask.chart:
        labels = alias
        for tag in sorted(ask.by, key=len, reverse=True):
            labels = labels.replace(f"${tag}", f"{{{{{ask.label(tag)}}}}}")
        return made | {"expr": text, "range": True, "instant": False, "format": "time_series", "legendFormat": labels}
    return made | {"expr": text, "range": False, "instant": True, "format": "table"}


def _words(alias: str, tags: tuple[str, ...], form: str) -> str:
    for tag in sorted(tags, key=len, reverse=True):
        alias = alias.replace(f"${tag}", form.format(tag))
    return alias
