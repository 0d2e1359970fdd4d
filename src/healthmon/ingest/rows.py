"""Turns admitted readings into points with the inventory's tags; the same reading always gives the same points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from healthmon.model.sample import Outcome, Reading, Row, Value
from healthmon.model.topology import Estate

#: Tags that every point of a reading carries; no label may have one of these names.
RESERVED_TAGS = frozenset({"site", "area", "target", "kind", "check", "vantage"})

Tags = tuple[tuple[str, str], ...]


class RowMaker:
    """One row per (family, labels) of a reading, and one `probe` row for the run itself.

    A backslash in a label (`C:\\`) becomes a slash: the databases disagree on what it escapes, and one refuses it.
    """

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._tags: dict[tuple[str, str, str], Tags] = {}

    def rows_of(self, readings: Iterable[Reading]) -> tuple[Row, ...]:
        """Every point of these readings, in a stable order."""
        return tuple(row for reading in readings for row in self._rows(reading))

    def _rows(self, reading: Reading) -> Iterable[Row]:
        own = self._own_tags(reading)
        yield Row("probe", own, _run_fields(reading), reading.started)
        points: dict[tuple[str, Tags], dict[str, Value]] = {}
        for sample in reading.samples:
            labels = _tags_of(sample.labels) if sample.labels else ()
            points.setdefault((sample.family, labels), {})[sample.field] = sample.value
        for (family, labels), fields in points.items():
            tags = tuple(sorted((*own, *labels))) if labels else own
            yield Row(family, tags, tuple(sorted(fields.items())), reading.started)

    def _own_tags(self, reading: Reading) -> Tags:
        key = (reading.target, reading.check, reading.vantage)
        tags = self._tags.get(key)
        if tags is None:
            target = self._estate.targets[reading.target]
            pairs = {
                "site": target.site,
                "area": target.area or "",
                "target": target.id,
                "kind": target.kind,
                "check": reading.check,
                "vantage": reading.vantage,
            }
            tags = self._tags[key] = tuple(sorted((name, value) for name, value in pairs.items() if value))
        return tags


def _tags_of(labels: Mapping[str, str]) -> Tags:
    return tuple(sorted((name, text.replace("\\", "/")) for name, text in labels.items()))


def _run_fields(reading: Reading) -> tuple[tuple[str, Value], ...]:
    fields: list[tuple[str, Value]] = [("duration_seconds", reading.took), ("outcome", str(reading.outcome))]
    if reading.reason is not None:
        fields.append(("reason", str(reading.reason)))
    if reading.rest_s:
        fields.append(("rest_seconds", reading.rest_s))
    if reading.outcome is not Outcome.UNKNOWN:
        fields.append(("success", 1.0 if reading.outcome is Outcome.OK else 0.0))
    return tuple(fields)
