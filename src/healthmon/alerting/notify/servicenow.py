"""A channel to ServiceNow: one record of the table `incident` for one incident, made, updated and resolved.

Table API: POST, GET with sysparm_query and PATCH of /api/now/table/incident. States: 2 in progress, 6 resolved
(which asks for a close code and close notes), 7 closed (which no update opens again).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode

from healthmon.alerting.notify.httpcalls import Answered, HttpCalls, checked_timeout, checked_url
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent

_IN_PROGRESS, _RESOLVED, _CLOSED = "2", "6", "7"
_ENDED = (Why.MITIGATED, Why.RESOLVED)
_SHORT = 160


@dataclass(frozen=True, slots=True)
class Params:
    """url of the instance; fields are set on every new record (assignment_group, category ...)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    username: str
    password: str = field(repr=False)
    table: str = "incident"
    fields: dict[str, str] = field(default_factory=dict)
    close_code: str = "Resolved by request"
    timeout_s: float = 15.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_timeout(self.timeout_s)
        if not self.table.replace("_", "").isalnum():
            raise ValueError("table must be a plain name")


class ServiceNow:
    """`correlation_id` is the incident's id: looked for before a record is made, so a repeat makes no second one."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)
        word = base64.b64encode(f"{params.username}:{params.password}".encode()).decode()
        self._authorization = f"Basic {word}"

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """Make the record, or add to it; one that is closed for good is followed by a new one."""
        wanted = {"sysparm_query": f"correlation_id={notice.incident}^ORDERBYDESCsys_created_on"}
        query = urlencode(wanted | {"sysparm_fields": "sys_id,number,state", "sysparm_limit": "1"})
        found = await self._call("GET", f"?{query}", None, notice)
        if not isinstance(found.result, Sent):
            return found.result
        known = found.json.get("result") if isinstance(found.json, dict) else None
        if not isinstance(known, list):
            return Retry("the answer is not ServiceNow's")
        state = str(known[0].get("state", "")) if known else _CLOSED
        if state != _CLOSED:
            return (await self._call("PATCH", f"/{known[0]['sys_id']}", self._update(notice, state), notice)).result
        if known and notice.why in _ENDED:
            return Sent(f"{known[0].get('number', 'the record')} is closed already")
        return (await self._call("POST", "", self._record(notice), notice)).result

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    async def _call(self, method: str, path: str, body: Any, notice: Notice) -> Answered:
        url = f"{self._params.url.rstrip('/')}/api/now/table/{self._params.table}{path}"
        headers = {"Authorization": self._authorization, "Idempotency-Key": notice.key}
        return await self._calls.send_json(method, url, body, headers)

    def _record(self, notice: Notice) -> dict[str, Any]:
        """Impact and urgency of ServiceNow go from 1 (high) to 3 (low)."""
        made = {
            **self._params.fields,
            "correlation_id": notice.incident,
            "correlation_display": "healthmon",
            "short_description": notice.subject[:_SHORT],
            "description": notice.text,
        }
        return made | _weight(notice) | (self._closing(notice) if notice.why is Why.RESOLVED else {})

    def _update(self, notice: Notice, state: str) -> dict[str, Any]:
        """A note; how bad it is now; its end, or that it is not over."""
        note = {"work_notes": f"{notice.subject}\n{notice.text}\n(healthmon {notice.key})"}
        if notice.why is Why.RESOLVED:
            return note | self._closing(notice)
        if notice.why in _ENDED:
            return note
        back = {"state": _IN_PROGRESS} if state == _RESOLVED else {}
        return note | {"short_description": notice.subject[:_SHORT]} | _weight(notice) | back

    def _closing(self, notice: Notice) -> dict[str, Any]:
        return {"state": _RESOLVED, "close_code": self._params.close_code, "close_notes": notice.text}


def _weight(notice: Notice) -> dict[str, str]:
    return {
        "impact": str(min(3, int(notice.body.get("impact_level") or notice.severity))),
        "urgency": str(min(3, int(notice.body.get("urgency") or notice.severity))),
    }
