"""A channel to Opsgenie and what speaks its Alert API (docs.opsgenie.com/docs/alert-api)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

from healthmon.alerting.notify.httpcalls import HttpCalls, checked_timeout, checked_url
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent

_ENDED = (Why.MITIGATED, Why.RESOLVED)
_MESSAGE = 130
_DESCRIPTION = 15_000


@dataclass(frozen=True, slots=True)
class Params:
    """url of the region, e.g. https://api.eu.opsgenie.com."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    api_key: str = field(repr=False)
    url: str = "https://api.opsgenie.com"
    timeout_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_timeout(self.timeout_s)


class Opsgenie:
    """One alert an incident: `alias` is the incident; what follows is the same alert, the end closes it."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """Make or close the alert."""
        headers = {"Authorization": f"GenieKey {self._params.api_key}", "Idempotency-Key": notice.key}
        url, body = f"{self._params.url.rstrip('/')}/v2/alerts", self._alert(notice)
        if notice.why in _ENDED:
            url += f"/{quote(notice.incident, safe='')}/close?identifierType=alias"
            body = {"source": "healthmon", "note": notice.subject}
        return (await self._calls.send_json("POST", url, body, headers)).result

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    def _alert(self, notice: Notice) -> dict[str, Any]:
        return {
            "message": notice.subject[:_MESSAGE],
            "alias": notice.incident,
            "description": notice.text[:_DESCRIPTION],
            "priority": f"P{min(max(notice.severity, 1), 5)}",
            "source": "healthmon",
            "details": {"key": notice.key, "why": notice.why.value, "repeat": str(notice.repeat).lower()},
        }
