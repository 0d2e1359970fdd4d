"""The description of access: who I am, users, API tokens, sessions, the audit."""

from __future__ import annotations

from typing import Any

from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    INT,
    NAME,
    TEXT,
    TIME,
    Json,
    act,
    arr,
    created,
    enum,
    listing,
    nullable,
    obj,
    param,
    read,
    ref,
)
from healthmon.web.permissions import LADDER

ROLE: Json = enum(*LADDER)
TOKEN_FIELDS: dict[str, Any] = {
    "id": TEXT,
    "name": TEXT,
    "role": ROLE,
    "state": enum("valid", "expired", "revoked"),
    "made_at": TIME,
    "made_by": TEXT,
    "expires_at": nullable(TIME),
}
DAYS: Json = {"type": "number", "exclusiveMinimum": 0, "maximum": 3660, "default": 365}

ACCESS_SCHEMAS: dict[str, Json] = {
    "Me": obj("identity", identity=TEXT, name=TEXT, role=ROLE, kind=TEXT),
    "User": obj("id", id=TEXT, name=TEXT, role=nullable(ROLE), groups=arr(TEXT), disabled=BOOL),
    "ApiToken": obj("id", **TOKEN_FIELDS),
    "MadeToken": obj("id", "token", token=TEXT, **TOKEN_FIELDS),
    "NewToken": obj("name", "role", name=NAME, role=ROLE, days=DAYS, by=NAME),
    "Session": obj(
        "id",
        id=TEXT,
        name=TEXT,
        user=nullable(TEXT),
        how=enum("site-token", "password", "oidc"),
        address=TEXT,
        issued_at=TIME,
        seen_at=TIME,
    ),
    "AuditEntry": obj(
        "seq",
        "hash",
        seq=INT,
        at=TIME,
        who=TEXT,
        by=TEXT,
        what=TEXT,
        about=TEXT,
        source=TEXT,
        result=enum("done", "refused", "failed"),
        detail=TEXT,
        prev=TEXT,
        hash=TEXT,
    ),
    "AuditCheck": obj("entries", "head", "whole", entries=INT, head=TEXT, whole=BOOL, problems=arr(TEXT)),
}
AUDIT_FILTERS = (param("who", TEXT), param("what", TEXT), param("result", enum("done", "refused", "failed")))

ACCESS_PATHS: dict[str, dict[str, Json]] = {
    "me": {"get": read("Who the server takes you for", ref("Me"))},
    "users": {"get": listing("Local users", "User")},
    "tokens": {
        "get": listing("API tokens, newest first, without their secrets", "ApiToken"),
        "post": created("Make an API token; its text is in this answer and nowhere else", "NewToken", "MadeToken"),
    },
    "tokens/{id}/revoke": {"post": act("Revoke an API token", "By", "ApiToken", ID)},
    "sessions": {"get": listing("Who is signed in on the board", "Session")},
    "sessions/{id}/end": {"post": act("Sign somebody out", "By", "Session", ID)},
    "audit": {"get": listing("Who did what and who was refused, newest first", "AuditEntry", *AUDIT_FILTERS)},
    "audit/check": {"get": read("Whether the chain of the audit is whole", ref("AuditCheck"))},
}
