"""Queries as InfluxQL text, and its JSON answers as series."""

from __future__ import annotations

from typing import Any

from healthmon.model.sample import Query, Series, Value
from healthmon.store.lineproto import micros_of

AGGREGATES = ("mean", "min", "max", "last", "count")


def statement(query: Query, most_points: int) -> str:
    """One SELECT over every series that matches, newest bucket last."""
    if query.aggregate not in AGGREGATES:
        raise ValueError(f"aggregate {query.aggregate!r} (allowed: {', '.join(AGGREGATES)})")
    field = identifier(query.field)
    step = micros_of(query.step_s) if query.step_s > 0 and not query.newest else 0
    what = f"{query.aggregate}({field})" if step else f"last({field})" if query.newest else field
    where = [f"time >= {micros_of(max(0.0, query.start))}u"]
    if query.end > 0:
        where.append(f"time < {micros_of(query.end)}u")
    where += [f"{identifier(name)} = {string(value)}" for name, value in query.match.items()]
    group = f"time({step}u), * fill(none)" if step else "*"
    return (
        f"SELECT {what} AS value FROM {identifier(query.family)} "
        f"WHERE {' AND '.join(where)} GROUP BY {group} LIMIT {most_points + 1}"
    )


def identifier(name: str) -> str:
    """A quoted measurement, field or tag name."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def string(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def series_of(body: dict[str, Any], query: Query) -> list[Series]:
    """The series of an answer whose times are epoch microseconds; raises ValueError with the database's words."""
    try:
        return _series_of(body, query)
    except (AttributeError, IndexError, KeyError, TypeError, OverflowError):
        raise ValueError("the database's answer is not one of InfluxQL") from None


def _series_of(body: dict[str, Any], query: Query) -> list[Series]:
    result = (body.get("results") or [{}])[0]
    error = body.get("error") or result.get("error")
    if error:
        if "database not found" in error or "unsupported" in error:  # not written yet; no such sum over text
            return []
        raise ValueError(f"the database refused the query: {error}")
    found = []
    for series in result.get("series", []):
        if series["name"] != query.family:
            raise ValueError(
                f"the database answered about {series['name']!r} when asked for {query.family!r}: "
                "it does not understand InfluxQL, read it with its own tools"
            )
        tags = {name: value for name, value in series.get("tags", {}).items() if value}
        points = [(at / 1e6, _value(value)) for at, value in series["values"] if value is not None]
        found.append(Series(tags, points))
    return found


def _value(value: Value) -> Value:
    return value if isinstance(value, (bool, str)) else float(value)
