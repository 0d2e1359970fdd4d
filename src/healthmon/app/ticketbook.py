"""Tickets that other systems tell us of: kept for the monthly report, and the first human report of their incident."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.app.ticketshapes import ticket_of
from healthmon.model.journal import Audit
from healthmon.model.report import Ticket
from healthmon.model.wards import TicketSource

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The audit kind of tickets.
KIND = "ticket"
#: A ticket may be so much older than the incident that it is about.
BEFORE_S = 12 * 3_600.0


class TicketBook:
    """Takes tickets for one server; what fits no incident yet is tried again while it is fresh."""

    def __init__(self, server: Server) -> None:
        self._server = server
        since = server.clock.now() - BEFORE_S
        self._loose = [one for one in tickets(server.journal, since) if not one.incidents]

    def source_of(self, token: str) -> TicketSource | None:
        """Whose token this is; compared in constant time."""
        given, found = hashlib.sha256(token.encode()).digest(), None
        for source in self._server.site.wards.tickets.values():
            if hmac.compare_digest(given, hashlib.sha256(source.token.encode()).digest()):
                found = source
        return found

    async def take(self, body: Mapping[str, Any], source: TicketSource) -> Ticket:
        """Keep it, and mark the incidents that it is about. Raises NoTicket, JournalDown, sqlite3.Error."""
        ticket = ticket_of(body, source, self._server.site.estate, self._server.clock.now())
        ticket = await self._placed(ticket)
        key = "|".join((ticket.system, ticket.number, ticket.state, f"{ticket.opened_at:.0f}"))
        await self._server.record(Audit(KIND, ticket.at, msgspec.to_builtins(ticket), key=key))
        if not ticket.incidents and ticket.state in ("open", "reopened"):
            self._loose.append(ticket)
        return ticket

    async def look(self) -> None:
        """Monitoring may see later what somebody wrote a ticket about."""
        fresh = self._server.clock.now() - BEFORE_S
        loose, self._loose = [one for one in self._loose if one.opened_at >= fresh], []
        for ticket in loose:
            placed = await self._placed(ticket)
            if not placed.incidents:
                self._loose.append(ticket)

    async def _placed(self, ticket: Ticket) -> Ticket:
        found = await self._server.ticketed(ticket)
        return replace(ticket, incidents=found)


def tickets(journal: Journal, since: float, until: float = float("inf")) -> list[Ticket]:
    """As they were told, oldest first; several lines of one ticket say how it went on."""
    events = journal.events(KIND, since=since, limit=100_000)
    return [msgspec.convert(event.body, Ticket) for event in events if event.at < until]
