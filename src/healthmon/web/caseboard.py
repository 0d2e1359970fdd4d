"""The page of one incident and everything that a person does there. Forms work without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiohttp import web

from healthmon.model.incident import Command, Entry, Incident, LedgerFilter
from healthmon.web.actions import check_texts
from healthmon.web.api import find_incident
from healthmon.web.board import checked_form, common, form_text, page
from healthmon.web.casefile import case_file
from healthmon.web.handing import hand_choices
from healthmon.web.origin import local_path
from healthmon.web.people import person
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, Web

ACTIONS = ("ack", "unack", "own", "pass", "note", "mitigate", "resolve", "reopen", "merge", "split")
#: Beyond so many lines the incident itself drops the middle of its timeline; the journal has them all.
TIMELINE_CUT = 190
LEDGER_MOST = 50
SPLIT_MOST = 60
#: A field that an action cannot do without, and what to say where it is empty.
NEEDED = {
    "note": ("text", "is empty"),
    "resolve": ("reason", "say why it is over"),
    "pass": ("to", "say whom to pass it to"),
    "merge": ("into", "say into which incident"),
}


async def show_incident(request: web.Request) -> web.Response:
    site = request.app[WEB]
    view = site.queries.view()
    found = find_incident(view, request.match_info["id"])
    facts = common(request, view)
    case = case_file(
        found,
        view,
        facts["clock"],
        timeline=await whole_timeline(site, found),
        notices=await site.queries.notices(found.id),
        ledger=await site.queries.ledger(LEDGER_MOST, None, LedgerFilter(incident=found.id)),
        names={user.id: user.name for user in site.duty.users().values()} if site.duty else {},
    )
    facts["case"], facts["card"] = case, case.card
    facts["others"] = [i for i in view.incidents if i.open and i.id != found.id]
    facts["choices"] = hand_choices(view.estate, site.duty, people=True)
    facts["parts"] = sorted({member.key.target for member in found.members})[:SPLIT_MOST]
    facts["has_report"] = site.tools is not None
    return page(request, "incident", facts)


async def whole_timeline(site: Web, incident: Incident) -> Sequence[Entry]:
    """Every line, also of an incident that is ten days old."""
    if len(incident.timeline) < TIMELINE_CUT:
        return incident.timeline
    return await site.queries.timeline(incident.id) or incident.timeline


def form_action(action: str) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """The form handler of one action on an incident."""

    async def handle(request: web.Request) -> web.Response:
        site, form = request.app[WEB], await checked_form(request)
        text, reason, impact, to, into = (form_text(form, n) for n in ("text", "reason", "impact", "to", "into"))
        members = tuple(str(one)[:200] for one in form.getall("members", ()))
        name, problem = NEEDED.get(action, ("", ""))
        if name and not form_text(form, name):
            raise bad_request(name, problem)
        if action == "split" and not members:
            raise bad_request("members", "say which to take out")
        check_texts(site.scrub, text, reason, impact)
        command = Command(
            action,
            request.match_info["id"],
            person(request).name,
            text=text,
            reason=reason,
            impact=impact,
            to=to,
            into=into or None,
            members=members,
        )
        done = await site.commands.act(command)
        following = f"/incident/{done.id}" if action in ("merge", "split") else str(form.get("next", "/"))
        raise web.HTTPSeeOther(local_path(following))

    return handle


def routes() -> list[web.RouteDef]:
    """The page and its forms."""
    found = [web.get("/incident/{id}", show_incident)]
    found += [web.post(f"/incident/{{id}}/{action}", form_action(action)) for action in ACTIONS]
    return found
