"""What came in over one connection, in order, and at last its end."""

from __future__ import annotations

import asyncio

from healthmon.model.errors import TransportDown
from healthmon.model.ports import Message


class Arrivals:
    """An iterator without a limit: one with a limit would lose what the broker was told we have.

    Not a generator, because a cancelled wait would end that for good. Its only end is TransportDown.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self.lost: str | None = None

    def put(self, message: Message) -> None:
        """One more message."""
        self._queue.put_nowait(message)

    def end(self, why: str) -> None:
        """The connection is gone; what came before can still be read."""
        self.lost = self.lost or why or "connection lost"
        self._queue.put_nowait(None)

    def __aiter__(self) -> Arrivals:
        return self

    async def __anext__(self) -> Message:
        message = await self._queue.get()
        if message is None:
            self._queue.put_nowait(None)
            raise TransportDown(str(self.lost))
        return message
