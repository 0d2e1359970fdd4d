"""ServiceNow's Table API and Jira's REST API 2 as their public documents describe them, on loopback.

Written by us, for want of the services: what is asked and answered here is no evidence about a real instance. Both keep
every record and refuse what the documents say they refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

Answer = tuple[int, Any]


@dataclass
class Asked:
    """One request that came in."""

    method: str
    path: str
    key: str
    body: Any


@dataclass
class Desk:
    """What both systems share: the requests, and `trouble`, which may answer one instead (status) before it counts."""

    asked: list[Asked] = field(default_factory=list)
    trouble: Callable[[Asked], int | None] = lambda asked: None
    url: str = ""

    def answer(self, asked: Asked, query: dict[str, str]) -> Answer:
        raise NotImplementedError

    def keys(self, method: str) -> list[str]:
        return [one.key for one in self.asked if one.method == method]


@dataclass
class ServiceNowDesk(Desk):
    """/api/now/table/incident. A resolved record needs a close code and notes; a closed one takes nothing more."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, asked: Asked, query: dict[str, str]) -> Answer:
        table, _, sys_id = asked.path.removeprefix("/api/now/table/").partition("/")
        if table != "incident":
            return 400, {"error": {"message": f"Invalid table {table}"}, "status": "failure"}
        match asked.method, sys_id:
            case "GET", "":
                return 200, {"result": self._found(query)}
            case "POST", "":
                number = len(self.records) + 1
                made = {"sys_id": f"{number:032x}", "number": f"INC{number:07d}", "state": "1", "work_notes": []}
                self.records[made["sys_id"]] = made
                return (201, {"result": made}) if self._write(made, asked.body) else self._no_close_code(made)
            case "PATCH", _ if sys_id in self.records:
                record = self.records[sys_id]
                if record["state"] == "7":
                    return 403, {"error": {"message": "Operation against file 'incident' was aborted"}}
                return (200, {"result": record}) if self._write(record, asked.body) else self._no_close_code(None)
        return 404, {"error": {"message": "No Record found"}}

    def _found(self, query: dict[str, str]) -> list[dict[str, Any]]:
        condition, *order = query["sysparm_query"].split("^")
        name, _, value = condition.partition("=")
        found = [one for one in self.records.values() if one.get(name) == value]
        found = found[::-1] if "ORDERBYDESCsys_created_on" in order else found
        wanted = query["sysparm_fields"].split(",")
        return [{name: one[name] for name in wanted} for one in found[: int(query["sysparm_limit"])]]

    def _write(self, record: dict[str, Any], body: dict[str, Any]) -> bool:
        if body.get("state") == "6" and not (body.get("close_code") and body.get("close_notes")):
            return False
        fields = dict(body)
        if "work_notes" in fields:  # a journal field: what is written is added
            record["work_notes"] = [*record["work_notes"], fields.pop("work_notes")]
        record |= fields
        return True

    def _no_close_code(self, made: dict[str, Any] | None) -> Answer:
        if made is not None:
            del self.records[made["sys_id"]]
        return 403, {"error": {"message": "Data Policy Exception", "detail": "close_code, close_notes are mandatory"}}


@dataclass
class JiraDesk(Desk):
    """/rest/api/2. In the cloud `search` is gone (410); `search/jql` knows a new issue only after `unseen` searches."""

    cloud: bool = False
    unseen: int = 0
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, asked: Asked, query: dict[str, str]) -> Answer:
        steps = asked.path.removeprefix("/rest/api/2/").split("/")
        match asked.method, steps:
            case "GET", ["search"] if self.cloud:
                return 410, {"errorMessages": ["The requested API has been removed."]}
            case "GET", ["search"] | ["search", "jql"]:
                if steps[1:] and not self.cloud:
                    return 404, {"errorMessages": ["null for uri"]}
                return 200, {"issues": self._found(query["jql"])}
            case "POST", ["issue"]:
                key = f"OPS-{len(self.issues) + 1}"
                self.issues[key] = {"key": key, "fields": dict(asked.body["fields"]), "comments": [], "status": "To Do"}
                return 201, {"id": "10000", "key": key}
            case "PUT", ["issue", key] if key in self.issues:
                return self._edit(self.issues[key]["fields"], asked.body)
            case "POST", ["issue", key, "comment"] if key in self.issues:
                self.issues[key]["comments"].append(asked.body["body"])
                return 201, {"id": str(len(self.issues[key]["comments"]))}
            case "GET", ["issue", key, "transitions"] if key in self.issues:
                return 200, {"transitions": self._offered(key)}
            case "POST", ["issue", key, "transitions"] if key in self.issues:
                offered = {one["id"]: one["name"] for one in self._offered(key)}
                if asked.body["transition"]["id"] not in offered:
                    return 400, {"errorMessages": ["It seems that you have tried to perform an illegal operation"]}
                self.issues[key]["status"] = "Done" if offered[asked.body["transition"]["id"]] == "Resolve" else "To Do"
                return 204, None
        return 404, {"errorMessages": ["Issue Does Not Exist"]}

    def _edit(self, fields: dict[str, Any], body: dict[str, Any]) -> Answer:
        fields |= body.get("fields", {})
        for step in body.get("update", {}).get("labels", ()):
            labels = [one for one in fields["labels"] if one not in (step.get("remove"), step.get("add"))]
            fields["labels"] = labels + ([step["add"]] if "add" in step else [])
        return 204, None

    def _offered(self, key: str) -> list[dict[str, str]]:
        """Only what leads on from where it is."""
        if self.issues[key]["status"] == "Done":
            return [{"id": "31", "name": "Reopen"}]
        return [{"id": "11", "name": "Start progress"}, {"id": "21", "name": "Resolve"}]

    def _found(self, jql: str) -> list[dict[str, Any]]:
        if self.unseen:
            self.unseen -= 1
            return []
        label = jql.partition('labels = "')[2].partition('"')[0]
        return [
            {"key": key, "fields": {"status": {"name": one["status"], "statusCategory": {
                "key": "done" if one["status"] == "Done" else "new"}}}}
            for key, one in self.issues.items() if label in one["fields"]["labels"]
        ][:1]  # fmt: skip


class Serving:
    """Serves one desk on loopback until it is stopped."""

    def __init__(self, desk: Desk) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                split = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(split.query).items()}
                body = msgspec.json.decode(raw) if raw else None
                asked = Asked(self.command, unquote(split.path), self.headers.get("Idempotency-Key", ""), body)
                refused = desk.trouble(asked)
                desk.asked.append(asked)
                self._say(*((refused, {"error": "as told"}) if refused else desk.answer(asked, query)))

            do_GET = do_POST = do_PATCH = do_PUT = _take

            def _say(self, status: int, body: Any) -> None:
                raw = b"" if body is None else msgspec.json.encode(body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        desk.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
