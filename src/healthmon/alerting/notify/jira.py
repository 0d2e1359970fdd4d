"""A channel to Jira: one issue for one incident, made, commented and resolved (REST API 2, server and cloud)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from healthmon.alerting.notify.httpcalls import Answered, HttpCalls, checked_timeout, checked_url
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent

_SUMMARY = 250


@dataclass(frozen=True, slots=True)
class Params:
    """project: its key; username with an API token is Jira cloud, without it the token is a personal access token.

    done: names of transitions that resolve an issue, the first that the issue offers is taken.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    project: str
    token: str = field(repr=False)
    username: str | None = None
    issue_type: str = "Incident"
    fields: dict[str, Any] = field(default_factory=dict)
    done: tuple[str, ...] = ("Resolve", "Resolve this issue", "Done", "Close")
    timeout_s: float = 15.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_timeout(self.timeout_s)


class Jira:
    """The label `healthmon-INCIDENT` is looked for before an issue is made, so a repeat makes no second one."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)
        basic = base64.b64encode(f"{params.username}:{params.token}".encode()).decode()
        self._authorization = f"Basic {basic}" if params.username else f"Bearer {params.token}"

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """Make the issue, or comment on it; resolved also moves it on."""
        jql = f'project = "{self._params.project}" AND labels = "{_label(notice)}" ORDER BY created ASC'
        query = urlencode({"jql": jql, "fields": "key", "maxResults": "1"})
        found = await self._call("GET", f"search?{query}", None, notice)
        if not isinstance(found.result, Sent):
            return found.result
        issues = found.json.get("issues") if isinstance(found.json, dict) else None
        if not isinstance(issues, list):
            return Retry("the answer is not Jira's")
        if not issues:
            return (await self._call("POST", "issue", {"fields": self._issue(notice)}, notice)).result
        return await self._continue(f"issue/{quote(str(issues[0]['key']), safe='')}", notice)

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    async def _continue(self, issue: str, notice: Notice) -> Sent | Retry | Dead:
        said = {"body": f"{notice.subject}\n{notice.text}\n(healthmon {notice.key})"}
        commented = (await self._call("POST", f"{issue}/comment", said, notice)).result
        if notice.why is not Why.RESOLVED or not isinstance(commented, Sent):
            return commented
        offered = await self._call("GET", f"{issue}/transitions", None, notice)
        if not isinstance(offered.result, Sent):
            return offered.result
        names = {one["name"]: one["id"] for one in (offered.json or {}).get("transitions", ())}
        wanted = next((names[name] for name in self._params.done if name in names), None)
        if wanted is None:
            return Sent("commented; no transition resolves it")
        return (await self._call("POST", f"{issue}/transitions", {"transition": {"id": wanted}}, notice)).result

    async def _call(self, method: str, path: str, body: Any, notice: Notice) -> Answered:
        headers = {"Authorization": self._authorization, "Idempotency-Key": notice.key}
        return await self._calls.send_json(method, f"{self._params.url.rstrip('/')}/rest/api/2/{path}", body, headers)

    def _issue(self, notice: Notice) -> dict[str, Any]:
        return {
            **self._params.fields,
            "project": {"key": self._params.project},
            "issuetype": {"name": self._params.issue_type},
            "summary": " ".join(notice.subject.split())[:_SUMMARY],
            "description": notice.text,
            "labels": ["healthmon", _label(notice), f"severity-{notice.severity}"],
        }


def _label(notice: Notice) -> str:
    return f"healthmon-{notice.incident}"
