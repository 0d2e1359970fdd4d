"""The routes about access itself: who I am, users, API tokens, sessions, the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from healthmon.model.errors import NotFound
from healthmon.model.render import rfc3339
from healthmon.runtime.auditlog import verify
from healthmon.web import params
from healthmon.web.accounts import Account
from healthmon.web.actions import Name, acting_name, check_person, check_texts, read_body
from healthmon.web.people import person
from healthmon.web.permissions import Role
from healthmon.web.problem import Problem, bad_request
from healthmon.web.session import Session
from healthmon.web.settings import WEB, Web

DAY_S = 86400.0


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """days: how long it is good for."""

    name: Name
    role: Literal["view", "act", "silence", "configure"]
    days: Annotated[float, msgspec.Meta(gt=0, le=3660)] = 365.0
    by: Name | None = None


class By(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None


async def me(request: web.Request) -> web.Response:
    """Who the server takes the caller for."""
    who = person(request)
    return web.json_response({"identity": who.identity, "name": who.name, "role": who.role, "kind": who.kind})


async def users(request: web.Request) -> web.Response:
    """Local users, without their hashes."""
    params.only(request, "limit", "cursor")
    found = sorted(request.app[WEB].accounts.all().values(), key=lambda one: one.id)
    return web.json_response(params.page(request, found, key=lambda one: (one.id,), shape=Account.as_json))


async def tokens(request: web.Request) -> web.Response:
    """API tokens, without their secrets."""
    params.only(request, "limit", "cursor")
    site = request.app[WEB]
    found, now = site.tokens.all(), site.clock.now()
    order = {one.id: place for place, one in enumerate(found)}
    return web.json_response(
        params.page(request, found, key=lambda one: (order[one.id], one.id), shape=lambda one: one.as_json(now))
    )


async def make_token(request: web.Request) -> web.Response:
    """Make one; the answer holds its text, which is never shown again (and never kept for a repeat)."""
    site = request.app[WEB]
    body = await read_body(request, NewToken)
    by = acting_name(request, body.by, "site token")
    check_person(site.scrub, by)
    check_texts(site.scrub, body.name)
    now = site.clock.now()
    made, text = site.tokens.make(body.name, Role(body.role), by=by, expires_at=now + body.days * DAY_S)
    return web.json_response(made.as_json(now) | {"token": text}, status=201)


async def revoke_token(request: web.Request) -> web.Response:
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, By)
        check_person(site.scrub, acting_name(request, body.by, "site token"))
        return web.json_response(site.tokens.revoke(request.match_info["id"]).as_json(site.clock.now()))

    return await site.answers.once(request, act)


async def sessions(request: web.Request) -> web.Response:
    """Who is signed in on the board."""
    params.only(request, "limit", "cursor")
    found = request.app[WEB].sessions.all()
    order = {one.key: place for place, one in enumerate(found)}
    return web.json_response(params.page(request, found, key=lambda one: (order[one.key], one.id), shape=session_json))


def session_json(one: Session) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "user": one.user or None, "how": one.how, "address": one.address,
        "issued_at": rfc3339(one.issued), "seen_at": rfc3339(one.seen),
    }  # fmt: skip


async def end_session(request: web.Request) -> web.Response:
    """Sign somebody out."""
    site = request.app[WEB]

    async def act() -> web.Response:
        body = await read_body(request, By)
        check_person(site.scrub, acting_name(request, body.by, "site token"))
        return web.json_response(session_json(sign_out(site, request.match_info["id"])))

    return await site.answers.once(request, act)


def sign_out(site: Web, id_: str) -> Session:
    """End the session of this id. Raises NotFound."""
    for one in site.sessions.all():
        if one.id == id_:
            site.sessions.revoke(one)
            return one
    raise NotFound("no such session")


async def audit(request: web.Request) -> web.Response:
    """Who did what, newest first."""
    params.only(request, "limit", "cursor", "who", "what", "result")
    site = request.app[WEB]
    limit = params.limit(request)
    before = cursor_of(request)
    wanted = {name: request.query[name] for name in ("who", "what", "result") if name in request.query}
    rows = await asyncio.to_thread(lambda: list(islice(newest(site.audit.rows(), before, wanted), limit + 1)))
    following = params.to_cursor([rows[limit - 1]["seq"]]) if len(rows) > limit else None
    return web.json_response({"items": rows[:limit], "next": following})


def newest(rows: Iterable[dict[str, Any]], before: int | None, wanted: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Rows before that number whose fields hold these words, newest first."""
    for row in reversed(list(rows)):
        earlier = before is None or int(row.get("seq", 0)) < before
        if earlier and all(word in str(row.get(name)) for name, word in wanted.items()):
            yield row


def cursor_of(request: web.Request) -> int | None:
    given = params.cursor(request)
    if given is not None and not (len(given) == 1 and isinstance(given[0], int)):
        raise bad_request("cursor", "belongs to another list")
    return given[0] if given else None


async def audit_check(request: web.Request) -> web.Response:
    """Whether the chain is whole; its length and head, to be noted elsewhere."""
    path = request.app[WEB].audit.path
    if path is None:
        raise Problem(404, "not-found", "this server keeps no audit")
    found = await asyncio.to_thread(verify, path)
    body = {"entries": found.entries, "head": found.head, "whole": not found.problems, "problems": found.problems[:100]}
    return web.json_response(body)


def routes() -> list[web.RouteDef]:
    """Everything about access."""
    return [
        web.get("/api/v1/me", me),
        web.get("/api/v1/users", users),
        web.get("/api/v1/tokens", tokens),
        web.post("/api/v1/tokens", make_token),
        web.post("/api/v1/tokens/{id}/revoke", revoke_token),
        web.get("/api/v1/sessions", sessions),
        web.post("/api/v1/sessions/{id}/end", end_session),
        web.get("/api/v1/audit", audit),
        web.get("/api/v1/audit/check", audit_check),
    ]
