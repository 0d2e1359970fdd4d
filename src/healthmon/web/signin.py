"""Signing in with a password or the site's token, signing out, and acknowledging from a message's link."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from healthmon.model.errors import ConfigError, Conflict
from healthmon.model.incident import Incident
from healthmon.web.accounts import Busy
from healthmon.web.actions import check_person
from healthmon.web.audit import said_by
from healthmon.web.board import checked_form
from healthmon.web.cards import card
from healthmon.web.handing import hand_choices
from healthmon.web.origin import client, from_own_page, local_path, secure
from healthmon.web.people import COOKIE, PERSON, by_session, person
from healthmon.web.permissions import Role
from healthmon.web.problem import Problem, bad_request, form_of
from healthmon.web.session import Identity
from healthmon.web.settings import WEB, Web
from healthmon.web.words import LocalTime

log = logging.getLogger(__name__)


class WrongSignIn(Exception):
    """Why nobody was let in, in words, with the status of the answer."""

    def __init__(self, words: str, status: int = 403) -> None:
        super().__init__(words)
        self.status = status


async def show_login(request: web.Request) -> web.Response:
    """Asks who it is."""
    return login_page(request, following=local_path(request.query.get("next", "/")))


def login_page(request: web.Request, *, following: str, wrong: str = "", status: int = 200) -> web.Response:
    site = request.app[WEB]
    oidc = site.settings.sign_in.oidc
    facts = {
        "following": following,
        "wrong": wrong,
        "timezone": "UTC",
        "users": has_users(site),
        "oidc": oidc.label if oidc else "",
        "took_over": took_over_words(site),
    }
    return web.Response(text=site.pages.render("login.html", facts), status=status, content_type="text/html")


def took_over_words(site: Web) -> str:
    """Why somebody who was signed in has to do it again, when another server of the pair led until lately."""
    found = site.took_over
    if found is None or site.clock.now() - found.at > site.settings.sign_in.hours * 3600.0:
        return ""
    since = LocalTime.of(site.queries.view().estate, site.clock.now()).short(found.at)
    return f"This server took over from {found.before} at {since}. Please sign in again. Links in pages work without."


def has_users(site: Web) -> bool:
    """Whether passwords can be right here; a file that cannot be read must not shut the other way in."""
    try:
        return bool(site.accounts.all())
    except ConfigError as error:
        log.error("the file of users cannot be used", extra={"problem": str(error)})
        return False


async def login(request: web.Request) -> web.Response:
    """Give a session cookie for the right password or token; at most 10 wrong ones a minute from one address."""
    site, address = request.app[WEB], client(request)
    if not from_own_page(request, strict=False):
        raise Problem(403, "cross-site", "sign in on healthmon's own page")
    form = await form_of(request)
    following = local_path(str(form.get("next", "/")))
    try:
        if not site.throttle.may_try(address):
            raise WrongSignIn("Too many tries. Wait a minute.", 429)
        who = await (by_password(request, site, form) if form.get("user") else by_site_token(site, form))
    except WrongSignIn as wrong:
        if wrong.status == 403:
            site.throttle.failed(address)
        return login_page(request, following=following, wrong=str(wrong), status=wrong.status)
    return let_in(request, who, web.Response(status=303, headers={"Location": following}))


async def by_site_token(site: Web, form: Any) -> Identity:
    """Whoever has the site's token, under the name they give."""
    name = " ".join(str(form.get("name", "")).split())
    if not 0 < len(name) <= 80:
        raise WrongSignIn("Say who you are (80 characters).", 400)
    check_person(site.scrub, name)
    if not site.sessions.token_is(str(form.get("token", "")).strip()):
        raise WrongSignIn("That is not this site's token.")
    return Identity(name)


async def by_password(request: web.Request, site: Web, form: Any) -> Identity:
    """A local user. The answer does not say which of the two was wrong."""
    user = str(form.get("user", "")).strip().lower()
    known = site.accounts.find(user)
    said_by(request, user if known else "(unknown user)")
    try:
        account = await site.accounts.check(user, str(form.get("password", "")))
    except Busy:
        raise WrongSignIn("Many people are signing in. Try again in a moment.", 503) from None
    if account is None:
        raise WrongSignIn("User or password is wrong.")
    return Identity(account.name, "password", account.id, account.groups)


def let_in(request: web.Request, who: Identity, answer: web.Response) -> web.Response:
    """Put the session's cookie on an answer; raises 403 for who has no role here."""
    site = request.app[WEB]
    cookie = site.sessions.issue(who, address=client(request))
    session = site.sessions.read(cookie)
    found = by_session(session, site) if session else None
    if session is None or found is None or not found.may(Role.VIEW):
        if session:
            site.sessions.revoke(session)
        said_by(request, who.user or who.name)
        raise Problem(403, "no-role", f"{who.name} is known, but has no role here: ask whoever configures healthmon")
    request[PERSON] = found
    set_cookie(request, answer, cookie)
    return answer


def set_cookie(request: web.Request, answer: web.Response, value: str) -> None:
    """A cookie that scripts cannot read and other sites cannot send."""
    hours = request.app[WEB].settings.sign_in.hours
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
    form = await form_of(request)
    by = " ".join(str(form.get("by", "")).split()) or " ".join(str(form.get("known", "")).split())
    if not 0 < len(by) <= 80:
        raise bad_request("by", "say who you are")
    check_person(site.scrub, by)
    said_by(request, by)
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
