"""What wards may say and read, on top of the server: implements the web's Wards port."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from healthmon.app.server import Server
from healthmon.app.ticketbook import tickets
from healthmon.app.ticketshapes import NoTicket
from healthmon.app.wardbook import answer
from healthmon.impact.hours import Calendar
from healthmon.ingest.guard import suspicious
from healthmon.model.catalogue import Catalogue
from healthmon.model.errors import NotFound
from healthmon.model.incident import Incident
from healthmon.model.paper import KINDS, Paper
from healthmon.model.render import report_json, rfc3339
from healthmon.model.report import Filed, Heard, Mark, Said, Ticket
from healthmon.model.topology import Estate
from healthmon.model.wards import Desk, Stage
from healthmon.web.problem import Problem

#: An incident is never open for longer than this before something is said in it.
_LONGEST_S = 400 * 86_400.0
#: More of a text is not kept.
TEXT_MOST = 280


class WardDesk:
    """One for the server; the configuration may change under it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def heard(self, heard: Heard) -> Mapping[str, Any]:
        """Take a report and say who has it. Never refused, whatever it looks like."""
        filed, dropped = filed_of(heard, self._server.site.estate, self._server.clock.now())
        book = self._server.wards
        taken = await book.report(filed)
        words, desk = book.catalogue(filed.area), book.desk(filed.area)
        found: Mapping[str, Any] = answer(
            taken, words, desk, clock=self._clock(words), dropped=dropped, broken=heard.broken
        )
        return found

    async def works_again(self, incident: str, area: str) -> bool:
        return await self._server.wards.works_again(incident, area) is not None

    async def mark(self, area: str, what: str, by: str) -> None:
        """Paper or writing back began or ended there; who says so keeps a role or a name, never a number."""
        who = by if suspicious(by) in (None, "name") and not any(char.isdigit() for char in by) else ""
        await self._server.wards.mark(Mark(self._server.clock.now(), area, what, who or "ward"))

    async def marks(self) -> Sequence[Mark]:
        return self._server.wards.marks

    async def ticket(self, token: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A ticket system tells of a ticket; None when the token is nobody's. Raises Problem."""
        book = self._server.tickets
        source = book.source_of(token)
        if source is None:
            return None
        try:
            taken = await book.take(body, source)
        except NoTicket as error:
            raise Problem(422, "no-ticket", str(error)) from None
        return {"taken": True, **ticket_json(taken)}

    async def tickets(self, since: float, until: float) -> Sequence[Mapping[str, Any]]:
        found = await asyncio.to_thread(tickets, self._server.journal, since, until)
        return [ticket_json(one) for one in found]

    async def reports(self, since: float, until: float) -> Sequence[Mapping[str, Any]]:
        """What wards said in that time, with the incident that it went into."""
        incidents = await asyncio.to_thread(self._server.journal.incidents, since - _LONGEST_S, until)
        found = [(one, incident) for incident in incidents for one in incident.reports if since <= one.first_at < until]
        return [report_json(one) | {"incident": incident.id} | _how_it_went(incident) for one, incident in found]

    async def paper(self, kind: str) -> Paper:
        """Raises NotFound."""
        if kind not in KINDS:
            raise NotFound(f"no paper {kind[:40]!r} (there are: {', '.join(KINDS)})")
        return await self._server.papers.make(kind)

    async def rang(self, who: str, by: str) -> None:
        await self._server.papers.rang(who, by)

    def stages(self) -> Sequence[Stage]:
        return self._server.site.wards.stages

    def ring(self, area: str) -> Desk:
        return self._server.wards.desk(area)

    def words(self, area: str) -> Catalogue:
        return self._server.wards.catalogue(area)

    def _clock(self, words: Catalogue) -> _Words:
        return _Words(self._server.site.estate, words)


def ticket_json(ticket: Ticket) -> dict[str, Any]:
    return {
        "system": ticket.system,
        "number": ticket.number,
        "state": ticket.state,
        "at": rfc3339(ticket.at),
        "opened_at": rfc3339(ticket.opened_at),
        "area": ticket.area or None,
        "service": ticket.service or None,
        "incidents": list(ticket.incidents),
    }


def _how_it_went(incident: Incident) -> dict[str, Any]:
    """When a named person took it, and when it was over."""
    return {
        "owned_at": rfc3339(incident.acknowledged_at),
        "closed_at": rfc3339(incident.resolved_at),
        "raised_at": rfc3339(incident.opened_at),
    }


class _Words:
    """Names and local times for an answer."""

    def __init__(self, estate: Estate, words: Catalogue) -> None:
        self._estate, self._words = estate, words
        self._calendar = Calendar(estate)
        self._site = ""

    def names(self, filed: Filed) -> str:
        known = self._estate.areas.get(filed.area)
        self._site = known.site if known else next(iter(self._estate.sites), "")
        service = self._estate.services.get(filed.service)
        return service.name if service else self._words.say("service_unknown")

    def phone(self, filed: Filed) -> str | None:
        """The ward's own number, which IT rings back."""
        known = self._estate.areas.get(filed.area)
        return known.contact.phone if known and known.contact else None

    def short(self, at: float | None) -> str:
        return "" if at is None else f"{self._calendar.local(self._site, at):%H:%M}"

    def utc(self, at: float | None) -> str | None:
        return rfc3339(at)


def filed_of(heard: Heard, estate: Estate, now: float) -> tuple[Filed, bool]:
    """The report with only what is known in it, and whether its text was dropped.

    An area that is not known is read off the PC that it came from; text that looks like a patient's data goes.
    """
    text = " ".join(heard.text.split())[:TEXT_MOST]
    dropped = bool(text) and (suspicious(heard.text[: 4 * TEXT_MOST]) or suspicious(text)) is not None
    area = _id_of(heard.area, estate.areas) or _area_of_pc(heard.client, estate)
    effect = Said(heard.effect) if heard.effect in set(Said) else Said.ONE_OF_US_CANNOT
    service = _id_of(heard.service, estate.services)
    return Filed(_id(heard, area, service), now, area, service, effect, "" if dropped else text), dropped


def _id_of(said: str, known: Mapping[str, Any]) -> str:
    """An id, or the name that people know it by."""
    wanted = said.strip().casefold()
    if wanted in known:
        return wanted
    return next((id_ for id_, one in known.items() if wanted and one.name.casefold() == wanted), "")


def _area_of_pc(client: str, estate: Estate) -> str:
    """Where the PC of this address stands."""
    found = (target.area for target in estate.targets.values() if client and target.address == client and target.area)
    return next(found, None) or ""


def _id(heard: Heard, area: str, service: str) -> str:
    if not heard.key:
        return secrets.token_hex(8)
    return hashlib.sha256("\0".join((heard.key, area, service)).encode()).hexdigest()[:16]
