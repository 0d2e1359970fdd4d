"""The shell around texts to wards: what was told, which words, and who is there to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from healthmon.alerting.incidents.wardtexts import FORGET_S, Ward, about, texts_due
from healthmon.alerting.oncall.case import BAD_NEWS
from healthmon.app.phrasing import phrases_of
from healthmon.impact.hours import Calendar
from healthmon.model.incident import Incident, Notice

if TYPE_CHECKING:
    from healthmon.app.server import Server


async def ward_texts(server: Server) -> list[Notice]:
    """New texts of every incident to every ward with a telephone; the told-log keeps each from being sent twice."""
    plan = server.site.wards.texts
    if plan is None:
        return []
    view, wards = server.view(), list(_wards(server))
    found: list[Notice] = []
    for incident in view.incidents:
        if _settled(incident, view.at):
            continue
        told = await asyncio.to_thread(_told, server, incident.id)
        pages = await asyncio.to_thread(server.journal.notices, incident.id)
        paged = any(one.why in BAD_NEWS for one in pages)
        for ward in wards:
            found += texts_due(incident, ward, told, plan=plan, view=view, paged=paged)
    return found


def _settled(incident: Incident, now: float) -> bool:
    return incident.resolved_at is not None and now - incident.resolved_at > FORGET_S


def _told(server: Server, incident: str) -> list[Notice]:
    heads = server.journal.notices(about(incident))
    return [whole for head in heads if (whole := server.journal.notice(head.key)) is not None]


def _wards(server: Server) -> Iterator[Ward]:
    """Only areas that are live: an area in shadow is told nothing."""
    site, now = server.site, server.clock.now()
    plan, alerting = site.wards.texts, site.alerting
    calendar = Calendar(site.estate, site.holidays)
    for id_, phones in (plan.phones if plan else {}).items():
        area = site.estate.areas[id_]
        mode = alerting.area_modes.get(id_) or alerting.site_modes.get(area.site) or alerting.mode
        if mode == "live":
            language = site.wards.language_of(area=id_, site=area.site)
            desk = site.wards.desk_of(area.site)
            yield Ward(id_, phones, phrases_of(site, language), desk, calendar.staffed(id_, now))
