"""What the surfaces put into the audit: everything that was done or refused, by whom and from where."""

from __future__ import annotations

import asyncio

from aiohttp import web

from healthmon.runtime.auditlog import Deed
from healthmon.web.access import SAFE
from healthmon.web.origin import client
from healthmon.web.people import person
from healthmon.web.problem import Handler, Problem
from healthmon.web.settings import WEB, Web

#: Parts of a path that are secrets.
_SECRET = frozenset({"token"})
BY: web.RequestKey[str] = web.RequestKey("healthmon_by", str)
REFUSED = frozenset({401, 403, 429})


def said_by(request: web.Request, name: str) -> None:
    """Put down whose name a request acts under, for the audit."""
    request[BY] = name


@web.middleware
async def audited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write what comes of every request that changes something, and of every refusal."""
    site = request.app[WEB]
    try:
        response = await handler(request)
    except web.HTTPException as moved:
        if moved.status < 400 and request.method not in SAFE:
            await write(request, site, "done")
        raise
    except Problem as problem:
        if problem.status in REFUSED:
            await refusal(request, site, problem.slug)
        raise
    if request.method not in SAFE and keeps(request):
        result = "done" if response.status < 400 else "refused" if response.status in REFUSED else "failed"
        await write(request, site, result)
    return response


def keeps(request: web.Request) -> bool:
    """Readings of other tools are data, not deeds, and a preview makes nothing; all else is kept."""
    return route_of(request) != "POST /api/v1/readings" and request.query.get("preview") != "true"


async def refusal(request: web.Request, site: Web, why: str) -> None:
    """People who may not are always written; strangers up to so many a minute."""
    if person(request).signed_in or site.refusals.room(site.clock.mono()):
        await write(request, site, "refused", why)


async def write(request: web.Request, site: Web, result: str, detail: str = "", *, what: str = "") -> None:
    who = person(request)
    about = " ".join(value for name, value in request.match_info.items() if name not in _SECRET)
    deed = Deed(
        who=who.identity,
        by=request.get(BY, "") or who.name,
        what=what or words_of(request),
        about=about[:200],
        source=client(request),
        result=result,
        detail=detail,
    )
    await asyncio.to_thread(site.audit.note, deed)


def route_of(request: web.Request) -> str:
    """The route's pattern, never the path itself: an acknowledgement token must not reach a file."""
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '(none)'}"


def words_of(request: web.Request) -> str:
    """The route in words: `incidents ack`, `silences`, `login`. Reading that was refused says so."""
    parts = route_of(request).partition(" ")[2].removeprefix("/api/v1").split("/")
    found = " ".join(part for part in parts if part and not part.startswith("{")) or "board"
    return found if request.method not in SAFE else f"read {found}"
