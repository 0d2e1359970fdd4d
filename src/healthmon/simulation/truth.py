"""What is true of a fault at a moment: whom it hurts, and how bad that is by the severity table."""

from __future__ import annotations

from dataclasses import dataclass

from healthmon.impact.hours import Calendar
from healthmon.impact.severity import FallbackState, Harm, Hospital, SeverityTable, Situation, score
from healthmon.model.incident import IncidentKind, ServiceState
from healthmon.model.topology import Service
from healthmon.simulation.faults import Fault
from healthmon.simulation.world import DOWN, Line, Mode, World


@dataclass(frozen=True, slots=True)
class Truth:
    """lines: those not as designed; severity 1 to 5; vital_lost: a tier 0 or 1 line is lost."""

    lines: dict[Line, ServiceState]
    severity: int
    vital_lost: bool


def judge(world: World, fault: Fault, symptomatic: set[str], *, at: float, table: SeverityTable) -> Truth:
    """The truth under the present troubles. `symptomatic`: targets that show something."""
    estate, calendar = world.plant.estate, Calendar(world.plant.estate)
    lines = world.lines()
    hospital = Hospital.of(estate)
    staffed = [area for area in hospital.inpatient if calendar.staffed(area, at)]
    if fault.blind:
        critical = any(area in hospital.critical for area, _ in _all_lines(world))
        situation = Situation(kind=IncidentKind.BLIND, sees_critical=critical)
        return Truth({}, score(table, hospital, situation).severity, False)
    harms = [_harm(world, line, state, calendar, at) for line, state in sorted(lines.items())]
    on_one_leg = [(line, ServiceState.AT_RISK) for line in sorted(world.spares_gone() - lines.keys())]
    harms += [_harm(world, line, state, calendar, at) for line, state in on_one_leg]
    devices = _devices(world, symptomatic, table)
    only_devices = bool(devices) and all(_is_device(world, root, table) for root in _broken(world))
    harms += _bedside(world, devices, calendar, at)
    situation = Situation(
        harms=tuple(harms),
        mapped=only_devices or _mapped(world, symptomatic),
        silent_behind=len(symptomatic - _broken(world)),
        single_device=not lines and only_devices,
        staffed=any(calendar.staffed(area, at) for area in devices) if devices else True,
    )
    vital = any(state is ServiceState.LOST and estate.services[s].tier <= 1 for (_, s), state in lines.items())
    return Truth(lines, score(table, hospital.at(staffed), situation).severity, vital)


def _all_lines(world: World) -> list[Line]:
    return [(area, service.id) for service in world.plant.estate.services.values() for area in service.used_in]


def _broken(world: World) -> set[str]:
    return set(world.modes)


def _harm(world: World, line: Line, state: ServiceState, calendar: Calendar, at: float) -> Harm:
    area, id_ = line
    service = world.plant.estate.services[id_]
    fallback = _fallback(world, service)
    return Harm(area, id_, state, service.tier, calendar.staffed(area, at), fallback)


def _fallback(world: World, service: Service) -> FallbackState:
    """Proven means: what proves it is seen to work."""
    if service.fallback is None:
        return FallbackState.NONE
    proof = service.fallback.proven_by
    seen = proof is not None and world.level(proof) != DOWN and world.sight(world.plant.monitor, proof).reaches
    return FallbackState.PROVEN if seen else FallbackState.UNPROVEN


def _is_device(world: World, id_: str, table: SeverityTable) -> bool:
    estate = world.plant.estate
    roles = set(estate.agents[id_].roles) if id_ in estate.agents else set()
    return bool((roles | {estate.targets[id_].kind}) & set(table.end_devices))


def _devices(world: World, symptomatic: set[str], table: SeverityTable) -> dict[str, set[str]]:
    """End devices that are gone, by area."""
    found: dict[str, set[str]] = {}
    for id_ in symptomatic:
        area = world.plant.estate.targets[id_].area
        if area and _is_device(world, id_, table) and world.level(id_) == DOWN:
            found.setdefault(area, set()).add(id_)
    return found


def _bedside(world: World, gone: dict[str, set[str]], calendar: Calendar, at: float) -> list[Harm]:
    """Areas that lost every device of a kind (of two or more), or half of them (three or more): partly working."""
    by_place: dict[tuple[str, str], set[str]] = {}
    for target in world.plant.estate.targets.values():
        if target.area in gone:
            by_place.setdefault((target.area, target.kind), set()).add(target.id)
    harms: list[Harm] = []
    for (area, _), peers in sorted(by_place.items()):
        lost = peers & gone[area]
        whole = lost == peers
        if len(lost) >= (2 if whole else 3) and 2 * len(lost) >= len(peers):
            state = ServiceState.LOST if whole else ServiceState.DEGRADED
            harms.append(Harm(area, "", state, staffed=calendar.staffed(area, at)))
    return harms


def _mapped(world: World, symptomatic: set[str]) -> bool:
    """Some service rests on something that is broken: with a switch that powers nothing, on what it powered."""
    broken = _broken(world) | {target for _, target in world.blocked}
    if set(world.modes.values()) == {Mode.UNPOWERED_PORTS}:
        broken = symptomatic
    return any(broken & world.rests_on(line) for line in _all_lines(world))
