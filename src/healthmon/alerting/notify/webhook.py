"""A channel that posts the incident as JSON to a URL: chat, ticket and paging gateways."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import msgspec

from healthmon.alerting.notify.message import payload, read_status
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True)
class Params:
    """url may hold a secret and is never printed; secret signs the body; headers are sent as they are."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        if not 0.1 <= self.timeout_s <= 60.0:
            raise ValueError("timeout_s must be between 0.1 and 60")
        if any("\n" in part or "\r" in part for pair in self.headers.items() for part in pair):
            raise ValueError("headers must not hold line breaks")


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the body, for the receiver to compare in constant time."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhook:
    """POSTs with `Idempotency-Key`, and `X-Healthmon-Signature` when there is a secret. Follows no redirect."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """One POST. The answer's body is not read: the status says all."""
        import aiohttp

        body = msgspec.json.encode(payload(notice))
        try:
            async with self._opened().post(
                self._params.url, data=body, headers=self._headers(notice, body), allow_redirects=False
            ) as answer:
                headers = answer.headers
                return read_status(answer.status, retry_after=headers.get("Retry-After"), date=headers.get("Date"))
        except TimeoutError:
            return Retry(f"no answer in {self._params.timeout_s:g} s")
        except aiohttp.InvalidURL:
            return Dead("the URL is not valid")
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            return Retry(_reason(error))

    async def close(self) -> None:
        """End the kept connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            context = ssl.create_default_context(cafile=self._params.ca_file) if self._params.ca_file else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=8),
                timeout=aiohttp.ClientTimeout(total=self._params.timeout_s),
            )
        return self._session

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        headers = {
            **self._params.headers,
            "Content-Type": "application/json",
            "User-Agent": "healthmon",
            "Idempotency-Key": notice.key,
        }
        if self._params.secret is not None:
            headers["X-Healthmon-Signature"] = signature(self._params.secret, body)
        return headers


def _reason(error: Exception) -> str:
    """The kind of error and the system's word; never the URL, which may hold a secret."""
    system = error.__cause__ if isinstance(error.__cause__, OSError) else error
    word = os.strerror(system.errno) if isinstance(system, OSError) and system.errno else ""
    return f"{type(error).__name__}: {word}" if word else type(error).__name__
