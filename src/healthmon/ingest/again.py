"""Stored rows as readings again, in time order, to be put through the engine once more (backtests, reports).

What a row never held does not come back: the detail text, a backslash in a label, and the order of samples. Rows of
what healthmon itself concluded (`own`) have no check and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from healthmon.ingest.rows import RESERVED_TAGS
from healthmon.model.sample import Outcome, Reading, Reason, Row, Sample

Key = tuple[str, str, str]


def readings_of(rows: Iterable[Row]) -> Iterator[Reading]:
    """Readings of rows that are in time order; those of one moment by target, check and vantage."""
    for _, same in groupby(rows, key=lambda row: row.at):
        looks: dict[Key, list[Row]] = {}
        for row in same:
            tags = dict(row.tags)
            if {"target", "check", "vantage"} <= tags.keys():
                looks.setdefault((tags["target"], tags["check"], tags["vantage"]), []).append(row)
        for key in sorted(looks):
            reading = _reading(key, looks[key])
            if reading:
                yield reading


def _reading(key: Key, rows: list[Row]) -> Reading | None:
    """None when the row of the run itself is missing: its outcome would be a guess."""
    run = next((dict(row.fields) for row in rows if row.family == "probe"), None)
    try:
        outcome = Outcome(str(run["outcome"])) if run else None
        reason = Reason(str(run["reason"])) if run and "reason" in run else None
    except (KeyError, ValueError):  # a word of another version
        return None
    if run is None or outcome is None:
        return None
    samples = tuple(sample for row in rows if row.family != "probe" for sample in _samples(row))
    took = run.get("duration_seconds", 0.0)
    return Reading(*key, rows[0].at, took if isinstance(took, float) else 0.0, outcome, reason, "", samples)


def _samples(row: Row) -> Iterator[Sample]:
    labels = {name: value for name, value in row.tags if name not in RESERVED_TAGS}
    for name, value in row.fields:
        yield Sample(row.family, name, value, labels)
