"""What the inventory says of a target: whether a rule is about it, and what a rule means where it stands."""

from __future__ import annotations

import math
from dataclasses import replace

from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import EVERYWHERE_ELSE, Rule, Selector
from healthmon.model.condition import (
    Above,
    AllOf,
    AnyOf,
    Below,
    Condition,
    Delta,
    Forecast,
    Group,
    Limit,
    Not,
    OfLast,
    Rate,
    Ratio,
    Slope,
    Window,
)
from healthmon.model.topology import Agent, Estate, Target


class Places:
    """Selectors against the estate: kinds, areas, labels, sites, acuity, tiers of the services behind, roles."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._tiers: dict[str, set[int]] | None = None
        self._roles: dict[str, set[str]] = {}
        for agent in estate.agents.values():
            if agent.target:
                self._roles.setdefault(agent.target, set()).update(agent.roles)

    def fits(self, on: Selector, target: Target | None, agent: Agent | None = None) -> bool:
        """Whether the selector's words about the target hold; probes and checks are not asked here."""
        if target is None:
            return not (on.kinds or on.areas or on.labels or on.sites or on.area_kinds or on.acuities or on.tiers) and (
                not on.roles or (agent is not None and bool(set(agent.roles) & set(on.roles)))
            )
        roles = set(agent.roles) if agent else self._roles.get(target.id, set())
        return (
            (not on.kinds or target.kind in on.kinds)
            and (not on.areas or target.area in on.areas)
            and (not on.sites or target.site in on.sites)
            and all(target.labels.get(name) == value for name, value in on.labels.items())
            and (not on.roles or bool(roles & set(on.roles)))
            and self._area_fits(on, target)
            and (not on.tiers or bool(self._tiers_of(target.id) & set(on.tiers)))
        )

    def rule_at(self, rule: Rule, target_id: str) -> Rule | None:
        """The rule as it is meant where the target stands, the area before the site; None: it is off there."""
        target = self._estate.targets.get(target_id) if rule.places else None
        if target is None:
            return rule
        for place in (f"area:{target.area}", f"site:{target.site}", EVERYWHERE_ELSE):
            if place in rule.places:
                return rule.places[place]
        return rule

    def _area_fits(self, on: Selector, target: Target) -> bool:
        if not (on.area_kinds or on.acuities):
            return True
        area = self._estate.areas.get(target.area or "")
        return (
            area is not None
            and (not on.area_kinds or area.kind.value in on.area_kinds)
            and (not on.acuities or area.acuity.value in on.acuities)
        )

    def _tiers_of(self, target_id: str) -> set[int]:
        if self._tiers is None:
            graph, self._tiers = NeedGraph(self._estate), {}
            for service in self._estate.services.values():
                for id_ in graph.requires(service.id):
                    self._tiers.setdefault(id_, set()).add(service.tier)
        return self._tiers.get(target_id, set())


def localised(rule: Rule, target: Target | None) -> Rule:
    """The rule with its limits taken from the target's labels, where it names any; else the very same rule."""
    if target is None or not target.labels:
        return rule
    condition = _localised(rule.condition, target)
    clear = None if rule.clear is None else _localised(rule.clear, target)
    return (
        rule if condition == rule.condition and clear == rule.clear else replace(rule, condition=condition, clear=clear)
    )


def _localised(condition: Condition, target: Target) -> Condition:
    match condition:
        case AllOf(of=parts):
            return AllOf(tuple(_localised(part, target) for part in parts))
        case AnyOf(of=parts):
            return AnyOf(tuple(_localised(part, target) for part in parts))
        case Not(of=part):
            return Not(_localised(part, target))
        case OfLast(condition=part):
            return replace(condition, condition=_localised(part, target))
        case Group(where=part):
            return replace(condition, where=_localised(part, target))
        case Above(label=label) | Below(label=label) if label:
            number = label_number(target, label)
            return condition if number is None else replace(condition, value=number)
        case Window() | Rate() | Slope() | Delta() | Ratio() | Forecast():
            return _with_limit(condition, target)
        case _:
            return condition


def _with_limit(asked: Window | Rate | Slope | Delta | Ratio | Forecast, target: Target) -> Condition:
    number = label_number(target, asked.limit.label) if asked.limit.label else None
    if number is None:
        return asked
    high = asked.limit.high is not None
    return replace(asked, limit=Limit(None if high else number, number if high else None, asked.limit.label))


def label_number(target: Target, label: str) -> float | None:
    """The number that the target's label holds, if it is one."""
    try:
        number = float(target.labels[label])
    except (KeyError, ValueError):
        return None
    return None if math.isnan(number) else number
