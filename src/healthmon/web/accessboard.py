"""The page of access: API tokens made and revoked, sessions ended, and what was done, newest first."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from aiohttp import web

from healthmon.web.accessapi import DAY_S, newest, sign_out
from healthmon.web.actions import NAME_MOST, check_person, check_texts
from healthmon.web.board import checked_form, common, form_text, page
from healthmon.web.people import person
from healthmon.web.permissions import LADDER, Role
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB

DEEDS_MOST = 200
#: How long a token may be made for on the board; the command line and the API take any number of days.
DAYS = (30, 90, 365)


async def show_access(request: web.Request) -> web.Response:
    return page(request, "access", await facts_of(request))


async def facts_of(request: web.Request) -> dict[str, Any]:
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
    return facts | {"roles": LADDER, "days": DAYS, "here": "/access", "made": None, "text": ""}


async def form_make(request: web.Request) -> web.Response:
    """Make a token from the form; its text stands on this one page and nowhere else."""
    site, form, by = request.app[WEB], await checked_form(request), person(request).name
    name, role, days = (form_text(form, field) for field in ("name", "role", "days"))
    if not 0 < len(name) <= NAME_MOST:
        raise bad_request("name", f"must have 1 to {NAME_MOST} characters")
    if role not in LADDER:
        raise bad_request("role", f"must be one of {', '.join(LADDER)}")
    if days not in map(str, DAYS):
        raise bad_request("days", f"must be one of {', '.join(map(str, DAYS))}")
    check_person(site.scrub, by)
    check_texts(site.scrub, name)
    made, text = site.tokens.make(name, Role(role), by=by, expires_at=site.clock.now() + int(days) * DAY_S)
    return page(request, "access", await facts_of(request) | {"made": made, "text": text})


async def form_revoke(request: web.Request) -> web.Response:
    await checked_form(request)
    request.app[WEB].tokens.revoke(request.match_info["id"])
    raise web.HTTPSeeOther("/access")


async def form_end(request: web.Request) -> web.Response:
    """Sign somebody out; one's own session ends at the sign-in page."""
    await checked_form(request)
    sign_out(request.app[WEB], request.match_info["id"])
    raise web.HTTPSeeOther("/access")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/access", show_access),
        web.post("/access/tokens", form_make),
        web.post("/access/tokens/{id}/revoke", form_revoke),
        web.post("/access/sessions/{id}/end", form_end),
    ]
