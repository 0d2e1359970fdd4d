"""What the web may read and change of on-call duty, on top of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from healthmon.app.replies import Replies
from healthmon.app.server import Server
from healthmon.model.oncall import OncallUser, Override, Rota, Shift, Standby


class DutyDesk:
    """Implements the Duty port."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._replies = Replies(server)

    def oncall(self, at: float | None = None) -> Sequence[Standby]:
        roster = self._server.roster
        when = roster.wall(self._server.clock.now()) if at is None else at
        return [roster.standby(rota, when) for rota in sorted(roster.plan.rotas)]

    def schedule(self, rota: str, start: float, end: float) -> Sequence[Shift]:
        return self._server.roster.shifts(rota, start, end)

    def rota(self, rota: str) -> Rota:
        return self._server.roster.rota(rota)

    def users(self) -> Mapping[str, OncallUser]:
        return self._server.roster.plan.users

    def overrides(self, rota: str) -> Sequence[Override]:
        return [one for one in self._server.roster.overrides if one.rota == rota and not one.ended]

    async def loads(self) -> Mapping[str, int]:
        return {load.rota: load.pages for load in await self._server.duty.loads()}

    async def override(self, wanted: Override) -> Override:
        return await self._server.duty.override(wanted)

    async def swap(self, first: Override, second: Override) -> Sequence[Override]:
        return await self._server.duty.swap(first, second)

    async def end_override(self, override: str, by: str) -> Sequence[Override]:
        return await self._server.duty.end(override, by)

    async def reply(self, channel: str, raw: bytes, signature: str) -> str:
        return await self._replies.take(channel, raw, signature)
