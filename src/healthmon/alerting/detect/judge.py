"""The part of detection that one series needs and nothing else: its windows, courses, baselines, and what they say.

A worker keeps it for the series of its partitions. Alerts, their holds and damping, silence and groups stay with the
leader, which goes on from the findings as if it had remembered itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from healthmon.alerting.detect.conditions import Facts, Labels
from healthmon.alerting.detect.feeds import digest, feeds_of
from healthmon.alerting.detect.index import Bound, RuleIndex
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.sight import Sight, learn_late
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Rule
from healthmon.model.condition import Condition, Group, Remembering, leaves
from healthmon.model.judged import Answered, Judged
from healthmon.model.sample import Reading
from healthmon.model.topology import Estate

Series = tuple[str, str, str]
_FUTURE_S = 60.0


class Judge:
    """The series of one partition. `judge` is told readings in the order of their arrival; `written` is its memory."""

    def __init__(self, estate: Estate, index: RuleIndex, memory: Mapping[str, bytes], newest: Mapping[Series, float],
                 *, late_after_s: float = 60.0) -> None:  # fmt: skip
        targets = estate.targets
        self._index = index
        self._late_after_s = late_after_s
        self._asked: dict[int, tuple[Bound, tuple[tuple[str, Condition], ...]]] = {}
        self.newest = dict(newest)
        self.recall = Recall(lambda id_: targets[id_].site if id_ in targets else "", Calendar(estate).local)
        self.recall.restore(memory, fed_by(index), targets.keys().__contains__)

    def judge(self, readings: Sequence[Reading], *, now: float, live: bool) -> tuple[Judged, ...]:
        """What is found of those that are not simply good; memory has taken them up."""
        found = (self._look(number, reading, now, live=live) for number, reading in enumerate(readings))
        return tuple(one for one in found if one is not None)

    def counts(self, reading: Reading, now: float, *, live: bool) -> bool:
        """It is of now, and so may be judged."""
        if not live or reading.started > now + _FUTURE_S:
            return False
        if now - reading.started - reading.took <= self._late_after_s:
            return True
        newest = self.newest.get((reading.target, reading.check, reading.vantage))
        return not self._index.is_past(reading, now, newest=newest)

    def _look(self, number: int, reading: Reading, now: float, *, live: bool) -> Judged | None:
        unjudged = Judged(number, bad=True, usual=None)
        series = (reading.target, reading.check, reading.vantage)
        if not self.counts(reading, now, live=live):
            if reading.started <= now:
                self._learn_late(reading)
            return unjudged
        if reading.started <= self.newest.get(series, float("-inf")):
            return unjudged
        self.newest[series] = reading.started
        rules = self._index.bound(reading.target, reading.check)
        if not rules:
            return None
        return self._judged(number, rules, reading)

    def _judged(self, number: int, rules: Sequence[Bound], reading: Reading) -> Judged | None:
        facts = Facts.of(reading, self._index.slate(reading.target, reading.check).metrics)
        sight = Sight(self.recall, reading, facts)
        facts.ask = sight.answer
        answers: list[Answered] = []
        bad = False
        for bound in rules:
            try:
                bad = self._ask(bound, facts, sight, answers) or bad
            except Exception:  # boundary: one rule on one reading; the leader meets it too, counts it, keeps it aside
                bad = True
        return _summed(number, bad=bad, answers=answers)

    def _ask(self, bound: Bound, facts: Facts, sight: Sight, answers: list[Answered]) -> bool:
        """Remember, then answer; whether the rule's own condition holds anywhere."""
        dimensions = facts.dimensions(bound.metrics)
        if bound.feeds:
            sight.remember(bound.feeds, dimensions)
        bad = bound.group is None and any(bound.test(facts, labels) for labels in dimensions)
        answers += self._answers(bound, sight, dimensions)
        return bad

    def _answers(self, bound: Bound, sight: Sight, dimensions: list[Labels]) -> Iterator[Answered]:
        for question, asked in self._questions(bound):
            for labels in dimensions:
                yield Answered(question, labels, *sight.answer(asked, labels))

    def _questions(self, bound: Bound) -> tuple[tuple[str, Condition], ...]:
        known = self._asked.get(id(bound))
        if known is None:
            known = self._asked[id(bound)] = (bound, tuple(_remembering(bound.rule)))
        return known[1]

    def _learn_late(self, reading: Reading) -> None:
        for bound in self._index.bound(reading.target, reading.check):
            if bound.feeds:
                learn_late(self.recall, bound.feeds, reading, bound.metrics)


def fed_by(index: RuleIndex) -> set[tuple[str, str]]:
    """Kind and detail of what readings alone feed."""
    variants = (one for rule in index.rules.values() for one in (rule, *filter(None, rule.places.values())))
    return {(feed.kind, feed.detail) for rule in variants for feed in feeds_of(rule)}


def seal_of(estate: Estate, rules: Iterable[Rule]) -> str:
    """The same in two processes only if they judge alike: of the configuration, what findings depend on."""
    found = hashlib.blake2s(digest_size=16)
    for rule in rules:
        found.update(repr(_judging(rule)).encode())
    for target in estate.targets.values():
        checks = [(check.id, check.kind) for check in target.checks]
        found.update(repr((target.id, target.kind, target.site, target.area, target.labels, checks)).encode())
    for area in estate.areas.values():
        found.update(repr((area.id, area.kind, area.acuity, area.site)).encode())
    for agent in estate.agents.values():
        found.update(repr((agent.id, agent.target, agent.roles)).encode())
    for service in estate.services.values():
        found.update(repr((service.id, service.tier, service.needs)).encode())
    return found.hexdigest()


def _judging(rule: Rule) -> tuple[object, ...]:
    elsewhere = [(place, one and _judging(one)) for place, one in rule.places.items()]
    return rule.id, rule.on, rule.condition, rule.clear, elsewhere


def _remembering(rule: Rule) -> Iterator[tuple[str, Condition]]:
    for condition in (rule.condition, rule.clear):
        for leaf in leaves(condition) if condition is not None else ():
            for asked in leaves(leaf.where) if isinstance(leaf, Group) else (leaf,):
                if isinstance(asked, Remembering):
                    yield digest(asked), asked


def _summed(number: int, *, bad: bool, answers: list[Answered]) -> Judged | None:
    """Nothing of a reading that is good throughout; of other good ones only what differs from most."""
    if bad:
        return Judged(number, bad=True, usual=None, answers=tuple(dict.fromkeys(answers)))
    says = Counter(one.says for one in answers)
    usual = max(says, key=lambda word: says[word]) if says else False
    if usual is False and len(says) <= 1:
        return None
    rest = dict.fromkeys(Answered(one.question, one.labels, one.says) for one in answers if one.says is not usual)
    return Judged(number, bad=False, usual=usual, answers=tuple(rest))
