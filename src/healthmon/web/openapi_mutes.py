"""The description of silences and changes."""

from __future__ import annotations

from typing import Any

from healthmon.model.mute import Floor, MuteState
from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    NAME,
    NOTE,
    TEXT,
    TIME,
    Json,
    act,
    arr,
    created,
    enum,
    listing,
    made,
    nullable,
    obj,
    param,
    read,
    ref,
)

_MATCH = obj(target=TEXT, area=TEXT, rule=TEXT, check=TEXT, kind=TEXT, site=TEXT)
_LINE = obj("area", "service", area=TEXT, service=TEXT)
_WINDOW = nullable(obj(starts_at=nullable(TIME), ends_at=nullable(TIME)))
_REPEAT: Json = {"type": "string", "description": "RRULE (RFC 5545) in local time, for example FREQ=WEEKLY;BYDAY=TU"}
_FLOOR: Json = enum(*Floor)

_COMMON: dict[str, Any] = {
    "id": TEXT,
    "state": enum(*MuteState),
    "owner": TEXT,
    "reason": TEXT,
    "starts_at": TIME,
    "ends_at": TIME,
    "repeat": nullable(TEXT),
    "timezone": TEXT,
    "except_on": arr(TEXT),
    "window": _WINDOW,
    "floor": _FLOOR,
    "approved_by": nullable(TEXT),
    "created_at": nullable(TIME),
    "created_by": TEXT,
    "ended_at": nullable(TIME),
    "ended_by": nullable(TEXT),
    "preview": ref("MutePreview"),
    "audit": arr(obj("at", "action", "by", at=TIME, action=TEXT, by=TEXT, note=TEXT)),
}
_REVIEW = nullable(obj(due_at=nullable(TIME), reviewed_at=nullable(TIME), reviewed_by=nullable(TEXT)))
_WRITTEN: dict[str, Any] = {
    "repeat": _REPEAT,
    "timezone": TEXT,
    "except_on": arr(TEXT),
    "floor": _FLOOR,
    "approved_by": NAME,
    "by": NAME,
}

MUTE_SCHEMAS: dict[str, Json] = {
    "MutePreview": obj(
        "targets",
        targets=arr(TEXT),
        areas=arr(TEXT),
        alerts=arr(TEXT),
        incidents=arr(TEXT),
        uncovered=arr(_LINE),
        pages_all_the_same=arr(_LINE),
        clinical_floor_lifted=BOOL,
    ),
    "Silence": obj("id", "state", match=_MATCH, reminded_at=nullable(TIME), review=_REVIEW, **_COMMON),
    "Change": obj("id", "state", title=TEXT, targets=arr(TEXT), expected=arr(TEXT), source=TEXT, **_COMMON),
    "NewSilence": obj(
        "match", "owner", "reason", "ends_at",
        match=_MATCH, owner=NAME, reason=NOTE, starts_at=TIME, ends_at=TIME, **_WRITTEN,
    ),
    "NewChange": obj(
        "title", "targets", "starts_at", "ends_at",
        id=TEXT, title=TEXT, targets=arr(TEXT), starts_at=TIME, ends_at=TIME, expected=arr(TEXT), owner=TEXT,
        reason=TEXT, source=TEXT, **_WRITTEN,
    ),
    "Approval": obj(
        "id", "asked_by",
        id=TEXT, kind=enum("silence", "change"), what=TEXT, reason=TEXT, asked_by=TEXT, asked_at=TIME, until=TIME,
        ends_at=TIME,
    ),
    "Nothing": obj(),
    "EndMute": obj(by=NAME, note=NOTE),
    "ExtendMute": obj("ends_at", ends_at=TIME, by=NAME),
}  # fmt: skip

APPROVALS: Json = obj("items", "next", items=arr(ref("Approval")), next=nullable(TEXT))
MUTE_STATE = param("state", TEXT, f"any of {', '.join(MuteState)}, separated by commas")
MUTE_PATHS: dict[str, dict[str, Json]] = {
    "approvals": {"get": read("What waits for a second person", APPROVALS)},
    "approvals/{id}/approve": {
        "post": created("Approve as the second person, signed in: makes what waits", "Nothing", "Silence", ID)
    },
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
