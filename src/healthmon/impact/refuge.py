"""Which downtime PC an area can turn to: its own when it is ready, else the nearest that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Estate, Target


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


#: What a printer says when somebody must come.
PRINTER_FAULTS = (("ipp", "errors"), ("snmp_printer", "paper_out"), ("snmp_printer", "jammed"),
                  ("snmp_printer", "toner_out"))  # fmt: skip
#: The check that sees the copy on a downtime PC or viewer, and how old the copy may be.
COPY_CHECK = "downtime-copy"
COPY_MOST_S = 1_800.0
_AGES = (("backup_evidence", "age_seconds"), ("http", "last_modified_age_seconds"))


def printers_of(estate: Estate, pc: str) -> tuple[str, ...]:
    """The printer that a downtime PC prints on: by its label, else those of its area for this purpose."""
    target = estate.targets.get(pc)
    named = target.labels.get("printer") if target else None
    if named:
        return (named,)
    place = target.area if target else None
    return tuple(one.id for one in estate.targets.values() if _prints_for(one, place))


def pc_ready(estate: Estate, pc: str, fresh: Callable[[str], Iterable[Reading]]) -> bool:
    """Whether everything that a downtime PC needs was seen working; what was not seen is not ready.

    fresh: newest readings of a target that still prove something.
    """
    target = estate.targets.get(pc)
    printers = printers_of(estate, pc)
    if target is None or not printers or not all(_prints(fresh(one)) for one in printers):
        return False
    readings = list(fresh(pc))
    if not any(one.outcome is Outcome.OK for one in readings) or _values(readings, "host_battery", "on_mains") == [0.0]:
        return False
    return _powered(target, readings, fresh) and _copied(target, readings)


def _powered(target: Target, readings: list[Reading], fresh: Callable[[str], Iterable[Reading]]) -> bool:
    """On the mains by its own word, or behind the UPS that its label names."""
    ups = target.labels.get("ups")
    if ups is None:
        return _values(readings, "host_battery", "on_mains") == [1.0]
    seen = list(fresh(ups))
    return any(one.outcome is Outcome.OK for one in seen) and _values(seen, "snmp_ups", "on_battery") != [1.0]


def _copied(target: Target, readings: list[Reading]) -> bool:
    """No check looks for a copy on it, or a fresh one was seen."""
    if not any(check.id == COPY_CHECK for check in target.checks):
        return True
    looks = [one for one in readings if one.check == COPY_CHECK and one.outcome is Outcome.OK]
    ages = [age for family, name in _AGES for age in _values(looks, family, name)]
    return bool(ages) and max(ages) <= COPY_MOST_S


def _prints(readings: Iterable[Reading]) -> bool:
    seen = list(readings)
    faults = [value for family, name in PRINTER_FAULTS for value in _values(seen, family, name)]
    return any(one.outcome is Outcome.OK for one in seen) and not any(faults)


def _values(readings: Iterable[Reading], family: str, name: str) -> list[float]:
    """The newest value, or nothing."""
    found = [
        (one.started, number)
        for one in readings for sample in one.samples
        if (sample.family, sample.field) == (family, name) and (number := sample.number) is not None
    ]  # fmt: skip
    return [max(found)[1]] if found else []


def _prints_for(target: Target, area: str | None) -> bool:
    here = area is not None and target.area == area
    return here and "printer" in target.kind and target.labels.get("purpose") == "downtime"
