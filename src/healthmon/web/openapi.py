"""The description of the API, written by hand by area and put together here."""

from __future__ import annotations

from healthmon import __version__
from healthmon.web.openapi_access import ACCESS_PATHS, ACCESS_SCHEMAS
from healthmon.web.openapi_care import CARE_PATHS, CARE_SCHEMAS
from healthmon.web.openapi_case import INCIDENT_PATHS, INCIDENT_SCHEMAS
from healthmon.web.openapi_drills import DRILL_PATHS, DRILL_SCHEMAS
from healthmon.web.openapi_estate import ESTATE_PATHS, ESTATE_SCHEMAS
from healthmon.web.openapi_fleet import FLEET_SCHEMAS
from healthmon.web.openapi_forms import (
    BOOL,
    INT,
    NAME,
    NUMBER,
    TEXT,
    TIME,
    Json,
    arr,
    enum,
    nullable,
    obj,
    problem,
    read,
    ref,
)
from healthmon.web.openapi_mutes import MUTE_PATHS, MUTE_SCHEMAS
from healthmon.web.openapi_notices import NOTICE_PATHS, NOTICE_SCHEMAS
from healthmon.web.openapi_oncall import ONCALL_PATHS, ONCALL_SCHEMAS
from healthmon.web.openapi_tools import TOOL_PATHS, TOOL_SCHEMAS
from healthmon.web.openapi_wards import WARD_PATHS, WARD_SCHEMAS
from healthmon.web.permissions import LADDER, asked

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
        audit_ok={"type": "boolean", "description": "false while what people do cannot be written down"},
        pair=nullable(obj("name", "term", "copied", "doubtful", name=TEXT, term=INT, copied=BOOL, doubtful=BOOL)),
        journal_ok={"type": "boolean", "description": "false while the journal's stream lacks a commit"},
        clock_ahead_s={"type": "number", "description": "the server's time less its machine's clock; 0 as a rule"},
        config_loaded_at=TIME,
        mode=enum("shadow", "live"),
        probing=BOOL,
        ingest_rejected={"type": "object", "description": "refused messages by reason", "additionalProperties": INT},
        probers={
            "type": "object",
            "description": "by prober of this process: probes admitted, waited.LIMIT, refused.WHY, runs_rested, "
            "looks_starved",
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
    "Probing": obj("probing", probing=BOOL),
    "By": obj(by=NAME),
    **INCIDENT_SCHEMAS,
    **ESTATE_SCHEMAS,
    **FLEET_SCHEMAS,
    **TOOL_SCHEMAS,
    **MUTE_SCHEMAS,
    **ONCALL_SCHEMAS,
    **ACCESS_SCHEMAS,
    **NOTICE_SCHEMAS,
    **CARE_SCHEMAS,
    **WARD_SCHEMAS,
    **DRILL_SCHEMAS,
}

PATHS: dict[str, dict[str, Json]] = {
    "health": {"get": read("healthmon itself; 503 when failing", ref("Health"), security=False)},
    **ESTATE_PATHS,
    **INCIDENT_PATHS,
    **MUTE_PATHS,
    **ONCALL_PATHS,
    **NOTICE_PATHS,
    **WARD_PATHS,
    **DRILL_PATHS,
    **TOOL_PATHS,
    **ACCESS_PATHS,
    **CARE_PATHS,
    "openapi.json": {"get": read("This document", {"type": "object"})},
}


def permitted(path: str, method: str, found: Json) -> Json:
    """One operation with what it asks for by the table of permissions."""
    role = asked(method.upper(), f"/api/v1/{path}")
    if role in LADDER:
        refusals = {"401": problem("not signed in"), "403": problem("not allowed")}
        return found | {"x-healthmon-role": role, "responses": refusals | found["responses"]}
    security: list[Json] = [{"push": []}] if path in ("readings", "alerts/alertmanager") else []
    return found | {"x-healthmon-role": role, "security": security}


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
        "paths": {
            f"/{path}": {method: permitted(path, method, found) for method, found in item.items()}
            for path, item in PATHS.items()
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "push": {"type": "http", "scheme": "bearer", "description": "the token of a source under `push`"},
                "session": {"type": "apiKey", "in": "cookie", "name": "healthmon_session"},
            },
        },
    }
