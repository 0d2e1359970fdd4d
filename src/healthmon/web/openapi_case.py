"""The description of incidents: their shape, what `GET incidents/{id}` adds, and what people do to them."""

from __future__ import annotations

from healthmon.model.incident import IncidentKind, IncidentState
from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    INT,
    NAME,
    NOTE,
    NUMBER,
    TEXT,
    TIME,
    TOKEN,
    Json,
    act,
    arr,
    enum,
    listing,
    nullable,
    obj,
    param,
    read,
    ref,
)
from healthmon.web.openapi_wards import WARD_REPORT

GROUND: Json = obj("what", "text", what=TEXT, text=TEXT, count=INT, ids=arr(TEXT), at=nullable(TIME))
FATE: Json = obj(
    "attribute",
    "value",
    attribute=TEXT,
    value=TEXT,
    text=TEXT,
    broken=INT,
    of_broken=INT,
    healthy=INT,
    counter_examples=arr(TEXT),
    population=INT,
    lift=NUMBER,
    p_value=NUMBER,
    tried=INT,
)
EVIDENCE: Json = obj(
    "as_at",
    "candidates",
    as_at=TIME,
    candidates=arr(
        obj("target", target=TEXT, certainty=TEXT, speaks_for=arr(GROUND), speaks_against=arr(GROUND)),
    ),
    contradictions=arr(obj(target=TEXT, check=TEXT, working_from=arr(TEXT), failing_from=arr(TEXT), text=TEXT)),
    in_common=arr(FATE),
)
WARD: Json = obj(
    "area",
    area=TEXT,
    beds=INT,
    functions_lost=arr(TEXT),
    functions_slow=arr(TEXT),
    pcs=obj(working=INT, total=INT, unknown=INT),
    works=arr(obj(service=TEXT, proven_at=TIME)),
    not_known=arr(TEXT),
    fallbacks=arr(obj(service=TEXT, text=TEXT, proven_at=nullable(TIME))),
)
STAGES: Json = arr(arr(TEXT))
#: The fields that `GET incidents/{id}` adds.
CASE: dict[str, Json] = {"evidence": EVIDENCE, "areas": arr(WARD), "restore_order": STAGES}

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

INCIDENT_SCHEMAS: dict[str, Json] = {
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
        reports=arr(WARD_REPORT),
        notices=arr(NOTICE),
        timeline=arr(obj(at=TIME, what=TEXT, text=TEXT, by=TEXT)),
        **CASE,
        extra=True,
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
    "TokenIncident": obj(
        "incident",
        incident=TEXT,
        severity=SEVERITY,
        state=enum(*IncidentState),
        title=TEXT,
        owner=nullable(TEXT),
        name=nullable(TEXT),
    ),
    "Acknowledge": obj("by", by=NAME, pass_to=NAME),
    "Act": obj(by=NAME, note=NOTE),
    "Note": obj("text", by=NAME, text=NOTE),
    "Resolve": obj("reason", by=NAME, reason=NOTE, impact=NOTE),
    "Pass": obj("to", to=TEXT, by=NAME, note=NOTE),
    "Merge": obj("into", by=NAME, into=TEXT),
    "Split": obj("members", by=NAME, members={"type": "array", "minItems": 1, "items": {"anyOf": [TEXT, MEMBER]}}),
}

STATES = "any of open, acknowledged, mitigated, resolved, separated by commas"
INCIDENT_PATHS: dict[str, dict[str, Json]] = {
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
    "ack/{token}": {
        "get": read("What a message's link is about; changes nothing", ref("TokenIncident"), TOKEN, security=False),
        "post": act("Accept by a message's link, or pass it on", "Acknowledge", "Incident", TOKEN, security=False),
    },
}
