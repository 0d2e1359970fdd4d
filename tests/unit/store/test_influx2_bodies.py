"""What is sent to InfluxDB 2 to make buckets, mappings and tasks, beside what the vendor's own client would send."""

from __future__ import annotations

from typing import Any

from influxdb_client import BucketRetentionRules, DBRPCreate, PostBucketRequest, TaskCreateRequest, TaskStatusType
from influxdb_client._async.api_client import ApiClientAsync

from healthmon.store import tending
from healthmon.store.tending import Keep

ORG = "0123456789abcdef"
KEEP = Keep(30.0, 90.0, 396.0)
DAY_S = 86_400


def vendors(model: object) -> dict[str, Any]:
    """A model of the vendor's as its client puts it onto the wire."""
    said: dict[str, Any] = ApiClientAsync.sanitize_for_serialization(ApiClientAsync.__new__(ApiClientAsync), model)
    return said


def test_buckets_are_as_the_vendors_client_asks_for_them() -> None:
    names = {"raw": ("ward", 30), "minutes": ("ward_minutes", 90), "hours": ("ward_hours", 396)}
    ours = dict(tending.buckets("ward", ORG, KEEP))
    assert ours.keys() == names.keys()
    for policy, (name, days) in names.items():
        rule = BucketRetentionRules(type="expire", every_seconds=days * DAY_S)
        theirs = vendors(PostBucketRequest(org_id=ORG, name=name, retention_rules=[rule]))
        assert theirs.pop("rp") == "0", "its default, which the API fills in"
        assert ours[policy] == theirs


def test_mappings_are_as_the_vendors_client_asks_for_them() -> None:
    for policy in ("raw", "minutes"):
        theirs = DBRPCreate(
            org_id=ORG, bucket_id="b1", database="ward", retention_policy=policy, default=policy == "raw"
        )
        assert tending.mapping("b1", ORG, database="ward", policy=policy) == vendors(theirs)


def test_tasks_are_as_the_vendors_client_asks_for_them() -> None:
    ours = list(tending.tasks("ward", "trust", ORG, KEEP))
    assert len(ours) == 2
    for task in ours:
        theirs = TaskCreateRequest(org_id=ORG, status=TaskStatusType.ACTIVE, flux=task["flux"])
        assert task == vendors(theirs)
