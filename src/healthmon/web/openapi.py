"""The description of the API, written by hand; a test holds it against the routes, another against docs/api.md."""

from __future__ import annotations

from healthmon import __version__
from healthmon.model.alert import Phase
from healthmon.model.incident import IncidentKind, IncidentState, ServiceState
from healthmon.model.mute import MuteState
from healthmon.model.sample import Outcome
from healthmon.web.openapi_case import CASE, STAGES
from healthmon.web.openapi_forms import (
    BOOL,
    INT,
    NAME,
    NOTE,
    NUMBER,
    TEXT,
    TIME,
    Json,
    arr,
    enum,
    nullable,
    obj,
    ref,
)
from healthmon.web.openapi_mutes import MUTE_SCHEMAS
from healthmon.web.openapi_oncall import ONCALL_SCHEMAS
from healthmon.web.openapi_tools import TOOL_SCHEMAS

PATHS_LEFT = obj("left", "of", "exact", left=INT, of=INT, exact=BOOL)
LABELS: Json = {"type": "object", "additionalProperties": TEXT}
MEMBER = obj(
    "rule",
    "target",
    "check",
    "vantage",
    rule=TEXT,
    target=TEXT,
    check=TEXT,
    vantage=TEXT,
    labels=LABELS,
    since=TIME,
    cleared_at=nullable(TIME),
    reason=TEXT,
)
IMPACT = obj(
    "area",
    "service",
    "state",
    area=TEXT,
    service=TEXT,
    state=enum("lost", "degraded", "at_risk", "unknown"),
    since=TIME,
    paths=PATHS_LEFT,
    fallback=nullable(obj(text=TEXT, proven_at=nullable(TIME))),
)
ROOT = obj(
    "target",
    target=TEXT,
    check=TEXT,
    reason=TEXT,
    confidence={"type": "number", "minimum": 0, "maximum": 1},
    certainty=enum("very likely", "likely", "one of these"),
    alternatives=arr(obj("target", target=TEXT)),
    in_common=arr(TEXT),
    supplier=nullable(TEXT),
)
NOTICE = obj(
    key=TEXT,
    channel=TEXT,
    to=TEXT,
    why=TEXT,
    at=TIME,
    result=enum("queued", "sent", "retrying", "acknowledged", "dead"),
    attempts=INT,
    repeat=BOOL,
    detail=TEXT,
    person=nullable(TEXT),
    delivered_at=nullable(TIME),
)
SEVERITY: Json = {"type": "integer", "minimum": 1, "maximum": 5}
SERVICE_STATE = obj(
    "area",
    "service",
    "state",
    area=TEXT,
    service=TEXT,
    state=enum(*ServiceState),
    since=TIME,
    paths=PATHS_LEFT,
    causes=arr(TEXT),
    proven_at=nullable(TIME),
)
NEEDS: Json = {"type": "array", "description": "ids, or {at_least, of}; all of the list are needed"}

SCHEMAS: dict[str, Json] = {
    "Problem": obj(
        "type",
        "title",
        "status",
        "detail",
        type=TEXT,
        title=TEXT,
        status=INT,
        detail=TEXT,
        errors=arr(obj(field=TEXT, message=TEXT)),
    ),
    "Health": obj(
        "status",
        "engine_tick_age_s",
        status=enum("ok", "degraded", "failing"),
        version=TEXT,
        started_at=TIME,
        engine_tick_age_s=NUMBER,
        store_ok=BOOL,
        store_queue=INT,
        broker_ok=BOOL,
        config_ok=BOOL,
        config_loaded_at=TIME,
        mode=enum("shadow", "live"),
        probing=BOOL,
        ingest_rejected={"type": "object", "description": "refused messages by reason", "additionalProperties": INT},
        probers={
            "type": "object",
            "description": "by prober of this process: probes admitted, waited.LIMIT, refused.WHY, runs_rested",
            "additionalProperties": {"type": "object", "additionalProperties": INT},
        },
        baselines={
            "type": "object",
            "description": "by metric: series that rules can compare with their usual, and those still learning",
            "additionalProperties": obj("known", "learning", known=INT, learning=INT),
        },
        view_version=INT,
        view_at=TIME,
    ),
    "Incident": obj(
        "id",
        "kind",
        "state",
        "severity",
        id=TEXT,
        kind=enum(*IncidentKind),
        state=enum(*IncidentState),
        severity=SEVERITY,
        impact_level=SEVERITY,
        urgency=SEVERITY,
        title=TEXT,
        plain_text=TEXT,
        root=nullable(ROOT),
        members=arr(MEMBER),
        suppressed=arr(obj(target=TEXT, rule=TEXT, why=TEXT)),
        impact_known=enum("full", "partial", "none"),
        impact=arr(IMPACT),
        opened_at=TIME,
        first_evidence_at=TIME,
        first_human_report_at=nullable(TIME),
        lead_s=nullable(NUMBER),
        owner=nullable(TEXT),
        accepted_by=arr(TEXT),
        impact_note=TEXT,
        acknowledged_at=nullable(TIME),
        mitigated_at=nullable(TIME),
        resolved_at=nullable(TIME),
        merged_into=nullable(TEXT),
        team=nullable(TEXT),
        runbook=TEXT,
        first_steps=arr(TEXT),
        changes_open=arr(TEXT),
        silenced=arr(obj("id", "kind", "by", "until", id=TEXT, kind=TEXT, by=TEXT, reason=TEXT, until=TIME)),
        notices=arr(NOTICE),
        timeline=arr(obj(at=TIME, what=TEXT, text=TEXT, by=TEXT)),
        **CASE,
        extra=True,
    ),
    "ServiceState": SERVICE_STATE,
    "Target": obj(
        "id",
        "outcome",
        id=TEXT,
        name=TEXT,
        kind=TEXT,
        address=TEXT,
        site=TEXT,
        area=nullable(TEXT),
        team=nullable(TEXT),
        labels=LABELS,
        outcome=enum(*Outcome),
        reason=nullable(TEXT),
        since=nullable(TIME),
        last_at=nullable(TIME),
        explained_by=nullable(TEXT),
        needs=NEEDS,
        checks=arr({"type": "object"}),
        latest=arr({"type": "object"}),
    ),
    "Area": obj(
        "id",
        id=TEXT,
        name=TEXT,
        kind=TEXT,
        acuity=TEXT,
        site=TEXT,
        beds=INT,
        staffed={"description": "`always`, or {spans, closed_on_holidays} in the site's local time"},
        needs=NEEDS,
        contact=nullable(obj(phone=nullable(TEXT), bleep=nullable(TEXT), email=nullable(TEXT))),
        downtime_pc=nullable(TEXT),
        services=arr(ref("ServiceState")),
    ),
    "Service": obj(
        "id",
        id=TEXT,
        name=TEXT,
        tier=INT,
        used_in=arr(TEXT),
        everywhere=BOOL,
        needs=NEEDS,
        fallback=nullable(obj(text=TEXT, proven_by=nullable(TEXT))),
        standards={"type": "object", "additionalProperties": NUMBER},
        team=nullable(TEXT),
        functions=arr(TEXT),
        areas=arr(ref("ServiceState")),
    ),
    "Alert": obj(
        "rule",
        "target",
        "phase",
        rule=TEXT,
        target=TEXT,
        check=TEXT,
        vantage=TEXT,
        labels=LABELS,
        phase=enum(*Phase),
        effect=TEXT,
        since=TIME,
        bad_since=TIME,
        fired_at=nullable(TIME),
        value=nullable(NUMBER),
        reason=nullable(TEXT),
        detail=TEXT,
    ),
    "LedgerRow": obj(
        "at",
        at=TIME,
        incident=TEXT,
        key=TEXT,
        who=TEXT,
        cause=TEXT,
        because=TEXT,
        what=TEXT,
        evidence=TEXT,
        expires_at=nullable(TIME),
        mute=nullable(TEXT),
        was_real=BOOL,
        real_at=nullable(TIME),
        real_how=nullable(TEXT),
    ),
    "Series": obj(
        "tags",
        "points",
        tags=LABELS,
        points=arr({"type": "array", "description": "[time, value]", "minItems": 2, "maxItems": 2}),
    ),
    "Agent": obj(
        "agent",
        "state",
        agent=TEXT,
        target=nullable(TEXT),
        state=enum("up", "silent", "stopped", "never"),
        last_at=nullable(TIME),
        epoch=nullable(TEXT),
        seq=INT,
        skew_s=NUMBER,
        gaps=INT,
        dropped=INT,
        cloned=BOOL,
    ),
    "TokenIncident": obj(
        "incident",
        incident=TEXT,
        severity=SEVERITY,
        state=enum(*IncidentState),
        title=TEXT,
        owner=nullable(TEXT),
        name=nullable(TEXT),
    ),
    "Probing": obj("probing", probing=BOOL),
    "Act": obj(by=NAME, note=NOTE),
    "Note": obj("text", by=NAME, text=NOTE),
    "Resolve": obj("reason", by=NAME, reason=NOTE, impact=NOTE),
    "Pass": obj("to", to=TEXT, by=NAME, note=NOTE),
    "Merge": obj("into", by=NAME, into=TEXT),
    "Split": obj("members", by=NAME, members={"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, MEMBER]}}),
    **TOOL_SCHEMAS,
    **MUTE_SCHEMAS,
    **ONCALL_SCHEMAS,
    "By": obj(by=NAME),
    "Acknowledge": obj("by", by=NAME),
}

ID: Json = {"name": "id", "in": "path", "required": True, "schema": TEXT}
TOKEN: Json = {"name": "token", "in": "path", "required": True, "schema": TEXT}
KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "a repeat within a day gets the first answer and acts once",
    "schema": {"type": "string", "maxLength": 200},
}


def param(name: str, schema: Json, description: str = "") -> Json:
    found: Json = {"name": name, "in": "query", "schema": schema}
    return found | ({"description": description} if description else {})


PAGING = (
    param("limit", INT, "at most so many items; default 100, at most 1,000"),
    param("cursor", TEXT, "`next` of the page before"),
)


def answer(schema: Json, description: str = "the answer") -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": ref("Problem")}}}


def read(summary: str, schema: Json, *parameters: Json, security: bool = True, **responses: Json) -> Json:
    """One GET."""
    found: Json = {"summary": summary, "responses": {"200": answer(schema)} | responses}
    if parameters:
        found["parameters"] = list(parameters)
    if security:
        found["responses"]["401"] = problem("not signed in")
    else:
        found["security"] = []
    if any(p in (ID, TOKEN) for p in parameters):
        found["responses"]["404"] = problem("no such thing")
    return found


def listing(summary: str, items: str, *parameters: Json) -> Json:
    """One GET of a list."""
    shape = obj("items", "next", items=arr(ref(items)), next=nullable(TEXT))
    return read(summary, shape, *parameters, *PAGING) | {}


def act(summary: str, body: str, result: str, *parameters: Json, security: bool = True) -> Json:
    """One POST."""
    found: Json = {
        "summary": summary,
        "parameters": [*parameters, KEY],
        "requestBody": {"content": {"application/json": {"schema": ref(body)}}},
        "responses": {
            "200": answer(ref(result)),
            "400": problem("the body is wrong, or a text looks like patient data"),
            "401": problem("not signed in"),
            "403": problem("not allowed"),
            "404": problem("no such thing"),
            "409": problem("does not fit the present state"),
            "422": problem("the Idempotency-Key was used for another request"),
        },
    }
    if not security:
        found["security"] = []
        del found["responses"]["401"]
    return found


def made(summary: str, body: str, result: str) -> Json:
    """One POST that makes a thing, or with `preview` only says what it would hide."""
    found = act(summary, body, result, param("preview", BOOL, "true: make nothing, answer {preview}"))
    found["responses"]["201"] = found["responses"].pop("200")
    found["responses"]["200"] = answer(
        obj("preview", preview=ref("MutePreview")), "the preview, where it was asked for"
    )
    return found


def created(summary: str, body: str, result: str, *parameters: Json) -> Json:
    """One POST that makes a thing."""
    found = act(summary, body, result, *parameters)
    found["responses"]["201"] = found["responses"].pop("200")
    return found


MUTE_STATE = param("state", TEXT, f"any of {', '.join(MuteState)}, separated by commas")
MUTE_PATHS: dict[str, dict[str, Json]] = {
    "silences": {
        "get": listing("Silences, those in force first", "Silence", MUTE_STATE),
        "post": made("Hold back pages of what matches, until an end", "NewSilence", "Silence"),
    },
    "silences/{id}": {"get": read("One silence with what it hides now and its audit", ref("Silence"), ID)},
    "silences/{id}/end": {"post": act("End it now, for good", "EndMute", "Silence", ID)},
    "silences/{id}/extend": {"post": act("Move its end", "ExtendMute", "Silence", ID)},
    "silences/{id}/review": {"post": act("A second person has looked at a broken glass", "EndMute", "Silence", ID)},
    "changes": {
        "get": listing("Planned changes, those that are open first", "Change", MUTE_STATE),
        "post": made("Plan work: its expected signals page nobody meanwhile", "NewChange", "Change"),
    },
    "changes/{id}": {"get": read("One change with what it hides now and its audit", ref("Change"), ID)},
    "changes/{id}/end": {"post": act("End it now, for good", "EndMute", "Change", ID)},
    "changes/{id}/extend": {"post": act("Move its end", "ExtendMute", "Change", ID)},
}
STRETCH = (param("start", TIME, "default now"), param("end", TIME, "at most 400 days later"))
OVERRIDE_ID: Json = {"name": "override", "in": "path", "required": True, "schema": TEXT}
CHANNEL: Json = {"name": "channel", "in": "path", "required": True, "schema": TEXT}
SIGNATURE: Json = {"name": "X-Healthmon-Signature", "in": "header", "schema": TEXT,
                   "description": "sha256= and the hex HMAC-SHA256 of the body"}  # fmt: skip
ICAL: Json = read("The shifts of a rota as iCalendar", TEXT, ID, *STRETCH, param("user", TEXT))
ICAL["responses"]["200"] = {"description": "RFC 5545", "content": {"text/calendar": {"schema": TEXT}}}
REPORT: Json = read("The report after an incident", TEXT, ID, param("format", enum("markdown", "html")))
REPORT["responses"]["200"] = {
    "description": "the report", "content": {f"text/{kind}": {"schema": TEXT} for kind in ("markdown", "html")}
}  # fmt: skip
ONCALL_PATHS: dict[str, dict[str, Json]] = {
    "oncall": {"get": listing("Who is on call, now or at a moment", "Standby", param("at", TIME))},
    "oncall/{id}": {"get": read("The shifts and gaps of a rota", ref("Schedule"), ID, *STRETCH)},
    "oncall/{id}/calendar": {"get": ICAL},
    "oncall/{id}/overrides": {"post": created("Somebody stands in", "NewOverride", "Override", ID)},
    "oncall/{id}/swaps": {"post": created("Two people swap shifts", "NewSwap", "Overrides", ID)},
    "oncall/overrides/{override}/end": {"post": act("Take it back; a swap whole", "By", "Overrides", OVERRIDE_ID)},
    "replies/{channel}": {
        "post": act("A gateway's webhook: an answer, or a receipt", "Reply", "Said", CHANNEL, SIGNATURE, security=False)
    },
}
STATES = "any of open, acknowledged, mitigated, resolved, separated by commas"
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

PATHS: dict[str, dict[str, Json]] = {
    "health": {"get": read("healthmon itself; 503 when failing", ref("Health"), security=False)},
    "targets": {
        "get": listing(
            "Targets and what is known of them",
            "Target",
            param("area", TEXT),
            param("kind", TEXT),
            param("outcome", enum(*Outcome)),
        )
    },
    "targets/{id}": {"get": read("One target with its checks and newest readings", ref("Target"), ID)},
    "areas": {"get": listing("Areas", "Area")},
    "areas/{id}": {"get": read("One area with the state of its services", ref("Area"), ID)},
    "services": {"get": listing("Services", "Service")},
    "services/{id}": {"get": read("One service with its state in every area", ref("Service"), ID)},
    "impact": {
        "get": listing(
            "Area x service states",
            "ServiceState",
            param("area", TEXT),
            param("service", TEXT),
            param("state", enum(*ServiceState)),
        )
    },
    "restore-order": {
        "get": read("In what order everything that care rests on can come back", obj("stages", stages=STAGES))
    },
    "alerts": {
        "get": listing("Alerts that are not clear", "Alert", param("phase", enum(*Phase)), param("target", TEXT))
    },
    "incidents": {
        "get": listing(
            "Incidents, open first, newest first",
            "Incident",
            param("state", TEXT, STATES),
            param("severity", TEXT, "any of 1 to 5, separated by commas"),
            param("area", TEXT, "with impact on this area"),
            param("since", TIME, "opened at or after"),
        )
    },
    "incidents/{id}": {"get": read("One incident with its notices", ref("Incident"), ID)},
    "incidents/{id}/ack": {"post": act("I have it", "Act", "Incident", ID)},
    "incidents/{id}/unack": {"post": act("Give it back", "Act", "Incident", ID)},
    "incidents/{id}/own": {"post": act("Become its owner", "Act", "Incident", ID)},
    "incidents/{id}/pass": {"post": act("Seen, not mine: ask somebody else", "Pass", "Incident", ID)},
    "incidents/{id}/note": {"post": act("Add a note to the timeline", "Note", "Incident", ID)},
    "incidents/{id}/mitigate": {"post": act("Say that it works again", "Act", "Incident", ID)},
    "incidents/{id}/resolve": {"post": act("Close it with a reason", "Resolve", "Incident", ID)},
    "incidents/{id}/reopen": {"post": act("Open it again", "Act", "Incident", ID)},
    "incidents/{id}/merge": {"post": act("Merge it into another", "Merge", "Incident", ID)},
    "incidents/{id}/split": {"post": act("Move members to a new incident", "Split", "Incident", ID)},
    "ledger": {
        "get": listing(
            "Every page that was not sent, and why, newest first",
            "LedgerRow",
            param("cause", TEXT, "silenced, expected, shadow, behind_root, not_woken, ..."),
            param("incident", TEXT),
            param("who", TEXT, "who would have been told"),
            param("mute", TEXT, "the silence or change that held it back"),
            param("since", TIME),
            param("until", TIME),
            param("real", enum("true", "false"), "true: a person took the incident afterwards, or a ward reported it"),
        )
    },
    **MUTE_PATHS,
    **ONCALL_PATHS,
    "query": {
        "get": listing(
            "Series by metric and tags",
            "Series",
            param("metric", TEXT, "family.field, for example icmp.rtt_avg_seconds") | {"required": True},
            *(param(tag, TEXT) for tag in ("site", "area", "target", "kind", "check", "vantage")),
            param("label.NAME", TEXT, "a dimension, for example label.interface=eth0"),
            param("start", TIME),
            param("end", TIME, "default now"),
            param("range", TEXT, "instead of start: 15m, 1h, 7d; default 1h"),
            param("step", TEXT, "30s, 5m; 0 or none gives raw points"),
            param("aggregate", enum("mean", "min", "max", "last", "count")),
        )
    },
    "agents": {"get": listing("The fleet", "Agent", param("state", enum("up", "silent", "stopped", "never")))},
    "events": {"get": EVENTS},
    "probing/stop": {"post": act("Press the stop button: no probe runs", "By", "Probing")},
    "probing/resume": {"post": act("Release the stop button", "By", "Probing")},
    "ack/{token}": {
        "get": read("What a message's link is about; changes nothing", ref("TokenIncident"), TOKEN, security=False),
        "post": act("Acknowledge by a message's link", "Acknowledge", "Incident", TOKEN, security=False),
    },
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
    "readings": {"post": act("Readings of another tool, all or none; its own token", "Push", "Pushed")},
    "reload": {"post": act("Read the configuration again; a bad one is refused (422)", "Reload", "Reloaded")},
    "openapi.json": {"get": read("This document", {"type": "object"})},
}


def document() -> Json:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "healthmon",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": (
                "Times are RFC 3339 UTC. Errors are RFC 9457 problem details. Lists answer {items, next}. "
                "Reading from the server's own machine needs no login; everything else needs the site's token or a "
                "session. Texts that look like patient data are refused and nothing of them is stored."
            ),
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"session": []}],
        "paths": {f"/{path}": item for path, item in PATHS.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "healthmon_session"},
            },
        },
    }
