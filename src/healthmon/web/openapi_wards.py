"""The schemas and paths of what wards say and what IT does in the hours after."""

from __future__ import annotations

from healthmon.model.paper import KINDS
from healthmon.model.report import Said
from healthmon.web.openapi_forms import (
    BOOL,
    INT,
    TEXT,
    TIME,
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

_EFFECT = enum(*Said)
WARD_REPORT = obj(
    "effect", "first_at", "last_at", "count",
    area=nullable(TEXT), service=nullable(TEXT), effect=_EFFECT, first_at=TIME, last_at=TIME, count=INT, source=TEXT,
    again_at=arr(TIME), works_at=nullable(TIME),
)  # fmt: skip
_RING = obj("name", "phone", name=TEXT, phone=nullable(TEXT))
_HAS_IT = nullable(obj("name", name=nullable(TEXT), since=nullable(TIME)))

WARD_SCHEMAS: dict[str, Json] = {
    "WardReport": WARD_REPORT | {"additionalProperties": True},
    "NewTicket": obj(extra=True),
    "Rang": obj("who", who=TEXT, by=TEXT),
    "Paper": obj(
        "kind", "title", "as_at", "parts", "dated", "language",
        kind=TEXT, title=TEXT, as_at=TEXT, parts=arr({"type": "object"}), dated=TEXT, language=TEXT,
    ),
    "Ticket": obj(
        "system", "number", "state", "at", "opened_at",
        taken=BOOL, system=TEXT, number=TEXT, state=enum("open", "resolved", "reopened", "closed"), at=TIME,
        opened_at=TIME, area=nullable(TEXT), service=nullable(TEXT), incidents=arr(TEXT),
    ),
    "NewReport": obj("area", "service", "effect", extra=True, area=TEXT, service=TEXT, effect=_EFFECT, text=TEXT),
    "ReportTaken": obj(
        "taken", "safe", "ring", "said",
        taken=BOOL, safe=BOOL, report=nullable(WARD_REPORT), joined=BOOL, incident=nullable(TEXT),
        severity=nullable(INT), has_it=_HAS_IT, paged=BOOL, ring=_RING, text_dropped=BOOL, understood=BOOL, said=TEXT,
    ),
}  # fmt: skip


_REPORT = act("A person on a ward says what does not work; never refused", "NewReport", "ReportTaken")
_REPORT["description"] = (
    "Taken from `web.ward_networks` without a login. Whatever the body is, the answer is 200 and names a number to "
    "ring: an area or service that is not known, a broken body and a flood are taken as well. `safe` is false when "
    "nothing could be put on disk."
)

_STRETCH = (param("since", TIME), param("until", TIME))

#: Below /api/v1.
WARD_PATHS: dict[str, dict[str, Json]] = {
    "reports": {
        "get": listing("What wards said, oldest first; default the last 31 days", "WardReport", *_STRETCH),
        "post": _REPORT,
    },
    "tickets": {
        "get": listing("Tickets that other systems told of, oldest first", "Ticket", *_STRETCH),
        "post": act("The webhook of a ticket system, with the token of its source", "NewTicket", "Ticket"),
    },
    "papers/{kind}": {
        "get": read(
            "A paper for the hours after: call-list, situation, recovery, handover or print-pack",
            ref("Paper"),
            {"name": "kind", "in": "path", "required": True, "schema": enum(*KINDS)},
            param("format", enum("json", "html", "text")),
        )
    },
    "rung": {"post": act("Tick off on the call list who was rung", "Rang", "Rang")},
}
