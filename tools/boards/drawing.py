"""A board's data as a page of inline SVG: what its queries answered, in its own words and colours. Not Grafana."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from boards.board import Board
from boards.source import INFLUXDB
from boards.units import said
from boards.words import GREY, NO_DATA, Json

Ask = Callable[[str], list[Json]]
Value = float | str | None
LINES = ("#2a7f9e", "#d9730d", "#6c5b9e", "#c9a227", "#3b6e4f", "#a4133c", "#5f6b7a", "#b07aa1")
WIDE, ROW_PX = 1320, 34
STYLE = """
body{font:13px/1.35 "DejaVu Sans",sans-serif;margin:16px;background:#f3f4f6;color:#1b1f24;width:1320px}
h1{font-size:20px;margin:0}p{margin:2px 0 12px;color:#4a525c}
.grid{display:grid;grid-template-columns:repeat(24,1fr);gap:8px}
section{background:#fff;border:1px solid #d5d9de;border-radius:4px;padding:6px 8px;overflow:hidden}
h2{font-size:12px;margin:0 0 4px;font-weight:600}.none{color:#6b7480}
.stat{color:#fff;border-radius:3px;padding:8px;text-align:center;font-size:20px;margin-bottom:3px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:2px 8px 2px 0;border-bottom:1px solid #e4e7eb}
svg{display:block;width:100%}text{font-size:11px;fill:#1b1f24}.key{display:inline-block;margin-right:10px}
.key i{display:inline-block;width:10px;height:10px;margin-right:4px}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The time shown, in seconds, and the length of a step."""

    start: float
    end: float
    step_s: int

    def x(self, at: float, width: float) -> float:
        return (at - self.start) / (self.end - self.start) * width


def page(board: Board, ask: Ask, span: Span) -> tuple[str, int]:
    """The page, and how many panels had data. ask: the series of an InfluxQL text as InfluxDB answers them."""
    made = board.render(INFLUXDB)
    drawn = [_panel(panel, ask, span) for panel in made["panels"]]
    told = f"<h1>{escape(board.title)}</h1><p>{escape(board.about)}</p>"
    text = f'<!doctype html><meta charset="utf-8"><title>{escape(board.title)}</title><style>{STYLE}</style>{told}'
    return f'{text}<div class="grid">{"".join(body for body, _ in drawn)}</div>', sum(filled for _, filled in drawn)


def _panel(panel: Json, ask: Ask, span: Span) -> tuple[str, bool]:
    answers = [(target, ask(target["query"])) for target in panel["targets"]]
    filled = any(value is not None for _, found in answers for _, _, value in points(found))
    draw = {"stat": _stat, "state-timeline": _timeline, "timeseries": _chart, "table": _table, "bargauge": _bars}
    body = draw[panel["type"]](panel, answers, span) if filled else f'<div class="none">{NO_DATA}</div>'
    wide, high = panel["gridPos"]["w"], panel["gridPos"]["h"] * ROW_PX
    most = "none" if panel["type"] == "state-timeline" else f"{high if filled else 2 * ROW_PX}px"
    place = f"grid-column:span {wide};max-height:{most}"
    return f'<section style="{place}"><h2>{escape(panel["title"])}</h2>{body}</section>', filled


def points(found: list[Json]) -> Iterator[tuple[dict[str, str], float, Value]]:
    """Each value with its tags and its time in seconds; the first column is the value's, tags stand beside or after."""
    for series in found:
        for at, value, *more in series["values"]:
            after = dict(zip(series["columns"][2:], map(_text, more), strict=True))
            yield {**series.get("tags", {}), **after}, at / 1e9, value


def _text(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)


def look(config: Json, value: Value) -> tuple[str, str]:
    """Word and colour of a value, as the panel's mappings and thresholds say."""
    defaults = config.get("defaults", config)
    for one in defaults.get("mappings", ()):
        found = one["options"].get(_key(value)) if one["type"] == "value" else None
        if found:
            return found["text"], found["color"]
    if value is None:
        return NO_DATA, GREY
    color = GREY
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or (isinstance(value, float | int) and value >= step["value"]):
            color = step["color"]
    return said(value, defaults.get("unit", "short")), color


def _key(value: Value) -> str:
    return str(int(value)) if isinstance(value, float | int) and value == int(value) else str(value)


def _stat(panel: Json, answers: list[Any], _: Span) -> str:
    shown = []
    for _, found in answers:
        for tags, _, value in points(found):
            word, color = look(panel["fieldConfig"], value)
            label = f"<small>{escape(' '.join(tags.values()))} </small>" if tags else ""
            shown.append(f'<div class="stat" style="background:{color}">{label}{escape(word)}</div>')
    return "".join(shown[:6])


def _named(target: Json, tags: dict[str, str]) -> str:
    alias = target.get("alias") or ""
    if not alias:
        return " ".join(tags.values()) or target["refId"]
    return re.sub(r"\$tag_(\w+)", lambda match: tags.get(match.group(1), ""), alias)


def _series(answers: Iterable[Any]) -> dict[str, list[tuple[float, Value]]]:
    found: dict[str, list[tuple[float, Value]]] = {}
    for target, answered in answers:
        for tags, at, value in points(answered):
            found.setdefault(_named(target, tags), []).append((at, value))
    return {name: values for name, values in sorted(found.items()) if any(value is not None for _, value in values)}


def _timeline(panel: Json, answers: list[Any], span: Span) -> str:
    series = list(_series(answers).items())
    left, width, parts, keys = 150.0, WIDE * panel["gridPos"]["w"] / 24 - 180, [], {}
    for number, (name, values) in enumerate(series):
        y = number * 20
        parts.append(f'<text x="{left - 8:g}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        for at, value in values:
            if value is None or at < span.start:
                continue
            word, color = look(panel["fieldConfig"], value)
            keys[word] = color
            x, size = left + span.x(at, width), width * span.step_s / (span.end - span.start)
            parts.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{size + 0.5:.1f}" height="16" fill="{color}"/>')
    return _svg(left + width, len(series) * 20 + 4, parts) + _legend(keys.items())


def _legend(keys: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<span class="key"><i style="background:{color}"></i>{escape(word)}</span>' for word, color in keys)


def _chart(panel: Json, answers: list[Any], span: Span) -> str:
    series = dict(list(_series(answers).items())[:8])
    defaults = panel["fieldConfig"]["defaults"]
    numbers = [float(v) for values in series.values() for _, v in values if v is not None]
    low = min(defaults.get("min", min(numbers)), min(numbers))
    high = max(defaults.get("max", max(numbers)), max(numbers)) or 1.0
    width, height, left = WIDE * panel["gridPos"]["w"] / 24 - 30, 150.0, 70.0
    scale = (height - 10) / ((high - low) or 1.0)
    parts = []
    for value in (low, (low + high) / 2, high):
        y = height - (value - low) * scale
        parts.append(f'<line x1="{left}" x2="{width:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e7eb"/>')
        words = escape(said(value, panel["fieldConfig"]["defaults"]["unit"]))
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    for color, values in zip(LINES, series.values(), strict=False):
        for run in _runs(values, span):
            xy = [(left + span.x(at, width - left), height - (value - low) * scale) for at, value in run]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
            parts.append(f'<circle cx="{xy[-1][0]:.1f}" cy="{xy[-1][1]:.1f}" r="2" fill="{color}"/>')
    return _svg(width, height + 6, parts) + _legend(zip(series, LINES, strict=False))


def _runs(values: list[tuple[float, Value]], span: Span) -> Iterator[list[tuple[float, float]]]:
    """Stretches without a gap: what nobody measured is not drawn."""
    run: list[tuple[float, float]] = []
    for at, value in values:
        if value is None or at < span.start:
            if run:
                yield run
            run = []
        else:
            run.append((at, float(value)))
    if run:
        yield run


def _table(panel: Json, answers: list[Any], _: Span) -> str:
    rows: dict[tuple[tuple[str, str], ...], dict[str, Value]] = {}
    columns: list[str] = []
    for _, found in answers:
        if not found:
            continue
        name = found[0]["columns"][1]
        columns.append(name)
        for tags, _, value in points(found):
            rows.setdefault(tuple(sorted(tags.items())), {})[name] = value
    keys = sorted({key for tags in rows for key, _ in tags})
    head = "".join(f"<th>{escape(name.replace('_', ' '))}" for name in (*keys, *columns))
    body = [_row(panel, dict(tags), values, keys=keys, columns=columns) for tags, values in sorted(rows.items())]
    most = panel["gridPos"]["h"] * ROW_PX // 23 - 3
    more = f"<tr><td colspan=9>and {len(body) - most} more" if len(body) > most else ""
    return f"<table><tr>{head}{''.join(body[:most])}{more}</table>"


def _row(panel: Json, tags: dict[str, str], values: dict[str, Value], *, keys: list[str], columns: list[str]) -> str:
    cells = [f"<td>{escape(tags.get(key, ''))}" for key in keys]
    for name in columns:
        word, color = look(_config(panel, name), values.get(name))
        cells.append(f'<td style="color:{color}">{escape(word)}' if color != GREY else f"<td>{escape(word)}")
    return f"<tr>{''.join(cells)}"


def _config(panel: Json, name: str) -> Json:
    """The defaults with what a column says otherwise."""
    made = dict(panel["fieldConfig"]["defaults"])
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"]["options"] == name:
            made |= {prop["id"]: prop["value"] for prop in one["properties"]}
    return made


def _bars(panel: Json, answers: list[Any], _: Span) -> str:
    items = [
        (tags, value) for _, found in answers for tags, _, value in points(found) if isinstance(value, float | int)
    ]
    high = max([panel["fieldConfig"]["defaults"].get("max", 0.0), *(value for _, value in items)]) or 1.0
    left, width, parts = 150.0, WIDE * panel["gridPos"]["w"] / 24 - 30, []
    shown = items[: panel["gridPos"]["h"] * ROW_PX // 20 - 2]
    for number, (tags, value) in enumerate(shown):
        word, color = look(panel["fieldConfig"], value)
        y, size = number * 20, max(1.0, value / high * (width - left - 90))
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(" ".join(tags.values()))}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{size:.1f}" height="14" fill="{color}"/>')
        parts.append(f'<text x="{left + size + 5:.1f}" y="{y + 14}">{escape(word)}</text>')
    return _svg(width, len(shown) * 20 + 4, parts)


def _svg(width: float, height: float, parts: list[str]) -> str:
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">{"".join(parts)}</svg>'
