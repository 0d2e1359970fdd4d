"""The description of the tools: reports, questions, readings from elsewhere, events, the stop button."""

from __future__ import annotations

from healthmon.model.sample import Outcome, Reason
from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    INT,
    NAME,
    NUMBER,
    TEXT,
    TIME,
    Json,
    act,
    arr,
    enum,
    nullable,
    obj,
    param,
    problem,
    read,
    ref,
)

PUSHED: Json = obj(
    "target",
    "check",
    "outcome",
    target=TEXT,
    check=TEXT,
    outcome=enum(*Outcome),
    reason=nullable(enum(*Reason)),
    detail=TEXT,
    started=nullable(NUMBER),
    took=NUMBER,
    vantage=nullable(TEXT),
    samples=arr(
        obj(
            "family",
            "field",
            "value",
            family=TEXT,
            field=TEXT,
            value={"description": "number, boolean or text"},
            labels={"type": "object", "additionalProperties": TEXT},
        )
    ),
)
TOOL_SCHEMAS: dict[str, Json] = {
    "Coverage": obj(
        "covered_access_paths_percent",
        "blind_spots",
        covered_access_paths_percent=NUMBER,
        shares={"type": "object", "additionalProperties": obj(covered=INT, of=INT)},
        live=BOOL,
        blind_spots=arr(obj("kind", "id", kind=TEXT, id=TEXT, text=TEXT)),
        drill=obj(last_id=nullable(TEXT), state=nullable(TEXT), age_s=nullable(NUMBER), overdue=BOOL),
    ),
    "Explanation": obj(
        "incident",
        "sections",
        incident=TEXT,
        as_at=TIME,
        sections=arr(obj("title", "lines", title=TEXT, lines=arr(TEXT))),
    ),
    "WhyNot": obj(
        "rule",
        "target",
        "gates",
        rule=TEXT,
        target=TEXT,
        gates=arr(obj("what", "open", what=TEXT, open=BOOL, text=TEXT)),
        before=arr(obj("what", "open", what=TEXT, open=BOOL, text=TEXT)),
    ),
    "Links": obj(
        "items",
        "proposed_needs",
        items=arr(
            obj(
                "between",
                "source",
                "seen_by",
                between=arr(obj("target", target=TEXT, port=TEXT, known=BOOL)),
                source=enum("lldp", "fdb"),
                seen_by=arr(TEXT),
                first_seen=NUMBER,
                last_seen=NUMBER,
                age_seconds=NUMBER,
                stale=BOOL,
                declared=BOOL,
            )
        ),
        proposed_needs=arr(
            obj("target", "needs", target=TEXT, needs=arr(TEXT), source=TEXT, seen_by=arr(TEXT), port=TEXT)
        ),
        stale_after_seconds=NUMBER,
    ),
    "LearnLinks": obj(
        "links",
        links=arr(
            obj(
                "one",
                "other",
                "source",
                "seen_by",
                one=TEXT,
                one_port=TEXT,
                other=TEXT,
                other_port=TEXT,
                source=enum("lldp", "fdb"),
                seen_by=arr(TEXT),
                leaf=TEXT,
                other_name=TEXT,
                mac=TEXT,
            )
        ),
    ),
    "LinksKept": obj("kept", kept=INT),
    "Push": obj("readings", readings=arr(PUSHED)),
    "Pushed": obj("accepted", accepted=INT),
    "AlertmanagerAlert": obj(
        "status",
        "labels",
        status=enum("firing", "resolved"),
        labels={"type": "object", "additionalProperties": {"type": "string"}},
        fingerprint=TEXT,
    ),
    "AlertmanagerPayload": obj("alerts", alerts=arr(ref("AlertmanagerAlert"))),
    "AlertsTaken": obj("accepted", "ignored", accepted=INT, ignored=arr(obj("alert", "why", alert=TEXT, why=TEXT))),
    "Reload": obj(by=NAME),
    "Reloaded": obj(
        "reloaded",
        "changes",
        reloaded=BOOL,
        changes={"type": "object", "description": "by block: added, removed, changed"},
        needs_restart=arr(TEXT),
    ),
}

REPORT: Json = read("The report after an incident", TEXT, ID, param("format", enum("markdown", "html")))
REPORT["responses"]["200"] = {
    "description": "the report", "content": {f"text/{kind}": {"schema": TEXT} for kind in ("markdown", "html")}
}  # fmt: skip
EVENTS: Json = {
    "summary": "Changes as server-sent events; resumable, the id is the view's version",
    "parameters": [{"name": "Last-Event-ID", "in": "header", "schema": TEXT}],
    "responses": {
        "200": {
            "description": (
                "`view` events {version, at, status, mode, probing, engine_tick_age_s, open, changed}, "
                "`health` events and comments as heartbeat every 3 s"
            ),
            "content": {"text/event-stream": {"schema": TEXT}},
        },
        "401": problem("not signed in"),
        "503": problem("too many streams"),
    },
}
TOOL_PATHS: dict[str, dict[str, Json]] = {
    "events": {"get": EVENTS},
    "probing/stop": {"post": act("Press the stop button: no probe runs", "By", "Probing")},
    "probing/resume": {"post": act("Release the stop button", "By", "Probing")},
    "incidents/{id}/explanation": {"get": read("One incident in words", ref("Explanation"), ID)},
    "incidents/{id}/report": {"get": REPORT},
    "why-not": {
        "get": read(
            "Why a rule pages nobody about a target: the gates on the way to a page, up to the first that is shut",
            ref("WhyNot"),
            param("rule", TEXT) | {"required": True},
            param("target", TEXT) | {"required": True},
        )
    },
    "coverage": {"get": read("What share of care is mapped and watched, and every blind spot", ref("Coverage"))},
    "links": {
        "get": read("What devices say of their neighbours: links, with whose word it is and how old", ref("Links")),
        "post": act("Keep links that a sweep learned; needs stay as they are", "LearnLinks", "LinksKept"),
    },
    "alerts/alertmanager": {
        "post": act("Alertmanager's webhook (version 4); a source's token", "AlertmanagerPayload", "AlertsTaken")
    },
    "readings": {"post": act("Readings of another tool, all or none; its own token", "Push", "Pushed")},
    "reload": {"post": act("Read the configuration again; a bad one is refused (422)", "Reload", "Reloaded")},
}
