"""The page of access: API tokens, who is signed in, and what was done, newest first. It only shows."""

from __future__ import annotations

import asyncio
from itertools import islice

from aiohttp import web

from healthmon.web.accessapi import newest
from healthmon.web.board import common, page
from healthmon.web.settings import WEB

DEEDS_MOST = 200


async def show_access(request: web.Request) -> web.Response:
    site = request.app[WEB]
    facts = common(request, site.queries.view())
    clock, now = facts["clock"], facts["now"]
    facts["tokens"] = [
        one.as_json(now) | {"made": clock.short(one.made_at), "ends": clock.short(one.expires_at)}
        for one in site.tokens.all()
    ]
    facts["sessions"] = [
        {"one": one, "issued": clock.short(one.issued), "seen": clock.short(one.seen)} for one in site.sessions.all()
    ]
    facts["kept"] = site.audit.path is not None
    facts["deeds"] = await asyncio.to_thread(lambda: list(islice(newest(site.audit.rows(), None, {}), DEEDS_MOST)))
    return page(request, "access", facts)


def routes() -> list[web.RouteDef]:
    return [web.get("/access", show_access)]
