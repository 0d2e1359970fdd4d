"""A channel to Jira: one issue for one incident, made, updated, commented and resolved (REST API 2, server and cloud).

Searches go to `search` (server) and, where that is gone (410, Jira cloud since 2025), to `search/jql`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from healthmon.alerting.notify.httpcalls import Answered, HttpCalls, checked_timeout, checked_url
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent

_SUMMARY = 250
_ENDED = (Why.MITIGATED, Why.RESOLVED)
_GONE = 410
#: Issues that are remembered, as a search in the cloud may not know a new one for some seconds.
_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Params:
    """project: its key; username with an API token is Jira cloud, without it the token is a personal access token.

    done, reopen: names of transitions that resolve an issue, or open it again; the first that it offers is taken.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    project: str
    token: str = field(repr=False)
    username: str | None = None
    issue_type: str = "Incident"
    fields: dict[str, Any] = field(default_factory=dict)
    done: tuple[str, ...] = ("Resolve", "Resolve this issue", "Done", "Close")
    reopen: tuple[str, ...] = ("Reopen", "Reopen Issue", "Back to in progress", "In Progress", "To Do")
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
        self._search = "search"
        self._made: dict[str, str] = {}  # label -> key of an issue that we made

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """Make the issue, or update and comment on it; the end also moves it on, and a return moves it back."""
        found = await self._find(notice)
        if not isinstance(found.result, Sent):
            return found.result
        issues = found.json.get("issues") if isinstance(found.json, dict) else None
        if not isinstance(issues, list):
            return Retry("the answer is not Jira's")
        if issues:
            return await self._continue(str(issues[0]["key"]), _is_done(issues[0]), notice)
        if _label(notice) in self._made:
            return await self._continue(self._made[_label(notice)], None, notice)
        return await self._make(notice)

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    async def _find(self, notice: Notice) -> Answered:
        jql = f'project = "{self._params.project}" AND labels = "{_label(notice)}" ORDER BY created ASC'
        query = urlencode({"jql": jql, "fields": "status", "maxResults": "1"})
        found = await self._call("GET", f"{self._search}?{query}", None, notice)
        if found.status == _GONE and self._search == "search":
            self._search = "search/jql"
            found = await self._call("GET", f"{self._search}?{query}", None, notice)
        return found

    async def _make(self, notice: Notice) -> Sent | Retry | Dead:
        made = await self._call("POST", "issue", {"fields": self._issue(notice)}, notice)
        key = made.json.get("key") if isinstance(made.json, dict) else None
        if not isinstance(made.result, Sent) or key is None:
            return made.result
        if len(self._made) >= _REMEMBERED:
            self._made.pop(next(iter(self._made)))
        self._made[_label(notice)] = str(key)
        if notice.why is Why.RESOLVED:  # the issue could not be made while it lasted
            return await self._move(f"issue/{quote(str(key), safe='')}", self._params.done, notice)
        return made.result

    async def _continue(self, key: str, done: bool | None, notice: Notice) -> Sent | Retry | Dead:
        issue = f"issue/{quote(key, safe='')}"
        if notice.why not in _ENDED:
            fresh = {"summary": _summary(notice)}
            update = {"labels": [{"remove": one} for one in _severities(but=notice)] + [{"add": _severity(notice)}]}
            changed = (await self._call("PUT", issue, {"fields": fresh, "update": update}, notice)).result
            if not isinstance(changed, Sent):
                return changed
        moved = await self._moved(issue, done, notice)
        if not isinstance(moved, Sent):
            return moved
        # Last, so that a try after a lost answer repeats nothing but this.
        said = {"body": f"{notice.subject}\n{notice.text}\n(healthmon {notice.key})"}
        commented = (await self._call("POST", f"{issue}/comment", said, notice)).result
        return moved if moved.detail and isinstance(commented, Sent) else commented

    async def _moved(self, issue: str, done: bool | None, notice: Notice) -> Sent | Retry | Dead:
        if notice.why is Why.RESOLVED and not done:
            return await self._move(issue, self._params.done, notice)
        if notice.why not in _ENDED and done:
            return await self._move(issue, self._params.reopen, notice)
        return Sent("")

    async def _move(self, issue: str, names: tuple[str, ...], notice: Notice) -> Sent | Retry | Dead:
        """Take the first of these transitions that the issue offers."""
        offered = await self._call("GET", f"{issue}/transitions", None, notice)
        if not isinstance(offered.result, Sent):
            return offered.result
        known = {one["name"]: one["id"] for one in (offered.json or {}).get("transitions", ())}
        wanted = next((known[name] for name in names if name in known), None)
        if wanted is None:
            return Sent(f"commented; the issue offers none of {', '.join(names)}")
        return (await self._call("POST", f"{issue}/transitions", {"transition": {"id": wanted}}, notice)).result

    async def _call(self, method: str, path: str, body: Any, notice: Notice) -> Answered:
        headers = {"Authorization": self._authorization, "Idempotency-Key": notice.key}
        return await self._calls.send_json(method, f"{self._params.url.rstrip('/')}/rest/api/2/{path}", body, headers)

    def _issue(self, notice: Notice) -> dict[str, Any]:
        return {
            **self._params.fields,
            "project": {"key": self._params.project},
            "issuetype": {"name": self._params.issue_type},
            "summary": _summary(notice),
            "description": notice.text,
            "labels": ["healthmon", _label(notice), _severity(notice)],
        }


def _label(notice: Notice) -> str:
    return f"healthmon-{notice.incident}"


def _severity(notice: Notice) -> str:
    return f"severity-{notice.severity}"


def _severities(*, but: Notice) -> list[str]:
    return [f"severity-{number}" for number in range(1, 6) if number != but.severity]


def _summary(notice: Notice) -> str:
    return " ".join(notice.subject.split())[:_SUMMARY]


def _is_done(issue: dict[str, Any]) -> bool | None:
    """Whether its status is of the category `done`; None: the answer does not say."""
    category = ((issue.get("fields") or {}).get("status") or {}).get("statusCategory") or {}
    return category.get("key") == "done" if "key" in category else None
