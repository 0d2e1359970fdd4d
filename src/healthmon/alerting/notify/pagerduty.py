"""A channel to PagerDuty: Events API v2 (developer.pagerduty.com/docs/events-api-v2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.alerting.notify.httpcalls import HttpCalls, checked_timeout, checked_url
from healthmon.alerting.notify.message import payload
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent
from healthmon.model.render import rfc3339

_SEVERITY = {1: "critical", 2: "error", 3: "warning", 4: "info", 5: "info"}
_ENDED = (Why.MITIGATED, Why.RESOLVED)
#: Longest summary that the API takes.
_SUMMARY = 1024


@dataclass(frozen=True, slots=True)
class Params:
    """routing_key: the integration key of the service."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    routing_key: str = field(repr=False)
    url: str = "https://events.pagerduty.com/v2/enqueue"
    timeout_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_timeout(self.timeout_s)


class PagerDuty:
    """One alert an incident: `dedup_key` is the incident, so a repeated message changes nothing."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """trigger, or resolve when it is over."""
        headers = {"Idempotency-Key": notice.key}
        return (await self._calls.send_json("POST", self._params.url, self._event(notice), headers)).result

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    def _event(self, notice: Notice) -> dict[str, Any]:
        event = {"routing_key": self._params.routing_key, "dedup_key": notice.incident}
        if notice.why in _ENDED:
            return {**event, "event_action": "resolve"}
        details = {name: value for name, value in payload(notice).items() if name != "incident"}
        root = notice.body.get("root") or {}
        return {
            **event,
            "event_action": "trigger",
            "payload": {
                "summary": notice.subject[:_SUMMARY],
                "source": str(root.get("target") or "healthmon"),
                "severity": _SEVERITY.get(notice.severity, "info"),
                "timestamp": rfc3339(notice.due),
                "custom_details": details,
            },
            **({"links": [{"href": notice.body["ack_url"], "text": "I have it"}]} if "ack_url" in notice.body else {}),
        }
