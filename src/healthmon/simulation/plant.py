"""A hospital as it is built: how traffic flows, what feeds what, what a program needs to do its job.

The site file that healthmon gets is drawn from the same plan, but says less: power and address scopes are only labels,
and a share of what programs need is not written down, as in any inventory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    AtLeast,
    Check,
    Contact,
    Estate,
    Fallback,
    Hours,
    Need,
    Organisation,
    Service,
    Site,
    Target,
    Team,
)

#: Alternatives: any one of them carries the traffic, or feeds the device.
Group = tuple[str, ...]
#: From a device to the core, nearest first.
Way = tuple[Group, ...]
_TIMEOUTS_S = {"icmp": 1.0, "http": 4.0}
OFFICE_HOURS = Hours(tuple((day, 8 * 60, 18 * 60) for day in range(5)))


@dataclass(frozen=True, slots=True)
class Plant:
    """The estate that is declared, and what is true beside it.

    ways: network path of everything to the core; functions: what it needs beside network and power; feeds: any one
    of them powers it; observers: agents that look at services, by area; leaves: of an end device, the switch it is on.
    """

    name: str
    estate: Estate
    ways: Mapping[str, Way]
    functions: Mapping[str, tuple[Need, ...]]
    feeds: Mapping[str, Group]
    monitor: str
    observers: Mapping[str, tuple[str, ...]]
    undeclared: tuple[tuple[str, str], ...] = ()

    def of_kind(self, *kinds: str) -> list[str]:
        """Targets of these kinds, by name."""
        return sorted(id_ for id_, target in self.estate.targets.items() if target.kind in kinds)


@dataclass(slots=True)
class Blueprint:
    """Draws a plant: every thing once, with its place, its way, its power, its needs and its checks."""

    name: str
    sites: tuple[Site, ...]
    monitor: str
    areas: dict[str, Area] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    functions: dict[str, tuple[Need, ...]] = field(default_factory=dict)
    feeds: dict[str, Group] = field(default_factory=dict)
    observers: dict[str, list[str]] = field(default_factory=dict)
    undeclared: list[tuple[str, str]] = field(default_factory=list)

    def thing(
        self,
        id_: str,
        kind: str,
        *,
        up: Group = (),
        area: str | None = None,
        site: str | None = None,
        functions: Sequence[Need] = (),
        feeds: Group = (),
        checks: Sequence[Check] = (),
        team: str | None = None,
        labels: Mapping[str, str] | None = None,
        hidden: Sequence[str] = (),
        declares_way: bool = True,
        declares_power: bool = False,
    ) -> str:
        """One device or program. `hidden`: functions that the inventory does not know of."""
        self.ways[id_] = (up, *self.ways[up[0]]) if up else ()
        self.functions[id_] = (*functions, *hidden)
        self.feeds[id_] = feeds
        self.undeclared += [(id_, other) for other in hidden]
        needs = [*([any_of(up)] if up and declares_way else []), *functions]
        needs += [any_of(feeds)] if feeds and declares_power else []
        place = site or (self.areas[area].site if area else self.sites[0].id)
        marks = {**({"feed": "+".join(feeds)} if feeds else {}), **(labels or {})}
        self.targets[id_] = Target(
            id_, id_, kind, f"{id_}.example", place, area, tuple(needs), team=team, checks=tuple(checks), labels=marks
        )
        return id_

    def area(
        self,
        id_: str,
        kind: AreaKind,
        acuity: Acuity,
        *,
        site: str,
        beds: int = 0,
        needs: Sequence[Need] = (),
        staffed: Hours | None = None,
    ) -> None:
        name = id_.replace("-", " ").capitalize()
        self.areas[id_] = Area(id_, name, kind, acuity, site, beds, staffed, tuple(needs), Contact("2-1000"))

    def service(
        self,
        id_: str,
        tier: int,
        used_in: Iterable[str] | None,
        *needs: Need,
        fallback: str | None = "Paper",
        proven_by: str | None = None,
    ) -> None:
        """`used_in` None: everywhere that care happens."""
        everywhere = used_in is None
        places = used_in if used_in is not None else [a.id for a in self.areas.values() if a.acuity is not Acuity.NONE]
        if id_ in self.targets:
            raise ValueError(f"{id_} is a target and cannot be a service")
        used = tuple(sorted(places))
        spare = Fallback(fallback, proven_by) if fallback else None
        name = id_.replace("-", " ").capitalize()
        if used:
            self.services[id_] = Service(id_, name, tier, used, everywhere, needs, spare, team="apps")

    def agent(self, target: str, *, role: str, observes: bool = False) -> None:
        """An agent runs on the target; an observer looks at services from its area."""
        self.agents[target] = Agent(target, target, (role,))
        area = self.targets[target].area
        if observes and area:
            self.observers.setdefault(area, []).append(target)

    def plant(self) -> Plant:
        """The finished plan."""
        self.agents["poller"] = Agent("poller", self.monitor)
        estate = Estate(
            organisation=Organisation(self.name, self.name, "Europe/London"),
            sites={site.id: site for site in self.sites},
            areas=self.areas,
            services=self.services,
            targets=self.targets,
            teams={id_: Team(id_, id_) for id_ in ("network", "apps", "estates", "desktop")},
            agents=self.agents,
        )
        return Plant(
            self.name,
            estate,
            self.ways,
            self.functions,
            self.feeds,
            self.monitor,
            {area: tuple(ids) for area, ids in self.observers.items()},
            tuple(self.undeclared),
        )


def any_of(group: Group) -> Need:
    """One of them is enough."""
    return group[0] if len(group) == 1 else AtLeast(1, group)


def check(kind: str, every_s: float, *, id_: str | None = None, vantages: tuple[str, ...] = ("poller",)) -> Check:
    """A check with the time limits that the runner would give it."""
    return Check(id_ or kind, kind, every_s, _TIMEOUTS_S.get(kind, 2.0), vantages=vantages)
