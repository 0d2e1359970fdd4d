"""On-call duty of /api/v1: who is on call, schedules and calendars, overrides and swaps, replies of gateways."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from healthmon.model.oncall import OncallUser, Override, Shift, Standby
from healthmon.model.ports import Duty
from healthmon.model.render import rfc3339
from healthmon.web import params
from healthmon.web.actions import Name, Text, acting_name, check_person, check_texts, read_body
from healthmon.web.mutes import moment
from healthmon.web.problem import Problem, bad_request
from healthmon.web.settings import WEB

WEEK_S = 7 * 86_400.0
#: No schedule is longer than this.
LONGEST_S = 400 * 86_400.0


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody stands in; with `replaces` only where that person would be on call."""

    user: Name
    ends_at: str
    starts_at: str | None = None
    replaces: Name | None = None
    reason: Text | None = None
    by: Name | None = None


class Half(msgspec.Struct, forbid_unknown_fields=True):
    user: Name
    starts_at: str
    ends_at: str


class SwapBody(msgspec.Struct, forbid_unknown_fields=True):
    """Each takes over the other's shifts of that time."""

    first: Half
    second: Half
    reason: Text | None = None
    by: Name | None = None


class EndBody(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None


def duty_of(request: web.Request) -> Duty:
    """Raises 404 where there is none."""
    duty = request.app[WEB].duty
    if duty is None:
        raise Problem(404, "not-found", "this server does not offer it")
    return duty


async def now(request: web.Request) -> web.Response:
    """Who is on call for every rota, now or `at` a moment."""
    params.only(request, "limit", "cursor", "at")
    duty, at = duty_of(request), params.moment(request, "at")
    pages = await duty.loads()
    found = duty.oncall(at)

    def shape(one: Standby) -> dict[str, Any]:
        count = pages.get(one.rota.id, 0) if at is None else None
        return standby_json(one, duty) | {"pages_in_shift": count}

    return web.json_response(params.page(request, found, key=lambda one: (one.rota.id,), shape=shape))


async def schedule(request: web.Request) -> web.Response:
    """The shifts and gaps of a rota; default: four weeks from now."""
    params.only(request, "start", "end")
    duty = duty_of(request)
    start, end = stretch(request)
    rota = duty.rota(request.match_info["id"])
    shifts = duty.schedule(rota.id, start, end)
    body = {
        "rota": rota.id,
        "name": rota.name,
        "timezone": rota.timezone,
        "shifts": [shift_json(shift, duty) for shift in shifts],
        "overrides": [override_json(one) for one in duty.overrides(rota.id)],
    }
    return web.json_response(body)


async def calendar(request: web.Request) -> web.Response:
    """The same as iCalendar, for anybody's calendar program."""
    params.only(request, "start", "end", "user")
    duty = duty_of(request)
    start, end = stretch(request, weeks=26)
    rota = duty.rota(request.match_info["id"])
    wanted = request.query.get("user")
    shifts = [s for s in duty.schedule(rota.id, start, end) if s.user and wanted in (None, s.user)]
    text = calendar_text(rota.id, rota.name, shifts, duty, now=request.app[WEB].clock.now())
    return web.Response(body=text, content_type="text/calendar", charset="utf-8")


async def override(request: web.Request) -> web.Response:
    """Somebody stands in on this rota."""
    site, duty = request.app[WEB], duty_of(request)

    async def act() -> web.Response:
        body = await read_body(request, OverrideBody)
        by = checked_by(request, body.by, body.reason)
        start = site.clock.now() if body.starts_at is None else moment("starts_at", body.starts_at)
        wanted = Override(
            "", request.match_info["id"], body.user, start, moment("ends_at", body.ends_at), body.replaces, by,
            body.reason or "",
        )  # fmt: skip
        return web.json_response(override_json(await duty.override(wanted)), status=201)

    return await site.answers.once(request, act)


async def swap(request: web.Request) -> web.Response:
    """Two people take over each other's shifts."""
    site, duty = request.app[WEB], duty_of(request)

    async def act() -> web.Response:
        body = await read_body(request, SwapBody)
        by = checked_by(request, body.by, body.reason)
        rota, reason = request.match_info["id"], body.reason or ""
        halves = [
            Override("", rota, half.user, moment("starts_at", half.starts_at), moment("ends_at", half.ends_at), None,
                     by, reason)
            for half in (body.first, body.second)
        ]  # fmt: skip
        made = await duty.swap(halves[0], halves[1])
        return web.json_response({"overrides": [override_json(one) for one in made]}, status=201)

    return await site.answers.once(request, act)


async def end(request: web.Request) -> web.Response:
    """Take an override back; a swap goes whole."""
    site, duty = request.app[WEB], duty_of(request)

    async def act() -> web.Response:
        body = await read_body(request, EndBody)
        by = checked_by(request, body.by, None)
        ended = await duty.end_override(request.match_info["override"], by)
        return web.json_response({"overrides": [override_json(one) for one in ended]})

    return await site.answers.once(request, act)


async def reply(request: web.Request) -> web.Response:
    """A gateway's webhook. The signature over the body is the permission; nothing else is asked for."""
    raw = await request.read()
    given = request.headers.get("X-Healthmon-Signature", "")
    said = await duty_of(request).reply(request.match_info["channel"], raw, given)
    return web.json_response({"said": said})


def checked_by(request: web.Request, given: str | None, reason: str | None) -> str:
    """Who acts, checked for patient data like everything that people write."""
    by = acting_name(request, given)
    check_person(request.app[WEB].scrub, by)
    check_texts(request.app[WEB].scrub, reason)
    return by


def stretch(request: web.Request, *, weeks: int = 4) -> tuple[float, float]:
    """start and end of the query (Unix s)."""
    start = params.moment(request, "start")
    start = request.app[WEB].clock.now() if start is None else start
    end = params.moment(request, "end")
    end = start + weeks * WEEK_S if end is None else end
    if not start < end <= start + LONGEST_S:
        raise bad_request("end", "must be after start, and at most 400 days after it")
    return start, end


def standby_json(one: Standby, duty: Duty) -> dict[str, Any]:
    return {
        "rota": one.rota.id,
        "name": one.rota.name,
        "timezone": one.rota.timezone,
        "teams": list(one.teams),
        "now": shift_json(one.shift, duty),
        "following": {"user": user_json(duty.users().get(one.following.user or "")), "from": rfc3339(one.shift.end)},
        "backup": user_json(one.backup),
    }


def shift_json(shift: Shift, duty: Duty) -> dict[str, Any]:
    user = user_json(duty.users().get(shift.user or ""))
    return {"starts_at": rfc3339(shift.start), "ends_at": rfc3339(shift.end), "user": user, "via": shift.via}


def user_json(user: OncallUser | None) -> dict[str, Any] | None:
    """Who, and by which channels; addresses stay here."""
    if user is None:
        return None
    return {"id": user.id, "name": user.name, "phone": user.phone, "channels": [channel for channel, _ in user.readers]}


def override_json(one: Override) -> dict[str, Any]:
    return {
        "id": one.id,
        "rota": one.rota,
        "user": one.user,
        "replaces": one.replaces,
        "starts_at": rfc3339(one.start),
        "ends_at": rfc3339(one.end),
        "by": one.by,
        "reason": one.reason,
        "swap": one.pair,
        "ended": one.ended,
    }


def calendar_text(rota: str, name: str, shifts: list[Shift], duty: Duty, *, now: float) -> bytes:
    """RFC 5545. The UID of a shift stays the same as long as its start and its person do."""
    from icalendar import Calendar, Event, vCalAddress

    made = Calendar()
    made.add("prodid", "-//healthmon//on-call//EN")
    made.add("version", "2.0")
    made.add("x-wr-calname", f"On call: {name}")
    for shift in shifts:
        user = duty.users().get(shift.user or "")
        event = Event()
        event.add("uid", f"{rota}-{shift.start:.0f}-{shift.user}@healthmon")
        event.add("dtstamp", datetime.fromtimestamp(now, UTC))
        event.add("dtstart", datetime.fromtimestamp(shift.start, UTC))
        event.add("dtend", datetime.fromtimestamp(shift.end, UTC))
        event.add("summary", user.name if user else shift.user)
        event.add("description", f"{name}, by {shift.via}")
        if user and user.email:
            who = vCalAddress(f"mailto:{user.email}")
            who.params["CN"] = user.name
            event.add("attendee", who, encode=False)
        made.add_component(event)
    found: bytes = made.to_ical()
    return found


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/oncall", now),
        web.get("/api/v1/oncall/{id}", schedule),
        web.get("/api/v1/oncall/{id}/calendar", calendar),
        web.post("/api/v1/oncall/{id}/overrides", override),
        web.post("/api/v1/oncall/{id}/swaps", swap),
        web.post("/api/v1/oncall/overrides/{override}/end", end),
        web.post("/api/v1/replies/{channel}", reply),
    ]
