"""What a rule must remember of each series, and the words by which those cells are known on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from healthmon.model.alert import Rule
from healthmon.model.condition import (
    Baseline,
    Changed,
    Condition,
    Delta,
    Forecast,
    OfLast,
    Rate,
    Ratio,
    Slope,
    Window,
    questions,
)


@dataclass(frozen=True, slots=True)
class Feed:
    """A cell that one rule keeps of each series: of which metric, and for which question."""

    kind: str
    detail: str
    metric: str = ""
    asked: Condition | None = None
    bits: int = 0


def feeds_of(rule: Rule) -> tuple[Feed, ...]:
    """Everything that a rule must remember, in the order in which it is told."""
    conditions = (rule.condition,) if rule.clear is None else (rule.condition, rule.clear)
    found = (feed for condition in conditions for asked in questions(condition) for feed in _feeds(asked))
    unique: dict[tuple[str, str], Feed] = {}
    for feed in found:
        unique.setdefault((feed.kind, feed.detail), feed)
    return tuple(unique.values())


def _feeds(asked: Condition) -> Iterator[Feed]:
    match asked:
        case Window(metric=metric, over_s=over) | Slope(metric=metric, over_s=over) | Delta(metric=metric, over_s=over):
            yield Feed("w", spanned(metric, over), metric)
        case Forecast(metric=metric, over_s=over):
            yield Feed("w", spanned(metric, over), metric)
        case Rate(metric=metric, over_s=over, bits=bits):
            yield Feed("r", f"{spanned(metric, over)}@{bits}", metric, bits=bits)
        case Ratio(over_s=over, bits=bits) if over > 0:
            for metric in (asked.metric, asked.to):
                yield Feed("r", f"{spanned(metric, over)}@{bits}", metric, bits=bits)
        case Changed(metric=metric):
            yield Feed("c", metric, metric, asked)
        case OfLast():
            yield Feed("n", digest(asked.condition), asked=asked)
        case Baseline(metric=metric):
            yield Feed("b", judged_by(asked), metric, asked)


@lru_cache(maxsize=4096)
def digest(condition: Condition) -> str:
    return hashlib.blake2s(repr(condition).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=4096)
def spanned(metric: str, over_s: float) -> str:
    return f"{metric}@{over_s:g}"


@lru_cache(maxsize=4096)
def judged_by(asked: Baseline) -> str:
    limits = f"{asked.factor:g},{asked.mads:g},{asked.floor:g},{asked.above:d}{asked.below:d}"
    return f"{asked.metric}@{asked.season.value}@{limits}"
