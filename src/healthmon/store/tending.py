"""What healthmon sets up in an InfluxDB that it makes: how long points are kept, and their minutes and hours.

Only where the database did not exist: one that somebody else made is theirs to tend. 1.x: retention policies and
continuous queries. 2.x: buckets, a DBRP mapping so that InfluxQL finds each, and tasks. 3.x has neither; see
docs/stores.md for what to run there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from healthmon.store.influxql import identifier

_DAY_S = 86_400
_AGGREGATES_V1 = "mean(*), min(*), max(*), count(*)"
#: Each pass looks back this many windows, so that what arrives late is counted; later still, it is raw only.
_LOOK_BACK = 10


@dataclass(frozen=True, slots=True)
class Keep:
    """Days that points are kept: as they came, by the minute, by the hour."""

    raw: float = 35.0
    minutes: float = 90.0
    hours: float = 396.0


@dataclass(frozen=True, slots=True)
class Window:
    """One rollup: its name, its width as InfluxQL and Flux write it, and days kept."""

    name: str
    width: str
    days: float


def windows(keep: Keep) -> tuple[Window, Window]:
    """Minutes and hours."""
    return Window("minutes", "1m", keep.minutes), Window("hours", "1h", keep.hours)


def statements(database: str, keep: Keep) -> Iterator[str]:
    """InfluxQL that makes a database of 1.x with its retention policies and continuous queries."""
    name = identifier(database)
    yield f"CREATE DATABASE {name} WITH DURATION {_duration(keep.raw)} REPLICATION 1 NAME raw"
    for window in windows(keep):
        yield (
            f"CREATE RETENTION POLICY {window.name} ON {name} DURATION {_duration(window.days)} "
            f"REPLICATION 1 SHARD DURATION {'1d' if window.name == 'minutes' else '7d'}"
        )
        yield (
            f"CREATE CONTINUOUS QUERY {window.name} ON {name} "
            f"RESAMPLE EVERY {window.width} FOR {_times(window.width)} BEGIN "
            f"{downsampling(database, window)} END"
        )


def downsampling(database: str, window: Window, *, where: str = "") -> str:
    """The statement that a continuous query of 1.x runs; with a condition, to fill in what was before it."""
    name = identifier(database)
    return (
        f"SELECT {_AGGREGATES_V1} INTO {name}.{window.name}.:MEASUREMENT FROM {name}.raw./.*/{where} "
        f"GROUP BY time({window.width}), *"
    )


def buckets(bucket: str, org_id: str, keep: Keep) -> Iterator[tuple[str, dict[str, Any]]]:
    """(retention policy name, body for POST /api/v2/buckets) of 2.x: raw points, minutes, hours."""
    yield "raw", _bucket(bucket, org_id, keep.raw)
    for window in windows(keep):
        yield window.name, _bucket(f"{bucket}_{window.name}", org_id, window.days)


def mapping(bucket_id: str, org_id: str, *, database: str, policy: str) -> dict[str, Any]:
    """The body for POST /api/v2/dbrps: InfluxQL's database and retention policy for a bucket."""
    return {
        "bucketID": bucket_id,
        "orgID": org_id,
        "database": database,
        "retention_policy": policy,
        "default": policy == "raw",
    }


def tasks(bucket: str, org: str, org_id: str, keep: Keep) -> Iterator[dict[str, Any]]:
    """Bodies for POST /api/v2/tasks: numbers by the minute and by the hour, fields named as 1.x names them."""
    for window in windows(keep):
        yield {"orgID": org_id, "status": "active", "flux": _flux(bucket, org, window)}


def _flux(bucket: str, org: str, window: Window) -> str:
    source, into, owner = _quoted(bucket), _quoted(f"{bucket}_{window.name}"), _quoted(org)
    lines = [
        f"option task = {{name: {_quoted(f'healthmon {bucket} {window.name}')}, every: {window.width}}}",
        'import "types"',
        f"data = from(bucket: {source}) |> range(start: -{_times(window.width)})",
        '  |> filter(fn: (r) => types.isType(v: r._value, type: "float"))',
    ]
    for kind in ("mean", "min", "max", "count"):
        lines.append(
            f'data |> aggregateWindow(every: {window.width}, fn: {kind}, createEmpty: false, timeSrc: "_start")'
            f' |> map(fn: (r) => ({{r with _field: "{kind}_" + r._field}})) |> to(bucket: {into}, org: {owner})'
        )
    return "\n".join(lines)


def _bucket(name: str, org_id: str, days: float) -> dict[str, Any]:
    rule = {"type": "expire", "everySeconds": round(days * _DAY_S)}
    return {"orgID": org_id, "name": name, "retentionRules": [rule]}


def _duration(days: float) -> str:
    return f"{round(days * _DAY_S)}s"


def _times(width: str) -> str:
    return f"{_LOOK_BACK * int(width[:-1])}{width[-1]}"


def _quoted(text: str) -> str:
    """A Flux string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
