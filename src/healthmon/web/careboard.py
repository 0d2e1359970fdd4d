"""Standards, readiness, and `how was IT this shift`: routes and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from aiohttp import web

from healthmon.web import params
from healthmon.web.actions import read_body
from healthmon.web.board import common, page
from healthmon.web.origin import local_path
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB

Said = Mapping[str, Any]


class CareDesk(Protocol):
    """What this part asks of the server. Raises NotFound, Conflict, StoreDown."""

    async def readiness(self) -> Said: ...

    async def standards(self) -> Said: ...

    async def shifts(self) -> Said: ...

    async def vote(self, area: str, answer: str) -> None: ...


class ShiftVote(msgspec.Struct, forbid_unknown_fields=True):
    """One tap."""

    area: str
    answer: Literal["good", "slow", "bad"]


def desk(request: web.Request) -> CareDesk:
    found = request.app[WEB].care
    if found is None:
        raise Problem(404, "not-found", "this server does not offer it")
    return found


async def readiness(request: web.Request) -> web.Response:
    """Everything that must be ready before IT is not."""
    params.only(request)
    return web.json_response(await desk(request).readiness())


async def standards(request: web.Request) -> web.Response:
    """Availability standards with budget and burn rates."""
    params.only(request)
    return web.json_response(await desk(request).standards())


async def shifts(request: web.Request) -> web.Response:
    """Answers to `how was IT this shift` by area, of the last 30 days."""
    params.only(request)
    return web.json_response(await desk(request).shifts())


async def vote(request: web.Request) -> web.Response:
    """One answer; nothing about who gave it is kept."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, ShiftVote)
        await desk(request).vote(body.area, body.answer)
        return web.json_response({"kept": True})

    return await site.answers.once(request, act)


async def tap(request: web.Request) -> web.Response:
    """The same from a form without a script; then back to where it was tapped."""
    form = await request.post()
    await desk(request).vote(request.match_info["id"], str(form.get("answer", "")))
    raise web.HTTPSeeOther(local_path(str(form.get("next", f"/area/{request.match_info['id']}/shift?thanks=1"))))


async def ask_shift(request: web.Request) -> web.Response:
    """The question by itself, as a page that any ward PC can open."""
    site = request.app[WEB]
    area = site.queries.view().estate.areas.get(request.match_info["id"])
    if area is None:
        raise Problem(404, "not-found", "no such area")
    facts = {"area": area, "thanks": request.query.get("thanks") == "1", "timezone": "UTC"}
    return web.Response(text=site.pages.render("shift.html", facts), content_type="text/html")


async def show_readiness(request: web.Request) -> web.Response:
    facts = common(request, request.app[WEB].queries.view())
    facts["found"] = await desk(request).readiness()
    return page(request, "readiness", facts)


async def show_standards(request: web.Request) -> web.Response:
    view = request.app[WEB].queries.view()
    facts = common(request, view)
    found = await desk(request).standards()
    facts["found"] = found
    facts["names"] = {area.id: area.name for area in view.estate.areas.values()} | {
        f"service {one.id}": one.name for one in view.estate.services.values()
    }
    return page(request, "standards", facts)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/readiness", readiness),
        web.get("/api/v1/standards", standards),
        web.get("/api/v1/shifts", shifts),
        web.post("/api/v1/shifts", vote),
        web.get("/readiness", show_readiness),
        web.get("/standards", show_standards),
        web.get("/area/{id}/shift", ask_shift),
        web.post("/area/{id}/shift", tap),
    ]
