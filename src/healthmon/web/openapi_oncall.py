"""The schemas of on-call duty."""

from __future__ import annotations

from typing import Any

from healthmon.web.openapi_forms import BOOL, INT, NAME, NOTE, TEXT, TIME, Json, arr, nullable, obj

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
