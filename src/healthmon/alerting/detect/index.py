"""Which rules are about which series, worked out once per series so that a reading costs only the rules it meets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from healthmon.alerting.detect.conditions import absent_after, metrics_of
from healthmon.model.alert import NoData, Rule, Selector
from healthmon.model.sample import Reading
from healthmon.model.topology import Agent, Check, Estate, Target

#: Interval assumed for a check that the estate does not declare (an agent's own collectors).
UNDECLARED_EVERY_S = 60.0
_LEAST_STALE_S = 10.0
_STALE_INTERVALS = 3.0
#: A looker that backs off rests at most so long; no word of an agent can hide its silence for longer.
_MOST_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule bound to one series, with what need not be worked out again."""

    rule: Rule
    metrics: frozenset[str]
    stale_s: float

    @property
    def wants_silence(self) -> bool:
        """Whether the end of data itself changes the alert."""
        return self.rule.no_data is not NoData.HOLD or absent_after(self.rule) is not None


class RuleIndex:
    """Rules by series, and the agents whose silence is asked about."""

    def __init__(self, estate: Estate, rules: Iterable[Rule]) -> None:
        self._estate = estate
        self.rules = {rule.id: rule for rule in rules}
        self._on_checks = [rule for rule in self.rules.values() if not rule.on.agents]
        self._on_agents = [rule for rule in self.rules.values() if rule.on.agents]
        self._bound: dict[tuple[str, str], tuple[Bound, ...]] = {}
        self._checks = {(t.id, c.id): c for t in estate.targets.values() for c in t.checks}

    def bound(self, target: str, check: str) -> tuple[Bound, ...]:
        """The rules about this check of this target, from any vantage."""
        known = self._bound.get((target, check))
        if known is None:
            known = self._bound[(target, check)] = self._bind(target, check)
        return known

    def check(self, target: str, check: str) -> Check | None:
        return self._checks.get((target, check))

    def stale_s(self, target: str, check: str) -> float:
        """Seconds after which a series of this check has no data."""
        declared = self._checks.get((target, check))
        every_s = declared.every_s if declared else UNDECLARED_EVERY_S
        return max(_LEAST_STALE_S, _STALE_INTERVALS * every_s)

    def expected_by(self, reading: Reading) -> float:
        """From when the silence of this series is counted: its end, later where the looker said that it rests."""
        return reading.started + reading.took + _STALE_INTERVALS * min(max(reading.rest_s, 0.0), _MOST_REST_S)

    def for_agent(self, agent: Agent) -> list[Rule]:
        """The rules that ask whether this agent is silent."""
        target = self._estate.targets.get(agent.target) if agent.target else None
        return [rule for rule in self._on_agents if _about_agent(rule.on, agent, target)]

    def _bind(self, target_id: str, check_id: str) -> tuple[Bound, ...]:
        target = self._estate.targets.get(target_id)
        declared = self._checks.get((target_id, check_id))
        kind = declared.kind if declared else check_id
        default = self.stale_s(target_id, check_id)
        return tuple(
            Bound(rule, metrics_of(rule), rule.stale_s or default)
            for rule in self._on_checks
            if _about_check(rule.on, target, target_id, check_id, kind)
        )


def _about_check(on: Selector, target: Target | None, target_id: str, check_id: str, kind: str) -> bool:
    return (
        (not on.probes or kind in on.probes)
        and (not on.checks or check_id in on.checks)
        and (not on.targets or target_id in on.targets)
        and _about_target(on, target)
    )


def _about_agent(on: Selector, agent: Agent, target: Target | None) -> bool:
    return (not on.targets or agent.target in on.targets or agent.id in on.targets) and _about_target(on, target)


def _about_target(on: Selector, target: Target | None) -> bool:
    if target is None:
        return not (on.kinds or on.areas or on.labels)
    return (
        (not on.kinds or target.kind in on.kinds)
        and (not on.areas or target.area in on.areas)
        and all(target.labels.get(name) == value for name, value in on.labels.items())
    )
