"""Rules and what they say of one series: conditions, verdicts, alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from healthmon.model.sample import Outcome, Reason


class Effect(StrEnum):
    """What a firing rule means for the target: it is gone, slow, about to fail, or merely worth knowing."""

    DOWN = "down"
    DEGRADED = "degraded"
    WARNING = "warning"
    INFO = "info"


class NoData(StrEnum):
    """What a rule does when its series stops: keep its state, fire, or clear. There is no default."""

    HOLD = "hold"
    ALERT = "alert"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class OutcomeIs:
    """True when the reading's outcome (and, if given, its reason) is one of these."""

    outcomes: tuple[Outcome, ...]
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Above:
    metric: str  # family.field
    value: float


@dataclass(frozen=True, slots=True)
class Below:
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Outside:
    metric: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Absent:
    """True when nothing was heard of the series for `for_s` (counted from the expected inventory)."""

    for_s: float


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition


#: Closed, lintable, readable by an operator; no expression language, no eval.
Condition = OutcomeIs | Above | Below | Outside | Absent | AllOf | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series a rule is about; an empty tuple means any. `checks` matches check ids, `probes` probe kinds."""

    kinds: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    agents: bool = False  # true: the series are the expected agents themselves (absence of batches)


@dataclass(frozen=True, slots=True)
class Rule:
    """One question asked of every matching series. Severity never comes from here.

    confirm: readings in a row that must agree before it fires; hold_s: seconds the condition must last;
    clear: own condition to clear (default: the condition is false) for clear_confirm readings;
    keep_s: stay firing at least so long after clearing began; stale_s: a series older than this has no data.
    """

    id: str
    on: Selector
    condition: Condition
    effect: Effect
    no_data: NoData
    summary: str
    hold_s: float = 0.0
    confirm: int = 1
    clear: Condition | None = None
    clear_confirm: int = 1
    keep_s: float = 0.0
    stale_s: float = 0.0  # 0: three times the check's interval, at least 10 s
    certainty: str = "symptom"  # symptom, threshold, deterministic
    runbook: str = ""
    mode: str | None = None  # live or shadow; None: as the site says


@dataclass(frozen=True, slots=True, order=True)
class AlertKey:
    """One alert = one rule on one series; `vantage` is who looked."""

    rule: str
    target: str
    check: str
    vantage: str
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        dims = "".join(f",{k}={v}" for k, v in self.labels)
        return f"{self.rule}/{self.target}/{self.check}@{self.vantage}{dims}"


class Phase(StrEnum):
    CLEAR = "clear"
    PENDING = "pending"
    FIRING = "firing"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says now: `bad` True, False, or None when there is nothing to judge."""

    key: AlertKey
    bad: bool | None
    good: bool  # the clear condition holds
    at: float
    value: float | None = None
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """State of one key. `since`: when this phase began; `bad_since`: first bad reading of this episode (Unix s)."""

    key: AlertKey
    phase: Phase
    effect: Effect
    since: float
    bad_since: float
    fired_at: float | None = None
    streak: int = 0  # readings in a row that point the way of the phase
    value: float | None = None
    reason: Reason | None = None
    detail: str = ""

    @property
    def active(self) -> bool:
        """Firing, or clearing but not yet confirmed clear."""
        return self.phase in (Phase.FIRING, Phase.CLEARING)
