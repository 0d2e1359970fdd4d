"""What the web may read and do, on top of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from healthmon.app.server import Server
from healthmon.model.errors import NotFound
from healthmon.model.incident import Command, Incident, LedgerRow, Notice
from healthmon.model.sample import Query, Series
from healthmon.model.view import View


class Surface:
    """Implements the Queries and Commands ports."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def view(self) -> View:
        return self._server.view()

    async def changed(self, version: int, timeout_s: float) -> View:
        return await self._server.changed(version, timeout_s)

    async def series(self, query: Query) -> list[Series]:
        return await self._server.store.query(query)

    async def notices(self, incident: str) -> Sequence[Notice]:
        return await asyncio.to_thread(self._server.journal.notices, incident)

    async def ledger(self, limit: int, before: float | None = None) -> Sequence[LedgerRow]:
        return await asyncio.to_thread(self._server.journal.ledger, limit, before)

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
        incident = await self.incident_for_token(token)
        return await self.act(Command("ack", incident.id, by))

    async def incident_for_token(self, token: str) -> Incident:
        raise NotFound("this link is not known")
