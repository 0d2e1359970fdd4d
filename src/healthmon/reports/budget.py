"""Error budgets: how much time without a service is allowed, how much is spent, and how fast (M46). Pure.

The windows and rates are those of the SRE workbook (chapter 5, table 5-8). A window that is not full never fires: what
has been watched for an hour says nothing of three days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: The period of a budget, seconds.
BUDGET_S = 30 * 86_400
#: A window in which less of the due time was seen is not full.
SEEN_LEAST = 0.9


@dataclass(frozen=True, slots=True)
class Spent:
    """One stretch of time of a line, milliseconds. due: staffed and not planned; seen = due - unknown."""

    due_ms: int = 0
    bad_ms: int = 0
    unknown_ms: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.due_ms + other.due_ms, self.bad_ms + other.bad_ms, self.unknown_ms + other.unknown_ms)

    @property
    def seen_ms(self) -> int:
        return self.due_ms - self.unknown_ms


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Fires when both windows burn at least `rate` times what would just use up the budget in its period."""

    id: str
    long_s: int
    short_s: int
    rate: float


#: 2 % of the budget in an hour, 5 % in six hours, 10 % in three days.
RULES = (
    BurnRule("fast", 3_600, 300, 14.4),
    BurnRule("steady", 21_600, 1_800, 6.0),
    BurnRule("slow", 259_200, 21_600, 1.0),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """What one rule found. rates are None where a window is not full; then it does not fire."""

    rule: BurnRule
    long: float | None
    short: float | None

    @property
    def fires(self) -> bool:
        return self.long is not None and self.short is not None and min(self.long, self.short) >= self.rule.rate


def burn_rate(spent: Spent, aim: float) -> float | None:
    """Bad share of what was seen over the allowed share; None when nothing was seen or nothing is allowed."""
    if not spent.seen_ms or aim >= 1.0:
        return None
    return spent.bad_ms / spent.seen_ms / (1.0 - aim)


def full(spent: Spent, *, recorded_s: float, window_s: int) -> bool:
    """Watched for the whole window, and most of its due time was seen."""
    return recorded_s >= window_s and spent.due_ms > 0 and spent.seen_ms >= SEEN_LEAST * spent.due_ms


def burns(windows: Mapping[int, Spent], aim: float, *, recorded_s: float) -> list[Burn]:
    """Every rule, from what was spent in each window (by its length in seconds)."""

    def rate(window_s: int) -> float | None:
        spent = windows.get(window_s, Spent())
        return burn_rate(spent, aim) if full(spent, recorded_s=recorded_s, window_s=window_s) else None

    return [Burn(rule, rate(rule.long_s), rate(rule.short_s)) for rule in RULES]


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one line: allowed, spent, left (negative when overdrawn), in milliseconds."""

    aim: float
    period: Spent
    recorded_s: float

    @property
    def allowed_ms(self) -> float:
        return self.period.due_ms * (1.0 - self.aim)

    @property
    def left_ratio(self) -> float | None:
        """Of the budget; None before the period has been watched in full."""
        if self.recorded_s < BUDGET_S or not self.allowed_ms:
            return None
        return 1.0 - self.period.bad_ms / self.allowed_ms

    def as_data(self) -> dict[str, Any]:
        return {
            "aim": self.aim, "allowed_seconds": round(self.allowed_ms / 1000, 3),
            "spent_seconds": self.period.bad_ms / 1000, "unknown_seconds": self.period.unknown_ms / 1000,
            "left_ratio": self.left_ratio, "recorded_seconds": min(self.recorded_s, float(BUDGET_S)),
            "period_seconds": BUDGET_S,
        }  # fmt: skip


def summed(parts: Iterable[Spent]) -> Spent:
    """Several stretches as one."""
    total = Spent()
    for part in parts:
        total += part
    return total
