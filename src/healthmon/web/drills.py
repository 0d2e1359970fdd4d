"""Fire drills of /api/v1: begin one, look at them, answer one."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from healthmon.model.drill import Drill, Hop
from healthmon.model.ports import Drills
from healthmon.model.render import rfc3339
from healthmon.web import params
from healthmon.web.actions import Id, Name, acting_name, check_person, read_body
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB


class Begin(msgspec.Struct, forbid_unknown_fields=True):
    """from: the agent that speaks; left out: the next in turn."""

    from_: Id | None = msgspec.field(default=None, name="from")
    by: Name | None = None


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None


def drills_of(request: web.Request) -> Drills:
    """Raises 404 where there is none."""
    drills = request.app[WEB].drills
    if drills is None:
        raise Problem(404, "not-found", "this server does not offer it")
    return drills


async def listing(request: web.Request) -> web.Response:
    """Newest first."""
    params.only(request, "limit", "cursor")
    found = list(drills_of(request).drills())
    body = params.page(request, found, key=lambda one: (-one.started, one.id), shape=drill_json)
    return web.json_response(body)


async def one(request: web.Request) -> web.Response:
    params.only(request)
    return web.json_response(drill_json(drills_of(request).drill(request.match_info["id"])))


async def begin(request: web.Request) -> web.Response:
    """Answers at once; the drill goes on."""
    site, drills = request.app[WEB], drills_of(request)

    async def act() -> web.Response:
        body = await read_body(request, Begin)
        by = acting_name(request, body.by)
        check_person(site.scrub, by)
        return web.json_response(drill_json(await drills.begin(body.from_, by)), status=201)

    return await site.answers.once(request, act)


async def acknowledge(request: web.Request) -> web.Response:
    """Somebody answers the page of a drill."""
    site, drills = request.app[WEB], drills_of(request)

    async def act() -> web.Response:
        body = await read_body(request, Answer)
        by = acting_name(request, body.by)
        check_person(site.scrub, by)
        return web.json_response(drill_json(await drills.acknowledge(request.match_info["id"], by)))

    return await site.answers.once(request, act)


def drill_json(drill: Drill) -> dict[str, Any]:
    """Every hop with its moment and the seconds since the one before; null where it was not reached."""
    took = drill.took_s()
    hops = [
        {"hop": hop.value, "at": rfc3339(drill.hops.get(hop)), "took_s": took.get(hop.value),
         "late_at": rfc3339(drill.late.get(hop))}
        for hop in Hop
    ]  # fmt: skip
    return {
        "id": drill.id,
        "drill": True,
        "state": drill.state.value,
        "from": drill.agent,
        "by": drill.by,
        "started_at": rfc3339(drill.started),
        "ended_at": rfc3339(drill.ended),
        "scheduled_for": rfc3339(drill.scheduled),
        "paged": list(drill.paged),
        "answered_by": drill.answered_by or None,
        "missing": drill.missing.value if drill.missing else None,
        "because": drill.because or None,
        "hops": hops,
    }


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/drills", listing),
        web.get("/api/v1/drills/{id}", one),
        web.post("/api/v1/drills", begin),
        web.post("/api/v1/drills/{id}/ack", acknowledge),
    ]
