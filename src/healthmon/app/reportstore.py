"""Reads from a store what a report needs of PCs and of looks at services, in pieces that the store answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from healthmon.config import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.model.sample import Query, Series, Value
from healthmon.model.topology import need_ids
from healthmon.reports.availability import Line
from healthmon.reports.endpoints import ASKED, Pc, pc_of
from healthmon.reports.facts import PC_KINDS
from healthmon.reports.period import Period

Ask = Callable[[Query], Awaitable[list[Series]]]
Progress = Callable[[int, int, str], None]
_SHORTEST_S = 60.0
_DAY_S = 86_400.0
Told = dict[str, dict[tuple[str, str], list[tuple[float, Value]]]]


async def points_of(ask: Ask, query: Query) -> list[Series]:
    """A query of any size: the time is halved until the store answers. Raises ValueError, StoreDown."""
    try:
        return await ask(query)
    except ValueError as error:
        if "points" not in str(error) or query.end - query.start <= _SHORTEST_S:
            raise
    middle = (query.start + query.end) / 2
    early = await points_of(ask, replace(query, end=middle))
    late = await points_of(ask, replace(query, start=middle))
    found = {tuple(sorted(one.tags.items())): list(one.points) for one in early}
    for one in late:
        found.setdefault(tuple(sorted(one.tags.items())), []).extend(one.points)
    return [Series(dict(tags), points) for tags, points in found.items()]


async def pcs_of(site: SiteConfig, period: Period, ask: Ask, *, area: str | None, progress: Progress) -> list[Pc]:
    """Every PC of the inventory with what it told; those that told nothing too."""
    targets = {
        id_: target.area
        for id_, target in site.estate.targets.items()
        if target.area is not None and target.kind in PC_KINDS and area in (None, target.area)
    }
    if not targets:
        return []
    told = await _told(period, ask, {} if area is None else {"area": area}, progress)
    calendar, known = Calendar(site.estate, site.holidays), period.local
    return [
        pc_of(
            id_, where, told.get(id_, {}), start=period.start,
            staffed=lambda at, where=where: calendar.staffed(where, at), hour=lambda at: known(at).hour,  # type: ignore[misc]
        )
        for id_, where in targets.items()
    ]  # fmt: skip


async def _told(period: Period, ask: Ask, match: dict[str, str], progress: Progress) -> Told:
    found: Told = {}
    for number, (family, name) in enumerate(ASKED, 1):
        at = period.start
        while at < period.until:
            query = Query(family, name, match, at, min(at + _DAY_S, period.until))
            for series in await points_of(ask, query):
                points = found.setdefault(series.tags.get("target", ""), {}).setdefault((family, name), [])
                points.extend(series.points)
            at += _DAY_S
        progress(number, len(ASKED), "PCs")
    return found


async def responses_of(
    site: SiteConfig, period: Period, ask: Ask, *, area: str | None, progress: Progress
) -> Mapping[Line, tuple[float, ...]]:
    """Seconds of each look at what a service names, from machines of the area itself; of looks that succeeded."""
    estate = site.estate
    by_target: dict[str, list[str]] = {}
    for service in estate.services.values():
        for id_ in dict.fromkeys(need_ids(service.needs)):
            target = estate.targets.get(id_)
            if target is not None and any(_from_wards(check.vantages, site) for check in target.checks):
                by_target.setdefault(id_, []).append(service.id)
    used = {service.id: set(service.used_in) for service in estate.services.values()}
    found: dict[Line, list[float]] = {}
    for number, (target_id, services) in enumerate(sorted(by_target.items()), 1):
        for where, took in await _looks(site, period, ask, target_id):
            for service_id in services:
                if where in used[service_id] and area in (None, where):
                    found.setdefault((where, service_id), []).append(took)
        progress(number, len(by_target), "responses")
    return {line: tuple(sorted(values)) for line, values in found.items()}


def _from_wards(vantages: tuple[str, ...], site: SiteConfig) -> bool:
    return "agents" in vantages or any(site.estate.vantage_area(one) is not None for one in vantages)


async def _looks(site: SiteConfig, period: Period, ask: Ask, target: str) -> list[tuple[str, float]]:
    """(area of the looker, seconds) of each good look from inside an area, in the order of time."""
    found: list[tuple[float, str, float]] = []
    at = period.start
    while at < period.until:
        looked = Query("probe", "success", {"target": target}, at, min(at + _DAY_S, period.until))
        good = {
            (tuple(sorted(one.tags.items())), moment)
            for one in await points_of(ask, looked)
            for moment, value in one.points if value == 1.0
        }  # fmt: skip
        for one in await points_of(ask, replace(looked, field="duration_seconds")):
            where, key = site.estate.vantage_area(one.tags.get("vantage", "")), tuple(sorted(one.tags.items()))
            if where is not None:
                found += [(moment, where, float(v)) for moment, v in one.points if (key, moment) in good]
        at += _DAY_S
    return [(where, took) for _, where, took in sorted(found)]
