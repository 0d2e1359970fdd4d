"""Planning a change on the page of silences: say what is worked on, see whom it could leave alone, then plan it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from healthmon.model.mute import Change, MuteCommand, Preview, When
from healthmon.model.view import View
from healthmon.web.actions import check_person, check_texts
from healthmon.web.board import checked_form, form_text
from healthmon.web.muteform import hours_of
from healthmon.web.mutes import zone_of
from healthmon.web.people import person
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, Web

FIELDS = ("title", "targets", "expected", "starts", "hours", "owner")
NAMES_MOST = 200


async def change_asked(site: Web, view: View, query: Any, now: float) -> Preview | None:
    """What the change described in the form would hide, once it names a target."""
    if not names_of(query.get("targets", "")):
        return None
    return await site.queries.preview(draft_of(query, view, now))


def draft_of(given: Any, view: View, now: float) -> Change:
    """The change that a form describes; raises 400."""
    targets = names_of(given.get("targets", ""))
    zone = zone_of(view.estate, targets=targets)
    starts_at = start_of(str(given.get("starts", "")), zone, now)
    ends_at = starts_at + hours_of(str(given.get("hours", ""))) * 3600.0
    return Change(
        "",
        str(given.get("title", "")).strip(),
        targets,
        When(starts_at, ends_at, None, zone),
        names_of(given.get("expected", "")),
        str(given.get("owner", "")).strip(),
        source="api",
    )


def start_of(text: str, zone: str, now: float) -> float:
    """The hour as the clock of that site shows it; empty is now."""
    if not text.strip():
        return now
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=ZoneInfo(zone)).timestamp()
    except ValueError:
        raise bad_request("starts", "is not a time (allowed: 2027-01-31 22:00)") from None


def names_of(text: object) -> tuple[str, ...]:
    """Ids parted by commas or spaces."""
    return tuple(dict.fromkeys(str(text)[:4000].replace(",", " ").split()))[:NAMES_MOST]


async def form_change(request: web.Request) -> web.Response:
    """Plan the change of the form."""
    site, form = request.app[WEB], await checked_form(request)
    given = {name: form_text(form, name) for name in FIELDS}
    given["owner"] = given["owner"] or person(request).name
    if not given["title"]:
        raise bad_request("title", "say what is done")
    check_person(site.scrub, given["owner"])
    check_texts(site.scrub, given["title"], given["targets"], given["expected"])
    draft = draft_of(given, site.queries.view(), site.clock.now())
    await site.commands.mute(MuteCommand("add", person(request).name, draft=draft))
    raise web.HTTPSeeOther("/mutes")


def routes() -> list[web.RouteDef]:
    return [web.post("/mutes/changes", form_change)]
