"""Rules and what they say of one series: verdicts and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from healthmon.model.condition import (
    Above,
    Absent,
    AllOf,
    AnyOf,
    Below,
    Condition,
    Not,
    OutcomeIs,
    Outside,
)
from healthmon.model.sample import Reason

__all__ = [
    "EVERYWHERE_ELSE",
    "Above",
    "Absent",
    "Alert",
    "AlertKey",
    "AllOf",
    "AnyOf",
    "Below",
    "Condition",
    "Effect",
    "Flap",
    "NoData",
    "Not",
    "OutcomeIs",
    "Outside",
    "Phase",
    "Rule",
    "Selector",
    "Verdict",
    "by_key",
]

#: The place of a rule that is on in some places only.
EVERYWHERE_ELSE = "*"


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
class Selector:
    """Which series a rule is about; an empty tuple means any. `checks` matches check ids, `probes` probe kinds.

    area_kinds, acuities: of the target's area; tiers: of a service that needs the target, directly or not;
    roles: of an agent that runs on the target.
    """

    kinds: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    agents: bool = False  # true: the series are the expected agents themselves (absence of batches)
    sites: tuple[str, ...] = ()
    area_kinds: tuple[str, ...] = ()
    acuities: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flap:
    """Marks of the weighted share of state changes in the last 20 judgements: above `high` it flaps until below `low`.

    Source: Icinga 2 documentation, section Check Flapping (30 and 25 %).
    """

    high: float = 0.30
    low: float = 0.25


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
    first_steps: tuple[str, ...] = ()  # of the runbook, for the page
    mode: str | None = None  # live or shadow; None: as the site says
    flap: Flap | None = None  # while it flaps it is not cleared
    #: How it differs in one place (`area:ID`, `site:ID`, else EVERYWHERE_ELSE); None: it is switched off there.
    places: Mapping[str, Rule | None] = field(default_factory=dict)


class _Remembered:
    """The hash of a key, worked out once: a storm asks for it all the time. No field, so never on disk."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True, order=True)
class AlertKey(_Remembered):
    """One alert = one rule on one series; `vantage` is who looked."""

    rule: str
    target: str
    check: str
    vantage: str
    labels: tuple[tuple[str, str], ...] = ()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            found = hash((self.target, self.rule, self.check, self.vantage, self.labels))
            object.__setattr__(self, "_hash", found)
            return found

    def __str__(self) -> str:
        dims = "".join([f",{k}={v}" for k, v in self.labels]) if self.labels else ""
        return f"{self.rule}/{self.target}/{self.check}@{self.vantage}{dims}"


#: Alerts in the order of their keys, without a call for each comparison.
by_key = attrgetter("key.rule", "key.target", "key.check", "key.vantage", "key.labels")


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
    because: tuple[str, ...] = ()  # the metrics (or `outcome`) of the parts that hold, where a rule has several


@dataclass(frozen=True, slots=True)
class Alert:
    """State of one key. Unix s: `since`, when this phase began; `bad_since`, `bad_at`: the episode's bad readings.

    bad_since: the first, bad_at: the newest (0: none, for silence and for what an older version kept).
    """

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
    because: tuple[str, ...] = ()  # all that held in this episode; only what raised it can keep it
    flapping_since: float | None = None
    bad_at: float = 0.0

    @property
    def active(self) -> bool:
        """Firing, or clearing but not yet confirmed clear."""
        return self.phase in (Phase.FIRING, Phase.CLEARING)
