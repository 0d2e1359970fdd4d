"""InfluxDB 1, 2 and 3 and everything else that takes line protocol over HTTP, through aiohttp."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import TYPE_CHECKING

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row, Series, Written
from healthmon.store.lineproto import Encoder

if TYPE_CHECKING:
    import aiohttp

MAX_LINES = 5_000


class InfluxStore:
    """version 1, 2, 3, or None for a plain line-protocol endpoint."""

    def __init__(
        self,
        url: str,
        *,
        version: int | None = 1,
        database: str = "healthmon",
        org: str = "",
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.database = database
        self._username = username
        self._password = password
        self._timeout_s = timeout_s
        self._encoder = Encoder()
        self._session: aiohttp.ClientSession | None = None

    async def write(self, rows: Sequence[Row]) -> Written:
        """Durable when it returns."""
        import aiohttp

        good, lines, bad = self._encoder.partition(rows)
        session = self._open()
        for first in range(0, len(lines), MAX_LINES):
            body = gzip.compress("\n".join(lines[first : first + MAX_LINES]).encode(), 1)
            try:
                async with session.post(
                    f"{self.url}/write", params={"db": self.database}, data=body, headers={"Content-Encoding": "gzip"}
                ) as answer:
                    text = await answer.text()
                    if answer.status != 204:
                        raise StoreDown(f"{answer.status}: {text[:200]}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise StoreDown(str(error)) from error
        return Written(len(good), tuple(bad))

    async def query(self, query: Query) -> list[Series]:
        raise ValueError("not yet")

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        return self._session
