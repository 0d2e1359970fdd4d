"""What `check` warns of in rules: a site's own that are about nothing here, windows too short for their checks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from healthmon.config.kinds import collector_names
from healthmon.model.alert import Rule, Selector
from healthmon.model.condition import Delta, Forecast, Rate, Ratio, Slope, Window, questions
from healthmon.model.topology import Check, Estate, Target

#: A window with fewer readings than this holds no course.
_LEAST_LOOKS = 2


def rule_advice(rules: Iterable[Rule], estate: Estate, *, own: Collection[str]) -> Iterator[str]:
    """Warnings about `own` rules, those of the site's packs. What stock rules are about, a hospital need not have."""
    series = [(target, check) for target in estate.targets.values() for check in target.checks]
    for rule in (one for one in rules if one.id in own):
        about = [(target, check) for target, check in series if _about(rule.on, target, check, estate)]
        if not about and not _about_agents(rule.on, estate):
            yield f"rule '{rule.id}' is about nothing here: no check or agent matches its `on`"
        yield from _short_windows(rule, [check for _, check in about])


def _short_windows(rule: Rule, checks: list[Check]) -> Iterator[str]:
    spans = [asked.over_s for asked in questions(rule.condition) if isinstance(asked, _WINDOWED) and asked.over_s]
    slow = [check for check in checks if spans and min(spans) < _LEAST_LOOKS * check.every_s]
    if slow:
        slowest = max(slow, key=lambda check: check.every_s)
        yield (
            f"rule '{rule.id}' looks back {min(spans):g} s, but check '{slowest.id}' ({slowest.kind}) comes every"
            f" {slowest.every_s:g} s: with fewer than two looks in it nothing is judged"
        )


def _about(on: Selector, target: Target, check: Check, estate: Estate) -> bool:
    area = estate.areas.get(target.area or "")
    wanted = (
        (on.probes, check.kind),
        (on.checks, check.id),
        (on.targets, target.id),
        (on.kinds, target.kind),
        (on.areas, target.area),
        (on.sites, target.site),
        (on.area_kinds, area.kind.value if area else None),
        (on.acuities, area.acuity.value if area else None),
    )
    if on.agents or not all(not names or value in names for names, value in wanted):
        return False
    return all(target.labels.get(name) == value for name, value in on.labels.items())


def _about_agents(on: Selector, estate: Estate) -> bool:
    """Agents themselves, or what their roles collect: that stands in no target's checks."""
    if not on.agents and (not on.probes or collector_names().isdisjoint(on.probes)):
        return False
    return any(not on.roles or set(on.roles) & set(agent.roles) for agent in estate.agents.values())


_WINDOWED = (Window, Rate, Slope, Delta, Ratio, Forecast)
