"""Reading routes of /api/v1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from healthmon import __version__
from healthmon.model.alert import Phase
from healthmon.model.errors import NotFound
from healthmon.model.incident import Incident, IncidentState, LedgerFilter, LedgerRow, ServiceState
from healthmon.model.render import incident_json, rfc3339
from healthmon.model.sample import Outcome, Query
from healthmon.model.view import ServiceStatus, View
from healthmon.web import params, shapes
from healthmon.web.casework import case_json, estate_order
from healthmon.web.fleetlist import agent_json
from healthmon.web.openapi import document
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, engine_stale

Item = TypeVar("Item")

TAGS = ("site", "area", "target", "kind", "check", "vantage")
AGGREGATES = ("mean", "min", "max", "last", "count")
POINTS_MOST = 11_000
RAW_RANGE_S = 7 * 86400.0


def view_of(request: web.Request) -> View:
    """The present snapshot."""
    return request.app[WEB].queries.view()


async def health(request: web.Request) -> web.Response:
    """Is healthmon itself well? 503 when it is failing or its engine is stuck; no login needed."""
    site = request.app[WEB]
    view = site.queries.view()
    now = site.health()
    failing = now.status == "failing" or engine_stale(now)
    body = shapes.health_json(now, version=__version__)
    body["status"] = "failing" if failing else now.status
    body["view_version"], body["view_at"] = view.version, rfc3339(view.at)
    return web.json_response(body, status=503 if failing else 200)


async def targets(request: web.Request) -> web.Response:
    params.only(request, "limit", "cursor", "area", "kind", "outcome")
    view, wanted = view_of(request), params.words(request, "outcome", Outcome)
    area, kind = request.query.get("area"), request.query.get("kind")

    def fits(shape: dict[str, Any]) -> bool:
        return (
            (not wanted or shape["outcome"] in wanted)
            and area in (None, shape["area"])
            and kind in (None, shape["kind"])
        )

    found = [shape for target in view.estate.targets.values() if fits(shape := shapes.target_json(view, target))]
    return web.json_response(params.page(request, found, key=lambda t: (t["id"],), shape=lambda t: t))


async def target(request: web.Request) -> web.Response:
    view = view_of(request)
    found = one(view.estate.targets, request, "target")
    return web.json_response(shapes.target_json(view, found, deep=True))


async def areas(request: web.Request) -> web.Response:
    params.only(request, "limit", "cursor")
    view = view_of(request)
    found = view.estate.areas.values()
    return web.json_response(
        params.page(request, found, key=lambda a: (a.id,), shape=lambda a: shapes.area_json(view, a))
    )


async def area(request: web.Request) -> web.Response:
    view = view_of(request)
    return web.json_response(shapes.area_json(view, one(view.estate.areas, request, "area"), deep=True))


async def services(request: web.Request) -> web.Response:
    params.only(request, "limit", "cursor")
    view = view_of(request)
    found = view.estate.services.values()
    return web.json_response(
        params.page(request, found, key=lambda s: (s.id,), shape=lambda s: shapes.service_json(view, s))
    )


async def service(request: web.Request) -> web.Response:
    view = view_of(request)
    return web.json_response(shapes.service_json(view, one(view.estate.services, request, "service"), deep=True))


async def impact(request: web.Request) -> web.Response:
    """Area x service states, every pair that the estate declares."""
    params.only(request, "limit", "cursor", "area", "service", "state")
    wanted = params.words(request, "state", ServiceState)
    area, service = request.query.get("area"), request.query.get("service")

    def fits(status: ServiceStatus) -> bool:
        return (
            area in (None, status.area) and service in (None, status.service) and (not wanted or status.state in wanted)
        )

    found = filter(fits, view_of(request).services.values())
    body = params.page(request, found, key=lambda s: (s.area, s.service), shape=shapes.service_state_json, most=10_000)
    return web.json_response(body)


async def alerts(request: web.Request) -> web.Response:
    params.only(request, "limit", "cursor", "phase", "target")
    wanted, target = params.words(request, "phase", Phase), request.query.get("target")
    found = [
        a
        for a in view_of(request).alerts
        if (not wanted or a.phase in wanted) and target in (None, a.key.target) and a.phase is not Phase.CLEAR
    ]
    return web.json_response(params.page(request, found, key=lambda a: (str(a.key),), shape=shapes.alert_json))


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What `GET incidents` was asked for; empty means any."""

    states: frozenset[IncidentState]
    severities: frozenset[int]
    area: str | None
    since: float | None

    @classmethod
    def of(cls, request: web.Request) -> IncidentFilter:
        """Read it from the query, strictly."""
        return cls(
            params.words(request, "state", IncidentState),
            params.severities(request),
            request.query.get("area"),
            params.moment(request, "since"),
        )

    def fits(self, incident: Incident) -> bool:
        return (
            (not self.states or incident.state in self.states)
            and (not self.severities or incident.severity in self.severities)
            and (self.area is None or any(line.area == self.area for line in incident.impact))
            and (self.since is None or incident.opened_at >= self.since)
        )


async def incidents(request: web.Request) -> web.Response:
    """Open first, newest first."""
    params.only(request, "limit", "cursor", "state", "severity", "area", "since")
    found = filter(IncidentFilter.of(request).fits, view_of(request).incidents)
    body = params.page(request, found, key=lambda i: (not i.open, -i.opened_at, i.id), shape=incident_json)
    return web.json_response(body)


def find_incident(view: View, wanted: str) -> Incident:
    """The incident of this id; raises NotFound."""
    for found in view.incidents:
        if found.id == wanted:
            return found
    raise NotFound(f"no incident {wanted[:80]!r}")


async def incident(request: web.Request) -> web.Response:
    """One incident with everything that was sent about it, the evidence, and what each area can still do."""
    view = view_of(request)
    found = find_incident(view, request.match_info["id"])
    notices = await request.app[WEB].queries.notices(found.id)
    return web.json_response(incident_json(found, notices) | case_json(found, view))


async def restore_order(request: web.Request) -> web.Response:
    """In what order things can come back, from the graph."""
    params.only(request)
    return web.json_response({"stages": estate_order(view_of(request))})


async def agents(request: web.Request) -> web.Response:
    params.only(request, "limit", "cursor", "state")
    state = request.query.get("state")
    found = [agent for agent in view_of(request).agents.values() if state in (None, agent.state)]
    return web.json_response(params.page(request, found, key=lambda a: (a.agent,), shape=agent_json))


async def ledger(request: web.Request) -> web.Response:
    """Every page that was not sent, and why, newest first."""
    params.only(request, "limit", "cursor", "cause", "incident", "who", "mute", "since", "until", "real")
    count = params.limit(request)
    before, skip = params.moment_cursor(request)
    rows = await request.app[WEB].queries.ledger(skip + count + 1, before, ledger_filter(request))
    shown = rows[skip : skip + count]
    following = None
    if len(rows) > skip + count:
        following = params.to_cursor(after_rows(rows, skip + count))
    return web.json_response({"items": [shapes.ledger_json(row) for row in shown], "next": following})


def ledger_filter(request: web.Request) -> LedgerFilter:
    """Read it from the query, strictly."""
    real = request.query.get("real")
    if real not in (None, "true", "false"):
        raise bad_request("real", "must be true or false")
    given = request.query.get
    return LedgerFilter(
        cause=given("cause"),
        incident=given("incident"),
        who=given("who"),
        mute=given("mute"),
        since=params.moment(request, "since"),
        until=params.moment(request, "until"),
        real=None if real is None else real == "true",
    )


def after_rows(rows: Sequence[LedgerRow], shown: int) -> tuple[float, int]:
    """The next page's cursor; rows of one moment may fall on both sides of a page's edge."""
    last = rows[shown - 1].at
    return math.nextafter(last, math.inf), sum(1 for row in rows[:shown] if row.at == last)


async def query(request: web.Request) -> web.Response:
    """Series by metric (`family.field`) and tags."""
    params.only(
        request, "metric", "start", "end", "range", "step", "aggregate", "limit", "cursor", *TAGS, prefix="label."
    )
    site = request.app[WEB]
    found = await site.queries.series(query_of(request, now=site.clock.now()))
    return web.json_response(
        params.page(request, found, key=lambda s: (sorted(map(list, s.tags.items())),), shape=shapes.series_json)
    )


def query_of(request: web.Request, *, now: float) -> Query:
    """The store query that a request asks for; refuses more than 11,000 points a series."""
    family, dot, field = request.query.get("metric", "").partition(".")
    if not (family and dot and field):
        raise bad_request("metric", "must be family.field, for example icmp.rtt_avg_seconds")
    end = params.moment(request, "end") or now
    start = params.moment(request, "start")
    start = end - params.duration(request, "range", 3600.0) if start is None else start
    step_s = params.duration(request, "step", 0.0)
    if start >= end:
        raise bad_request("start", "must be before end")
    if step_s and (end - start) / step_s > POINTS_MOST:
        raise bad_request("step", f"gives more than {POINTS_MOST} points; take a longer step")
    if not step_s and end - start > RAW_RANGE_S:
        raise bad_request("step", "is needed for a range over 7 days")
    aggregate = request.query.get("aggregate", "mean")
    if aggregate not in AGGREGATES:
        raise bad_request("aggregate", f"{aggregate[:40]!r} (allowed: {', '.join(AGGREGATES)})")
    tags = {tag: request.query[tag] for tag in TAGS if tag in request.query}
    dims = {name[6:]: value for name, value in request.query.items() if name.startswith("label.")}
    return Query(family, field, tags | dims, start, end, step_s, aggregate)


async def openapi(request: web.Request) -> web.Response:
    """The description of this API."""
    return web.json_response(document())


def one(things: Any, request: web.Request, noun: str) -> Any:
    """The thing whose id stands in the path."""
    wanted = request.match_info["id"]
    try:
        return things[wanted]
    except KeyError:
        raise NotFound(f"no {noun} {wanted[:80]!r}") from None


ROUTES: tuple[tuple[str, Callable[[web.Request], Any]], ...] = (
    ("health", health),
    ("targets", targets),
    ("targets/{id}", target),
    ("areas", areas),
    ("areas/{id}", area),
    ("services", services),
    ("services/{id}", service),
    ("impact", impact),
    ("restore-order", restore_order),
    ("alerts", alerts),
    ("incidents", incidents),
    ("incidents/{id}", incident),
    ("ledger", ledger),
    ("query", query),
    ("agents", agents),
    ("openapi.json", openapi),
)
