"""The schemas and paths of the told-log."""

from __future__ import annotations

from typing import Any

from healthmon.model.incident import NoticeResult, Why
from healthmon.web.openapi_forms import BOOL, INT, TEXT, TIME, Json, act, enum, listing, nullable, obj, param

_RESULTS = enum(*(result.value for result in NoticeResult))
_NOTICE: dict[str, Any] = {
    "key": TEXT,
    "incident": TEXT,
    "channel": TEXT,
    "to": TEXT,
    "why": enum(*(why.value for why in Why)),
    "severity": INT,
    "step": INT,
    "subject": TEXT,
    "due": TIME,
    "at": TIME,
    "result": _RESULTS,
    "attempts": INT,
    "repeat": BOOL,
    "detail": TEXT,
    "person": nullable(TEXT),
    "delivered_at": nullable(TIME),
}
NOTICE_SCHEMAS: dict[str, Json] = {
    "Told": obj("key", "incident", "channel", "to", "result", **_NOTICE),
    "Preview": obj(
        "channel", "kind", "text", channel=TEXT, kind=TEXT, subject=TEXT, text=TEXT, characters=INT, one_sms=BOOL
    ),
}
KEY_OF_NOTICE: Json = {"name": "key", "in": "path", "required": True, "schema": TEXT}
_RESEND = act("Send a dead notice again, under a key of its own", "By", "Told", KEY_OF_NOTICE)
_RESEND["responses"]["201"] = _RESEND["responses"].pop("200")
NOTICE_PATHS: dict[str, dict[str, Json]] = {
    "notices": {
        "get": listing(
            "Every notice with what became of it, newest first", "Told", param("result", _RESULTS, "or several"),
            param("channel", TEXT), param("incident", TEXT), param("since", TIME),
        )
    },
    "notices/preview": {
        "get": listing(
            "What every channel would carry; nothing is sent", "Preview",
            param("incident", TEXT, "left out: an example"), param("why", TEXT),
        )
    },
    "notices/{key}/resend": {"post": _RESEND},
}  # fmt: skip
