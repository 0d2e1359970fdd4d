"""The pages of the whole: board, what was not sent, blind spots, links; and what every page needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from healthmon.model.view import View
from healthmon.web import boardmodel
from healthmon.web.matrix import Matrix, matrix_of
from healthmon.web.origin import from_own_page, local_path
from healthmon.web.people import person
from healthmon.web.problem import Problem, bad_request, form_of
from healthmon.web.settings import WEB, Web, engine_stale
from healthmon.web.tooling import tools_of
from healthmon.web.words import LocalTime

TEXT_MOST = 2000
MATRIX_KEPT_S = 10.0  # what was proven grows old even when nothing changes


def common(request: web.Request, view: View) -> dict[str, Any]:
    """What every page needs: who looks, the form token, staleness, site time."""
    site, who = request.app[WEB], person(request)
    health = site.health()
    now = site.clock.now()
    clock = LocalTime.of(view.estate, now)
    stale = engine_stale(health)
    return {
        "organisation": view.estate.organisation.name,
        "timezone": view.estate.organisation.timezone,
        "person": who,
        "form_token": site.sessions.form_token(who.subject) if who.by_browser else "",
        "stale": stale,
        "stale_since": clock.short(now - health.engine_tick_age_s) if stale else "",
        "now": now,
        "as_at": clock.short(now),
        "zone": clock.zone_words(),
        "clock": clock,
        "here": request.path_qs,
        "health": health,
        "live": True,
    }


def page(request: web.Request, name: str, facts: dict[str, Any]) -> web.Response:
    """The whole page, or with `?part=live` the part that changes."""
    pages = request.app[WEB].pages
    if request.query.get("part") != "live":
        return web.Response(text=pages.render(f"{name}.html", facts), content_type="text/html")
    part = pages.render(f"{name}_live.html", facts)
    tag = f'"{hashlib.sha256(part.encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    return web.Response(text=part, content_type="text/html", headers={"ETag": tag})


async def show_board(request: web.Request) -> web.Response:
    view = request.app[WEB].queries.view()
    facts = common(request, view)
    everything = request.query.get("all") == "1"
    matrix = matrix_now(request.app[WEB], view, facts["clock"], everything=everything)
    facts["board"] = boardmodel.board(view, facts["health"], now=facts["now"], matrix=matrix)
    return page(request, "board", facts)


def matrix_now(site: Web, view: View, clock: LocalTime, *, everything: bool) -> Matrix:
    """The matrix of this view, made once for all who look: a large hospital has 30,000 cells."""
    kept = site.matrices.get(everything)
    if kept and kept[0] == view.version and 0.0 <= clock.now - kept[1] < MATRIX_KEPT_S:
        return kept[2]
    made = matrix_of(view, clock, everything=everything)
    site.matrices[everything] = (view.version, clock.now, made)
    return made


async def show_ledger(request: web.Request) -> web.Response:
    site = request.app[WEB]
    view = site.queries.view()
    facts = common(request, view)
    facts["rows"] = await site.queries.ledger(200)
    return page(request, "ledger", facts)


async def show_coverage(request: web.Request) -> web.Response:
    site = request.app[WEB]
    facts = common(request, site.queries.view())
    facts["found"] = await tools_of(request).coverage()
    return page(request, "coverage", facts)


async def checked_form(request: web.Request) -> Any:
    """The posted form, once its token and origin are right."""
    form, who = await form_of(request), person(request)
    if not who.by_browser:
        raise Problem(401, "not-signed-in", "sign in on the board first")
    given = str(form.get("form_token", ""))
    if not from_own_page(request, strict=False) or not request.app[WEB].sessions.form_token_is(who.subject, given):
        raise Problem(403, "cross-site", "this form is not from this session; reload the page and try again")
    return form


def form_text(form: Any, name: str) -> str:
    """One text field, bounded."""
    text = str(form.get(name, "")).replace("\r\n", "\n").strip()
    if len(text) > TEXT_MOST:
        raise bad_request(name, f"is longer than {TEXT_MOST} characters")
    return text


def form_probing(*, resume: bool) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """The form handler of the stop button."""

    async def handle(request: web.Request) -> web.Response:
        form = await checked_form(request)
        await request.app[WEB].commands.probing(resume=resume, by=person(request).name)
        raise web.HTTPSeeOther(local_path(str(form.get("next", "/"))))

    return handle


def routes() -> list[web.RouteDef]:
    """The pages that are nobody else's, and the stop button."""
    return [
        web.get("/", show_board),
        web.get("/ledger", show_ledger),
        web.get("/coverage", show_coverage),
        web.post("/probing/stop", form_probing(resume=False)),
        web.post("/probing/resume", form_probing(resume=True)),
    ]
