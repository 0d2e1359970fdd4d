"""The schemas of the tools."""

from __future__ import annotations

from healthmon.model.sample import Outcome, Reason
from healthmon.web.openapi_forms import BOOL, INT, NAME, NUMBER, TEXT, TIME, Json, arr, enum, nullable, obj

PUSHED: Json = obj(
    "target",
    "check",
    "outcome",
    target=TEXT,
    check=TEXT,
    outcome=enum(*Outcome),
    reason=nullable(enum(*Reason)),
    detail=TEXT,
    started=nullable(NUMBER),
    took=NUMBER,
    vantage=nullable(TEXT),
    samples=arr(
        obj(
            "family",
            "field",
            "value",
            family=TEXT,
            field=TEXT,
            value={"description": "number, boolean or text"},
            labels={"type": "object", "additionalProperties": TEXT},
        )
    ),
)
TOOL_SCHEMAS: dict[str, Json] = {
    "Coverage": obj(
        "covered_access_paths_percent",
        "blind_spots",
        covered_access_paths_percent=NUMBER,
        shares={"type": "object", "additionalProperties": obj(covered=INT, of=INT)},
        live=BOOL,
        blind_spots=arr(obj("kind", "id", kind=TEXT, id=TEXT, text=TEXT)),
    ),
    "Explanation": obj(
        "incident",
        "sections",
        incident=TEXT,
        as_at=TIME,
        sections=arr(obj("title", "lines", title=TEXT, lines=arr(TEXT))),
    ),
    "WhyNot": obj(
        "rule",
        "target",
        "gates",
        rule=TEXT,
        target=TEXT,
        gates=arr(obj("what", "open", what=TEXT, open=BOOL, text=TEXT)),
    ),
    "Push": obj("readings", readings=arr(PUSHED)),
    "Pushed": obj("accepted", accepted=INT),
    "Reload": obj(by=NAME),
    "Reloaded": obj(
        "reloaded",
        "changes",
        reloaded=BOOL,
        changes={"type": "object", "description": "by block: added, removed, changed"},
        needs_restart=arr(TEXT),
    ),
}
