"""What readiness is judged by: the newest readings, what the hospital says of itself, and the words of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from healthmon.impact.graph import NeedGraph
from healthmon.impact.refuge import COPY_CHECK as COPY_CHECK
from healthmon.model.sample import Reading
from healthmon.model.topology import Acuity, Area
from healthmon.model.view import View
from healthmon.reports.care import Care, Expiry

READY, SOON, NOT_READY, UNKNOWN = "ready", "soon", "not ready", "not known"
#: The worst first.
ORDER = (NOT_READY, UNKNOWN, SOON, READY)
#: A reading older than this proves nothing.
STALE_S = 900.0
DAY_S = 86_400.0
PC_KINDS = frozenset({"ward-workstation", "workstation", "pc", "laptop", "trolley", "wow", "thin-client"})
Found = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that must be ready. kind: downtime_pc, downtime_copy, paper_forms, backup, legacy, outside_only,
    certificate, date or own; why: in words, empty when it is ready; services: what stops with it."""

    kind: str
    id: str
    name: str
    state: str
    why: tuple[str, ...] = ()
    area: str | None = None
    services: tuple[str, ...] = ()
    until: str | None = None  # the day on which it ends, ISO

    def as_data(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "name": self.name, "state": self.state, "why": list(self.why),
                "area": self.area, "services": list(self.services), "until": self.until}  # fmt: skip


class Facts:
    """`own`: dates of healthmon's own certificates and tokens; `today`: the local day."""

    def __init__(self, view: View, care: Care, *, now: float, today: date, own: tuple[Expiry, ...] = ()) -> None:
        self.view, self.care, self.now, self.today, self.own = view, care, now, today, own
        self.estate = view.estate
        self._graph: NeedGraph | None = None
        self._by_target: dict[str, list[Reading]] = {}
        for (id_, _, _), reading in view.latest.items():
            if id_ in self.estate.targets:
                self._by_target.setdefault(id_, []).append(reading)

    def latest(self, target: str) -> list[Reading]:
        """The newest reading of each series of a target."""
        return self._by_target.get(target, [])

    def readings(self) -> list[tuple[str, Reading]]:
        """All of them, by target."""
        return [(id_, one) for id_, listed in sorted(self._by_target.items()) for one in listed]

    def fresh(self, reading: Reading) -> bool:
        """Recent enough to prove something."""
        return self.now - reading.started - reading.rest_s <= STALE_S

    def value(self, target: str, family: str, field: str) -> float | None:
        """The newest fresh value of a target."""
        found = [
            (reading.started, number)
            for reading in self.latest(target) if self.fresh(reading)
            for one in reading.samples
            if (one.family, one.field) == (family, field) and (number := one.number) is not None
        ]  # fmt: skip
        return max(found)[1] if found else None

    def services_behind(self, targets: Iterable[str]) -> tuple[str, ...]:
        """Services that need one of these, directly or not."""
        if self._graph is None:
            self._graph = NeedGraph(self.estate)
        graph = self._graph
        return tuple(sorted({service for id_ in targets if id_ in graph for _, service in graph.lines_behind(id_)}))

    def care_areas(self) -> list[Area]:
        """Where patients are looked after."""
        return [area for area in self.estate.areas.values() if area.acuity is not Acuity.NONE]


def worst(states: Iterable[str]) -> str:
    """Of several findings the one that counts."""
    return min(states, key=ORDER.index, default=READY)


def day_state(on: date | None, today: date, *, yellow: int, red: int, past: str) -> Found:
    """A day that comes: ready, soon, or not ready; None is not known."""
    if on is None:
        return UNKNOWN, ("no date is known",)
    left = (on - today).days
    if left < 0 or (left == 0 and red == 0):
        return NOT_READY, (f"{past} {on.isoformat()}",)
    if left > yellow:
        return READY, ()
    return (NOT_READY if left <= red else SOON), (f"ends in {left} days",)
