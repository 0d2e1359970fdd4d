"""One HTTP request of a channel, and what came of it; shared by every channel that speaks HTTP."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from healthmon.alerting.notify.message import read_status
from healthmon.model.ports import Dead, Retry, Sent

if TYPE_CHECKING:
    import aiohttp

#: No answer of a gateway is read further than this.
BODY_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """What the status means, and the JSON of the answer (None: it was none)."""

    result: Sent | Retry | Dead
    status: int = 0
    json: Any = None
    text: str = ""


def checked_url(url: str, name: str = "url") -> None:
    """Raises ValueError unless it is HTTP."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{name} must begin with http:// or https://")


def checked_timeout(timeout_s: float) -> None:
    """Raises ValueError out of 0.1 to 60 s."""
    if not 0.1 <= timeout_s <= 60.0:
        raise ValueError("timeout_s must be between 0.1 and 60")


def checked_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for line breaks."""
    if any("\n" in part or "\r" in part for pair in headers.items() for part in pair):
        raise ValueError("headers must not hold line breaks")


class HttpCalls:
    """One kept session. Follows no redirect; never shows the URL, which may hold a secret."""

    def __init__(self, *, timeout_s: float, ca_file: str | None = None) -> None:
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str], read: bool = False
    ) -> Answered:
        """One request; with `read` the answer's JSON comes along."""
        import aiohttp

        try:
            async with self._opened().request(
                method, url, data=body, headers={"User-Agent": "healthmon", **headers}, allow_redirects=False
            ) as answer:
                after, date = answer.headers.get("Retry-After"), answer.headers.get("Date")
                result = read_status(answer.status, retry_after=after, date=date)
                text = (await answer.content.read(BODY_MOST_BYTES)).decode(errors="replace") if read else ""
                return Answered(result, answer.status, _json(text), text)
        except TimeoutError:
            return Answered(Retry(f"no answer in {self._timeout_s:g} s"))
        except aiohttp.InvalidURL:
            return Answered(Dead("the URL is not valid"))
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            return Answered(Retry(reason_of(error)))

    async def send_json(self, method: str, url: str, body: Any, headers: Mapping[str, str]) -> Answered:
        """The same with JSON both ways."""
        raw = None if body is None else msgspec.json.encode(body)
        kinds = {"Content-Type": "application/json", "Accept": "application/json"}
        return await self.call(method, url, body=raw, headers={**kinds, **headers}, read=True)

    async def close(self) -> None:
        """End the kept connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=8),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            )
        return self._session


def reason_of(error: Exception) -> str:
    """The kind of error and the system's word; never the URL, which may hold a secret."""
    system = error.__cause__ if isinstance(error.__cause__, OSError) else error
    word = os.strerror(system.errno) if isinstance(system, OSError) and system.errno else ""
    return f"{type(error).__name__}: {word}" if word else type(error).__name__


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text) if text.strip() else None
    except msgspec.DecodeError:
        return None
