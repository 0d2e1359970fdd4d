"""The maps: what needs what, and what is linked to what, apart from each other."""

from __future__ import annotations

import asyncio

from aiohttp import web

from healthmon.web.board import common, page
from healthmon.web.linkmap import link_map
from healthmon.web.needmap import Wanted, need_map
from healthmon.web.settings import WEB
from healthmon.web.tooling import tools_of

#: A map of more than this is worked out beside the event loop.
MANY_TARGETS = 1000


async def show_map(request: web.Request) -> web.Response:
    """Needs, for one site, area, service or target."""
    view = request.app[WEB].queries.view()
    facts = common(request, view)
    asked = {name: request.query.get(name, "")[:200] for name in ("site", "area", "service", "target")}
    wanted = Wanted(**asked, amiss=request.query.get("amiss") == "1")
    facts["wanted"] = wanted
    many = len(view.estate.targets) > MANY_TARGETS
    facts["map"] = await asyncio.to_thread(need_map, view, wanted) if many else need_map(view, wanted)
    facts["estate"] = view.estate
    return page(request, "map", facts)


async def show_links(request: web.Request) -> web.Response:
    """Links that devices told of, with the needs among their ends."""
    view = request.app[WEB].queries.view()
    facts = common(request, view)
    facts["found"] = await tools_of(request).links()
    facts["map"] = link_map(facts["found"]["items"], view.estate, view.targets)
    return page(request, "links", facts)


def routes() -> list[web.RouteDef]:
    return [web.get("/map", show_map), web.get("/links", show_links)]
