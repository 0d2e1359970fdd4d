"""The page of the fleet."""

from __future__ import annotations

from aiohttp import web

from healthmon.web.board import common, page
from healthmon.web.fleetlist import rows_of
from healthmon.web.settings import WEB

ROWS_MOST = 500


async def show_fleet(request: web.Request) -> web.Response:
    view = request.app[WEB].queries.view()
    facts = common(request, view)
    everyone = list(view.agents.values())
    rows = rows_of(everyone, facts["clock"])
    facts["total"], facts["up"] = len(rows), sum(agent.state == "up" for agent in everyone)
    facts["rows"] = rows if request.query.get("all") == "1" else rows[:ROWS_MOST]
    return page(request, "agents", facts)


def routes() -> list[web.RouteDef]:
    return [web.get("/agents", show_fleet)]
