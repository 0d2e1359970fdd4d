"""What a condition says of one reading: true, false, or None where there is nothing to judge.

Kleene's three values: a part that cannot be judged leaves `all`, `any` and `not` open unless the other parts settle it.
That decides what fires. What clears goes one step further: a metric that the reading does not carry cannot keep an
alert that another part raised (`cleared`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from healthmon.impact.graph import Tri
from healthmon.model.alert import AlertKey, Rule, Verdict
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
    leaves,
    metrics_in,
    questions,
)
from healthmon.model.sample import Outcome, Reading

Labels = tuple[tuple[str, str], ...]
#: What a question that remembers answers: the verdict, the figure it judged, and a word on it.
Answer = tuple[Tri, float | None, str]
OUTCOME = "outcome"


def metrics_of(rule: Rule) -> frozenset[str]:
    """The metrics that a rule looks at, in its condition or its clear condition."""
    conditions = (rule.condition,) if rule.clear is None else (rule.condition, rule.clear)
    return frozenset(metric for condition in conditions for metric in metrics_in(condition))


def absent_after(rule: Rule) -> float | None:
    """Seconds of silence that the rule asks about, or None when it does not ask."""
    return min((leaf.for_s for leaf in leaves(rule.condition) if isinstance(leaf, Absent)), default=None)


@dataclass(slots=True)
class Facts:
    """One reading as conditions see it: numbers (and words) by metric and dimension labels.

    `ask` answers questions that need more than this reading.
    """

    outcome: Outcome
    reason: str
    silent_s: float = 0.0
    values: dict[tuple[str, Labels], float] = field(default_factory=dict)
    words: dict[tuple[str, Labels], str] | None = None
    ask: Callable[[Condition, Labels], Answer] | None = None
    flat: bool = False  # nothing stands under labels: there is one dimension for every rule

    @classmethod
    def of(cls, reading: Reading, metrics: frozenset[str]) -> Facts:
        """The facts that a rule with these metrics needs; other samples are not copied."""
        facts = cls(reading.outcome, reading.reason.value if reading.reason else "", flat=True)
        for sample in reading.samples if metrics else ():
            name = f"{sample.family}.{sample.field}"
            if name in metrics:
                labels: Labels = ()
                if sample.labels:
                    labels, facts.flat = tuple(sorted(sample.labels.items())), False
                if isinstance(sample.value, str):
                    facts.words, facts.flat = facts.words or {}, False
                    facts.words[(name, labels)] = sample.value
                else:
                    facts.values[(name, labels)] = float(sample.value)
        return facts

    def dimensions(self, metrics: frozenset[str] | None = None) -> list[Labels]:
        """One entry per alert that a rule (with these metrics) may have on this reading."""
        if self.flat:
            return [()]
        found = {labels for name, labels in self.values if labels and (metrics is None or name in metrics)}
        if self.words:
            found |= {labels for name, labels in self.words if labels and (metrics is None or name in metrics)}
        return sorted(found) if found else [()]

    def names(self) -> set[str]:
        """The metrics that the reading carries."""
        found = {name for name, _ in self.values}
        return found | {name for name, _ in self.words} if self.words else found

    def value(self, metric: str, labels: Labels) -> float | None:
        """The value in this dimension, else the one that has no dimension."""
        exact = self.values.get((metric, labels))
        return exact if exact is not None else self.values.get((metric, ()))

    def word(self, metric: str, labels: Labels) -> str | None:
        """The value as text, be it a number or a word."""
        number = self.value(metric, labels)
        if number is not None or not self.words:
            return None if number is None else repr(number)
        return self.words.get((metric, labels), self.words.get((metric, ())))


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
        case _:
            return facts.ask(condition, labels)[0] if facts.ask else None


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


def _about(leaf: Condition) -> tuple[str, ...]:
    """The names of what a plain question looks at."""
    if isinstance(leaf, OutcomeIs):
        return (OUTCOME,)
    return tuple(dict.fromkeys(metrics_in(leaf))) or tuple(
        OUTCOME for part in questions(leaf) if isinstance(part, OutcomeIs)
    )


def reasons_of(condition: Condition, facts: Facts, labels: Labels) -> tuple[str, ...]:
    """What the parts that hold look at. Of `not`, and of what it negates, everything that could be judged."""
    found: dict[str, None] = {}
    for leaf in leaves(condition):
        if holds(leaf, facts, labels) is not None and (_negated(condition, leaf) or holds(leaf, facts, labels)):
            found.update(dict.fromkeys(_about(leaf)))
    return tuple(found)


def _negated(condition: Condition, leaf: Condition) -> bool:
    match condition:
        case Not(of=part):
            return any(one is leaf for one in leaves(part))
        case AllOf(of=parts) | AnyOf(of=parts):
            return any(_negated(part, leaf) for part in parts)
        case _:
            return False


def cleared(rule: Rule, facts: Facts, labels: Labels, because: tuple[str, ...]) -> bool:
    """Whether an alert that was raised `because` of these metrics is clear.

    A part that cannot be judged and had no share in raising it is left out; one that raised it keeps it until it can
    be judged again or the rule's policy for no data speaks. With nothing left to judge, nothing is clear.
    """
    wanted = Not(rule.condition) if rule.clear is None else rule.clear
    raised_by = because if _several(rule.condition) else _about(rule.condition)
    judged = _without_unseen(wanted, facts, labels, raised_by)
    return judged is not None and holds(judged, facts, labels) is True


def _without_unseen(condition: Condition, facts: Facts, labels: Labels, because: tuple[str, ...]) -> Condition | None:
    match condition:
        case AllOf(of=parts):
            left = [part for one in parts if (part := _without_unseen(one, facts, labels, because)) is not None]
            return AllOf(tuple(left)) if left else None
        case AnyOf(of=parts):
            left = [part for one in parts if (part := _without_unseen(one, facts, labels, because)) is not None]
            return AnyOf(tuple(left)) if left else None
        case Not(of=part):
            inner = _without_unseen(part, facts, labels, because)
            return None if inner is None else Not(inner)
        case _:
            unseen = holds(condition, facts, labels) is None and not set(_about(condition)) & set(because)
            return None if unseen and facts.outcome is not Outcome.UNKNOWN else condition


def evaluate(rule: Rule, reading: Reading, metrics: frozenset[str]) -> list[Verdict]:
    """What the rule says of this reading: one verdict per dimension."""
    facts = Facts.of(reading, metrics)
    return [verdict_of(rule, reading, facts, labels) for labels in facts.dimensions()]


def verdict_of(rule: Rule, reading: Reading, facts: Facts, labels: Labels) -> Verdict:
    """What the rule says of this reading in one dimension."""
    bad = holds(rule.condition, facts, labels)
    good = bad is False if rule.clear is None else holds(rule.clear, facts, labels) is True
    value, detail = _shown(rule, facts, labels)
    return Verdict(
        key=AlertKey(rule.id, reading.target, reading.check, reading.vantage, labels),
        bad=bad,
        good=good and bad is not True,
        at=reading.started,
        value=value,
        reason=reading.reason,
        detail=detail or reading.detail,
        because=reasons_of(rule.condition, facts, labels) if bad and _several(rule.condition) else (),
    )


def _several(condition: Condition) -> bool:
    return isinstance(condition, AllOf | AnyOf | Not)


def _shown(rule: Rule, facts: Facts, labels: Labels) -> tuple[float | None, str]:
    """The figure that the alert shows: the first number of the condition, and a word on it."""
    for leaf in leaves(rule.condition):
        if isinstance(leaf, Above | Below | Outside):
            return facts.value(leaf.metric, labels), ""
        if facts.ask is not None and not isinstance(leaf, OutcomeIs | Absent):
            _, value, detail = facts.ask(leaf, labels)
            return value, detail
    return None, ""
