"""Turns admitted readings into points with the inventory's tags; the same reading always gives the same points."""

from __future__ import annotations

from collections.abc import Iterable

from healthmon.model.sample import Outcome, Reading, Row, Value
from healthmon.model.topology import Estate

#: Tags that every point of a reading carries; no label may have one of these names.
RESERVED_TAGS = frozenset({"site", "area", "target", "kind", "check", "vantage"})

Tags = tuple[tuple[str, str], ...]

#: Tags and orders of names that are kept at hand.
_REMEMBERED = 100_000
_OK, _SUCCESS = ("outcome", "ok"), ("success", 1.0)


class RowMaker:
    """One row per (family, labels) of a reading, and one `probe` row for the run itself.

    A backslash in a label (`C:\\`) becomes a slash: the databases disagree on what it escapes, and one refuses it.
    """

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._tags: dict[tuple[str, str, str], Tags] = {}
        self._labelled: dict[tuple[Tags, Tags], Tags] = {}
        self._sorted: set[tuple[str, ...]] = set()

    def rows_of(self, readings: Iterable[Reading]) -> tuple[Row, ...]:
        """Every point of these readings, in a stable order."""
        return tuple(row for reading in readings for row in self._rows(reading))

    def _rows(self, reading: Reading) -> Iterable[Row]:
        own = self._own_tags(reading)
        yield Row("probe", own, _run_fields(reading), reading.started)
        points: dict[tuple[str, Tags], dict[str, Value]] = {}
        for sample in reading.samples:
            key = (sample.family, tuple(sample.labels.items()) if sample.labels else ())
            fields = points.get(key)
            if fields is None:
                points[key] = fields = {}
            fields[sample.field] = sample.value
        for (family, labels), fields in points.items():
            yield Row(family, self._with(own, labels) if labels else own, self._fields(fields), reading.started)

    def _with(self, own: Tags, labels: Tags) -> Tags:
        """The tags of a reading and of a sample together, remembered: there are few, and they come again and again."""
        tags = self._labelled.get((own, labels))
        if tags is None:
            if len(self._labelled) >= _REMEMBERED:
                self._labelled.clear()
            tags = self._labelled[(own, labels)] = tuple(sorted((*own, *_tags_of(labels))))
        return tags

    def _fields(self, fields: dict[str, Value]) -> tuple[tuple[str, Value], ...]:
        """In the order of their names, which most samples come in."""
        names = tuple(fields)
        if names in self._sorted:
            return tuple(fields.items())
        if names == tuple(sorted(names)) and len(self._sorted) < _REMEMBERED:
            self._sorted.add(names)
        return tuple(sorted(fields.items()))

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


def _tags_of(labels: Tags) -> Iterable[tuple[str, str]]:
    return ((name, text.replace("\\", "/")) for name, text in labels)


def _run_fields(reading: Reading) -> tuple[tuple[str, Value], ...]:
    if reading.outcome is Outcome.OK and reading.reason is None:
        return (("duration_seconds", reading.took), _OK, _SUCCESS)
    fields: list[tuple[str, Value]] = [("duration_seconds", reading.took), ("outcome", str(reading.outcome))]
    if reading.reason is not None:
        fields.append(("reason", str(reading.reason)))
    if reading.rest_s:
        fields.append(("rest_seconds", reading.rest_s))
    if reading.outcome is not Outcome.UNKNOWN:
        fields.append(("success", 1.0 if reading.outcome is Outcome.OK else 0.0))
    return tuple(fields)
