"""Clinician time lost to computers: sums with every input named, measured and estimated never mixed.

Measured: waits of people that were seen, capped. Estimated: people normally there x time without the service x what
paper costs them. Figures are of places, never of persons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: DOMAIN C: a wait longer than this was given up, and a move to another PC is counted besides.
CAPS_S = {"logon": 600.0, "page": 60.0, "app_start": 600.0, "reconnect": 600.0, "record_open": 60.0}
#: Hours that one whole-time post works in a year: 13.5 million hours are 8,000 posts (BMA 2022).
FTE_HOURS = 1687.5
#: Fewer people than this are not shown apart.
SMALL = 5
#: Figures of a ward may stand for all of its PCs from this share of them on.
REPORTING_LEAST = 0.30
_Z95 = 1.959963984540054


class Basis(StrEnum):
    """How a figure came about."""

    MEASURED = "measured"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait of somebody at a screen. kind: restart, or one that CAPS_S names; attended: a person was there."""

    kind: str
    took_s: float
    target_s: float
    attended: bool = True


@dataclass(frozen=True, slots=True)
class Costs:
    """move_s: to find another PC after giving up; paper_*: share of working time lost without, or with a slow, service
    (low, usual, high). All of them assumptions of this project: a hospital writes its own."""

    move_s: float = 180.0
    paper_lost: tuple[float, float, float] = (0.25, 0.5, 1.0)
    paper_degraded: tuple[float, float, float] = (0.05, 0.15, 0.3)


DEFAULT_COSTS = Costs()


@dataclass(frozen=True, slots=True)
class Lost:
    """Seconds of people's time: the usual figure and the ends of its interval."""

    low_s: float
    usual_s: float
    high_s: float

    def __add__(self, other: Lost) -> Lost:
        return Lost(self.low_s + other.low_s, self.usual_s + other.usual_s, self.high_s + other.high_s)


NOTHING = Lost(0.0, 0.0, 0.0)


def wait_cost_s(wait: Wait, costs: Costs = DEFAULT_COSTS) -> float:
    """What one wait cost beyond its target: max(0, wait - target) up to the cap, then the cap and the move.

    A restart has no cap: the next usable screen is its end. What nobody waited for costs nothing.
    """
    if not wait.attended:
        return 0.0
    cap = CAPS_S.get(wait.kind, math.inf)
    if wait.took_s > cap:
        return max(0.0, cap - wait.target_s) + costs.move_s
    return max(0.0, wait.took_s - wait.target_s)


def measured_s(waits: Iterable[Wait], costs: Costs = DEFAULT_COSTS) -> float:
    """The sum over what was seen, and nothing besides."""
    return math.fsum(wait_cost_s(wait, costs) for wait in waits)


def outage(people: float, lost_s: float, degraded_s: float, costs: Costs = DEFAULT_COSTS) -> Lost:
    """People normally there x (time without x paper + time slow x its share)."""
    pairs = zip(costs.paper_lost, costs.paper_degraded, strict=True)
    low, usual, high = (people * (lost_s * lost + degraded_s * slow) for lost, slow in pairs)
    return Lost(low, usual, high)


def extrapolated(per_pc_s: Sequence[float], pcs: int) -> Lost | None:
    """What all PCs of a ward lost, from those that report: mean x PCs with a 95 % interval; None below 30 % of them.

    per_pc_s: one sum for each reporting PC. The interval shrinks to nothing when every PC reports.
    """
    n = len(per_pc_s)
    if n == 0 or n > pcs or n / pcs < REPORTING_LEAST:
        return None
    mean = math.fsum(per_pc_s) / n
    if n == 1:
        return Lost(per_pc_s[0], mean * pcs, mean * pcs) if pcs == 1 else None
    variance = math.fsum((one - mean) ** 2 for one in per_pc_s) / (n - 1)
    half = _Z95 * pcs * math.sqrt(variance / n * (1 - n / pcs))
    return Lost(max(math.fsum(per_pc_s), mean * pcs - half), mean * pcs, mean * pcs + half)


def fte(seconds: float, *, days: float) -> float:
    """Lost time as whole-time posts, were every day like these."""
    return seconds / 3600.0 * 365.0 / days / FTE_HOURS


def saved_hours(times: float, before_s: float, after_s: float) -> float:
    """What a shorter wait gives back: so many times, from before to after."""
    return times * (before_s - after_s) / 3600.0


def shown(value: float | None, people: float) -> float | None:
    """A figure of so few people that one of them could be meant is not shown."""
    return None if value is None or people < SMALL else value
