"""GET /status: what services do, for everybody, without a login: no device, no area, no cause."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from healthmon.model.incident import ServiceState
from healthmon.model.render import rfc3339
from healthmon.model.view import View
from healthmon.web import params
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, engine_stale
from healthmon.web.wards import wards_of
from healthmon.web.words import LocalTime

_WORST = (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN)
_SYMBOLS = {"lost": "✕", "degraded": "◐", "unknown": "?", "quiet": "○"}


async def show(request: web.Request) -> web.Response:
    """The page, or `?format=json`."""
    params.only(request, "format")
    form = request.query.get("format", "html")
    if form not in ("html", "json"):
        raise bad_request("format", "unknown (allowed: html, json)")
    site, wards = request.app[WEB], wards_of(request)
    view, now = site.queries.view(), site.clock.now()
    words, desk = wards.words(""), wards.ring("")
    rows = services(view)
    stale = engine_stale(site.health())
    if form == "json":
        body = {
            "at": rfc3339(now),
            "current": not stale,
            "services": rows,
            "ring": {"name": desk.name, "phone": desk.phone},
        }
        return web.json_response(body)
    clock = LocalTime.of(view.estate, now)
    facts = {
        "words": words,
        "desk": desk,
        "organisation": view.estate.organisation.name,
        "rows": [(row["name"], _SYMBOLS[row["state"]], _said(row, words)) for row in rows],
        "expired": stale,
        "as_at": f"{clock.short(now)} {clock.zone_words()}",
    }
    return web.Response(text=site.pages.render("status.html", facts), content_type="text/html")


def services(view: View) -> list[dict[str, Any]]:
    """The worst state of each service over all areas, and in how many. Foundations are nobody's service."""
    found = []
    for service in sorted(view.estate.services.values(), key=lambda one: (one.tier, one.name)):
        states = [status.state for (_, id_), status in view.services.items() if id_ == service.id]
        worst = next((state for state in _WORST if state in states), None)
        if service.tier > 0:
            state = worst.value if worst else "quiet"
            found.append({"name": service.name, "state": state, "areas": states.count(worst) if worst else 0,
                          "of": len(states)})  # fmt: skip
    return found


def _said(row: dict[str, Any], words: Any) -> str:
    if row["state"] == "quiet":
        return str(words.say("status_quiet"))
    state = words.say(f"state_{row['state']}")
    return str(words.say("status_areas", state=state, count=row["areas"], total=row["of"]))


def routes() -> list[web.RouteDef]:
    return [web.get("/status", show)]
