"""What the tools of the API ask of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.app.server import Server
from healthmon.model.errors import NotFound


class Toolbox:
    """Implements the web's Tools."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def reload(self, by: str) -> Mapping[str, Any]:
        """Raises ConfigError, JournalDown; then the old configuration stays."""
        if self._server.reloader is None:
            raise NotFound("this server was not started from files")
        return (await self._server.reloader.reload(by)).as_json()
