"""The questions that a rule may ask: a small closed union, readable by an operator; no expression language, no eval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from healthmon.model.sample import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Limit:
    """Bad below `low` or above `high`. A target's own number under `label` takes the place of a one-sided limit."""

    low: float | None = None
    high: float | None = None
    label: str = ""

    def beyond(self, value: float) -> bool:
        """Whether the value is on the bad side."""
        return (self.low is not None and value < self.low) or (self.high is not None and value > self.high)


@dataclass(frozen=True, slots=True)
class OutcomeIs:
    """True when the reading's outcome (and, if given, its reason) is one of these."""

    outcomes: tuple[Outcome, ...]
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Above:
    """The value of one reading; a target's own number under `label` takes the place of `value`."""

    metric: str  # family.field
    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Below:
    """The value of one reading; a target's own number under `label` takes the place of `value`."""

    metric: str
    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    metric: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Absent:
    """True when nothing was heard of the series for `for_s` (counted from the expected inventory)."""

    for_s: float


class Take(StrEnum):
    """What a window makes of its readings."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    PERCENTILE = "percentile"


@dataclass(frozen=True, slots=True)
class Window:
    """One figure of the readings of the last `over_s`; `quantile` 0 to 1 goes with PERCENTILE.

    Nothing is judged before `least` readings, and before the window has been full once.
    """

    metric: str
    over_s: float
    take: Take
    limit: Limit
    quantile: float = 0.0
    least: int = 2


@dataclass(frozen=True, slots=True)
class Rate:
    """The increase of a counter in `per_s`, over the last `over_s`. `bits`: 32 or 64 when it wraps there, else 0."""

    metric: str
    over_s: float
    limit: Limit
    per_s: float = 1.0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Slope:
    """The change of a gauge in `per_s`, as the least-squares line through the last `over_s`."""

    metric: str
    over_s: float
    limit: Limit
    per_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Delta:
    """The newest value minus the oldest of the last `over_s`."""

    metric: str
    over_s: float
    limit: Limit


@dataclass(frozen=True, slots=True)
class Ratio:
    """`metric` divided by `to`: of one reading, or (over_s > 0) of how far both counters rose.

    Nothing is judged while the lower part is less than `least`.
    """

    metric: str
    to: str
    limit: Limit
    over_s: float = 0.0
    least: float = 0.0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
    """The value (a number, a flag or a word) became another within the last `over_s`; 0: since the reading before."""

    metric: str
    over_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OfLast:
    """The condition held for `n` of the last `of` readings that could be judged."""

    n: int
    of: int
    condition: Condition


class Season(StrEnum):
    """Which times a baseline holds to be alike, in the local time of the target's site."""

    HOUR_OF_WEEK = "hour_of_week"
    HOUR_OF_DAY = "hour_of_day"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Far from what is usual at this hour: all of `factor`, `mads` and `floor` that are given must agree.

    factor: so many times the usual value (or less than 1/factor of it); mads: so many median absolute deviations;
    floor: least absolute distance from the usual value; above, below: which side is bad;
    weeks: so many earlier periods must be known, else it is learning and judges nothing.
    """

    metric: str
    factor: float = 0.0
    mads: float = 0.0
    floor: float = 0.0
    above: bool = True
    below: bool = False
    weeks: int = 2
    season: Season = Season.HOUR_OF_WEEK


@dataclass(frozen=True, slots=True)
class Forecast:
    """On its course over the last `over_s` the metric passes the limit within `within_s`.

    It must do so even on the slow side of the interval of this confidence; `least`: so many points at least.
    """

    metric: str
    limit: Limit
    within_s: float
    over_s: float
    confidence: float = 0.9
    least: int = 10


class Unit(StrEnum):
    """What a group counts."""

    SERIES = "series"
    TARGETS = "targets"
    VANTAGES = "vantages"
    AREAS = "areas"  # of the looker, else of the target


@dataclass(frozen=True, slots=True)
class Group:
    """Among the series that the rule is about: `where` holds for at least this share, and for at least so many.

    out_of: so many must be judged, else nothing is said; by: one group for each `target`, `area`, `site`, `kind` or
    `label:NAME`, empty: one in all; within_s (with `absent`): only what fell silent within this time counts.
    """

    where: Condition
    count: Unit = Unit.SERIES
    share: float | None = None
    at_least: int | None = None
    out_of: int = 1
    by: str = ""
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition


#: Questions that need more than the reading at hand.
Remembering = Window | Rate | Slope | Delta | Ratio | Changed | OfLast | Baseline | Forecast

#: Closed, lintable, readable by an operator.
Condition = (
    OutcomeIs
    | Above
    | Below
    | Outside
    | Absent
    | Window
    | Rate
    | Slope
    | Delta
    | Ratio
    | Changed
    | OfLast
    | Baseline
    | Forecast
    | Group
    | AllOf
    | AnyOf
    | Not
)


def leaves(condition: Condition) -> Iterator[Condition]:
    """The plain questions in a condition; what is counted (`OfLast`, `Group`) is one question."""
    match condition:
        case AllOf(of=parts) | AnyOf(of=parts):
            for part in parts:
                yield from leaves(part)
        case Not(of=part):
            yield from leaves(part)
        case _:
            yield condition


def questions(condition: Condition) -> Iterator[Condition]:
    """Every question, those inside `OfLast` and `Group` before the one that counts them."""
    for leaf in leaves(condition):
        if isinstance(leaf, OfLast):
            yield from questions(leaf.condition)
        elif isinstance(leaf, Group):
            yield from questions(leaf.where)
        yield leaf


def metrics_in(condition: Condition) -> Iterator[str]:
    """The metrics that a condition looks at, `family.field`."""
    for question in questions(condition):
        if isinstance(question, OutcomeIs | Absent | OfLast | Group | AllOf | AnyOf | Not):
            continue
        yield question.metric
        if isinstance(question, Ratio):
            yield question.to
