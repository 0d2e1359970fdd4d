"""The schema of what a target says of the presence of a machine that people switch off."""

from __future__ import annotations

from healthmon.impact.presence import Absence
from healthmon.web.openapi_forms import BOOL, INT, NUMBER, TEXT, TIME, Json, arr, enum, nullable, obj

_ABSENCE = enum(*(word.value for word in Absence))
_LAST = obj("from", "to", "taken_for", to=TIME, taken_for=_ABSENCE, turned_out=nullable(_ABSENCE))
_LAST["properties"]["from"] = TIME  # a word of the language
PRESENCE: Json = obj(
    "agent",
    "state",
    agent=TEXT,
    state=enum("on", "never", *(word.value for word in Absence)),
    since=nullable(TIME),
    told=BOOL,
    because=arr(TEXT),
    usual_hours=nullable(TEXT),
    learning=BOOL,
    usual_now=nullable(NUMBER),
    periods_known=INT,
    port=nullable(TEXT),
    port_by=nullable(TEXT),
    last_absence=nullable(_LAST),
)
