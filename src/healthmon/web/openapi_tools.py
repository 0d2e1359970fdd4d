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
    "Links": obj(
        "items",
        "proposed_needs",
        items=arr(
            obj(
                "between",
                "source",
                "seen_by",
                between=arr(obj("target", target=TEXT, port=TEXT, known=BOOL)),
                source=enum("lldp", "fdb"),
                seen_by=arr(TEXT),
                first_seen=NUMBER,
                last_seen=NUMBER,
                age_seconds=NUMBER,
                stale=BOOL,
                declared=BOOL,
            )
        ),
        proposed_needs=arr(
            obj("target", "needs", target=TEXT, needs=arr(TEXT), source=TEXT, seen_by=arr(TEXT), port=TEXT)
        ),
        stale_after_seconds=NUMBER,
    ),
    "LearnLinks": obj(
        "links",
        links=arr(
            obj(
                "one",
                "other",
                "source",
                "seen_by",
                one=TEXT,
                one_port=TEXT,
                other=TEXT,
                other_port=TEXT,
                source=enum("lldp", "fdb"),
                seen_by=arr(TEXT),
                leaf=TEXT,
                other_name=TEXT,
                mac=TEXT,
            )
        ),
    ),
    "LinksKept": obj("kept", kept=INT),
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
