"""An `Ask` in InfluxQL, which InfluxDB 1.x, 2.x (through the bucket's mapping) and 3.x understand."""

from __future__ import annotations

from boards.ask import CHOICES, Ask, Fold, Over

_OVER = {
    Over.LAST: "last({})",
    Over.MEAN: "mean({})",
    Over.MAX: "max({})",
    Over.MIN: "min({})",
    Over.P50: "percentile({}, 50)",
    Over.P95: "percentile({}, 95)",
    Over.RATE: "non_negative_derivative(last({}), 1s)",
    Over.INCREASE: "non_negative_difference(last({}))",
}


def influxql(ask: Ask) -> str:
    """The query text; times and choices are Grafana's macros and variables."""
    return _chart(ask) if ask.chart else _now(ask)


def _now(ask: Ask) -> str:
    window = f"time > ${{__to}}ms - {ask.fresh_s}s AND time <= ${{__to}}ms" if ask.over is Over.LAST else "$timeFilter"
    inner = f'SELECT {_OVER[ask.over].format(quoted(ask.field))} AS "v" {_from(ask, window)} GROUP BY *'
    if ask.fold is Fold.COUNT and ask.only:
        return _counted(ask, inner)
    folded = f'SELECT {_folded(ask)} AS "{ask.name}" FROM ({inner}){_only(ask)}{_by(ask.by)}'
    if not ask.most:
        return folded
    tags = "".join(f", {quoted(tag)}" for tag in ask.by)
    return f'SELECT top("{ask.name}"{tags}, {ask.most}) AS "{ask.name}" FROM ({folded})'


def _counted(ask: Ask, inner: str) -> str:
    """None of many is 0; none of none is no answer at all: what nobody saw is not "none"."""
    passed = f'SELECT count("v") AS "n" FROM ({inner}) WHERE "v" {ask.only}{_by(ask.by)}'
    seen = f'SELECT 0 * count("v") AS "n" FROM ({inner}){_by(ask.by)}'
    return f'SELECT sum("n") AS "{ask.name}" FROM ({passed}), ({seen}){_by(ask.by)}'


def _chart(ask: Ask) -> str:
    step = "GROUP BY time($__interval), * fill(none)"
    inner = f'SELECT {_OVER[ask.over].format(quoted(ask.field))} AS "v" {_from(ask, "$timeFilter")} {step}'
    by = ", ".join(["time($__interval)", *map(quoted, ask.by)])
    only = f' AND "v" {ask.only}' if ask.only else ""
    return f'SELECT {_folded(ask)} AS "{ask.name}" FROM ({inner}) WHERE $timeFilter{only} GROUP BY {by} fill(null)'


def _folded(ask: Ask) -> str:
    folded = f'{ask.fold}("v")'
    return f"1 - {folded}" if ask.share else folded


def _from(ask: Ask, window: str) -> str:
    conditions = [window, *(f'"{tag}" =~ /^{CHOICES[tag]}$/' for tag in ask.place), *map(_condition, ask.where.items())]
    return f'FROM "{ask.family}" WHERE {" AND ".join(conditions)}'


def _condition(pair: tuple[str, str]) -> str:
    tag, value = pair
    if value.startswith("/"):
        return f'"{tag}" =~ /^{value.strip("/")}$/'
    return f"\"{tag}\" = '{value}'"


def _only(ask: Ask) -> str:
    return f' WHERE "v" {ask.only}' if ask.only else ""


def _by(tags: tuple[str, ...]) -> str:
    return f" GROUP BY {', '.join(map(quoted, tags))}" if tags else ""


def quoted(name: str) -> str:
    """An identifier."""
    return f'"{name}"'


def values_of(family: str, tag: str, *, where: str = "") -> str:
    """The query of a variable: what a tag may be."""
    narrowed = f" WHERE {where}" if where else ""
    return f'SHOW TAG VALUES FROM "{family}" WITH KEY = "{tag}"{narrowed}'


__all__ = ["Fold", "influxql", "quoted", "values_of"]
