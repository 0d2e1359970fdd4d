"""What the tools of the API ask of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from healthmon.app.pushing import Pushing
from healthmon.app.server import Server
from healthmon.model.errors import NotFound
from healthmon.model.sample import Reading


class Toolbox:
    """Implements the web's Tools."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pushing = Pushing(server)

    def source_of(self, token: str) -> str | None:
        return self._pushing.source_of(token)

    async def push(self, source: str, readings: Sequence[Reading]) -> int:
        return await self._pushing.push(source, readings)

    async def reload(self, by: str) -> Mapping[str, Any]:
        """Raises ConfigError, JournalDown; then the old configuration stays."""
        if self._server.reloader is None:
            raise NotFound("this server was not started from files")
        return (await self._server.reloader.reload(by)).as_json()
