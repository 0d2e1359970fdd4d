"""Faults as causes that spread through a plant: what breaks, when, and what may rightly be called the root.

Kinds and mix follow published outages: most are departmental, partial and on weekday mornings; few are catastrophes.
A plant has a kind of fault only if it has what can break that way.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from healthmon.model.topology import Acuity
from healthmon.simulation.plant import Group, Plant
from healthmon.simulation.world import Mode, World

#: Monday 16 November 2026, 00:00 in London.
MONDAY = 1_794_787_200.0
_HOUR_S, _DAY_S = 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Change:
    """One thing breaks (or mends: None) so long after the fault began."""

    after_s: float
    target: str
    mode: Mode | None
    figure: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A cause with its ground truth. `roots`: targets that may rightly be named, any one of them; `marks`: values of
    labels that name it as well; `blocked`: (area, target) pairs held apart; watch_s: how long until it is judged."""

    kind: str
    at: float
    roots: frozenset[str]
    changes: tuple[Change, ...] = ()
    marks: frozenset[str] = frozenset()
    blocked: tuple[tuple[str, str], ...] = ()
    blind: bool = False
    watch_s: float = 120.0

    def moments(self) -> list[float]:
        """When something changes, in Unix seconds."""
        return sorted({self.at + change.after_s for change in self.changes} | ({self.at} if self.blocked else set()))

    def apply(self, world: World, *, after: float, until: float) -> None:
        """Everything that happens in (after, until]."""
        for change in self.changes:
            when = self.at + change.after_s
            if after < when <= until:
                world.put(change.target, change.mode, at=when, figure=change.figure)
        if self.blocked and after < self.at <= until:
            world.block(self.blocked, at=self.at)


Draw = Callable[[Plant, random.Random, float], Fault | None]


def moment(chance: random.Random) -> float:
    """An hour of the week as outages choose it: weekdays 2.2 times as often, mornings worst."""
    day = chance.choices(range(7), (2.2,) * 5 + (1.0,) * 2)[0]
    hour = chance.choices(range(24), (0.5,) * 7 + (1.6,) * 5 + (1.0,) * 6 + (0.7,) * 6)[0]
    return MONDAY + day * _DAY_S + hour * _HOUR_S + 900.0 + float(chance.randrange(1_800))


def draw(plant: Plant, count: int, *, seed: int, kinds: Sequence[str] | None = None) -> list[Fault]:
    """So many faults in the published mix; every kind that the plant can have comes at least once if there is room."""
    chance = random.Random(f"faults-{plant.name}-{seed}")
    known = [kind for kind in (kinds or KINDS) if KINDS[kind][1](plant, random.Random(0), MONDAY) is not None]
    order = known[:count] + chance.choices(known, [KINDS[kind][0] for kind in known], k=max(0, count - len(known)))
    found: list[Fault] = []
    for kind in order:
        fault = KINDS[kind][1](plant, chance, moment(chance))
        assert fault is not None
        found.append(fault)
    return found


def _core_one(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    core = _core(plant)
    if len(core) < 2:
        return None
    one = chance.choice(core)
    return Fault("core-one", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _core_all(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """A loop or a defect that takes both: the second within seconds."""
    core = _core(plant)
    changes = tuple(Change(2.0 * number, id_, Mode.OFF) for number, id_ in enumerate(core))
    if set(plant.ways[plant.monitor][0]) <= set(
        core
    ):  # the monitor hangs on them: it cannot tell this from its own end
        return Fault("core-all", at, frozenset({*core, plant.monitor, "poller"}), changes, blind=True)
    return Fault("core-all", at, frozenset(core), changes)


def _distribution(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    pairs = sorted({plant.ways[id_][0] for id_ in _access(plant)} - {tuple(_core(plant))})
    if not pairs:
        return None
    pair = chance.choice(pairs)
    return Fault(
        "distribution", at, frozenset(pair), tuple(Change(1.0 * n, id_, Mode.OFF) for n, id_ in enumerate(pair))
    )


def _access_switch(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    one = chance.choice(_access(plant))
    return Fault("access-switch", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _poe(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    fed = sorted(
        {feeds[0] for feeds in plant.feeds.values() if feeds and plant.estate.targets[feeds[0]].kind == "switch"}
    )
    if not fed:
        return None
    one = chance.choice([id_ for id_ in fed if sum(f == (id_,) for f in plant.feeds.values()) >= 2] or fed)
    return Fault("poe", at, frozenset({one}), (Change(0, one, Mode.UNPOWERED_PORTS),), watch_s=180.0)


def _ups(plant: Plant, chance: random.Random, at: float, *, central: bool, kind: str) -> Fault | None:
    """Mains fail, the battery carries for a minute, then everything that has no other feed goes dark."""
    core = set(_core(plant))
    feeds = [u for u in plant.of_kind("ups") if any(f == (u,) for f in plant.feeds.values())]
    fits = [u for u in feeds if any(f == (u,) and t in core for t, f in plant.feeds.items()) is central]
    if not fits:
        return None
    one = chance.choice(fits)
    changes = (Change(0, one, Mode.BATTERY), Change(75.0, one, Mode.OFF))
    return Fault(kind, at, frozenset({one}), changes, marks=frozenset({one}), watch_s=210.0)


def _ups_room(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    return _ups(plant, chance, at, central=False, kind="ups-room")


def _ups_rack(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    return _ups(plant, chance, at, central=True, kind="ups-rack")


def _dhcp(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """A scope is full: as leases end, the area's PCs lose the network one by one."""
    open_ = [t for t in plant.estate.targets.values() if _never_closes(plant, t.id)]
    scopes = sorted({scope for t in open_ if (scope := t.labels.get("scope"))})
    if not scopes:
        return None
    scope = chance.choice(scopes)
    pcs = [t.id for t in plant.estate.targets.values() if t.labels.get("scope") == scope]
    chance.shuffle(pcs)
    gone = pcs[: max(3, round(len(pcs) * 0.8))]
    changes = tuple(Change(120.0 * number / len(gone), pc, Mode.CUT) for number, pc in enumerate(gone))
    servers = {id_ for id_ in plant.estate.targets if id_.startswith("dhcp")}
    marks = {scope, plant.estate.targets[gone[0]].labels.get("vlan", scope)}
    return Fault("dhcp-scope", at, frozenset(servers), changes, frozenset(marks), watch_s=240.0)


def _patch(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """A bad update to one ring: PCs of every area crash within two minutes, the network is healthy."""
    rings = sorted({r for t in plant.estate.targets.values() if (r := t.labels.get("ring"))})
    if not rings:
        return None
    ring = chance.choice(rings)
    pcs = sorted(t.id for t in plant.estate.targets.values() if t.labels.get("ring") == ring)
    changes = tuple(Change(chance.uniform(0.0, 120.0), pc, Mode.OFF) for pc in pcs)
    return Fault("patch", at, frozenset(), changes, frozenset({ring}), watch_s=240.0)


def _all_with(check: str, kind: str, mode: Mode) -> Draw:
    """Every server of a role fails in the same way: a common defect, a bad replication."""

    def drawn(plant: Plant, chance: random.Random, at: float) -> Fault | None:
        servers = _with_check(plant, check)
        changes = tuple(Change(chance.uniform(0.0, 5.0), id_, mode) for id_ in servers)
        return Fault(kind, at, frozenset(servers), changes) if servers else None

    return drawn


def _program(kind: str, mode: Mode, watch_s: float = 120.0) -> Draw:
    """One front end breaks by itself."""

    def drawn(plant: Plant, chance: random.Random, at: float) -> Fault | None:
        named = {id_ for s in plant.estate.services.values() for id_ in s.needs if isinstance(id_, str)}
        webs = [id_ for id_ in plant.of_kind("endpoint") if id_ in named and not _outside(plant, id_)]
        if not webs:
            return None
        one = chance.choice(webs)
        return Fault(kind, at, frozenset({one}), (Change(0, one, mode, 12.0),), watch_s=watch_s)

    return drawn


def _database(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """Blocked sessions: the database answers its port, everything above it is slow."""
    bases = _groups(plant, "database")
    if not bases:
        return None
    group = chance.choice(bases)
    changes = tuple(Change(0, id_, Mode.SLOW, 12.0) for id_ in group)
    return Fault("database-slow", at, frozenset(group), changes)


def _storage(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    arrays = plant.of_kind("storage")
    if not arrays:
        return None
    one = chance.choice(arrays)
    return Fault("storage-slow", at, frozenset({one}), (Change(0, one, Mode.SLOW, 12.0),))


def _interface(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """The engine answers and passes nothing on."""
    engines = _with_check(plant, "hl7")
    changes = tuple(Change(0, id_, Mode.STUCK) for id_ in engines)
    return Fault("interface-silent", at, frozenset(engines), changes, watch_s=1_020.0) if engines else None


def _wifi(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    controllers = plant.of_kind("wlan-controller")
    changes = tuple(Change(0, id_, Mode.OFF) for id_ in controllers)
    return Fault("wifi-controllers", at, frozenset(controllers), changes) if controllers else None


def _access_point(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    points = plant.of_kind("access-point")
    if not points:
        return None
    one = chance.choice(points)
    return Fault("access-point", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _end_device(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """Where somebody always works: one that is switched off for the night cannot be missed."""
    one = chance.choice(
        [id_ for id_ in plant.of_kind("ward-workstation", "label-printer") if _never_closes(plant, id_)]
    )
    return Fault("end-device", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _print(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """The spooler hangs after an update; the server is up."""
    servers = plant.of_kind("print-server")
    changes = tuple(Change(0, id_, Mode.HUNG) for id_ in servers)
    return Fault("print-server", at, frozenset(servers), changes) if servers else None


def _supplier(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    outside = [id_ for id_ in plant.of_kind("endpoint") if _outside(plant, id_)]
    if not outside:
        return None
    one = chance.choice(outside)
    return Fault("supplier", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _firewall(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """A changed rule keeps some areas from one program; the poller's own way is open."""
    walls = plant.of_kind("firewall")
    looked_at = [t.id for t in plant.estate.targets.values() if any("agents" in c.vantages for c in t.checks)]
    areas = sorted(area for area in plant.observers if plant.estate.areas[area].staffed is None)
    if not walls or not looked_at or len(areas) < 4:
        return None
    program = chance.choice(looked_at)
    kept_out = chance.sample(areas, k=max(3, len(areas) // 4))
    blocked = tuple((area, program) for area in sorted(kept_out))
    return Fault("firewall-change", at, frozenset(walls), blocked=blocked, watch_s=150.0)


def _lossy(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    one = chance.choice(_access(plant))
    return Fault("link-loss", at, frozenset({one}), (Change(0, one, Mode.LOSSY, 0.3),), watch_s=180.0)


def _hypervisor(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    hosts = plant.of_kind("hypervisor")
    if not hosts:
        return None
    one = chance.choice(hosts)
    return Fault("hypervisor", at, frozenset({one}), (Change(0, one, Mode.OFF),))


def _blind(plant: Plant, chance: random.Random, at: float) -> Fault | None:
    """The monitor's own cable: everything else works."""
    near = plant.ways[plant.monitor][0] if plant.ways[plant.monitor] else ()
    change = Change(0, plant.monitor, Mode.CUT, float(chance.randrange(2)))
    return Fault("monitor-blind", at, frozenset({plant.monitor, "poller", *near}), (change,), blind=True)


#: Kind: (share of the mix, how it is drawn). The shares are ours, shaped by the published reports.
KINDS: dict[str, tuple[float, Draw]] = {
    "access-switch": (14.0, _access_switch),
    "program-hangs": (12.0, _program("program-hangs", Mode.HUNG)),
    "program-errors": (6.0, _program("program-errors", Mode.ERROR)),
    "program-slow": (7.0, _program("program-slow", Mode.SLOW)),
    "end-device": (9.0, _end_device),
    "access-point": (6.0, _access_point),
    "link-loss": (5.0, _lossy),
    "poe": (4.0, _poe),
    "ups-room": (4.0, _ups_room),
    "dhcp-scope": (4.0, _dhcp),
    "patch": (3.0, _patch),
    "database-slow": (5.0, _database),
    "storage-slow": (4.0, _storage),
    "certificate": (4.0, _program("certificate", Mode.EXPIRED)),
    "interface-silent": (2.0, _interface),
    "print-server": (4.0, _print),
    "supplier": (4.0, _supplier),
    "firewall-change": (4.0, _firewall),
    "directory": (3.0, _all_with("ldap", "directory", Mode.HUNG)),
    "names": (2.0, _all_with("dns", "names", Mode.HUNG)),
    "wifi-controllers": (2.0, _wifi),
    "hypervisor": (3.0, _hypervisor),
    "distribution": (2.0, _distribution),
    "ups-rack": (2.0, _ups_rack),
    "core-one": (3.0, _core_one),
    "core-all": (1.0, _core_all),
    "monitor-blind": (2.0, _blind),
}


def _never_closes(plant: Plant, id_: str) -> bool:
    area = plant.estate.targets[id_].area
    return area is not None and plant.estate.areas[area].staffed is None


def _core(plant: Plant) -> list[str]:
    return [id_ for id_ in plant.of_kind("switch") if not plant.ways[id_]]


def _access(plant: Plant) -> list[str]:
    """Switches that serve an area where care happens."""
    areas = plant.estate.areas
    switches = plant.of_kind("switch")
    return [i for i in switches if (a := plant.estate.targets[i].area) and areas[a].acuity is not Acuity.NONE]


def _with_check(plant: Plant, kind: str) -> list[str]:
    return sorted(t.id for t in plant.estate.targets.values() if any(c.kind == kind for c in t.checks))


def _outside(plant: Plant, id_: str) -> bool:
    """Reached over a router: a supplier's."""
    way = plant.ways[id_]
    return bool(way) and plant.estate.targets[way[0][0]].kind == "router"


def _groups(plant: Plant, kind: str) -> list[Group]:
    """Things of a kind, those that stand in for one another together."""
    found: dict[str, list[str]] = {}
    for id_ in plant.of_kind(kind):
        found.setdefault(re.sub(r"-(\d+|[a-z])$", "", id_), []).append(id_)
    return sorted(tuple(ids) for ids in found.values())
