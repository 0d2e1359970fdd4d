"""A rule's condition in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from healthmon.alerting.detect.figures import span_text
from healthmon.model.condition import Absent, AllOf, AnyOf, Condition, Group, Not, OfLast, OutcomeIs


def asked(condition: Condition) -> str:
    """A condition in words."""
    match condition:
        case OutcomeIs(outcomes=outcomes, reasons=reasons):
            because = f" because of {' or '.join(reasons)}" if reasons else ""
            return f"outcome {' or '.join(outcomes)}{because}"
        case Absent(for_s=for_s):
            return f"nothing heard for {span_text(for_s)}"
        case AllOf(of=parts):
            return "all of (" + "; ".join(asked(part) for part in parts) + ")"
        case AnyOf(of=parts):
            return "any of (" + "; ".join(asked(part) for part in parts) + ")"
        case Not(of=part):
            return f"not ({asked(part)})"
        case OfLast(n=n, of=of, condition=part):
            return f"{n} of the last {of}: {asked(part)}"
        case Group():
            return f"{', '.join(_shares(condition))}: {asked(condition.where)}"
        case _:
            shown = {f.name: getattr(condition, f.name) for f in fields(condition)}
            metric, value = shown.pop("metric", ""), shown.pop("value", None)
            rest = ", ".join(f"{name} {_plain(one)}" for name, one in shown.items() if one not in ("", None, 0, 0.0))
            given = f" {number(value)}" if value is not None else ""
            return f"{metric} {type(condition).__name__.lower()}{given}{f' ({rest})' if rest else ''}".strip()


def _shares(group: Group) -> Iterator[str]:
    """How many must agree, of how many."""
    if group.at_least is not None:
        yield f"at least {group.at_least} {group.count.value}"
    if group.share is not None:
        yield f"at least {100 * group.share:g} % of the {group.count.value} that are judged"
    if group.out_of > 1:
        yield f"once {group.out_of} are judged"


def number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    if hasattr(value, "__dataclass_fields__"):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
        return ", ".join(f"{name} {number(one)}" for name, one in inner.items() if one not in ("", None))
    return number(value)
