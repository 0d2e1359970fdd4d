"""The door: what a route asks for by the table of permissions, against who stands before it."""

from __future__ import annotations

import logging
from urllib.parse import quote

from aiohttp import hdrs, web

from healthmon.web.origin import client, from_own_page, inside
from healthmon.web.people import COOKIE, PERSON, Person, StrangerWithHeader, identify, person
from healthmon.web.permissions import Role, asked
from healthmon.web.problem import Handler, Problem, for_machines
from healthmon.web.settings import WEB, Web, networks

__all__ = ["COOKIE", "PERSON", "Person", "add_headers", "admit", "client", "from_own_page", "person"]

log = logging.getLogger(__name__)

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request through or refuse it, before anything of it is read."""
    site = request.app[WEB]
    who = recognise(request, site)
    needed = needed_for(request)
    if needed is Role.WARD:
        refuse_outsiders(request, who, site)
    elif needed not in (Role.PUBLIC, Role.CARRIED):
        refuse_strangers(request, who, needed)
    return await handler(request)


def recognise(request: web.Request, site: Web) -> Person | None:
    """Who it is, put down for handlers. People keep their session awake; what a page asks by itself does not."""
    try:
        who = identify(request, site)
    except StrangerWithHeader:
        raise Problem(401, "not-a-proxy", "who signed in is said by the trusted proxies alone") from None
    if who:
        request[PERSON] = who
        by_hand = request.method not in SAFE or not (for_machines(request) or "part" in request.query)
        if who.session and by_hand:
            site.sessions.touch(who.session)
    return who


def needed_for(request: web.Request) -> Role:
    """What this route asks for by the table. What no route serves tells a stranger nothing."""
    resource = request.match_info.route.resource
    if resource is None:
        return Role.VIEW
    found = asked(request.method, resource.canonical)
    if found is None:
        log.error(
            "route without a row in web/permissions.py", extra={"route": f"{request.method} {resource.canonical}"}
        )
        raise Problem(403, "not-allowed", "nobody was given the right to do this")
    return found


def refuse_outsiders(request: web.Request, who: Person | None, site: Web) -> None:
    """Raise unless it comes from a ward, or from somebody who may view; whoever is refused hears whom to ring.

    No other site's page may report for a ward.
    """
    desk = site.wards.ring("") if site.wards else None
    ring = f"; ring {desk.name}: {desk.phone}" if desk and desk.phone else ""
    by_token = who is not None and who.kind == "token"
    if request.method not in SAFE and not by_token and not from_own_page(request, strict=False):
        raise Problem(403, "cross-site", f"reports come from healthmon's own pages{ring}")
    if inside(client(request), networks(site.settings.ward_networks)) or (who and who.may(Role.VIEW)):
        return
    if not for_machines(request) and request.method in SAFE:
        raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='/')}")
    raise Problem(401, "not-signed-in", f"this is for the networks of the wards, or needs a token or a session{ring}")


def refuse_strangers(request: web.Request, who: Person | None, needed: Role) -> None:
    """Raise unless this person may make this request."""
    acting = request.method not in SAFE
    if who is None or (acting and not who.signed_in) or (not who.signed_in and not who.may(needed)):
        if not for_machines(request) and not acting:
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='/')}")
        detail = "acting needs a token or a session" if who else "reading needs a token or a session from here"
        raise Problem(401, "not-signed-in", detail, headers={"WWW-Authenticate": 'Bearer realm="healthmon"'})
    if acting and who.by_browser and not from_own_page(request, strict=True):
        raise Problem(403, "cross-site", "a session may act only from healthmon's own pages")
    if not who.may(needed):
        raise Problem(403, "not-allowed", f"this needs the role {needed}; yours is {who.role}")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Security headers on every answer, streams included; nothing but static files may be cached."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.pop(hdrs.SERVER, None)
    if request.app[WEB].settings.tls:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
