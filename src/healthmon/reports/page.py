"""A report as one HTML file: no script, nothing loaded from elsewhere, printable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from healthmon.reports.charts import bars
from healthmon.reports.period import Period
from healthmon.reports.record import Column, Record, Section

#: Rows of a table on paper; the JSON has all.
ROWS_MOST = 200


def html(record: Record, parts: Sequence[Section], *, area: str | None = None) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("healthmon.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    facts = {
        "organisation": record.estate.organisation.name,
        "area": record.area_name(area) if area else None,
        "period": record.period,
        "until": written("time", record.period.until, record.period),
        "parts": parts,
        "cell": partial(_cell, record.period),
        "chart": partial(_chart, record.period),
        "rows_most": ROWS_MOST,
    }
    return environment.get_template("healthcheck.html").render(facts)


def written(form: str, value: Any, period: Period) -> str:
    """A value as people read it; None is `not known`, never 0."""
    if value is None:
        return "not known"
    match form:
        case "time":
            return f"{period.local(value):%a %d %b %H:%M}"
        case "seconds":
            return _seconds(value)
        case "hours":
            return f"{value / 3600:.1f} h"
        case "ratio":
            return f"{value:.2%}" if abs(value) < 0.999 or value == 1 else f"{value:.4%}"
        case "count":
            return f"{value:g}"
        case "number":
            return f"{value:.2f}"
        case _:
            return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _seconds(value: float) -> str:
    sign, size = ("-" if value < 0 else ""), abs(value)
    if size < 60:
        return f"{sign}{size:.3g} s"
    minutes, rest = divmod(round(size), 60)
    if minutes < 60:
        return f"{sign}{minutes} min {rest:02} s"
    return f"{sign}{minutes // 60} h {minutes % 60:02} min"


def _cell(period: Period, column: Column, row: dict[str, Any]) -> str:
    value = row[column.key]
    return column.empty if value is None else written(column.form, value, period)


def _chart(period: Period, part: Section) -> Markup | str:
    """The bars of a section, or nothing when there is nothing to draw."""
    chart = part.chart
    if chart is None:
        return ""
    found = [row for row in part.rows if row[chart.value]][: chart.most]
    items = [(str(row[chart.label]), float(row[chart.value]), written(chart.form, row[chart.value], period))
             for row in found]  # fmt: skip
    return Markup(bars(chart.title, items)) if items else ""
