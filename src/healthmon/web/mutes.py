"""Silences and changes of /api/v1: list, show, preview, make, extend, end, review."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from healthmon.model.errors import Conflict, NotFound
from healthmon.model.mute import Change, Floor, Match, Mute, MuteCommand, MuteState, Silence, Standing, When
from healthmon.model.topology import Estate
from healthmon.model.view import View
from healthmon.web import params
from healthmon.web.actions import Id, Name, Text, acting_name, check_person, check_texts, read_body
from healthmon.web.approvals import approving, listed, reviewer, waits_for_second
from healthmon.web.muteshapes import event_json, preview_json, standing_json
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, Web

Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Key = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
FloorWord = Literal["keep", "two_people", "break_glass"]
Handler = Callable[[web.Request], Coroutine[Any, Any, web.Response]]


class MatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """All that is given must fit; `*` and `?` stand for any text."""

    target: Pattern | None = None
    area: Pattern | None = None
    rule: Pattern | None = None
    check: Pattern | None = None
    kind: Pattern | None = None
    site: Pattern | None = None


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True):
    match: MatchBody
    owner: Name
    reason: Text
    ends_at: str
    starts_at: str | None = None
    repeat: Text | None = None
    timezone: Name | None = None
    except_on: list[str] = []
    floor: FloorWord = "keep"
    approved_by: Name | None = None
    by: Name | None = None


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    title: Text
    targets: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1000)]
    starts_at: str
    ends_at: str
    expected: Annotated[list[Pattern], msgspec.Meta(max_length=100)] = []
    id: Key | None = None
    owner: Annotated[str, msgspec.Meta(max_length=80)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    repeat: Text | None = None
    timezone: Name | None = None
    except_on: list[str] = []
    floor: FloorWord = "keep"
    approved_by: Name | None = None
    source: Annotated[str, msgspec.Meta(pattern="^(api|ics:[0-9a-f]{16}(#[0-9]{1,12})?)$")] = "api"
    by: Name | None = None


class End(msgspec.Struct, forbid_unknown_fields=True):
    by: Name | None = None
    note: Text | None = None


class Extend(msgspec.Struct, forbid_unknown_fields=True):
    ends_at: str
    by: Name | None = None


def moment(name: str, text: str) -> float:
    """RFC 3339 with an offset as Unix seconds; raises 400."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(name, "is not a time (allowed: 2027-01-31T22:00:00Z)") from None
    if found.tzinfo is None:
        raise bad_request(name, "needs an offset or Z")
    return found.timestamp()


def silence_of(body: SilenceBody, view: View, *, now: float) -> Silence:
    """The draft that a body asks for."""
    match = Match(**msgspec.structs.asdict(body.match))
    starts_at = now if body.starts_at is None else moment("starts_at", body.starts_at)
    zone = body.timezone or zone_of(view.estate, area=match.area, targets=(match.target or "",), site=match.site)
    when = when_of(body, starts_at, zone)
    return Silence("", match, body.owner, body.reason, when, floor=Floor(body.floor), approved_by=body.approved_by)


def change_of(body: ChangeBody, view: View) -> Change:
    """The draft that a body asks for."""
    zone = body.timezone or zone_of(view.estate, targets=tuple(body.targets))
    when = when_of(body, moment("starts_at", body.starts_at), zone)
    return Change(
        body.id or "",
        body.title,
        tuple(body.targets),
        when,
        tuple(body.expected),
        body.owner,
        body.reason,
        floor=Floor(body.floor),
        approved_by=body.approved_by,
        source=body.source,
    )


def check_targets(draft: Mute, view: View) -> None:
    """A preview of what would be refused is refused as well. Raises Conflict."""
    ids = draft.targets if isinstance(draft, Change) else ()
    unknown = [id_ for id_ in ids if id_ not in view.estate.targets and id_ not in view.estate.services]
    if unknown:
        raise Conflict(f"targets: {', '.join(unknown)} (allowed: ids of targets and services)")


def when_of(body: SilenceBody | ChangeBody, starts_at: float, zone: str) -> When:
    ends_at = moment("ends_at", body.ends_at)
    if ends_at <= starts_at:
        raise bad_request("ends_at", "must be after starts_at")
    try:
        ZoneInfo(zone)
    except (ValueError, KeyError, OSError):
        raise bad_request("timezone", "is not a time zone (allowed: names such as Europe/London)") from None
    return When(starts_at, ends_at, body.repeat, zone, tuple(body.except_on))


def zone_of(estate: Estate, *, area: str | None = None, targets: tuple[str, ...] = (), site: str | None = None) -> str:
    """The time zone of the site that it is about; the organisation's when that is not one."""
    place = estate.areas.get(area or "")
    found = next((estate.targets[id_] for id_ in targets if id_ in estate.targets), None)
    where = site or (place.site if place else found.site if found else "")
    return estate.sites[where].timezone if where in estate.sites else estate.organisation.timezone


def kind_of(noun: str) -> type[Silence] | type[Change]:
    return Silence if noun == "silences" else Change


def listing(noun: str) -> Handler:
    """Those in force first."""

    async def handle(request: web.Request) -> web.Response:
        params.only(request, "limit", "cursor", "state")
        wanted = params.words(request, "state", MuteState)
        every = [one for one in request.app[WEB].queries.view().mutes if isinstance(one.mute, kind_of(noun))]
        order = {one.mute.id: place for place, one in enumerate(every)}
        found = [one for one in every if not wanted or one.state in wanted]
        return web.json_response(
            params.page(request, found, key=lambda one: (order[one.mute.id], one.mute.id), shape=standing_json)
        )

    return handle


def find(view: View, noun: str, wanted: str) -> Standing:
    """The silence or change of this id; raises NotFound."""
    for one in view.mutes:
        if one.mute.id == wanted and isinstance(one.mute, kind_of(noun)):
            return one
    raise NotFound(f"no {'silence' if noun == 'silences' else 'change'} {wanted[:80]!r}")


def showing(noun: str) -> Handler:
    """One with what it hides now and everything that was done to it."""

    async def handle(request: web.Request) -> web.Response:
        site = request.app[WEB]
        found = find(site.queries.view(), noun, request.match_info["id"])
        body = standing_json(found)
        body["preview"] = preview_json(await site.queries.preview(found.mute))
        body["audit"] = [event_json(event) for event in await site.queries.mute_events(found.mute.id)]
        return web.json_response(body)

    return handle


async def draft_of(request: web.Request, noun: str) -> tuple[Mute, str]:
    """The draft and who makes it, checked for patient data."""
    site = request.app[WEB]
    body: Any = await read_body(request, SilenceBody if noun == "silences" else ChangeBody)
    by = acting_name(request, body.by, body.owner)
    for name in (by, body.owner, body.approved_by):
        check_person(site.scrub, name)
    check_texts(site.scrub, *texts_of(body))
    view = site.queries.view()
    draft: Mute = silence_of(body, view, now=site.clock.now()) if noun == "silences" else change_of(body, view)
    return draft, by


def texts_of(body: SilenceBody | ChangeBody) -> list[str]:
    """Every text of a body that is kept or could be repeated in an answer."""
    own = [body.reason, body.repeat or "", *body.except_on]
    if isinstance(body, SilenceBody):
        return [*own, *(str(text) for text in msgspec.structs.asdict(body.match).values() if text)]
    return [*own, body.title, *body.targets, *body.expected]


def making(noun: str) -> Handler:
    """Make one; with `?preview=true` only say what it would hide."""

    async def handle(request: web.Request) -> web.Response:
        site = request.app[WEB]
        params.only(request, "preview")
        if request.query.get("preview", "false") not in ("true", "false"):
            raise bad_request("preview", "must be true or false")
        if request.query.get("preview") == "true":
            draft, by = await draft_of(request, noun)
            check_targets(draft, site.queries.view())
            seen = await site.queries.preview(replace(draft, created_by=by))
            return web.json_response({"preview": preview_json(seen)})

        async def act() -> web.Response:
            draft, by = await draft_of(request, noun)
            waiting = await waits_for_second(request, draft)
            if waiting:
                return web.json_response({"approval": waiting.as_json()}, status=202)
            made = await site.commands.mute(MuteCommand("add", by, draft=draft))
            return web.json_response(await with_preview(site, made), status=201)

        return await site.answers.once(request, act)

    return handle


def acting(noun: str, action: str) -> Handler:
    """End, extend or review one."""

    async def handle(request: web.Request) -> web.Response:
        site = request.app[WEB]

        async def act() -> web.Response:
            find(site.queries.view(), noun, request.match_info["id"])
            body: Any = await read_body(request, Extend if action == "extend" else End)
            by = acting_name(request, body.by)
            check_person(site.scrub, by)
            if action == "review":
                await reviewer(request)
            note = getattr(body, "note", None)
            check_texts(site.scrub, note)
            until = moment("ends_at", body.ends_at) if action == "extend" else None
            command = MuteCommand(action, by, request.match_info["id"], ends_at=until, note=note or "")
            return web.json_response(standing_json(await site.commands.mute(command)))

        return await site.answers.once(request, act)

    return handle


async def with_preview(site: Web, standing: Standing) -> dict[str, Any]:
    return standing_json(standing) | {"preview": preview_json(await site.queries.preview(standing.mute))}


ACTIONS = {"silences": ("end", "extend", "review"), "changes": ("end", "extend")}


def routes() -> list[web.RouteDef]:
    """Everything about silences and changes."""
    found = []
    for noun, actions in ACTIONS.items():
        found += [
            web.get(f"/api/v1/{noun}", listing(noun)),
            web.post(f"/api/v1/{noun}", making(noun)),
            web.get(f"/api/v1/{noun}/{{id}}", showing(noun)),
        ]
        found += [web.post(f"/api/v1/{noun}/{{id}}/{action}", acting(noun, action)) for action in actions]
    found.append(web.get("/api/v1/approvals", listed))
    found.append(web.post("/api/v1/approvals/{id}/approve", approving(standing_json)))
    return found
