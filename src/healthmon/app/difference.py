"""What a sweep found against the inventory: new, missing, moved, and needs to consider. Pure; merges nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from healthmon.app.neighbours import Found, Link


@dataclass(frozen=True, slots=True)
class Known:
    """A target (or a service) of the inventory: its addresses in the swept network, its names, what it needs.

    Those without an address there are no part of the difference, and their needs still say who depends on whom.
    """

    id: str
    ips: tuple[str, ...]
    names: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    target: str
    was: tuple[str, ...]
    now: str
    because: str


@dataclass(frozen=True, slots=True)
class NewTarget:
    id: str
    found: Found


@dataclass(frozen=True, slots=True)
class ProposedNeed:
    """`target` hangs on `needs`: `source` says which table, `seen_by` whose, `port` where."""

    target: str
    needs: str
    source: str
    seen_by: tuple[str, ...]
    port: str
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Every found address is in `present`, `new` or `moved`; every swept target in `present`, `missing`, `moved` or
    `not_looked_at`. `links` have no direction that a table could tell: a person decides who needs whom."""

    present: tuple[str, ...] = ()
    new: tuple[NewTarget, ...] = ()
    missing: tuple[Known, ...] = ()
    moved: tuple[Moved, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    needs: tuple[ProposedNeed, ...] = ()
    links: tuple[Link, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)  # address -> id, of known and of proposed targets


def difference(
    known: Iterable[Known], found: Iterable[Found], links: Iterable[Link], *, silent: Collection[str]
) -> Difference:
    """`silent`: addresses that were asked and did not answer; a target elsewhere is no part of this."""
    targets, devices = sorted(known, key=lambda one: one.id), sorted(found, key=lambda one: one.ip)
    answered = {device.ip for device in devices}
    owners: dict[str, list[str]] = {}
    for target in targets:
        for ip in target.ips:
            owners.setdefault(ip, []).append(target.id)
    gone = [one for one in targets if one.ips and not answered.intersection(one.ips) and set(one.ips) <= set(silent)]
    strangers = [device for device in devices if device.ip not in owners]
    moved = _moved(gone, strangers)
    new = _named([device for device in strangers if device.ip not in {one.now for one in moved}], targets)
    ids = {ip: names[0] for ip, names in owners.items()}
    ids |= {one.now: one.target for one in moved} | {one.found.ip: one.id for one in new}
    away = {one.target for one in moved}
    needs, rest = proposed_needs(targets, links, ids)
    here = tuple(one.id for one in targets if answered.intersection(one.ips))
    missing = tuple(one for one in gone if one.id not in away)
    told = {*here, *away, *(one.id for one in missing)}
    return Difference(
        present=here,
        new=tuple(new),
        missing=missing,
        moved=tuple(moved),
        not_looked_at=tuple(one.id for one in targets if one.ips and one.id not in told),
        needs=tuple(needs),
        links=tuple(rest),
        ids=ids,
    )


def names_of(*texts: str) -> frozenset[str]:
    """A name as people and devices write it: without case, with and without its domain."""
    lower = [text.casefold() for text in texts if text]
    return frozenset([*lower, *(text.partition(".")[0] for text in lower if not text[:1].isdigit())])


def _moved(gone: Iterable[Known], strangers: Iterable[Found]) -> list[Moved]:
    """A silent target whose name one stranger gives as its own, and no other does."""
    claims: dict[str, list[Found]] = {}
    owners: dict[str, list[Known]] = {}
    for target in gone:
        mine = [device for device in strangers if device.name and names_of(device.name) & target.names]
        claims[target.id] = mine
        for device in mine:
            owners.setdefault(device.ip, []).append(target)
    return [
        Moved(target.id, target.ips, mine[0].ip, f"sysName {mine[0].name}")
        for target in gone
        for mine in [claims[target.id]]
        if len(mine) == 1 and len(owners[mine[0].ip]) == 1
    ]


def _named(strangers: Iterable[Found], targets: Iterable[Known]) -> list[NewTarget]:
    """Ids of their own, from the device's name or else its address."""
    taken = {target.id for target in targets}
    new: list[NewTarget] = []
    for device in strangers:
        wanted = slug(device.name.partition(".")[0]) or slug(f"host-{device.ip}")
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted[:58]}-{number}", number + 1
        taken.add(name)
        new.append(NewTarget(name, device))
    return new


def slug(text: str) -> str:
    """The id form of the site model, or ""."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:60]


def proposed_needs(
    targets: Iterable[Known], links: Iterable[Link], ids: Mapping[str, str]
) -> tuple[list[ProposedNeed], list[Link]]:
    """Leaves need what they hang on, unless the inventory knows already or it would close a circle."""
    graph = {target.id: set(target.needs) for target in targets}
    proposed: list[ProposedNeed] = []
    rest: list[Link] = []
    for link in links:
        one, other = ids.get(link.one), ids.get(link.other)
        if one is None or other is None or not link.leaf:
            if not (one and other and (_reaches(graph, one, other) or _reaches(graph, other, one))):
                rest.append(link)
            continue
        leaf, trunk = (other, one) if link.leaf == link.other else (one, other)
        if leaf == trunk or _reaches(graph, leaf, trunk):
            continue
        if _reaches(graph, trunk, leaf):
            rest.append(link)
            continue
        graph.setdefault(leaf, set()).add(trunk)
        proposed.append(ProposedNeed(leaf, trunk, link.source, link.seen_by, link.one_port, link.mac))
    return proposed, rest


def _reaches(graph: Mapping[str, Collection[str]], start: str, goal: str) -> bool:
    """Whether `start` needs `goal`, directly or through others."""
    waiting, seen = [start], {start}
    while waiting:
        for following in graph.get(waiting.pop(), ()):
            if following == goal:
                return True
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return False
