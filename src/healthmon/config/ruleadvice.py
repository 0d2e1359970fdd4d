"""What `check` warns of in rules: a site's own that are about nothing here, windows too short for their checks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from healthmon.alerting.detect.index import RuleIndex
from healthmon.model.alert import Rule
from healthmon.model.condition import Delta, Forecast, Rate, Ratio, Slope, Window, questions
from healthmon.model.topology import Check, Estate

#: A window with fewer readings than this holds no course.
_LEAST_LOOKS = 2


def rule_advice(rules: Iterable[Rule], estate: Estate, *, own: Collection[str]) -> Iterator[str]:
    """Warnings about `own` rules, those of the site's packs. What stock rules are about, a hospital need not have."""
    asked = [rule for rule in rules if rule.id in own]
    if not asked:
        return
    index, about = RuleIndex(estate, asked), dict[str, list[Check]]()
    for target in estate.targets.values():
        for check in target.checks:
            for bound in index.bound(target.id, check.id):
                about.setdefault(bound.rule.id, []).append(check)
    for rule in asked:
        if rule.id not in about and not index.agents_of(rule):
            yield f"rule '{rule.id}' is about nothing here: no check or agent matches its `on`"
        yield from _short_windows(rule, about.get(rule.id, []))


def _short_windows(rule: Rule, checks: list[Check]) -> Iterator[str]:
    spans = [asked.over_s for asked in questions(rule.condition) if isinstance(asked, _WINDOWED) and asked.over_s]
    slow = [check for check in checks if spans and min(spans) < _LEAST_LOOKS * check.every_s]
    if slow:
        slowest = max(slow, key=lambda check: check.every_s)
        yield (
            f"rule '{rule.id}' looks back {min(spans):g} s, but check '{slowest.id}' ({slowest.kind}) comes every"
            f" {slowest.every_s:g} s: with fewer than two looks in it nothing is judged"
        )


_WINDOWED = (Window, Rate, Slope, Delta, Ratio, Forecast)
