"""Availability as wards saw it: every minute of an area and a service, added up in whole milliseconds.

A minute counts as seen when the store has at least one point of it; the rest of a minute, and every minute without a
point, is unknown: a column of its own and never available time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.incident import ServiceState

Line = tuple[str, str]
#: Shares of one minute in the states of STATES, each 0..1.
Shares = tuple[float, ...]
STATES = tuple(ServiceState)
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Bad:
    """One minute in which something was missing. at: Unix s of its beginning; planned time is in neither."""

    at: int
    lost_ms: int
    degraded_ms: int


@dataclass(slots=True)
class Tally:
    """Milliseconds of one area and service. counted = available + degraded + lost + unknown + planned.

    closed_ms: nobody was there, so it is in none of the others.
    """

    available_ms: int = 0
    at_risk_ms: int = 0  # of the available: no spare route left
    degraded_ms: int = 0
    lost_ms: int = 0
    unknown_ms: int = 0
    planned_ms: int = 0
    closed_ms: int = 0
    bad: list[Bad] = field(default_factory=list)

    @property
    def counted_ms(self) -> int:
        return self.available_ms + self.degraded_ms + self.lost_ms + self.unknown_ms + self.planned_ms

    @property
    def due_ms(self) -> int:
        """What a standard is about: counted without planned downtime."""
        return self.counted_ms - self.planned_ms

    @property
    def bad_ms(self) -> int:
        return self.degraded_ms + self.lost_ms

    @property
    def ratio(self) -> float | None:
        """Available of what was seen and not planned; None when nothing was seen."""
        seen = self.due_ms - self.unknown_ms
        return self.available_ms / seen if seen else None

    def __iadd__(self, other: Tally) -> Tally:
        for name in ("available_ms", "at_risk_ms", "degraded_ms", "lost_ms", "unknown_ms", "planned_ms", "closed_ms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.bad += other.bad
        return self

    def as_data(self) -> dict[str, Any]:
        """Seconds, and the share."""
        names = ("available", "at_risk", "degraded", "lost", "unknown", "planned", "closed")
        found: dict[str, Any] = {f"{name}_seconds": getattr(self, f"{name}_ms") / 1000 for name in names}
        return found | {"availability_ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Count:
    """How the minutes of one line are judged: when somebody is there, and when work was planned."""

    staffed: Callable[[int], bool]
    planned: Callable[[int], bool]

    def add(self, tally: Tally, seen: Mapping[int, Shares], start: int, end: int) -> None:
        """Every minute of [start, end), which are Unix seconds at whole minutes."""
        for at in range(start, end, 60):
            if self.staffed(at):
                self._minute(tally, at, seen.get(at))
            else:
                tally.closed_ms += MINUTE_MS

    def _minute(self, tally: Tally, at: int, shares: Shares | None) -> None:
        if shares is None:
            tally.unknown_ms += MINUTE_MS
            return
        ok, at_risk, degraded, lost = (round(share * MINUTE_MS) for share in shares[:4])
        tally.available_ms += ok + at_risk
        tally.at_risk_ms += at_risk
        tally.unknown_ms += MINUTE_MS - ok - at_risk - degraded - lost
        if not lost and not degraded:
            return
        if self.planned(at):
            tally.planned_ms += lost + degraded
            return
        tally.lost_ms += lost
        tally.degraded_ms += degraded
        tally.bad.append(Bad(at, lost, degraded))


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of several."""
    total = Tally()
    for one in tallies:
        total += one
    return total
