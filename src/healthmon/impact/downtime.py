"""Which downtime PC an area can turn to: its own when it is ready, else the nearest that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from healthmon.model.topology import Estate


@dataclass(frozen=True, slots=True)
class Nearest:
    """A ready downtime PC for an area. distance: own, same floor, same building or same site."""

    area: str
    pc: str
    at: str  # the area where it stands
    distance: str


def nearest(estate: Estate, area_id: str, ready: Callable[[str], bool]) -> Nearest | None:
    """The nearest downtime PC that is known to be ready; None when none is.

    Near is what the labels `building` and `floor` of the PCs say, then the site; of equals, the order of the site file.
    """
    own = estate.areas[area_id].downtime_pc
    found = min(_candidates(estate, area_id, own, ready), default=None)
    if found is None:
        return None
    rank, _, pc, at = found
    return Nearest(area_id, pc, at, _WORDS[rank])


def _candidates(
    estate: Estate, area_id: str, own: str | None, ready: Callable[[str], bool]
) -> Iterator[tuple[int, int, str, str]]:
    for place, area in enumerate(estate.areas.values()):
        pc = area.downtime_pc
        if pc is not None and area.site == estate.areas[area_id].site and ready(pc):
            yield _rank(estate, own, pc, area.id == area_id), place, pc, area.id


def _rank(estate: Estate, own: str | None, pc: str, mine: bool) -> int:
    if mine:
        return 0
    here, there = (estate.targets[one].labels if one in estate.targets else {} for one in (own or "", pc))
    if not here.get("building") or here.get("building") != there.get("building"):
        return 3
    return 1 if here.get("floor") and here.get("floor") == there.get("floor") else 2


_WORDS = ("own", "same floor", "same building", "same site")
