"""The description of what is watched: targets, areas, services, alerts, series, agents."""

from __future__ import annotations

from healthmon.model.alert import Phase
from healthmon.model.incident import ServiceState
from healthmon.model.sample import Outcome
from healthmon.web.openapi_case import LABELS, PATHS_LEFT, STAGES
from healthmon.web.openapi_forms import (
    BOOL,
    ID,
    INT,
    NUMBER,
    TEXT,
    TIME,
    Json,
    arr,
    enum,
    listing,
    nullable,
    obj,
    param,
    read,
    ref,
)
from healthmon.web.openapi_presence import PRESENCE

NEEDS: Json = {"type": "array", "description": "ids, or {at_least, of}; all of the list are needed"}
SERVICE_STATE = obj(
    "area",
    "service",
    "state",
    area=TEXT,
    service=TEXT,
    state=enum(*ServiceState),
    since=TIME,
    paths=PATHS_LEFT,
    causes=arr(TEXT),
    proven_at=nullable(TIME),
)

ESTATE_SCHEMAS: dict[str, Json] = {
    "ServiceState": SERVICE_STATE,
    "Target": obj(
        "id",
        "outcome",
        id=TEXT,
        name=TEXT,
        kind=TEXT,
        address=TEXT,
        site=TEXT,
        area=nullable(TEXT),
        team=nullable(TEXT),
        labels=LABELS,
        outcome=enum(*Outcome),
        reason=nullable(TEXT),
        since=nullable(TIME),
        last_at=nullable(TIME),
        explained_by=nullable(TEXT),
        presence=PRESENCE,
        needs=NEEDS,
        checks=arr({"type": "object"}),
        latest=arr({"type": "object"}),
    ),
    "Area": obj(
        "id",
        id=TEXT,
        name=TEXT,
        kind=TEXT,
        acuity=TEXT,
        site=TEXT,
        beds=INT,
        staffed={"description": "`always`, or {spans, closed_on_holidays} in the site's local time"},
        needs=NEEDS,
        contact=nullable(obj(phone=nullable(TEXT), bleep=nullable(TEXT), email=nullable(TEXT))),
        downtime_pc=nullable(TEXT),
        services=arr(ref("ServiceState")),
    ),
    "Service": obj(
        "id",
        id=TEXT,
        name=TEXT,
        tier=INT,
        used_in=arr(TEXT),
        everywhere=BOOL,
        needs=NEEDS,
        fallback=nullable(obj(text=TEXT, proven_by=nullable(TEXT))),
        standards={"type": "object", "additionalProperties": NUMBER},
        team=nullable(TEXT),
        functions=arr(TEXT),
        areas=arr(ref("ServiceState")),
    ),
    "Alert": obj(
        "rule",
        "target",
        "phase",
        rule=TEXT,
        target=TEXT,
        check=TEXT,
        vantage=TEXT,
        labels=LABELS,
        phase=enum(*Phase),
        effect=TEXT,
        since=TIME,
        bad_since=TIME,
        fired_at=nullable(TIME),
        flapping_since=nullable(TIME),
        value=nullable(NUMBER),
        reason=nullable(TEXT),
        detail=TEXT,
    ),
    "Series": obj(
        "tags",
        "points",
        tags=LABELS,
        points=arr({"type": "array", "description": "[time, value]", "minItems": 2, "maxItems": 2}),
    ),
}

ESTATE_PATHS: dict[str, dict[str, Json]] = {
    "targets": {
        "get": listing(
            "Targets and what is known of them",
            "Target",
            param("area", TEXT),
            param("kind", TEXT),
            param("outcome", enum(*Outcome)),
        )
    },
    "targets/{id}": {"get": read("One target with its checks and newest readings", ref("Target"), ID)},
    "areas": {"get": listing("Areas", "Area")},
    "areas/{id}": {"get": read("One area with the state of its services", ref("Area"), ID)},
    "services": {"get": listing("Services", "Service")},
    "services/{id}": {"get": read("One service with its state in every area", ref("Service"), ID)},
    "impact": {
        "get": listing(
            "Area x service states",
            "ServiceState",
            param("area", TEXT),
            param("service", TEXT),
            param("state", enum(*ServiceState)),
        )
    },
    "restore-order": {
        "get": read("In what order everything that care rests on can come back", obj("stages", stages=STAGES))
    },
    "alerts": {
        "get": listing("Alerts that are not clear", "Alert", param("phase", enum(*Phase)), param("target", TEXT))
    },
    "query": {
        "get": listing(
            "Series by metric and tags",
            "Series",
            param("metric", TEXT, "family.field, for example icmp.rtt_avg_seconds") | {"required": True},
            *(param(tag, TEXT) for tag in ("site", "area", "target", "kind", "check", "vantage")),
            param("label.NAME", TEXT, "a dimension, for example label.interface=eth0"),
            param("start", TIME),
            param("end", TIME, "default now"),
            param("range", TEXT, "instead of start: 15m, 1h, 7d; default 1h"),
            param("step", TEXT, "30s, 5m; 0 or none gives raw points"),
            param("aggregate", enum("mean", "min", "max", "last", "count")),
        )
    },
    "agents": {"get": listing("The fleet", "Agent", param("state", enum("up", "silent", "stopped", "never")))},
}
