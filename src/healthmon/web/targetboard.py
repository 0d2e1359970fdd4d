"""The pages of targets: all of them with their last hour, and one with everything that is measured on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from healthmon.impact.grounds import graph_of
from healthmon.model.errors import NotFound, StoreDown
from healthmon.model.sample import Query, Reading, Series
from healthmon.model.topology import Target, need_ids
from healthmon.model.view import View
from healthmon.web.board import common, page
from healthmon.web.cards import thing_name
from healthmon.web.charts import Chart, Point, Span, chart, field_words, numbers, per_second
from healthmon.web.settings import WEB, Web
from healthmon.web.targetrows import target_rows, target_state
from healthmon.web.words import LocalTime, reason_words

ROWS_MOST = 500  # shown unless all are asked for
SPARKS_MOST = 60  # the first rows have a chart
HOURS = (1, 6, 24, 168)
POINTS = 120
METRICS_MOST, SERIES_MOST, NAMES_MOST = 12, 4, 20
_OWN_TAGS = frozenset({"site", "area", "target", "kind", "check", "vantage"})


@dataclass(frozen=True, slots=True)
class LookRow:
    """One check from one place, as last seen."""

    check: str
    vantage: str
    state: str
    symbol: str
    word: str
    why: str
    at: str
    took: str


async def show_targets(request: web.Request) -> web.Response:
    site = request.app[WEB]
    view = site.queries.view()
    facts = common(request, view)
    most = 100_000 if request.query.get("all") == "1" else ROWS_MOST
    rows = target_rows(view, facts["now"], most=most)
    facts["rows"] = rows
    facts["total"] = len(view.estate.targets)
    facts["sparks"] = await sparks(site, [row.id for row in rows[:SPARKS_MOST]], facts["clock"])
    return page(request, "targets", facts)


async def show_target(request: web.Request) -> web.Response:
    site = request.app[WEB]
    view = site.queries.view()
    target = view.estate.targets.get(request.match_info["id"])
    if target is None:
        raise NotFound(f"no target {request.match_info['id'][:80]!r}")
    facts = common(request, view)
    asked = request.query.get("hours", "1")
    hours = int(asked) if asked.isdigit() and int(asked) in HOURS else HOURS[0]
    facts |= about(target, view, facts["clock"])
    facts["hours"], facts["choices"] = hours, HOURS
    facts["charts"] = None
    with contextlib.suppress(StoreDown):
        facts["charts"] = await charts_of(site, target, view, span_of(hours, facts["clock"]))
    return page(request, "target", facts)


def span_of(hours: int, clock: LocalTime) -> Span:
    """The last hours in a fixed number of steps."""
    step_s = hours * 3600.0 / POINTS
    end = (clock.now // step_s + 1) * step_s
    return Span(end - hours * 3600.0, end, step_s)


async def sparks(site: Web, targets: Iterable[str], clock: LocalTime) -> dict[str, Chart]:
    """How long answers took in the last hour, for these targets; empty while the store cannot be read."""
    span = span_of(1, clock)
    names = list(targets)
    try:
        made = await asyncio.gather(*(_durations(site, name, span, clock) for name in names))
    except StoreDown:
        return {}
    return {name: charts[0] for name, charts in zip(names, made, strict=True) if charts}


async def charts_of(site: Web, target: Target, view: View, span: Span) -> tuple[Chart, ...]:
    """The duration of each check, then what is measured on it."""
    clock = LocalTime.of(view.estate, site.clock.now(), target.site)
    found = list(await _durations(site, target.id, span, clock))
    wanted = dict.fromkeys(
        (sample.family, sample.field)
        for reading in _latest(view, target.id)
        for sample in reading.samples
        if isinstance(sample.value, float)
    )
    for family, field in list(wanted)[:METRICS_MOST]:
        query = Query(family, field, {"target": target.id}, span.start, span.end, span.step_s, _aggregate(field))
        for series in (await site.queries.series(query))[:SERIES_MOST]:
            points = numbers(series)
            title = field_words(family, field, _labels(series))
            if field.endswith("_total"):
                points, title = per_second(points), f"{title} per second"
            made = chart(title, field, points, span=span, clock=clock)
            if made:
                found.append(made)
    return tuple(found)


async def _durations(site: Web, target: str, span: Span, clock: LocalTime) -> list[Chart]:
    """One chart for each check and vantage point."""
    match = {"target": target}
    took = await site.queries.series(
        Query("probe", "duration_seconds", match, span.start, span.end, span.step_s, "mean")
    )
    good = await site.queries.series(Query("probe", "success", match, span.start, span.end, span.step_s, "min"))
    failed = {_key(series): [at for at, value in numbers(series) if value < 1.0] for series in good}
    points: dict[tuple[str, str], list[Point]] = {_key(series): numbers(series) for series in took}
    made = (
        chart(
            f"{check} from {vantage}",
            "duration_seconds",
            points.get((check, vantage), []),
            span=span,
            clock=clock,
            failed=failed.get((check, vantage), ()),
        )
        for check, vantage in sorted(points.keys() | failed.keys())
    )
    return [one for one in made if one is not None]


def about(target: Target, view: View, clock: LocalTime) -> dict[str, object]:
    """What is known of it without the store."""
    status = view.targets.get(target.id)
    state, word, symbol = target_state(status)
    graph, estate = graph_of(view.estate), view.estate
    needs = [thing_name(estate, id_) for id_ in graph.requires(target.id)]
    users = sorted(graph.descendants(target.id))
    wards = [area.name for area in estate.areas.values() if target.id in need_ids(area.needs)]
    area, team = estate.areas.get(target.area or ""), estate.teams.get(target.team or "")
    explained = status.explained_by if status else None
    return {
        "target": target,
        "state": state,
        "word": word,
        "symbol": symbol,
        "why": reason_words(status.reason) if status and status.reason else "",
        "behind": thing_name(estate, explained) if explained else "",
        "since": clock.short(status.since) if status else "",
        "area": area.name if area else "",
        "team": team.name if team else "",
        "needs": needs[:NAMES_MOST],
        "needs_more": max(0, len(needs) - NAMES_MOST),
        "users": [*wards, *(_user_name(view, id_) for id_ in users[:NAMES_MOST])],
        "users_more": max(0, len(users) - NAMES_MOST),
        "incidents": [i for i in view.incidents if i.open and any(m.key.target == target.id for m in i.members)],
        "looks": [_look(reading, clock) for reading in _latest(view, target.id)],
    }


def _look(reading: Reading, clock: LocalTime) -> LookRow:
    shown: Mapping[str, tuple[str, str, str]] = {
        "ok": ("ok", "✓", "answers"),
        "failed": ("lost", "✕", "failing"),
        "unknown": ("unknown", "?", "we cannot see"),
    }
    state, symbol, word = shown[reading.outcome.value]
    why = reason_words(reading.reason.value) if reading.reason else ""
    took = f"{reading.took * 1000:.3g} ms" if reading.took < 1.0 else f"{reading.took:.3g} s"
    return LookRow(reading.check, reading.vantage, state, symbol, word, why, clock.short(reading.started), took)


def _latest(view: View, target: str) -> list[Reading]:
    found = [(key, reading) for key, reading in view.latest.items() if key[0] == target]
    return [reading for _, reading in sorted(found, key=lambda pair: pair[0])]


def _user_name(view: View, id_: str) -> str:
    service = view.estate.services.get(id_)
    return service.name if service else thing_name(view.estate, id_)


def _key(series: Series) -> tuple[str, str]:
    return series.tags.get("check", ""), series.tags.get("vantage", "")


def _labels(series: Series) -> list[str]:
    """The dimensions, and who looked when that is not the poller."""
    found = [value for name, value in sorted(series.tags.items()) if name not in _OWN_TAGS]
    vantage = series.tags.get("vantage", "poller")
    return found if vantage == "poller" else [*found, f"from {vantage}"]


def _aggregate(field: str) -> str:
    return "last" if field.endswith("_total") else "mean"


def routes() -> list[web.RouteDef]:
    return [web.get("/targets", show_targets), web.get("/targets/{id}", show_target)]
