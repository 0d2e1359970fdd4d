"""Who waits for something new: an incident that changed is told at once, all else a little later and together."""

from __future__ import annotations

import asyncio


class Bell:
    """`version` rises with every change. Rings for all who wait."""

    def __init__(self) -> None:
        self.version = 0
        self._news_version = 0
        self._any, self._news = asyncio.Event(), asyncio.Event()

    def ring(self, *, news: bool) -> None:
        """Something has changed; news: incidents did, or a person acted."""
        self.version += 1
        self._any.set()
        self._any = asyncio.Event()
        if news:
            self._news_version = self.version
            self._news.set()
            self._news = asyncio.Event()

    async def newer(self, version: int, timeout_s: float, *, spacing_s: float) -> None:
        """Until there is something newer than `version`, or the timeout; for `spacing_s` only news counts."""
        if spacing_s > 0.0 and self._news_version <= version:
            await _rung(self._news, spacing_s)
        if self.version <= version:
            await _rung(self._any, timeout_s)


async def _rung(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
