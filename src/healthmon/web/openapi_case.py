"""The schemas of what `GET incidents/{id}` adds to an incident."""

from __future__ import annotations

from healthmon.web.openapi_forms import INT, NUMBER, TEXT, TIME, Json, arr, nullable, obj

GROUND: Json = obj("what", "text", what=TEXT, text=TEXT, count=INT, ids=arr(TEXT), at=nullable(TIME))
FATE: Json = obj(
    "attribute",
    "value",
    attribute=TEXT,
    value=TEXT,
    text=TEXT,
    broken=INT,
    of_broken=INT,
    healthy=INT,
    counter_examples=arr(TEXT),
    population=INT,
    lift=NUMBER,
    p_value=NUMBER,
    tried=INT,
)
EVIDENCE: Json = obj(
    "as_at",
    "candidates",
    as_at=TIME,
    candidates=arr(
        obj("target", target=TEXT, certainty=TEXT, speaks_for=arr(GROUND), speaks_against=arr(GROUND)),
    ),
    contradictions=arr(obj(target=TEXT, check=TEXT, working_from=arr(TEXT), failing_from=arr(TEXT), text=TEXT)),
    in_common=arr(FATE),
)
WARD: Json = obj(
    "area",
    area=TEXT,
    beds=INT,
    functions_lost=arr(TEXT),
    functions_slow=arr(TEXT),
    pcs=obj(working=INT, total=INT, unknown=INT),
    works=arr(obj(service=TEXT, proven_at=TIME)),
    not_known=arr(TEXT),
    fallbacks=arr(obj(service=TEXT, text=TEXT, proven_at=nullable(TIME))),
)
STAGES: Json = arr(arr(TEXT))
#: The fields that `GET incidents/{id}` adds.
CASE: dict[str, Json] = {"evidence": EVIDENCE, "areas": arr(WARD), "restore_order": STAGES}
