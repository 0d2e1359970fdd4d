"""What is broken now, and what follows from it: power, ways, functions, and the state of every area and service.

Written apart from `healthmon.impact`, from the plan and not from the inventory, so that the truth of a benchmark does
not come out of the code that it measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from healthmon.model.incident import ServiceState
from healthmon.model.topology import AtLeast, Need, need_ids
from healthmon.simulation.plant import Group, Plant, Way

Line = tuple[str, str]
#: By area or service: what alone would lose it now, and what alone would have by design.
Fragility = dict[str, tuple[set[str], set[str]]]
UP, SLOW, DOWN = 2, 1, 0
#: So much loss on the way is felt.
FELT_LOSS = 0.1


class Mode(StrEnum):
    """How one thing is broken by itself."""

    OFF = "off"  # nothing answers
    HUNG = "hung"  # the host answers, the program does not
    ERROR = "error"  # the program answers with an error
    EXPIRED = "expired"  # its certificate has ended
    SLOW = "slow"
    STUCK = "stuck"  # answers, and passes no messages on
    LOSSY = "lossy"  # loses a share of what passes
    BATTERY = "battery"  # a UPS without mains
    CUT = "cut"  # it runs, and its cable is out
    DEAF = "deaf"  # its own management does not answer; what it passes on is fine
    UNPOWERED_PORTS = "unpowered_ports"  # a switch that powers nothing


_LEVEL = {
    **dict.fromkeys((Mode.OFF, Mode.CUT, Mode.HUNG, Mode.ERROR, Mode.EXPIRED), DOWN),
    **dict.fromkeys((Mode.SLOW, Mode.STUCK), SLOW),
}
_FEEDS_NOTHING = (Mode.OFF, Mode.UNPOWERED_PORTS)


@dataclass(frozen=True, slots=True)
class Sight:
    """What separates a looker from a target: reachable, and the share of packets lost."""

    reaches: bool
    loss: float = 0.0


class World:
    """A plant and its troubles. `changed` forgets what was worked out before."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.modes: dict[str, Mode] = {}
        self.figures: dict[str, float] = {}  # slowness factor, share lost
        self.since: dict[str, float] = {}
        self.blocked: frozenset[tuple[str, str]] = frozenset()  # (area, target) that a firewall holds apart
        self.version = 0
        self.changed_at = float("-inf")  # when a thing was last broken or mended
        self._levels: dict[str, int] = {}
        self._alive: dict[str, bool] = {}
        self._sights: dict[tuple[str, str], Sight] = {}
        self._closures: dict[tuple[Need, ...], set[str]] = {}
        self._fragility: tuple[Fragility, Fragility] | None = None

    def put(self, target: str, mode: Mode | None, *, at: float, figure: float = 0.0) -> None:
        """Break a thing, or mend it with None."""
        self.changed_at = at
        if mode is None:
            self.modes.pop(target, None)
        else:
            self.modes[target] = mode
            self.figures[target] = figure
            self.since[target] = at
        self.changed()

    def block(self, pairs: Iterable[tuple[str, str]], *, at: float) -> None:
        self.changed_at = at
        self.blocked = frozenset(pairs)
        self.changed()

    def changed(self) -> None:
        self.version += 1
        self._levels, self._alive, self._sights = {}, {}, {}
        self._fragility = None

    def powered(self, target: str) -> bool:
        feeds = self.plant.feeds.get(target, ())
        return not feeds or any(self.modes.get(feed) not in _FEEDS_NOTHING for feed in feeds)

    def alive(self, target: str) -> bool:
        """It has power and runs, whoever can reach it."""
        known = self._alive.get(target)
        if known is None:
            known = self._alive[target] = self.modes.get(target) is not Mode.OFF and self.powered(target)
        return known

    def carries(self, group: Group) -> bool:
        return any(self.alive(hop) and self.modes.get(hop) is not Mode.CUT for hop in group)

    def sight(self, origin: str, target: str) -> Sight:
        """From one device to another, over the hops that both ways do not share and the lowest that they do."""
        known = self._sights.get((origin, target))
        if known is None:
            known = self._sights[origin, target] = self._sight(origin, target)
        return known

    def _sight(self, origin: str, target: str) -> Sight:
        if origin != target and Mode.CUT in (self.modes.get(origin), self.modes.get(target)):
            return Sight(False)
        loss = 1.0
        for group in _between(((origin,), *self.plant.ways[origin]), ((target,), *self.plant.ways[target])):
            if not self.carries(group):
                return Sight(False)
            loss *= 1.0 - self._loss_of(group)
        return Sight(True, 1.0 - loss)

    def level(self, id_: str) -> int:
        """Of a target or service, with all that it needs: up, slow, down."""
        known = self._levels.get(id_)
        if known is None:
            known = self._levels[id_] = self._work_out(id_)
        return known

    def goal(self, needs: Iterable[Need], level: Callable[[str], int] | None = None) -> int:
        """All of the needs: the worst of them."""
        return min((self._need(need, level or self.level) for need in needs), default=UP)

    def network_of(self, area: str) -> int:
        return self.goal(self.plant.estate.areas[area].needs)

    def line(self, line: Line) -> int:
        """What an area has of a service."""
        area, service = line
        if self.blocked and any((area, id_) in self.blocked for id_ in self._closure((service,))):
            return DOWN
        return min(self.network_of(area), self.level(service))

    def rests_on(self, line: Line) -> set[str]:
        """Everything in the path of a line, spare or not."""
        area, service = line
        return self._closure(self.plant.estate.areas[area].needs) | self._closure((service,))

    def lines(self) -> dict[Line, ServiceState]:
        """Every line that is not as it was designed to be."""
        estate = self.plant.estate
        fragile_area, fragile_service = self._fragile_now()
        found: dict[Line, ServiceState] = {}
        for service in estate.services.values():
            for area in service.used_in:
                level = self.line((area, service.id))
                now, design = fragile_area[area], fragile_service[service.id]
                if level == DOWN:
                    found[(area, service.id)] = ServiceState.LOST
                elif level == SLOW:
                    found[(area, service.id)] = ServiceState.DEGRADED
                elif (now[0] or design[0]) and not (now[1] or design[1]):
                    found[(area, service.id)] = ServiceState.AT_RISK
        return found

    def spares_gone(self) -> set[Line]:
        """Lines that work, and that one further failure would lose which it would not have lost by design."""
        estate = self.plant.estate
        by_area, by_service = self._fragile_now()
        return {
            (area, service.id)
            for service in estate.services.values()
            for area in service.used_in
            if self.line((area, service.id)) == UP
            and ((by_area[area][0] - by_area[area][1]) or (by_service[service.id][0] - by_service[service.id][1]))
        }

    # how it is worked out

    def _work_out(self, id_: str) -> int:
        service = self.plant.estate.services.get(id_)
        if service is not None:
            return self.goal(service.needs)
        mode = self.modes.get(id_)
        own = _LEVEL.get(mode, UP) if mode else UP
        if own == DOWN or not self.powered(id_):
            return DOWN
        way = self.plant.ways[id_]
        if not all(self.carries(group) for group in way):
            return DOWN
        lost = 1.0 - _product(1.0 - self._loss_of(group) for group in (*way, (id_,)))
        felt = SLOW if lost >= FELT_LOSS else UP
        return min(own, felt, self.goal(self.plant.functions[id_]))

    def _need(self, need: Need, level: Callable[[str], int]) -> int:
        if isinstance(need, AtLeast):
            return sorted((self._need(part, level) for part in need.of), reverse=True)[need.n - 1]
        return level(need)

    def _loss_of(self, group: Group) -> float:
        """The mean over the alternatives that carry traffic: flows are spread over them."""
        alive = [hop for hop in group if self.alive(hop)]
        lost = [self.figures[hop] if self.modes.get(hop) is Mode.LOSSY else 0.0 for hop in alive]
        return sum(lost) / len(lost) if lost else 0.0

    def _fragile_now(self) -> tuple[Fragility, Fragility]:
        """Of areas and of services."""
        if self._fragility is None:
            estate = self.plant.estate
            by_area = self._fragile({area: one.needs for area, one in estate.areas.items()})
            self._fragility = by_area, self._fragile({id_: (id_,) for id_ in estate.services})
        return self._fragility

    def _fragile(self, goals: Mapping[str, tuple[Need, ...]]) -> Fragility:
        """Per goal: what alone would lose it now, and what alone would have by design."""
        whole = World(self.plant)
        found: Fragility = {}
        for name, needs in goals.items():
            closure = self._closure(needs)
            if not any(self.level(id_) != UP for id_ in closure):
                found[name] = (set(), set())
                continue
            found[name] = (_single_points(self, needs, closure), _single_points(whole, needs, closure))
        return found

    def _closure(self, needs: tuple[Need, ...]) -> set[str]:
        """Everything that the needs rest on, power and ways included."""
        known = self._closures.get(needs)
        if known is not None:
            return known
        found = self._closures[needs] = set()
        todo = list(need_ids(needs))
        while todo:
            id_ = todo.pop()
            if id_ in found:
                continue
            found.add(id_)
            service = self.plant.estate.services.get(id_)
            todo += need_ids(service.needs if service else self.plant.functions[id_])
            if service is None:
                todo += [hop for group in self.plant.ways[id_] for hop in group]
                todo += self.plant.feeds.get(id_, ())
        return found


def _single_points(world: World, needs: tuple[Need, ...], closure: set[str]) -> set[str]:
    """By trying each: what loses the goal when it goes too."""
    if world.goal(needs) == DOWN:
        return set()
    found: set[str] = set()
    tried = World(world.plant)
    for id_ in sorted(closure & world.plant.estate.targets.keys()):
        if world.modes.get(id_) is Mode.OFF:
            continue
        tried.modes = {**world.modes, id_: Mode.OFF}
        tried.figures = {**world.figures, id_: 0.0}
        tried.changed()
        if tried.goal(needs) == DOWN:
            found.add(id_)
    return found


def _between(here: Way, there: Way) -> tuple[Group, ...]:
    """The hops between two ends, both ends left out: up to the lowest that the two ways share."""
    for way, end in ((here, there[0][0]), (there, here[0][0])):
        for number, group in enumerate(way):
            if end in group:  # one end stands on the way of the other
                return way[1:number]
    shared = set(here) & set(there)
    turn = next((group for group in here if group in shared), None)
    mine = [group for group in here[1:] if group not in shared]
    theirs = [group for group in there[1:] if group not in shared]
    return (*mine, *([turn] if turn else []), *theirs)


def _product(factors: Iterable[float]) -> float:
    product = 1.0
    for factor in factors:
        product *= factor
    return product
