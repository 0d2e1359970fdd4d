"""Which rules are about which series, worked out once per series so that a reading costs only the rules it meets."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.detect.compiled import Test, compiled
from healthmon.alerting.detect.conditions import Facts, Labels, absent_after, metrics_of
from healthmon.alerting.detect.feeds import Feed, feeds_of
from healthmon.alerting.detect.places import Places, localised
from healthmon.alerting.detect.presencebook import PRESENCE_CELLS
from healthmon.alerting.detect.quick import Quick, quick_of
from healthmon.model.alert import Alert, AlertKey, NoData, Phase, Rule, Selector
from healthmon.model.condition import Above, Baseline, Below, Condition, Group, Outside, Ratio, questions
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import PUSHES, Agent, Check, Estate, Target

#: Interval assumed for a check that the estate does not declare (an agent's own collectors).
UNDECLARED_EVERY_S = 60.0
_LEAST_STALE_S = 10.0
#: The check and the vantage point of an alert that is about a group.
GROUP_CHECK, EVERYBODY = "group", "*"
_STALE_INTERVALS = 3.0
#: A looker that backs off rests at most so long; no word of an agent can hide its silence for longer.
_MOST_REST_S = 60.0
#: Targets, areas, kinds, probes and checks by which rules are found, the narrowest first.
_NARROWEST = ("targets", "areas", "kinds", "checks", "probes")
#: A good reading that carries nothing.
_GOOD = Facts(Outcome.OK, "", flat=True)
#: Sets of metrics of which a slate knows by heart who is to be asked.
_SETS_MOST = 256


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule bound to one series, with what need not be worked out again.

    wants_silence: the end of data itself changes the alert; feeds: what it remembers; group: it judges many series;
    test: its condition (of a group: what is asked of each member) as a function; remembers: that asks for more than the
    reading; screen: of a plain limit on one value, that value and where it is good; quick: how to learn cheaply that
    there is nothing to do; idle: of a good reading without any of its metrics it neither remembers nor says anything.
    """

    rule: Rule
    metrics: frozenset[str]
    stale_s: float
    wants_silence: bool
    feeds: tuple[Feed, ...] = ()
    group: Group | None = None
    test: Test = field(default=lambda _facts, _labels: None, compare=False)
    remembers: bool = False
    screen: tuple[tuple[str, Labels], float, float] | None = None
    quick: Quick | None = field(default=None, compare=False)
    idle: bool = False

    @classmethod
    def of(cls, rule: Rule, default_stale_s: float) -> Bound:
        """What the rule needs to know of a series whose data is stale after so long."""
        group = rule.condition if isinstance(rule.condition, Group) else None
        silence = group is None and (rule.no_data is not NoData.HOLD or absent_after(rule) is not None)
        feeds, stale_s = feeds_of(rule), rule.stale_s or default_stale_s
        remembers = bool(feeds) or any(isinstance(one, Ratio) for one in questions(rule.condition))
        screen = None if group or remembers else _screen(rule.condition)
        test = compiled(group.where if group else rule.condition)
        quick = None if group else quick_of(rule, feeds)
        idle = group is None and all(feed.kind != "n" for feed in feeds) and test(_GOOD, ()) is not True
        return cls(rule, metrics_of(rule), stale_s, silence, feeds, group, test, remembers, screen, quick, idle)


def _screen(condition: Condition) -> tuple[tuple[str, Labels], float, float] | None:
    match condition:
        case Above(metric=metric, value=float(limit)):
            return (metric, ()), -math.inf, limit
        case Below(metric=metric, value=float(limit)):
            return (metric, ()), limit, math.inf
        case Outside(metric=metric, low=float(low), high=float(high)):
            return (metric, ()), low, high
        case _:
            return None


class Slate:
    """The rules about one check of one target, and what all of them together need to know of a reading.

    counted: some group counts its series; idle: a good reading that carries nothing means nothing to any of them;
    wary: those to whom a metric that is missing is an alert.
    """

    __slots__ = ("_asked", "_screens", "bounds", "counted", "idle", "metrics", "screened", "unscreened", "wary")

    def __init__(self, bounds: tuple[Bound, ...]) -> None:
        self.bounds = bounds
        self.metrics = frozenset[str]().union(*(bound.metrics for bound in bounds))
        self.counted = any(bound.group is not None for bound in bounds)
        self.wary = tuple(bound for bound in bounds if _wary(bound))
        self.screened = tuple(bound for bound in bounds if bound.screen is not None)
        self.unscreened = tuple(bound for bound in bounds if bound.screen is None)
        self._asked: dict[Hashable, tuple[tuple[int, Bound], ...]] = {}
        self._screens: dict[tuple[str, Labels], tuple[float, float]] = {}
        for bound in bounds:
            if bound.screen is not None:
                value, low, high = bound.screen
                least, most = self._screens.get(value, (-math.inf, math.inf))
                self._screens[value] = (max(low, least), min(high, most))
        self.idle = not self.asked(_GOOD)

    def good(self, facts: Facts) -> bool:
        """Whether no plain limit is passed, of as many rules as there may be; of readings without labels."""
        for value, seen in facts.values.items():
            limits = self._screens.get(value)
            if limits is not None and not limits[0] <= seen <= limits[1]:
                return False
        return True

    def asked(self, facts: Facts) -> Sequence[tuple[int, Bound]]:
        """Those of `unscreened` (under labels: of `bounds`) that this reading may mean anything to."""
        here = self.unscreened if facts.flat else self.bounds
        if facts.outcome is not Outcome.OK or facts.reason:
            return tuple(enumerate(here))
        shape = tuple(facts.values) if facts.flat else frozenset(facts.names())
        known = self._asked.get(shape)
        if known is None:
            names = facts.names()
            found = ((n, one) for n, one in enumerate(here) if not one.idle or not names.isdisjoint(one.metrics))
            if len(self._asked) >= _SETS_MOST:
                self._asked.clear()
            known = self._asked[shape] = tuple(found)
        return known


class RuleIndex:
    """Rules by series, and the agents whose silence is asked about."""

    def __init__(self, estate: Estate, rules: Iterable[Rule]) -> None:
        self._estate = estate
        self.rules = {rule.id: rule for rule in rules}
        self.places = Places(estate)
        self._finder = _Finder(rule for rule in self.rules.values() if not rule.on.agents)
        self._on_agents = [rule for rule in self.rules.values() if rule.on.agents]
        self._of_agent: dict[str, list[Rule]] = {}
        self._slates: dict[tuple[str, str], Slate] = {}
        self._same: dict[tuple[int, ...], Slate] = {}
        self._shared: dict[tuple[int, float], Bound] = {}
        self._checks = {(t.id, c.id): c for t in estate.targets.values() for c in t.checks}
        self._kinds = frozenset(check.kind for check in self._checks.values())
        self._agents_on: dict[str, list[Agent]] = {}
        for agent in estate.agents.values():
            self._agents_on.setdefault(agent.target or "", []).append(agent)
        self._lookers = frozenset(looker for check in self._checks.values() for looker in check.vantages)
        hosts = {agent.id: agent.target for agent in estate.agents.values()}
        self._elsewhere = frozenset(
            looker
            for (at, _), check in self._checks.items()
            for looker in check.vantages
            if looker in hosts and hosts[looker] != at
        )

    def slate(self, target: str, check: str) -> Slate:
        """The rules about this check of this target, from any vantage."""
        known = self._slates.get((target, check))
        if known is None:
            bounds = self._bind(target, check)
            same = tuple(map(id, bounds))
            known = self._slates[(target, check)] = self._same.get(same) or self._same.setdefault(same, Slate(bounds))
        return known

    def bound(self, target: str, check: str) -> tuple[Bound, ...]:
        """The rules about this check of this target, from any vantage."""
        return self.slate(target, check).bounds

    def rule_of(self, key: AlertKey) -> Rule | None:
        """The rule of an alert as it is meant where the alert's target stands."""
        rule = self.rules.get(key.rule)
        return rule if rule is None or not rule.places else self.places.rule_at(rule, key.target) or rule

    def check(self, target: str, check: str) -> Check | None:
        return self._checks.get((target, check))

    def stale_s(self, target: str, check: str) -> float:
        """Seconds after which a series of this check has no data."""
        return max(_LEAST_STALE_S, _STALE_INTERVALS * self.every_s(target, check))

    def every_s(self, target: str, check: str) -> float:
        """How often this check runs, as far as anybody said."""
        declared = self._checks.get((target, check))
        return declared.every_s if declared else UNDECLARED_EVERY_S

    def is_past(self, reading: Reading, now: float, *, newest: float | None) -> bool:
        """For one that comes late: whether another look has come since (newest: its start), or is due already."""
        looked_again = newest is not None and newest >= reading.started
        return looked_again or now - reading.started - reading.took > self.every_s(reading.target, reading.check)

    def expected_by(self, reading: Reading) -> float:
        """From when the silence of this series is counted: its end, later where the looker said that it rests."""
        return reading.started + reading.took + _STALE_INTERVALS * min(max(reading.rest_s, 0.0), _MOST_REST_S)

    def asked_of_silence(self) -> Iterator[tuple[str, Check]]:
        """Target and check of what is declared, where some rule asks whether it is heard."""
        asking = [rule for rule in self.rules.values() if not rule.on.agents and _asks_of_silence(rule)]
        for (target, id_), check in self._checks.items() if asking else ():
            near = any(_about_check(rule.on, target, id_, check.kind) for rule in asking)
            if near and any(bound.wants_silence for bound in self.bound(target, id_)):
                yield target, check

    def looks_elsewhere(self, agent: Agent) -> bool:
        """Whether it is named to look at other targets than the one it runs on."""
        return agent.id in self._elsewhere

    def for_agent(self, agent: Agent) -> list[Rule]:
        """The rules that ask whether this agent is silent."""
        known = self._of_agent.get(agent.id)
        if known is None:
            found = [rule for rule in self._about(agent) if not isinstance(rule.condition, Group)]
            known = self._of_agent[agent.id] = found
        return known

    def agents_of(self, rule: Rule) -> list[Agent]:
        """The agents whose silence a rule asks about, alone or together."""
        if not rule.on.agents:
            return []
        return [one for one in self._estate.agents.values() if any(r.id == rule.id for r in self._about(one))]

    def groups_of_agents(self) -> list[tuple[Rule, list[Agent]]]:
        """Rules about many agents at once, with those agents."""
        grouped = [rule for rule in self._on_agents if isinstance(rule.condition, Group)]
        agents = self._estate.agents.values()
        return [(rule, [agent for agent in agents if rule in self._about(agent)]) for rule in grouped]

    def judges(self, rule: Rule, target: Target) -> bool:
        """Whether the rule is about some check of this target, or about what the agent on it sees or is."""
        agents = self._agents_on.get(target.id, ())
        if rule.on.agents:
            return any(rule.id == one.id for agent in agents for one in self._about(agent))
        if not self.places.fits(rule.on, target):
            return False
        if any(_about_check(rule.on, target.id, check.id, check.kind) for check in target.checks):
            return True
        if not agents or self._kinds & set(rule.on.probes):
            return False
        return not rule.on.targets or target.id in rule.on.targets

    def wanted(self) -> set[tuple[str, str]]:
        """Kind and detail of every cell that some rule keeps."""
        variants = (one for rule in self.rules.values() for one in (rule, *filter(None, rule.places.values())))
        fed = {(feed.kind, feed.detail) for rule in variants for feed in feeds_of(rule)}
        flapping = {("f", rule.id) for rule in self.rules.values() if rule.flap}
        return fed | flapping | set(PRESENCE_CELLS)

    def periods_wanted(self) -> dict[str, int]:
        """Of each baseline, by the detail of its cells: after how many earlier periods all its rules judge."""
        found: dict[str, int] = {}
        for rule in self.rules.values():
            for one in (rule, *filter(None, rule.places.values())):
                for feed in feeds_of(one):
                    if isinstance(feed.asked, Baseline):
                        found[feed.detail] = max(found.get(feed.detail, 0), feed.asked.weeks)
        return found

    def _about(self, agent: Agent) -> Iterator[Rule]:
        if PUSHES in agent.roles:
            return  # nobody expects to hear of it but by its readings
        if agent.target is None and not agent.roles and agent.id not in self._lookers:
            return  # it has nothing to look at: a server's poller that nobody needs and nobody started
        target = self._estate.targets.get(agent.target) if agent.target else None
        for rule in self._on_agents:
            if _about_agent(rule.on, agent) and self.places.fits(rule.on, target, agent):
                here = self.places.rule_at(rule, target.id) if target else rule
                if here is not None:
                    yield here

    def _bind(self, target_id: str, check_id: str) -> tuple[Bound, ...]:
        target = self._estate.targets.get(target_id)
        declared = self._checks.get((target_id, check_id))
        kind = declared.kind if declared else check_id
        found: list[Bound] = []
        for rule in self._finder.near(target, target_id, check_id, kind):
            if _about_check(rule.on, target_id, check_id, kind) and self.places.fits(rule.on, target):
                here = self.places.rule_at(rule, target_id)
                if here is not None:
                    found.append(self._bound_of(localised(here, target), self.stale_s(target_id, check_id)))
        return tuple(found)

    def _bound_of(self, rule: Rule, stale_s: float) -> Bound:
        """One object for all series of a rule that needs no more."""
        key = (id(rule), stale_s)
        known = self._shared.get(key)
        if known is None or known.rule is not rule:
            known = self._shared[key] = Bound.of(rule, stale_s)
        return known


class _Finder:
    """Rules by the narrowest word of their selectors, so that binding a series does not ask thousands of them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        for number, rule in enumerate(rules):
            for place in self._places(rule.on):
                self._by.setdefault(place, []).append((number, rule))

    def near(self, target: Target | None, target_id: str, check_id: str, kind: str) -> list[Rule]:
        """Rules that may be about this check, in the order in which they were given."""
        places = [("", ""), ("targets", target_id), ("checks", check_id), ("probes", kind)]
        if target is not None:
            places += [("areas", target.area or ""), ("kinds", target.kind)]
            places += [(f"label {name}", value) for name, value in target.labels.items()]
        found = [one for place in places for one in self._by.get(place, ())]
        return [rule for _, rule in sorted(found, key=lambda one: one[0])]

    @staticmethod
    def _places(on: Selector) -> list[tuple[str, str]]:
        for name in _NARROWEST[:2]:
            if getattr(on, name):
                return [(name, word) for word in dict.fromkeys(getattr(on, name))]
        for label, value in on.labels.items():
            return [(f"label {label}", value)]
        for name in _NARROWEST[2:]:
            if getattr(on, name):
                return [(name, word) for word in dict.fromkeys(getattr(on, name))]
        return [("", "")]


def _about_check(on: Selector, target_id: str, check_id: str, kind: str) -> bool:
    return (
        (not on.probes or kind in on.probes)
        and (not on.checks or check_id in on.checks)
        and (not on.targets or target_id in on.targets)
    )


def _asks_of_silence(rule: Rule) -> bool:
    """Whether silence alone may raise it."""
    alone = not isinstance(rule.condition, Group)
    return alone and (rule.no_data is NoData.ALERT or absent_after(rule) is not None)


def _wary(bound: Bound) -> bool:
    """Whether a series that goes on without its metrics is an alert."""
    asks = bound.group is None and bound.rule.no_data is NoData.ALERT
    return asks and bool(bound.metrics) and absent_after(bound.rule) is None


def _about_agent(on: Selector, agent: Agent) -> bool:
    return not on.targets or agent.target in on.targets or agent.id in on.targets


def known_alerts(alerts: Iterable[Alert], index: RuleIndex, estate: Estate, *, own_rule: str) -> dict[AlertKey, Alert]:
    """Alerts whose rule and target still exist; the rest belongs to a configuration that is gone."""
    return {
        alert.key: alert
        for alert in alerts
        if alert.phase is not Phase.CLEAR
        and (alert.key.rule == own_rule or alert.key.rule in index.rules)
        and (
            alert.key.rule == own_rule
            or alert.key.check == GROUP_CHECK
            or alert.key.target in estate.targets
            or alert.key.target in estate.agents
        )
    }
