"""The page of one incident and everything that a person does there. Forms work without JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from healthmon.model.incident import Command, Entry, Incident, LedgerFilter
from healthmon.model.view import View
from healthmon.web.actions import check_texts
from healthmon.web.api import find_incident
from healthmon.web.board import checked_form, common, form_text, page
from healthmon.web.casefile import CaseFile, case_file
from healthmon.web.handing import hand_choices
from healthmon.web.origin import local_path
from healthmon.web.people import person
from healthmon.web.problem import bad_request
from healthmon.web.settings import WEB, Web
from healthmon.web.words import LocalTime

ACTIONS = ("ack", "unack", "own", "pass", "note", "mitigate", "resolve", "reopen", "merge", "split")
#: Beyond so many lines the incident itself drops the middle of its timeline; the journal has them all.
TIMELINE_CUT = 190
LEDGER_MOST = 50
SPLIT_MOST = 60
#: More alerts than this are weighed in a thread, and not anew at every change elsewhere.
MANY_MEMBERS = 200
CASE_KEPT_S = 10.0
CASES_MOST = 200
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
    facts["case"] = case = await case_now(site, found, view, facts["clock"])
    facts["card"] = case.card
    facts["others"] = [i for i in view.incidents if i.open and i.id != found.id]
    facts["choices"] = hand_choices(view.estate, site.duty, people=True)
    facts["parts"] = sorted({member.key.target for member in found.members})[:SPLIT_MOST]
    facts["has_report"] = site.tools is not None
    return page(request, "incident", facts)


async def case_now(site: Web, incident: Incident, view: View, clock: LocalTime) -> CaseFile:
    """The case of this view, made once for all who look; thousands of alerts are weighed beside the event loop."""
    kept = site.cases.get(incident.id)
    many = len(incident.members) > MANY_MEMBERS
    if kept and kept[1] == incident and (kept[0] == view.version or many) and 0.0 <= clock.now - kept[2] < CASE_KEPT_S:
        return kept[3]
    notices = await site.queries.notices(incident.id)
    ledger = await site.queries.ledger(LEDGER_MOST, None, LedgerFilter(incident=incident.id))
    names = {user.id: user.name for user in site.duty.users().values()} if site.duty else {}
    timeline = await whole_timeline(site, incident)
    work = partial(case_file, incident, view, clock, timeline=timeline, notices=notices, ledger=ledger, names=names)
    made = await asyncio.to_thread(work) if many else work()
    if len(site.cases) >= CASES_MOST:
        site.cases.clear()
    site.cases[incident.id] = (view.version, incident, clock.now, made)
    return made


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
