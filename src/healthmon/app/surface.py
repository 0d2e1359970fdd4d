"""What the web may read and do, on top of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from healthmon.alerting.oncall.tokens import Refusal, Token, TokenRefused, verify_token
from healthmon.app.server import Server
from healthmon.model.drill import PREFIX
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.incident import Command, Entry, Incident, LedgerFilter, LedgerRow, Notice
from healthmon.model.journal import Audit
from healthmon.model.mute import Mute, MuteCommand, MuteEvent, Preview, Standing
from healthmon.model.sample import Query, Series
from healthmon.model.view import View

#: The audit kind under which used acknowledgement links are kept.
SPENT = "ack_link_used"


class Surface:
    """Implements the Queries and Commands ports."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def view(self) -> View:
        return self._server.view()

    async def changed(self, version: int, timeout_s: float, spacing_s: float = 0.0) -> View:
        return await self._server.changed(version, timeout_s, spacing_s)

    async def series(self, query: Query) -> list[Series]:
        return await self._server.store.query(query)

    async def notices(self, incident: str) -> Sequence[Notice]:
        return await asyncio.to_thread(self._server.journal.notices, incident)

    async def timeline(self, incident: str) -> Sequence[Entry]:
        return await asyncio.to_thread(self._server.journal.timeline, incident)

    async def ledger(
        self, limit: int, before: float | None = None, wanted: LedgerFilter | None = None
    ) -> Sequence[LedgerRow]:
        return await asyncio.to_thread(self._server.journal.ledger, limit, before, wanted)

    async def preview(self, mute: Mute) -> Preview:
        return self._server.room.engine.preview(mute)

    async def mute_events(self, mute: str) -> Sequence[MuteEvent]:
        return await asyncio.to_thread(lambda: list(self._server.journal.mute_events(mute)))

    async def mute(self, command: MuteCommand) -> Standing:
        return await self._server.mute(command)

    async def act(self, command: Command) -> Incident:
        return await self._server.act(command)

    async def probing(self, *, resume: bool, by: str) -> None:
        """Press or release the stop button; the file survives restarts and is seen by every local prober."""
        stop_file = self._server.stop_file
        if resume:
            stop_file.unlink(missing_ok=True)
        else:
            stop_file.write_text(f"stopped by {by}\n")

    async def acknowledge_by_token(self, token: str, by: str) -> Incident:
        """Accept by the link in a page. Each link works once; the spending is on disk before the incident changes."""
        incident = (await self.incident_for_token(token)).id
        found = await self._spent(token, by)
        if incident.startswith(PREFIX):
            await self._server.drills.acknowledge(incident, by)
            return self._server.drills.shown(incident)
        return await self.act(Command("ack", incident, by, reader=(found.channel, found.to)))

    async def pass_by_token(self, token: str, by: str, to: str) -> Incident:
        """Pass it on by the link in a page; a word that means nobody does not spend the link."""
        server = self._server
        if self._token(token).incident.startswith(PREFIX):
            raise Conflict("a fire drill is answered, not passed on")
        word = server.roster.word_of(to, server.site.estate.teams, server.clock.now())
        incident = (await self.incident_for_token(token)).id
        found = await self._spent(token, by)
        return await self.act(Command("pass", incident, by, to=word, reader=(found.channel, found.to)))

    async def incident_for_token(self, token: str) -> Incident:
        """The incident a link is about; looking changes nothing."""
        wanted = self._token(token).incident
        if wanted.startswith(PREFIX):
            return self._server.drills.shown(wanted)
        incident = self._followed(wanted)
        if incident is None:
            raise NotFound("this incident is not known any more")
        return incident

    def _followed(self, incident: str) -> Incident | None:
        """The incident, or the one that it has gone into: the link in an old message leads to what is open now."""
        known = {one.id: one for one in self._server.view().incidents}
        found, seen = known.get(incident), {incident}
        while found is not None and found.merged_into in known and found.merged_into not in seen:
            seen.add(found.merged_into or "")
            found = known[found.merged_into or ""]
        return found

    async def _spent(self, token: str, by: str) -> Token:
        """The token, after its only use is on disk. Raises TokenRefused when it was used before."""
        found = self._token(token)
        now = self._server.clock.now()
        body = {"incident": found.incident, "channel": found.channel, "to": found.to, "by": by}
        if not await self._server.record(Audit(SPENT, now, body, found.incident, found.id)):
            raise TokenRefused(Refusal.USED)
        return found

    def name_for_token(self, token: str) -> str | None:
        """Whom the page was sent to, by name where it was a person's own way."""
        found = self._token(token)
        user = self._server.roster.behind(found.channel, found.to)
        return user.name if user else found.to or None

    def _token(self, token: str) -> Token:
        return verify_token(self._server.ack_secret, token, now=self._server.clock.now())
