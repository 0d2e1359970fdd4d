"""Signing in with the site's token, signing out, and acknowledging from a message's link."""

from __future__ import annotations

from aiohttp import web

from healthmon.model.errors import Conflict
from healthmon.model.incident import Incident
from healthmon.web.access import COOKIE, client, from_own_page, local_path, person, secure
from healthmon.web.actions import check_person
from healthmon.web.board import checked_form
from healthmon.web.cards import card
from healthmon.web.handing import hand_choices
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB
from healthmon.web.words import LocalTime


async def show_login(request: web.Request) -> web.Response:
    """Asks for a name and the token."""
    return login_page(request, following=local_path(request.query.get("next", "/")))


def login_page(request: web.Request, *, following: str, wrong: str = "", status: int = 200) -> web.Response:
    facts = {"following": following, "wrong": wrong, "timezone": "UTC"}
    text = request.app[WEB].pages.render("login.html", facts)
    return web.Response(text=text, status=status, content_type="text/html")


async def login(request: web.Request) -> web.Response:
    """Give a session cookie for the right token; at most 10 wrong ones a minute from one address."""
    site, address = request.app[WEB], client(request)
    if not from_own_page(request, strict=False):
        raise Problem(403, "cross-site", "sign in on healthmon's own page")
    form = await request.post()
    following = local_path(str(form.get("next", "/")))
    if not site.sessions.may_try(address):
        return login_page(request, following=following, wrong="Too many tries. Wait a minute.", status=429)
    name = " ".join(str(form.get("name", "")).split())
    if not 0 < len(name) <= 80:
        return login_page(request, following=following, wrong="Say who you are (80 characters).", status=400)
    check_person(site.scrub, name)
    if not site.sessions.token_is(str(form.get("token", "")).strip()):
        site.sessions.failed(address)
        return login_page(request, following=following, wrong="That is not this site's token.", status=403)
    answer = web.Response(status=303, headers={"Location": following})
    set_cookie(request, answer, site.sessions.issue(name))
    return answer


def set_cookie(request: web.Request, answer: web.Response, value: str) -> None:
    """A cookie that scripts cannot read and other sites cannot send."""
    hours = request.app[WEB].settings.session_hours
    answer.set_cookie(
        COOKIE, value, max_age=int(hours * 3600), httponly=True, samesite="Strict", secure=secure(request), path="/"
    )


async def logout(request: web.Request) -> web.Response:
    """End the session here and for whoever copied its cookie."""
    await checked_form(request)
    session = person(request).session
    if session:
        request.app[WEB].sessions.revoke(session)
    answer = web.Response(status=303, headers={"Location": "/"})
    answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=secure(request))
    return answer


async def show_ack(request: web.Request) -> web.Response:
    """What the message is about, and one button. Changes nothing: mail scanners open links."""
    found = await request.app[WEB].commands.incident_for_token(request.match_info["token"])
    return ack_page(request, found)


async def ack(request: web.Request) -> web.Response:
    """Take the incident, or pass it on; the token is the permission, the name says who."""
    site, token = request.app[WEB], request.match_info["token"]
    form = await request.post()
    by = " ".join(str(form.get("by", "")).split()) or " ".join(str(form.get("known", "")).split())
    if not 0 < len(by) <= 80:
        raise bad_request("by", "say who you are")
    check_person(site.scrub, by)
    to = str(form.get("to", "")).strip()[:80] if form.get("do") == "pass" else ""
    if form.get("do") == "pass" and not to:
        raise bad_request("to", "say whom to pass it to")
    try:
        if to:
            passed = await site.commands.pass_by_token(token, by, to)
            return ack_page(request, passed, passed_to=to)
        done = await site.commands.acknowledge_by_token(token, by)
    except Conflict as conflict:
        return ack_page(request, await site.commands.incident_for_token(token), refused=str(conflict), status=409)
    return ack_page(request, done, taken_by=by)


def ack_page(
    request: web.Request,
    incident: Incident,
    *,
    taken_by: str = "",
    passed_to: str = "",
    refused: str = "",
    status: int = 200,
) -> web.Response:
    """The page behind a message's link."""
    site = request.app[WEB]
    view = site.queries.view()
    clock = LocalTime.of(view.estate, site.clock.now())
    choices = hand_choices(view.estate, site.duty, people=False)
    known = site.name_for_token(request.match_info["token"]) if site.name_for_token else None
    facts = {
        "card": card(incident, view.estate, clock),
        "known": known or "",
        "taken_by": taken_by,
        "passed_to": next((one.label for one in choices if one.word == passed_to), passed_to),
        "choices": choices,
        "refused": refused,
        "as_at": clock.short(clock.now),
        "zone": clock.zone_words(),
        "timezone": view.estate.organisation.timezone,
        "path": request.path,
    }
    return web.Response(text=site.pages.render("ack.html", facts), status=status, content_type="text/html")


def routes() -> list[web.RouteDef]:
    """Pages that need no login, and signing out."""
    return [
        web.get("/login", show_login),
        web.post("/login", login),
        web.post("/logout", logout),
        web.get("/ack/{token}", show_ack),
        web.post("/ack/{token}", ack),
    ]
