"""Which targets a mute by rule or check can be about, and where it would hide a loss. Pure.

In doubt it is about a target, and hides: a preview that says too much does no harm, one that says too little does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from healthmon.model.alert import Effect, Rule
from healthmon.model.mute import Change, Mute
from healthmon.model.sample import Reason
from healthmon.model.topology import Estate, Target


@dataclass(frozen=True)
class MuteScope:
    """`judges`: whether a rule judges a check of this target, or the agent on it."""

    estate: Estate
    rules: Mapping[str, Rule]
    judges: Callable[[Rule, Target], bool]

    def about(self, mute: Mute, target_id: str) -> bool:
        """Whether the mute's rule and check fit anything of this target; a change is about all that it works on."""
        target = self.estate.targets.get(target_id)
        if isinstance(mute, Change) or target is None:
            return True
        rule, check = mute.match.rule, mute.match.check
        return (check is None or self._has_check(target, check)) and (
            rule is None or any(self.judges(one, target) for one in self._named([rule]))
        )

    def hides_loss(self, mute: Mute, target_id: str) -> bool:
        """Whether the mute holds back some word that this target is gone."""
        target = self.estate.targets.get(target_id)
        if isinstance(mute, Change):
            return target is not None and self._expects_loss(mute, target)
        if mute.match.rule is None or target is None:
            return True
        return any(one.effect is Effect.DOWN and self.judges(one, target) for one in self._named([mute.match.rule]))

    def _expects_loss(self, change: Change, target: Target) -> bool:
        words = (Effect.DOWN.value, *(reason.value for reason in Reason))
        if any(fnmatchcase(word, signal) for signal in change.expected for word in words):
            return True
        if any(self._has_check(target, signal, declared=True) for signal in change.expected):
            return True
        return any(one.effect is Effect.DOWN and self.judges(one, target) for one in self._named(change.expected))

    def _named(self, patterns: Iterable[str]) -> list[Rule]:
        return [rule for rule in self.rules.values() if any(fnmatchcase(rule.id, pattern) for pattern in patterns)]

    def _has_check(self, target: Target, pattern: str, *, declared: bool = False) -> bool:
        """An agent's own looks are declared nowhere: what no target has as a check may be one of them."""
        if any(fnmatchcase(check.id, pattern) for check in target.checks):
            return True
        return not declared and target.id in self._hosts and not any(fnmatchcase(id_, pattern) for id_ in self._checks)

    @cached_property
    def _hosts(self) -> frozenset[str | None]:
        return frozenset(agent.target for agent in self.estate.agents.values())

    @cached_property
    def _checks(self) -> frozenset[str]:
        return frozenset(check.id for one in self.estate.targets.values() for check in one.checks)
