"""The clinical floor: what no mute hides, whatever was allowed when it was made.

It is asked when a page is about to be held back, never only when the mute is made: paths change afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import Effect
from healthmon.model.incident import Incident, Member, ServiceState
from healthmon.model.mute import BREAK_GLASS_MOST_S, TWO_PEOPLE_MOST_S, Floor, Mute
from healthmon.model.topology import AreaKind, Estate

Line = tuple[str, str]
#: Areas of which the last way to a service of these tiers is never hidden.
FLOOR_AREAS = frozenset({AreaKind.ED, AreaKind.ICU, AreaKind.THEATRE})
FLOOR_TIERS = frozenset({0, 1})
#: The worst first.
_BADNESS = {effect: place for place, effect in enumerate(Effect)}
_NO_WAY = frozenset({ServiceState.LOST, ServiceState.UNKNOWN})


def protected(estate: Estate, line: Line) -> bool:
    """Whether this (area, service) stands on the floor."""
    area, service = estate.areas.get(line[0]), estate.services.get(line[1])
    return bool(area and service and area.kind in FLOOR_AREAS and service.tier in FLOOR_TIERS)


def speaking(incident: Incident) -> tuple[Member, ...]:
    """Members that fail now and page by themselves; all that fail when every one is behind another."""
    failing = tuple(member for member in incident.members if member.cleared_at is None)
    return by_themselves(failing) or failing


def by_themselves(members: Iterable[Member]) -> tuple[Member, ...]:
    """Those behind nothing, and those that fail worse than what they are behind, or without it.

    A warning is no outage: muted or in shadow it does not speak for one that it explains.
    """
    every = tuple(members)
    worst: dict[str, int] = {}
    for one in every:
        worst[one.key.target] = min(_BADNESS[one.effect], worst.get(one.key.target, len(_BADNESS)))
    return tuple(
        one for one in every if one.behind is None or worst.get(one.behind, len(_BADNESS)) > _BADNESS[one.effect]
    )


def at_stake(incident: Incident, graph: NeedGraph, is_lost: Callable[[Line], bool]) -> tuple[Line, ...]:
    """Protected lines with no way left that this incident says, or whose way leads through what fails in it.

    Not being able to see counts as lost: an unproven cause never hides a care-critical place.
    """
    estate = graph.estate
    said = {(line.area, line.service) for line in incident.impact if line.state in _NO_WAY}
    targets = {member.key.target for member in incident.members if member.cleared_at is None}
    behind = {line for target in targets for line in graph.lines_behind(target)}
    found = {line for line in said if protected(estate, line)}
    found |= {line for line in behind - said if protected(estate, line) and is_lost(line)}
    return tuple(sorted(found))


def lifted(mutes: Iterable[Mute]) -> bool:
    """Whether every one of these mutes was made to reach below the floor, and is short enough."""
    kept = list(mutes)
    return bool(kept) and all(lifts(mute) for mute in kept)


def lifts(mute: Mute) -> bool:
    """Two named people for at most 4 h, or one who broke the glass for at most 1 h; never a repeated window."""
    length_s = mute.when.ends_at - mute.when.starts_at
    if mute.when.repeat is not None:
        return False
    if mute.floor is Floor.TWO_PEOPLE:
        return length_s <= TWO_PEOPLE_MOST_S and are_two(mute.created_by, mute.approved_by)
    return mute.floor is Floor.BREAK_GLASS and length_s <= BREAK_GLASS_MOST_S


def are_two(one: str, other: str | None) -> bool:
    """Two different names are given."""
    names = {" ".join(name.casefold().split()) for name in (one, other or "")} - {""}
    return len(names) == 2
