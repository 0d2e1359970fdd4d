"""The schema of one agent of the fleet."""

from __future__ import annotations

from healthmon.model.about import Cause, Ended
from healthmon.web.openapi_forms import BOOL, INT, NUMBER, TEXT, TIME, Json, arr, enum, nullable, obj

_SPOOL = obj(
    "state",
    state=enum("ok", "memory"),
    why=TEXT,
    bytes=INT,
    batches=INT,
    readings=INT,
    dropped_readings=INT,
    set_aside=INT,
)
_ABSENCE = obj("since", "cause", since=TIME, until=nullable(TIME), cause=enum(*Cause), sure=BOOL, text=TEXT)

FLEET_SCHEMAS: dict[str, Json] = {
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
        version=nullable(TEXT),
        started_at=nullable(TIME),
        booted_at=nullable(TIME),
        last_stop=nullable(enum(*Ended)),
        spool=nullable(_SPOOL),
        absence=nullable(_ABSENCE),
        remarks=arr(TEXT),
    ),
}
