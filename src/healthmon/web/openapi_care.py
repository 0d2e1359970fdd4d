"""The description of standards, readiness and shifts."""

from __future__ import annotations

from healthmon.web.openapi_forms import BOOL, INT, NUMBER, TEXT, TIME, Json, act, arr, enum, nullable, obj, read, ref

_ITEM = obj(
    "kind",
    "id",
    "state",
    kind=enum(
        "downtime_pc", "downtime_copy", "paper_forms", "backup", "legacy", "outside_only", "certificate", "date", "own"
    ),
    id=TEXT,
    name=TEXT,
    state=enum("ready", "soon", "not ready", "not known"),
    why=arr(TEXT),
    area=nullable(TEXT),
    services=arr(TEXT),
    until=nullable(TEXT),
)
_COUNTS: Json = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": INT}}
_BURN = obj(
    "rule",
    rule=enum("fast", "steady", "slow"),
    fires_at=NUMBER,
    long_seconds=INT,
    long=nullable(NUMBER),
    short_seconds=INT,
    short=nullable(NUMBER),
)
_BUDGET = obj(
    "aim",
    aim=NUMBER,
    allowed_seconds=NUMBER,
    spent_seconds=NUMBER,
    unknown_seconds=NUMBER,
    left_ratio=nullable(NUMBER),
    recorded_seconds=NUMBER,
    period_seconds=INT,
)
_OWED = obj(
    "area", "service", "standard",
    area=TEXT, service=TEXT, standard=TEXT, budget=_BUDGET, burning=arr(TEXT), burn_rates=arr(_BURN),
)  # fmt: skip

CARE_SCHEMAS: dict[str, Json] = {
    "Readiness": obj("items", as_at=TIME, summary=_COUNTS, items=arr(_ITEM)),
    "Standards": obj("items", as_at=TIME, looked_back_hours=INT, of_hours=INT, items=arr(_OWED)),
    "Shifts": obj("items", days=INT, areas_not_shown=INT,
                  items=arr(obj("area", area=TEXT, good=INT, slow=INT, bad=INT))),
    "ShiftKept": obj("kept", kept=BOOL),
    "ShiftVote": obj("area", "answer", area=TEXT, answer=enum("good", "slow", "bad")),
}  # fmt: skip

CARE_PATHS: dict[str, dict[str, Json]] = {
    "readiness": {"get": read("What must be ready before IT is not, the worst first", ref("Readiness"))},
    "standards": {"get": read("Availability standards with error budgets and burn rates", ref("Standards"))},
    "shifts": {
        "get": read("How IT was this shift, by area; fewer than five answers are left out", ref("Shifts")),
        "post": act("One answer about the present shift; nothing about who gave it is kept", "ShiftVote", "ShiftKept"),
    },
}  # fmt: skip
