"""Whether a silence or a change is about a member of an incident. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import AlertKey, Effect
from healthmon.model.incident import Member
from healthmon.model.mute import Change, Match, Mute, Silence
from healthmon.model.topology import Estate, Target, need_ids


def fits_key(match: Match, key: AlertKey, estate: Estate) -> bool:
    """Whether everything that the match gives fits this alert."""
    target = estate.targets.get(key.target)
    found = {
        "target": key.target,
        "rule": key.rule,
        "check": key.check,
        "area": target.area if target else None,
        "kind": target.kind if target else None,
        "site": target.site if target else None,
    }
    return all(fnmatchcase(found[name] or "", pattern) for name, pattern in match.given().items())


def fits_target(match: Match, target: Target) -> bool:
    """Whether some alert of this target could fit."""
    found = {"target": target.id, "area": target.area, "kind": target.kind, "site": target.site}
    return all(fnmatchcase(found[name] or "", p) for name, p in match.given().items() if name in found)


def expects(change: Change, scope: frozenset[str], key: AlertKey, *, reason: str, effect: Effect) -> bool:
    """Whether the change said that this would happen: on its own targets, by rule, check, reason or effect."""
    words = (key.rule, key.check, reason, effect.value)
    return key.target in scope and any(fnmatchcase(word, signal) for signal in change.expected for word in words)


def covers(mute: Mute, scope: frozenset[str], member: Member, estate: Estate) -> bool:
    """Whether a mute that is in force holds back what this member would page."""
    if isinstance(mute, Silence):
        return fits_key(mute.match, member.key, estate)
    return expects(mute, scope, member.key, reason=member.reason, effect=member.effect)


def scope_of(change: Change, estate: Estate) -> frozenset[str]:
    """The targets of which the change may hold signals back.

    A service stands for what it directly needs and no other service does, unless that one is named too: work on the
    record hides no failure of the directory that everything needs.
    """
    named = frozenset(change.targets)
    others = (service for service in estate.services.values() if service.id not in named)
    shared = {id_ for service in others for id_ in need_ids(service.needs)}
    own = {id_ for service in named & estate.services.keys() for id_ in need_ids(estate.services[service].needs)}
    return frozenset((named | (own - shared)) & estate.targets.keys())


def targets_of(mute: Mute, estate: Estate) -> frozenset[str]:
    """Every target that the mute is about."""
    if isinstance(mute, Silence):
        return frozenset(target.id for target in estate.targets.values() if fits_target(mute.match, target))
    return scope_of(mute, estate)


def related(change: Change, graph: NeedGraph) -> frozenset[str]:
    """The change's targets, whatever its services directly need, and whatever needs any of these."""
    scope = frozenset(_targets_of(change.targets, graph.estate))
    return scope.union(*(graph.descendants(id_) for id_ in scope), change.targets)


def _targets_of(ids: Iterable[str], estate: Estate) -> Iterator[str]:
    for id_ in ids:
        if id_ in estate.targets:
            yield id_
        elif id_ in estate.services:
            yield from _targets_of(need_ids(estate.services[id_].needs), estate)
