"""GET /area/ID: the page for a ward's wall or phone. Works without scripts; says by itself when it is out of date."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import Any

from aiohttp import web

from healthmon.model.topology import Area
from healthmon.web.access import person
from healthmon.web.events import following, frame, send
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB, engine_stale
from healthmon.web.wardmodel import MARKS, Ward
from healthmon.web.wards import body_of, heard_of, taken, wards_of
from healthmon.web.words import LocalTime

#: A page that was not renewed for so long says so: by the style sheet where there is no script.
STREAMS_MOST = 2_000
_NAME_MOST = 60


def area_of(request: web.Request) -> Area:
    """Raises 404, with a number to ring."""
    found = request.app[WEB].queries.view().estate.areas.get(request.match_info["id"])
    if found is None:
        desk = wards_of(request).ring("")
        raise Problem(404, "not-found", f"no area of this name is known here; ring {desk.name}: {desk.phone or '?'}")
    return found


async def show_ward(request: web.Request) -> web.Response:
    """The whole page, or with `?part=live` the part that changes."""
    facts = await facts_of(request)
    pages = request.app[WEB].pages
    if request.query.get("part") != "live":
        return web.Response(text=pages.render("ward.html", facts), content_type="text/html")
    part = pages.render("ward_live.html", facts)
    tag = f'"{hashlib.sha256(part.encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    return web.Response(text=part, content_type="text/html", headers={"ETag": tag})


async def facts_of(request: web.Request) -> dict[str, Any]:
    """What the template needs."""
    site, wards, area = request.app[WEB], wards_of(request), area_of(request)
    view, now = site.queries.view(), site.clock.now()
    words, desk = wards.words(area.id), wards.ring(area.id)
    clock = LocalTime.of(view.estate, now, area.site)
    ward = Ward(view, area, words, desk, clock)
    return {
        "area": area,
        "words": words,
        "desk": desk,
        "page": ward.page(wards.stages(), await wards.marks()),
        "as_at": clock.short(now),
        "zone": clock.zone_words(),
        "expired": engine_stale(site.health()),
        "marks_known": MARKS,
        "organisation": view.estate.organisation.name,
        "name": person(request).name,
    }


async def post_report(request: web.Request) -> web.Response:
    """One of the three big answers, or "still not working": said, and answered on a page of its own."""
    area = area_of(request)
    heard = heard_of(await body_of(request), request, area=area.id)
    facts = await facts_of(request)
    facts["answer"] = await taken(request, heard)
    return web.Response(text=request.app[WEB].pages.render("ward_said.html", facts), content_type="text/html")


async def post_works(request: web.Request) -> web.Response:
    """The ward can work again."""
    area, body = area_of(request), await body_of(request) or {}
    await wards_of(request).works_again(str(body.get("incident", "")), area.id)
    raise web.HTTPSeeOther(f"/area/{area.id}")


async def post_mark(request: web.Request) -> web.Response:
    """A person says that paper, or writing back, began or ended."""
    area, body = area_of(request), await body_of(request) or {}
    what = str(body.get("what", ""))
    if what not in MARKS:
        raise Problem(400, "invalid", f"what: unknown mark (allowed: {', '.join(MARKS)})")
    by = " ".join(str(body.get("by", "")).split())[:_NAME_MOST]
    await wards_of(request).mark(area.id, what, by)
    raise web.HTTPSeeOther(f"/area/{area.id}")


async def ward_events(request: web.Request) -> web.StreamResponse:
    """Says only that something has changed; what, the page asks for itself."""
    area_of(request)
    site = request.app[WEB]
    if len(site.streams) >= STREAMS_MOST:
        raise Problem(503, "too-many-streams", "too many pages are open", headers={"Retry-After": "30"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(None) as leash:
            site.streams.add(leash)
            try:
                await send(response, b"retry: 5000\n\n")
                view, version = site.queries.view(), -1
                while True:
                    if view.version != version:
                        await send(response, frame("view", {"version": view.version}, view.version))
                        version = view.version
                    await send(response, b": beat\n\n")
                    view = await following(site, version)
            finally:
                site.streams.discard(leash)
    return response


def routes() -> list[web.RouteDef]:
    return [
        web.get("/area/{id}", show_ward),
        web.get("/area/{id}/events", ward_events, allow_head=False),
        web.post("/area/{id}/report", post_report),
        web.post("/area/{id}/works", post_works),
        web.post("/area/{id}/mark", post_mark),
    ]
