"""The schemas of on-call duty."""

from __future__ import annotations

from typing import Any

from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    INT,
    NAME,
    NOTE,
    TEXT,
    TIME,
    Json,
    act,
    arr,
    created,
    listing,
    nullable,
    obj,
    param,
    read,
    ref,
)

_USER = nullable(obj("id", "name", id=TEXT, name=TEXT, phone=nullable(TEXT), channels=arr(TEXT)))
_SHIFT = obj("starts_at", "ends_at", "user", starts_at=TIME, ends_at=TIME, user=_USER, via=TEXT)
_OVERRIDE: dict[str, Any] = {
    "id": TEXT,
    "rota": TEXT,
    "user": TEXT,
    "replaces": nullable(TEXT),
    "starts_at": TIME,
    "ends_at": TIME,
    "by": TEXT,
    "reason": TEXT,
    "swap": nullable(TEXT),
    "ended": BOOL,
}
_HALF = obj("user", "starts_at", "ends_at", user=NAME, starts_at=TIME, ends_at=TIME)

_FOLLOWING: Json = {"type": "object", "properties": {"user": _USER, "from": TIME}}

ONCALL_SCHEMAS: dict[str, Json] = {
    "Standby": obj(
        "rota", "now",
        rota=TEXT, name=TEXT, timezone=TEXT, teams=arr(TEXT), now=_SHIFT,
        following=_FOLLOWING,
        backup=_USER, pages_in_shift=nullable(INT),
    ),
    "Schedule": obj(
        "rota", "shifts",
        rota=TEXT, name=TEXT, timezone=TEXT, shifts=arr(_SHIFT), overrides=arr(obj("id", **_OVERRIDE)),
    ),
    "Override": obj("id", "rota", "user", **_OVERRIDE),
    "Overrides": obj("overrides", overrides=arr(obj("id", **_OVERRIDE))),
    "NewOverride": obj(
        "user", "ends_at", user=NAME, starts_at=TIME, ends_at=TIME, replaces=NAME, reason=NOTE, by=NAME
    ),
    "NewSwap": obj("first", "second", first=_HALF, second=_HALF, reason=NOTE, by=NAME),
    "Reply": {"type": "object", "properties": dict.fromkeys(("from", "text", "id", "key", "status"), TEXT)},
    "Said": obj("said", said=TEXT),
}  # fmt: skip

STRETCH = (param("start", TIME, "default now"), param("end", TIME, "at most 400 days later"))
OVERRIDE_ID: Json = {"name": "override", "in": "path", "required": True, "schema": TEXT}
CHANNEL: Json = {"name": "channel", "in": "path", "required": True, "schema": TEXT}
SIGNATURE: Json = {"name": "X-Healthmon-Signature", "in": "header", "schema": TEXT,
                   "description": "sha256= and the hex HMAC-SHA256 of the body"}  # fmt: skip
ICAL: Json = read("The shifts of a rota as iCalendar", TEXT, ID, *STRETCH, param("user", TEXT))
ICAL["responses"]["200"] = {"description": "RFC 5545", "content": {"text/calendar": {"schema": TEXT}}}
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
