"""Conditions as functions, made once for each rule: the same answers as `holds`, for a fifth of the time."""

from __future__ import annotations

from collections.abc import Callable

from healthmon.alerting.detect.conditions import Facts, Labels
from healthmon.impact.graph import Tri
from healthmon.model.condition import Above, Absent, AllOf, AnyOf, Below, Condition, Not, OutcomeIs, Outside
from healthmon.model.sample import Outcome

Test = Callable[[Facts, Labels], Tri]


def compiled(condition: Condition) -> Test:
    """What `holds` says of this condition, as a function of the facts and the labels."""
    match condition:
        case OutcomeIs():
            return _outcome(condition)
        case Above(metric=metric, value=limit):
            return _compared(metric, lambda seen: seen > limit)
        case Below(metric=metric, value=limit):
            return _compared(metric, lambda seen: seen < limit)
        case Outside(metric=metric, low=low, high=high):
            return _compared(metric, lambda seen: not low <= seen <= high)
        case Absent(for_s=for_s):
            return lambda facts, _labels: facts.silent_s >= for_s
        case Not(of=part):
            return _not(compiled(part))
        case AllOf(of=parts):
            return _kleene(tuple(compiled(part) for part in parts), decisive=False)
        case AnyOf(of=parts):
            return _kleene(tuple(compiled(part) for part in parts), decisive=True)
        case _:
            return lambda facts, labels: facts.ask(condition, labels)[0] if facts.ask else None


def _compared(metric: str, beyond: Callable[[float], bool]) -> Test:
    flat = (metric, ())

    def test(facts: Facts, labels: Labels) -> Tri:
        seen = facts.value(metric, labels) if labels else facts.values.get(flat)
        return None if seen is None else beyond(seen)

    return test


def _outcome(condition: OutcomeIs) -> Test:
    outcomes, reasons = condition.outcomes, condition.reasons
    blind = Outcome.UNKNOWN not in outcomes

    def test(facts: Facts, _labels: Labels) -> Tri:
        if blind and facts.outcome is Outcome.UNKNOWN:
            return None
        return facts.outcome in outcomes and (not reasons or facts.reason in reasons)

    return test


def _not(part: Test) -> Test:
    def test(facts: Facts, labels: Labels) -> Tri:
        inner = part(facts, labels)
        return None if inner is None else not inner

    return test


def _kleene(parts: tuple[Test, ...], *, decisive: bool) -> Test:
    def test(facts: Facts, labels: Labels) -> Tri:
        open_ = False
        for part in parts:
            state = part(facts, labels)
            if state is decisive:
                return decisive
            open_ = open_ or state is None
        return None if open_ else not decisive

    return test
