"""POST reports: a person on a ward says what does not work. Never refused, never limited, always a number to ring."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import hdrs, web

from healthmon.model.catalogue import Catalogue
from healthmon.model.paper import Paper
from healthmon.model.report import Heard, Mark
from healthmon.model.wards import Desk, Stage
from healthmon.web import params
from healthmon.web.origin import client
from healthmon.web.people import PERSON, Person
from healthmon.web.problem import Problem
from healthmon.web.settings import WEB

log = logging.getLogger(__name__)

#: No key of a sender is longer.
_KEY_MOST = 200


class Wards(Protocol):
    """What wards say and are told. `heard` never raises for what was said."""

    async def heard(self, heard: Heard) -> Mapping[str, Any]: ...

    async def works_again(self, incident: str, area: str) -> bool: ...

    async def mark(self, area: str, what: str, by: str) -> None: ...

    async def marks(self) -> Sequence[Mark]: ...

    async def ticket(self, token: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None: ...

    async def tickets(self, since: float, until: float) -> Sequence[Mapping[str, Any]]: ...

    async def reports(self, since: float, until: float) -> Sequence[Mapping[str, Any]]: ...

    async def paper(self, kind: str) -> Paper: ...

    async def rang(self, who: str, by: str) -> None: ...

    def stages(self) -> Sequence[Stage]: ...

    def ring(self, area: str) -> Desk: ...

    def words(self, area: str) -> Catalogue: ...


def wards_of(request: web.Request) -> Wards:
    """Raises 404 where there is none."""
    wards = request.app[WEB].wards
    if wards is None:
        raise Problem(404, "not-found", "this server takes no reports")
    return wards


async def report(request: web.Request) -> web.Response:
    """Take what a ward says, whatever it looks like; the answer names who has it and a number to ring."""
    return web.json_response(await taken(request, heard_of(await body_of(request), request)))


async def taken(request: web.Request, heard: Heard) -> Mapping[str, Any]:
    """What came of a report; even a bug of ours ends in a number to ring."""
    wards = wards_of(request)
    try:
        return await wards.heard(heard)
    except Exception:  # boundary: one report; the ward must not wait for our bug to be found
        request.app[WEB].errors += 1
        log.exception("a report crashed")
        desk, words = wards.ring(""), wards.words("")
        said = words.say("answer_ring_now", desk=desk.name, phone=desk.phone or "?")
        ring = {"name": desk.name, "phone": desk.phone}
        return {"taken": False, "safe": False, "ring": ring, "said": f"{words.say('answer_not_safe')} {said}"}


async def body_of(request: web.Request) -> dict[str, Any] | None:
    """A JSON object or a form; None when it is neither, or larger than anything that a person writes."""
    try:
        if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
            return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
        found = msgspec.json.decode(await request.read())
    except Exception:  # boundary: one body; whatever is wrong with it, the ward is answered
        return None
    return found if isinstance(found, dict) else None


def heard_of(body: dict[str, Any] | None, request: web.Request, *, area: str = "") -> Heard:
    """What of it is text; the rest is as if it had not been said."""
    said = {name: value for name, value in (body or {}).items() if isinstance(value, str)}
    key = request.headers.get("Idempotency-Key", "")
    return Heard(
        area=area or said.get("area", ""),
        service=said.get("service", ""),
        effect=said.get("effect", ""),
        text=said.get("text", ""),
        client=client(request),
        key=key if len(key) <= _KEY_MOST else "",
        broken=body is None,
    )


async def ticket(request: web.Request) -> web.Response:
    """A ticket system's webhook. The token of its source is the permission."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    body = await body_of(request)
    given = token.strip() if scheme.lower() == "bearer" else ""
    found = await wards_of(request).ticket(given, body or {}) if given else None
    if found is None:
        detail = "tickets need the token of a system under `wards.tickets`"
        raise Problem(401, "not-signed-in", detail, headers={"WWW-Authenticate": 'Bearer realm="healthmon tickets"'})
    request[PERSON] = Person(f"tickets:{found['system']}")
    return web.json_response(found)


async def list_tickets(request: web.Request) -> web.Response:
    """Tickets of a stretch of time, oldest first; default: the last 31 days."""
    found = await wards_of(request).tickets(*stretch(request))
    return web.json_response(
        params.page(request, found, key=lambda one: (one["at"], one["system"], one["number"]), shape=dict)
    )


async def list_reports(request: web.Request) -> web.Response:
    """Reports of a stretch of time, oldest first; default: the last 31 days."""
    found = await wards_of(request).reports(*stretch(request))
    return web.json_response(params.page(request, found, key=_place_of, shape=dict))


def _place_of(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (one["first_at"], one["incident"], one["area"] or "", one["service"] or "")


def stretch(request: web.Request) -> tuple[float, float]:
    """since and until of the query (Unix s)."""
    params.only(request, "limit", "cursor", "since", "until")
    until = params.moment(request, "until") or request.app[WEB].clock.now() + 1.0
    since = params.moment(request, "since")
    return (until - 31 * 86_400.0 if since is None else since), until


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v1/reports", report),
        web.get("/api/v1/reports", list_reports),
        web.post("/api/v1/tickets", ticket),
        web.get("/api/v1/tickets", list_tickets),
    ]
