"""What a silence or a change would hide, as people read it: whole areas by name, the critical ones first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from healthmon.model.mute import Preview
from healthmon.model.topology import Estate
from healthmon.web.cards import thing_name
from healthmon.web.matrix import acuity_rank

TARGETS_MOST, AREAS_MOST = 12, 12


@dataclass(frozen=True, slots=True)
class Uncovered:
    """One area and its services that would be lost without a page (or, under the floor, with one)."""

    area: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hiding:
    """`more_areas` are not listed."""

    targets: tuple[str, ...]
    target_count: int
    alerts: int
    incidents: tuple[str, ...]
    uncovered: tuple[Uncovered, ...]
    more_areas: int
    floor: tuple[Uncovered, ...]
    floor_lifted: bool


def hiding(preview: Preview, estate: Estate) -> Hiding:
    """The preview with names in it."""
    uncovered = _by_area(preview.uncovered, estate)
    return Hiding(
        targets=tuple(thing_name(estate, id_) for id_ in preview.targets[:TARGETS_MOST]),
        target_count=len(preview.targets),
        alerts=len(preview.alerts),
        incidents=preview.incidents,
        uncovered=uncovered[:AREAS_MOST],
        more_areas=max(0, len(uncovered) - AREAS_MOST),
        floor=_by_area(preview.floor, estate),
        floor_lifted=preview.floor_lifted,
    )


def _by_area(pairs: Iterable[tuple[str, str]], estate: Estate) -> tuple[Uncovered, ...]:
    found: dict[str, list[str]] = {}
    for area, service in pairs:
        found.setdefault(area, []).append(estate.services[service].name if service in estate.services else service)
    areas = sorted(found, key=lambda id_: (acuity_rank(estate.areas[id_]) if id_ in estate.areas else 9, id_))
    names = {id_: estate.areas[id_].name if id_ in estate.areas else id_ for id_ in areas}
    return tuple(Uncovered(names[id_], tuple(found[id_])) for id_ in areas)
