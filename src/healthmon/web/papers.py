"""Papers of the hours after: as JSON, as text, as a page to print, and with a button for who was rung."""

from __future__ import annotations

import dataclasses
from functools import cache

import msgspec
from aiohttp import web
from markupsafe import Markup

from healthmon.model.paper import KINDS, Paper, text
from healthmon.web import params
from healthmon.web.access import person
from healthmon.web.actions import Id, Name, acting_name, check_person, read_body
from healthmon.web.board import checked_form, common
from healthmon.web.pages import Pages
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB
from healthmon.web.wards import wards_of

FORMS = ("json", "html", "text")


class RangBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who was rung: an area's id, `team:ID` or `supplier:NAME`."""

    who: Id
    by: Name | None = None


@cache
def _pages() -> Pages:
    return Pages()


def paper_html(paper: Paper, *, alone: bool = True) -> str:
    """For printing, without a script; `alone` as a file that loads nothing from elsewhere."""
    css = Markup(_pages().static["paper.css"].body.decode()) if alone else ""
    return _pages().render("paper.html", {"paper": paper, "css": css})


async def show(request: web.Request) -> web.Response:
    """One paper."""
    params.only(request, "format")
    form = request.query.get("format", "json")
    if form not in FORMS:
        raise bad_request("format", f"unknown (allowed: {', '.join(FORMS)})")
    paper = await wards_of(request).paper(request.match_info["kind"])
    if form == "json":
        return web.json_response(dataclasses.asdict(paper))
    if form == "text":
        return web.Response(text=text(paper), content_type="text/plain")
    return web.Response(text=paper_html(paper, alone=False), content_type="text/html")


async def rang(request: web.Request) -> web.Response:
    """Tick off who was rung."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, RangBody)
        by = acting_name(request, body.by)
        check_person(site.scrub, by)
        await wards_of(request).rang(body.who, by)
        return web.json_response({"who": body.who, "by": by})

    return await site.answers.once(request, act)


async def page(request: web.Request) -> web.Response:
    """A paper on the board: to read, to tick off, to print."""
    site = request.app[WEB]
    facts = common(request, site.queries.view())
    facts["paper"] = await wards_of(request).paper(request.match_info.get("kind", "call-list"))
    facts["kinds"] = KINDS
    return web.Response(text=site.pages.render("papers.html", facts), content_type="text/html")


async def form_rang(request: web.Request) -> web.Response:
    """The button of the call list."""
    form = await checked_form(request)
    who = str(form.get("who", ""))[:200]
    if not who:
        raise bad_request("who", "say who was rung")
    await wards_of(request).rang(who, person(request).name)
    raise web.HTTPSeeOther("/papers/call-list")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/papers/{kind}", show),
        web.post("/api/v1/rung", rang),
        web.get("/papers", page),
        web.get("/papers/{kind}", page),
        web.post("/rung", form_rang),
    ]
