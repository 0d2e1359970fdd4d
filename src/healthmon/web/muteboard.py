"""The page of silences and changes: what is held back, by whom, until when, and whom that leaves alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from healthmon.model.mute import OVER, Floor, Match, MuteCommand, Preview, Silence, Standing, When
from healthmon.model.view import View
from healthmon.web.actions import check_person, check_texts
from healthmon.web.approvals import approve, reviewer, waits_for_second
from healthmon.web.board import checked_form, common, form_text, page
from healthmon.web.changeform import FIELDS, change_asked
from healthmon.web.changeform import routes as change_routes
from healthmon.web.hiding import Hiding, hiding
from healthmon.web.muteform import hours_of
from healthmon.web.mutes import zone_of
from healthmon.web.origin import local_path
from healthmon.web.people import person
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, Web

#: A preview walks the estate; so many are worked out for one look at the page.
PREVIEWS_MOST = 20
OVER_SHOWN = 20
_PARTS = ("target", "area", "rule", "check", "kind", "site")


@dataclass(frozen=True, slots=True)
class MuteRow:
    """One silence or change as people read it."""

    standing: Standing
    kind: str
    what: str
    noun: str
    preview: Hiding | None


async def rows_of(site: Web, standings: list[Standing]) -> list[MuteRow]:
    found, estate = [], site.queries.view().estate
    for place, standing in enumerate(standings):
        mute = standing.mute
        seen = None
        if place < PREVIEWS_MOST and standing.state not in OVER:
            seen = hiding(await site.queries.preview(mute), estate)
        if isinstance(mute, Silence):
            found.append(MuteRow(standing, "silence", mute.match.words(), "silences", seen))
        else:
            found.append(MuteRow(standing, "change", f"{mute.title}: {', '.join(mute.targets)}", "changes", seen))
    return found


async def show_mutes(request: web.Request) -> web.Response:
    site = request.app[WEB]
    view = site.queries.view()
    facts = common(request, view)
    current = [one for one in view.mutes if one.state not in OVER]
    past = [one for one in view.mutes if one.state in OVER]
    past.sort(key=lambda one: -(one.mute.ending.at if one.mute.ending else 0.0))
    facts["rows"] = await rows_of(site, current)
    facts["past"] = await rows_of(site, past[:OVER_SHOWN])
    facts["reviews"] = [one.mute for one in view.mutes if isinstance(one.mute, Silence) and awaits_review(one.mute)]
    facts["waiting"] = site.approvals.all()
    facts["asked"] = {name: request.query.get(name, "") for name in (*_PARTS, "hours", "reason", "owner")}
    facts["planned"] = {name: request.query.get(name, "") for name in FIELDS}
    silence = await preview_asked(site, view, request.query, facts["now"])
    change = await change_asked(site, view, request.query, facts["now"])
    facts["draft"] = hiding(silence, view.estate) if silence else None
    facts["change"] = hiding(change, view.estate) if change else None
    return page(request, "mutes", facts)


def awaits_review(silence: Silence) -> bool:
    return silence.floor is Floor.BREAK_GLASS and silence.reviewed_at is None


async def preview_asked(site: Web, view: View, query: Any, now: float) -> Preview | None:
    """The preview of what the form above the list describes, if anything."""
    match = match_of(query)
    if not match.given():
        return None
    return await site.queries.preview(draft_of(match, view, now, hours=1.0, owner="", reason=""))


def match_of(given: Any) -> Match:
    texts = {name: str(given.get(name, "")).strip()[:200] or None for name in _PARTS}
    return Match(**texts)


def draft_of(match: Match, view: View, now: float, *, hours: float, owner: str, reason: str) -> Silence:
    zone = zone_of(view.estate, area=match.area, targets=(match.target or "",), site=match.site)
    return Silence("", match, owner, reason, When(now, now + hours * 3600.0, None, zone))


async def form_silence(request: web.Request) -> web.Response:
    """Make a silence from the form."""
    site, form = request.app[WEB], await checked_form(request)
    owner, reason = form_text(form, "owner") or person(request).name, form_text(form, "reason")
    hours = hours_of(form_text(form, "hours"))
    if not reason:
        raise bad_request("reason", "say why")
    check_person(site.scrub, owner)
    check_texts(site.scrub, reason)
    draft = draft_of(match_of(form), site.queries.view(), site.clock.now(), hours=hours, owner=owner, reason=reason)
    draft = replace(draft, floor=floor_of(form_text(form, "floor")))
    if not await waits_for_second(request, draft):
        await site.commands.mute(MuteCommand("add", person(request).name, draft=draft))
    raise web.HTTPSeeOther("/mutes")


def floor_of(text: str) -> Floor:
    try:
        return Floor(text or Floor.KEEP)
    except ValueError:
        raise bad_request("floor", f"must be one of {', '.join(Floor)}") from None


async def form_approve(request: web.Request) -> web.Response:
    """The second person's button."""
    await checked_form(request)
    await approve(request, request.match_info["id"])
    raise web.HTTPSeeOther("/mutes")


def form_action(action: str) -> Any:
    """End or review one."""

    async def handle(request: web.Request) -> web.Response:
        site, form = request.app[WEB], await checked_form(request)
        if action == "review":
            await reviewer(request)
        command = MuteCommand(action, person(request).name, request.match_info["id"])
        await site.commands.mute(replace(command, note=form_text(form, "note")))
        raise web.HTTPSeeOther(local_path(str(form.get("next", "/mutes"))))

    return handle


def routes() -> list[web.RouteDef]:
    return [
        web.get("/mutes", show_mutes),
        web.post("/mutes", form_silence),
        web.post("/mutes/{id}/end", form_action("end")),
        web.post("/mutes/{id}/review", form_action("review")),
        web.post("/mutes/approvals/{id}", form_approve),
        *change_routes(),
    ]
