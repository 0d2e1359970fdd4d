"""A channel that posts the incident as JSON to a URL: chat, ticket and paging gateways."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from healthmon.alerting.notify.httpcalls import HttpCalls, checked_headers, checked_timeout, checked_url
from healthmon.alerting.notify.message import payload
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent


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
        checked_url(self.url)
        checked_timeout(self.timeout_s)
        checked_headers(self.headers)


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the body, for the receiver to compare in constant time."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhook:
    """POSTs with `Idempotency-Key`, and `X-Healthmon-Signature` when there is a secret. Follows no redirect."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """One POST. The answer's body is not read: the status says all."""
        body = msgspec.json.encode(payload(notice))
        answered = await self._calls.call("POST", self._params.url, body=body, headers=self._headers(notice, body))
        return answered.result

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        headers = {**self._params.headers, "Content-Type": "application/json", "Idempotency-Key": notice.key}
        if self._params.secret is not None:
            headers["X-Healthmon-Signature"] = signature(self._params.secret, body)
        return headers
