"""The told-log of /api/v1: every notice with what became of it, dead ones sent again, and previews of the words."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web

from healthmon.model.incident import Notice, NoticeFilter, NoticeResult, Why
from healthmon.model.ports import Letters
from healthmon.model.render import notice_json, rfc3339
from healthmon.web import params
from healthmon.web.actions import Name, acting_name, check_person, read_body
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB

#: One SMS.
SMS_CHARACTERS = 160


class Resend(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None


def letters_of(request: web.Request) -> Letters:
    """Raises 404 where there is none."""
    letters = request.app[WEB].letters
    if letters is None:
        raise Problem(404, "not-found", "this server does not offer it")
    return letters


async def listing(request: web.Request) -> web.Response:
    """Newest first."""
    params.only(request, "limit", "cursor", "result", "channel", "incident", "since")
    count = params.limit(request)
    before, skip = params.moment_cursor(request)
    wanted = NoticeFilter(
        results=params.words(request, "result", NoticeResult),
        channel=request.query.get("channel"),
        incident=request.query.get("incident"),
        since=params.moment(request, "since"),
    )
    rows = await letters_of(request).told(skip + count + 1, before, wanted)
    shown, following = rows[skip : skip + count], None
    if len(rows) > skip + count:
        last = shown[-1].due
        before_next = math.nextafter(last, math.inf)
        following = params.to_cursor((before_next, sum(1 for row in rows[: skip + count] if row.due == last)))
    return web.json_response({"items": [told_json(row) for row in shown], "next": following})


async def resend(request: web.Request) -> web.Response:
    """Send a dead notice again, under a key of its own."""
    site, letters = request.app[WEB], letters_of(request)

    async def act() -> web.Response:
        body = await read_body(request, Resend)
        by = acting_name(request, body.by)
        check_person(site.scrub, by)
        return web.json_response(told_json(await letters.resend(request.match_info["key"], by)), status=201)

    return await site.answers.once(request, act)


async def preview(request: web.Request) -> web.Response:
    """What every channel would carry of an incident, or of an example; nothing is sent."""
    params.only(request, "incident", "why")
    word = request.query.get("why", Why.OPENED.value)
    if word not in [why.value for why in Why]:
        raise bad_request("why", f"{word[:40]!r} (allowed: {', '.join(Why)})")
    found = await letters_of(request).previews(request.query.get("incident"), Why(word))
    items = [
        {"channel": one.channel, "kind": one.kind, "subject": one.subject, "text": one.text,
         "characters": len(one.text), "one_sms": len(one.text) <= SMS_CHARACTERS}
        for one in found
    ]  # fmt: skip
    return web.json_response({"items": items, "next": None})


def told_json(notice: Notice) -> dict[str, Any]:
    """One line of the told-log."""
    more = {"incident": notice.incident, "severity": notice.severity, "step": notice.step, "subject": notice.subject}
    return {**notice_json(notice), **more, "due": rfc3339(notice.due)}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/notices", listing),
        web.get("/api/v1/notices/preview", preview),
        web.post("/api/v1/notices/{key}/resend", resend),
    ]
