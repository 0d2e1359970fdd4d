"""InfluxDB 1, 2 and 3 and everything else that takes line protocol over HTTP, through aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from healthmon.model.errors import StoreDown
from healthmon.model.sample import Query, Row, Series, Written
from healthmon.store import influxql, tending
from healthmon.store.answers import Meaning, meaning, message_of
from healthmon.store.dialects import Dialect
from healthmon.store.lineproto import Encoder
from healthmon.store.reading import MAX_POINTS
from healthmon.store.tending import Keep

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

#: Lines of one request: large enough to be fast, small enough to encode without holding the loop for long.
MAX_LINES = 5_000

#: VictoriaMetrics answers before its disk has the rows. Killed at any moment, 1.79.5 lost points of known series
#: up to 5 s old and points of a new series up to 9 s old.
VICTORIA_FLUSH_S = 15.0

Rejected = list[tuple[Row, str]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str
    retry_after: str | None
    victoria: bool = False


class InfluxStore:
    """version 1, 2, 3 of InfluxDB, or None for a plain line-protocol endpoint, which cannot be queried.

    `bucket` (2.x) and `database` name the same thing. Every write is idempotent, so a doubtful one is made again.
    hold_ack_s: how long after a write the rows may still be in the database's memory only. VictoriaMetrics is known
    by its answers under any version; it would turn text into the number 0, so text stays away from it.
    """

    def __init__(
        self,
        url: str,
        *,
        version: int | None = 1,
        database: str | None = "healthmon",
        org: str | None = "",
        bucket: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
        ca_file: str | None = None,
        keep: Keep | None = None,
    ) -> None:
        name = (bucket if version in (2, 3) else database) or bucket or database or "healthmon"
        self.dialect = Dialect.of(version, url, name, org=org or "", token=token, username=username, password=password)
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._keep = keep or Keep()
        self._encoder = Encoder()
        self._session: aiohttp.ClientSession | None = None
        self._greeted = False
        self.hold_ack_s = 0.0

    async def write(self, rows: Sequence[Row]) -> Written:
        """Durable when it returns; raises StoreDown when any of the rows may not be."""
        if not self._greeted:
            await self._greet()
        good, lines, rejected = self._encoder.partition(rows)
        for first in range(0, len(good), MAX_LINES):
            rejected += await self._write(good[first : first + MAX_LINES], lines[first : first + MAX_LINES])
        return Written(len(rows) - len(rejected), tuple(rejected))

    async def query(self, query: Query) -> list[Series]:
        """Series in time order; raises ValueError when this database cannot be asked or the answer is too large."""
        if not self.dialect.reads:
            raise ValueError(f"{self.dialect.at} only takes line protocol: read it with its own tools")
        answer = await self._influxql(influxql.statement(query, MAX_POINTS))
        found = influxql.series_of(self._json(answer), query)
        if sum(len(series.points) for series in found) > MAX_POINTS:
            raise ValueError(f"more than {MAX_POINTS} points: narrow the time or give a step")
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def incarnation(self) -> str:
        """Changes when the database has been restarted, as far as it publishes its start time; else empty."""
        answer = await self._request("GET", f"{self.dialect.root}/metrics")
        starts = (line for line in answer.text.splitlines() if line.startswith("process_start_time_seconds"))
        return next(starts, "") if answer.status == 200 else ""

    async def _greet(self) -> None:
        """Learn once who answers; something that knows no /ping is an ordinary line-protocol endpoint."""
        answer = await self._request("GET", f"{self.dialect.root}/ping")
        if answer.victoria:
            self.hold_ack_s = VICTORIA_FLUSH_S
            self._encoder = Encoder(texts=False)
        self._greeted = True

    async def _write(self, rows: Sequence[Row], lines: Sequence[str], *, may_create: bool = True) -> Rejected:
        answer = await self._post_lines(lines)
        stored = self.dialect.stored(answer.status)
        what = meaning(answer.status, answer.text, retry_after=answer.retry_after, at=self.dialect.at, stored=stored)
        if what is Meaning.STORED:
            return []
        words = message_of(answer.text)
        if what is Meaning.MISSING:
            if not may_create:
                raise StoreDown(f"{self.dialect.at} answered {answer.status}: {words}")
            await self._create()
            return await self._write(rows, lines, may_create=False)
        if len(rows) == 1:
            return [(rows[0], words)]
        half = len(rows) // 2
        return await self._write(rows[:half], lines[:half]) + await self._write(rows[half:], lines[half:])

    async def _post_lines(self, lines: Sequence[str]) -> _Answer:
        body = await asyncio.to_thread(gzip.compress, "\n".join(lines).encode(), 1)
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        return await self._request(
            "POST", self.dialect.write_url, params=self.dialect.write_params, data=body, headers=headers
        )

    async def _create(self) -> None:
        """Make the database or bucket; the next write tells whether that worked."""
        if self.dialect.version == 1:
            for statement in tending.statements(self.dialect.name, self._keep):
                await self._influxql(statement)
        elif self.dialect.version == 2:
            await self._create_buckets()

    async def _create_buckets(self) -> None:
        root = self.dialect.root
        answer = await self._request("GET", f"{root}/api/v2/orgs", params={"org": self.dialect.org})
        if answer.status != 200:
            raise StoreDown(f"{self.dialect.at} answered {answer.status} about its orgs: {message_of(answer.text)}")
        org_id = str((json.loads(answer.text).get("orgs") or [{}])[0].get("id"))
        for policy, bucket in tending.buckets(self.dialect.name, org_id, self._keep):
            made = await self._post_json("buckets", bucket)
            if made.get("id"):  # it was not there; its mapping and task are wanted too
                names = {"database": self.dialect.name, "policy": policy}
                await self._post_json("dbrps", tending.mapping(made["id"], org_id, **names))
        for task in tending.tasks(self.dialect.name, self.dialect.org, org_id, self._keep):
            await self._post_json("tasks", task)

    async def _post_json(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The made thing; empty when it was not made. What matters shows at the next write."""
        answer = await self._request("POST", f"{self.dialect.root}/api/v2/{what}", data=json.dumps(body).encode())
        if answer.status in (200, 201):
            with contextlib.suppress(ValueError, RecursionError):
                made = json.loads(answer.text)
                return made if isinstance(made, dict) else {}
        log.warning(
            "the database did not make what was asked for",
            extra={"what": what, "status": answer.status, "error": message_of(answer.text)},
        )
        return {}

    async def _influxql(self, statement: str) -> _Answer:
        params = {"db": self.dialect.name, "q": statement, "epoch": "u"}
        return await self._request("POST", self.dialect.query_url, data=params)

    def _json(self, answer: _Answer) -> dict[str, Any]:
        """The body of an answer to a query, its errors included; raises StoreDown when there is none."""
        if answer.status in (200, 400, 404):
            with contextlib.suppress(ValueError, RecursionError):
                body: dict[str, Any] = json.loads(answer.text)
                return body
        meaning(answer.status, answer.text, retry_after=answer.retry_after, at=self.dialect.at, stored=False)
        raise StoreDown(f"{self.dialect.at} answered {answer.status}: {message_of(answer.text)}")

    async def _request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        """One answer, with a second try: a connection kept open since before the database restarted fails once."""
        import aiohttp

        every = {**self.dialect.headers, **(headers or {})}
        try:
            return await self._once(method, url, params, data, every)
        except StoreDown as down:
            if not isinstance(down.__cause__, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
                raise
        return await self._once(method, url, params, data, every)

    async def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        data: bytes | Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> _Answer:
        import aiohttp

        try:
            async with self._open().request(
                method, url, params=params, data=data, headers=headers, allow_redirects=False
            ) as answer:
                text = await answer.text(errors="replace")
                victoria = "X-Server-Hostname" in answer.headers
                return _Answer(answer.status, text, answer.headers.get("Retry-After"), victoria)
        except TimeoutError:
            raise StoreDown(f"{self.dialect.at} did not answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise StoreDown(f"{self.dialect.at}: {error or type(error).__name__}") from error

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s), connector=aiohttp.TCPConnector(ssl=context)
            )
        return self._session
