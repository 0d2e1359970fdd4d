"""What a condition says of one reading: true, false, or None where there is nothing to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from healthmon.impact.graph import Tri
from healthmon.model.alert import (
    Above,
    Absent,
    AlertKey,
    AllOf,
    AnyOf,
    Below,
    Condition,
    Not,
    OutcomeIs,
    Outside,
    Rule,
    Verdict,
)
from healthmon.model.sample import Outcome, Reading

Labels = tuple[tuple[str, str], ...]


def leaves(condition: Condition) -> Iterator[Condition]:
    """The plain questions in a condition."""
    match condition:
        case AllOf(of=parts) | AnyOf(of=parts):
            for part in parts:
                yield from leaves(part)
        case Not(of=part):
            yield from leaves(part)
        case _:
            yield condition


def metrics_of(rule: Rule) -> frozenset[str]:
    """The metrics that a rule looks at, in its condition or its clear condition."""
    conditions = (rule.condition,) if rule.clear is None else (rule.condition, rule.clear)
    asked = (leaf for condition in conditions for leaf in leaves(condition))
    return frozenset(leaf.metric for leaf in asked if isinstance(leaf, Above | Below | Outside))


def absent_after(rule: Rule) -> float | None:
    """Seconds of silence that the rule asks about, or None when it does not ask."""
    return min((leaf.for_s for leaf in leaves(rule.condition) if isinstance(leaf, Absent)), default=None)


@dataclass(slots=True)
class Facts:
    """One reading as conditions see it: numbers by metric and dimension labels."""

    outcome: Outcome
    reason: str
    silent_s: float = 0.0
    values: dict[tuple[str, Labels], float] = field(default_factory=dict)

    @classmethod
    def of(cls, reading: Reading, metrics: frozenset[str]) -> Facts:
        """The facts that a rule with these metrics needs; other samples are not copied."""
        facts = cls(reading.outcome, reading.reason.value if reading.reason else "")
        for sample in reading.samples if metrics else ():
            name = f"{sample.family}.{sample.field}"
            if name in metrics and not isinstance(sample.value, str):
                facts.values[(name, tuple(sorted(sample.labels.items())))] = float(sample.value)
        return facts

    def dimensions(self) -> list[Labels]:
        """One entry per alert that a rule may have on this reading."""
        found = {labels for _, labels in self.values if labels}
        return sorted(found) if found else [()]

    def value(self, metric: str, labels: Labels) -> float | None:
        """The value in this dimension, else the one that has no dimension."""
        exact = self.values.get((metric, labels))
        return exact if exact is not None else self.values.get((metric, ()))


def holds(condition: Condition, facts: Facts, labels: Labels = ()) -> Tri:
    """Kleene evaluation of a condition."""
    match condition:
        case OutcomeIs():
            return _outcome(condition, facts)
        case Above(metric=metric, value=limit):
            seen = facts.value(metric, labels)
            return None if seen is None else seen > limit
        case Below(metric=metric, value=limit):
            seen = facts.value(metric, labels)
            return None if seen is None else seen < limit
        case Outside(metric=metric, low=low, high=high):
            seen = facts.value(metric, labels)
            return None if seen is None else not low <= seen <= high
        case Absent(for_s=for_s):
            return facts.silent_s >= for_s
        case Not(of=part):
            inner = holds(part, facts, labels)
            return None if inner is None else not inner
        case AllOf(of=parts):
            return _kleene((holds(part, facts, labels) for part in parts), decisive=False)
        case AnyOf(of=parts):
            return _kleene((holds(part, facts, labels) for part in parts), decisive=True)


def _kleene(states: Iterable[Tri], *, decisive: bool) -> Tri:
    """One `decisive` part settles it; otherwise anything unknown leaves it open."""
    seen = set(states)
    if decisive in seen:
        return decisive
    return None if None in seen else not decisive


def _outcome(condition: OutcomeIs, facts: Facts) -> Tri:
    """An unknown reading is no evidence about the target, unless the rule asks for unknown itself."""
    if facts.outcome is Outcome.UNKNOWN and Outcome.UNKNOWN not in condition.outcomes:
        return None
    if facts.outcome not in condition.outcomes:
        return False
    return not condition.reasons or facts.reason in condition.reasons


def evaluate(rule: Rule, reading: Reading, metrics: frozenset[str]) -> list[Verdict]:
    """What the rule says of this reading: one verdict per dimension."""
    facts = Facts.of(reading, metrics)
    return [_verdict(rule, reading, facts, labels) for labels in facts.dimensions()]


def _verdict(rule: Rule, reading: Reading, facts: Facts, labels: Labels) -> Verdict:
    bad = holds(rule.condition, facts, labels)
    good = bad is False if rule.clear is None else holds(rule.clear, facts, labels) is True
    return Verdict(
        key=AlertKey(rule.id, reading.target, reading.check, reading.vantage, labels),
        bad=bad,
        good=good and bad is not True,
        at=reading.started,
        value=_shown(rule, facts, labels),
        reason=reading.reason,
        detail=reading.detail,
    )


def _shown(rule: Rule, facts: Facts, labels: Labels) -> float | None:
    """The value that the alert shows: the first metric of the condition."""
    for leaf in leaves(rule.condition):
        if isinstance(leaf, Above | Below | Outside):
            return facts.value(leaf.metric, labels)
    return None
