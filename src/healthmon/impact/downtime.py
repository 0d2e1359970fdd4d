"""The downtime clock of an area: since when nobody there has been seen to reach the record, by any path. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from healthmon.impact.functions import functions_of
from healthmon.impact.refuge import Nearest, nearest, pc_ready, printers_of
from healthmon.impact.wards import proven_from
from healthmon.model.incident import Incident, ServiceState
from healthmon.model.report import Said
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Check, Service
from healthmon.model.view import ServiceStatus, View
from healthmon.model.wards import Stage

#: The word of a service in which notes are read and written.
RECORD = "chart"
_SLACK_S = 2.0
#: What an agent says of its own machine counts for so long.
_OWN_WORD_S = 180.0


@dataclass(frozen=True, slots=True)
class Access:
    """Whether an area reaches the record now. works: proven; last: the last proof, or when it was first known lost.

    Neither works nor last: nobody looks from there, so nothing is known and no clock runs.
    """

    works: bool
    last: float | None

    def down_s(self, now: float) -> float | None:
        """How long the clock has run; None while it does not."""
        return None if self.works or self.last is None else max(0.0, now - self.last)


def record_access(view: View, area: str, now: float) -> Access:
    """By any path: the record itself or a copy that was seen ready from there. What people say outweighs a proof."""
    said = _said_lost(view.incidents, area, view)
    records = list(_records(view, area))
    copies = [found for service in records for found in _copy(service, area, view)]
    proofs = [at for service in records if (at := _proof(service, area, view, now)) is not None]
    proofs += [at for at, fresh_s in copies if now - at <= fresh_s]
    if said is not None:
        return Access(works=False, last=said)
    if proofs:
        return Access(works=True, last=max(proofs))
    lost = [at for service in records if (at := _lost_since(service, area, view)) is not None]
    return Access(works=False, last=max([*lost, *(at for at, _ in copies)], default=None) if lost else None)


def fallback_ready(service: Service, area: str, view: View, now: float) -> float | None:
    """When the fallback was last seen ready from this area, or in it, within the interval of that look."""
    return max((at for at, fresh_s in _copy(service, area, view) if now - at <= fresh_s), default=None)


def ready_pc(view: View, area: str, now: float) -> tuple[Nearest, float] | None:
    """The nearest downtime PC that was seen ready, and when it was last seen; None when none is known to be ready."""
    estate = view.estate
    pcs = {one.downtime_pc for one in estate.areas.values() if one.downtime_pc and one.site == estate.areas[area].site}
    ups = {estate.targets[pc].labels.get("ups", "") for pc in pcs if pc in estate.targets}
    wanted = pcs | ups | {printer for pc in pcs for printer in printers_of(estate, pc)}
    seen: dict[str, list[Reading]] = {}
    for reading in view.latest.values() if pcs else ():
        if reading.target in wanted and now - reading.started <= _counts_for_s(view, reading.target, reading.check):
            seen.setdefault(reading.target, []).append(reading)
    found = nearest(estate, area, lambda pc: pc_ready(estate, pc, lambda target: seen.get(target, ())))
    return None if found is None else (found, max(one.started for one in seen[found.pc]))


def _counts_for_s(view: View, target: str, check: str) -> float:
    known = view.estate.targets.get(target)
    found = next((one for one in known.checks if one.id == check), None) if known else None
    return _OWN_WORD_S if found is None else _lasts_s(found)


def _lasts_s(check: Check) -> float:
    """How long one of its looks proves something: until the next must have come."""
    return check.every_s + check.timeout_s + _SLACK_S


def stage_of(stages: Sequence[Stage], down_s: float) -> tuple[Stage | None, Stage | None]:
    """The stage that has come, and the next."""
    come = [stage for stage in stages if stage.after_s <= down_s]
    left = [stage for stage in stages if stage.after_s > down_s]
    return come[-1] if come else None, left[0] if left else None


def _records(view: View, area: str) -> Iterator[Service]:
    for service in view.estate.services.values():
        if area in service.used_in and RECORD in functions_of([service]):
            yield service


def _status(service: Service, area: str, view: View) -> ServiceStatus | None:
    return view.services.get((area, service.id))


def _proof(service: Service, area: str, view: View, now: float) -> float | None:
    status = _status(service, area, view)
    return proven_from(status, view.estate, now) if status is not None else None


def _copy(service: Service, area: str, view: View) -> Iterator[tuple[float, float]]:
    """(when, for how long it counts) of every look that found the fallback ready, from the area or in it."""
    proof = service.fallback.proven_by if service.fallback else None
    target = view.estate.targets.get(proof or "")
    for (id_, check_id, vantage), reading in view.latest.items() if target else ():
        if target is None or id_ != target.id or reading.outcome is not Outcome.OK:
            continue
        if area not in (view.estate.vantage_area(vantage), target.area):
            continue
        check = next((one for one in target.checks if one.id == check_id), None)
        if check is not None:
            yield reading.started, _lasts_s(check)


def _lost_since(service: Service, area: str, view: View) -> float | None:
    """Since when the record itself is known not to be reached; None while it is not known to be lost."""
    status = _status(service, area, view)
    if status is None or status.state is not ServiceState.LOST:
        return None
    first = [
        incident.first_evidence_at
        for incident in view.incidents
        if incident.open and any((line.area, line.service) == (area, service.id) for line in incident.impact)
    ]
    return min([status.since, *first])


def _said_lost(incidents: Sequence[Incident], area: str, view: View) -> float | None:
    """Since when the area says that nobody can work with the record."""
    records = {service.id for service in _records(view, area)}
    said = [
        one.first_at
        for incident in incidents
        if incident.open
        for one in incident.reports
        if one.area == area and one.service in records and one.effect is Said.NOBODY_CAN_WORK and one.works_at is None
    ]
    return min(said, default=None)
