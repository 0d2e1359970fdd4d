"""The schemas and paths of fire drills."""

from __future__ import annotations

from healthmon.model.drill import DrillState, Hop
from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    NAME,
    NUMBER,
    TEXT,
    TIME,
    Json,
    act,
    arr,
    enum,
    listing,
    nullable,
    obj,
    read,
    ref,
)

_HOP = enum(*(hop.value for hop in Hop))
_NEW: Json = {"type": "object", "properties": {"from": TEXT, "by": NAME}, "additionalProperties": False}
DRILL_SCHEMAS: dict[str, Json] = {
    "NewDrill": _NEW,
    "DrillHop": obj("hop", "at", hop=_HOP, at=nullable(TIME), took_s=nullable(NUMBER), late_at=nullable(TIME)),
    "Drill": {
        "type": "object",
        "required": ["id", "state", "hops"],
        "properties": {
            "id": TEXT,
            "drill": BOOL,
            "state": enum(*(state.value for state in DrillState)),
            "from": TEXT,
            "by": TEXT,
            "started_at": TIME,
            "ended_at": nullable(TIME),
            "scheduled_for": nullable(TIME),
            "paged": arr(TEXT),
            "answered_by": nullable(TEXT),
            "missing": nullable(_HOP),
            "because": nullable(TEXT),
            "hops": arr(ref("DrillHop")),
        },
    },
}
_BEGIN = act("Begin a fire drill; it goes on by itself", "NewDrill", "Drill")
_BEGIN["responses"]["201"] = _BEGIN["responses"].pop("200")
DRILL_PATHS: dict[str, dict[str, Json]] = {
    "drills": {"get": listing("Fire drills, the newest first", "Drill"), "post": _BEGIN},
    "drills/{id}": {"get": read("One fire drill with every hop", ref("Drill"), ID)},
    "drills/{id}/ack": {"post": act("Answer the page of a fire drill", "By", "Drill", ID)},
}
