"""Questions about many series at once: for how many of them, and which, a condition holds."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.detect.conditions import Facts
from healthmon.alerting.detect.index import EVERYBODY, GROUP_CHECK, Bound
from healthmon.impact.graph import Tri
from healthmon.model.alert import Alert, AlertKey, Rule, Verdict
from healthmon.model.condition import Absent, Group, Unit
from healthmon.model.sample import Reading, Reason
from healthmon.model.topology import Agent, Estate

_NAMES_SHOWN = 5

Member = tuple[str, ...]  # target, check, vantage and labels, or one agent


@dataclass(slots=True)
class _Seen:
    unit: str
    holds: Tri
    at: float


@dataclass(slots=True)
class Tally:
    """The members of one group, the one heard longest ago first; units are counted as their members move.

    wait_s: after so long without a word a member is silent: it holds where silence is what is asked (`of_silence`),
    and is not judged any more where it is not.
    """

    rule: Rule
    group: Group
    wait_s: float
    members: OrderedDict[Member, _Seen] = field(default_factory=OrderedDict)
    silent: dict[Member, _Seen] = field(default_factory=dict)
    judged: Counter[str] = field(default_factory=Counter)
    holding: Counter[str] = field(default_factory=Counter)
    lookers: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)  # units of which anything was ever heard

    @property
    def of_silence(self) -> bool:
        return isinstance(self.group.where, Absent)

    def put(self, member: Member, unit: str, holds: Tri, at: float) -> bool:
        """What was judged of a member; whether any count moved."""
        seen = self.members.get(member)
        if seen is not None and seen.holds is holds and seen.unit == unit:
            seen.at = at
            self.members.move_to_end(member)
            return False
        before = self.members.pop(member, None) or self.silent.pop(member, None)
        self.known.add(unit)
        self.members[member] = _Seen(unit, holds, at)
        if before is not None and before.holds is holds and before.unit == unit:
            return False
        if before is not None:
            self._count(before, -1)
        self._count(self.members[member], 1)
        return True

    def expire(self, now: float) -> None:
        """Members that have been silent for too long."""
        while self.members and now - next(iter(self.members.values())).at >= self.wait_s:
            member, seen = self.members.popitem(last=False)
            self._count(seen, -1)
            if self.of_silence:
                self.silent[member] = _Seen(seen.unit, True, seen.at)
                self._count(self.silent[member], 1)

    def next_silence(self) -> float | None:
        """When the member heard longest ago will be silent."""
        return next(iter(self.members.values())).at + self.wait_s if self.members else None

    def _count(self, seen: _Seen, by: int) -> None:
        for counter, counts in ((self.judged, seen.holds is not None), (self.holding, seen.holds is True)):
            if counts:
                counter[seen.unit] += by
                if not counter[seen.unit]:
                    del counter[seen.unit]


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is on which side in one group, by unit."""

    holding: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """Whether as many of a group are heard as it asks for, and ever were; who looks; when silence is no data."""

    enough: bool
    once: bool
    lookers: frozenset[str]
    wait_s: float


class Groups:
    """Tallies by group. `push` asks to be called with `judge` at a time."""

    def __init__(self, estate: Estate, push: Callable[[float, str, AlertKey], None]) -> None:
        self._estate = estate
        self._push = push
        self._tallies: dict[AlertKey, Tally] = {}
        self._places: dict[tuple[str, tuple[str, str, str]], tuple[AlertKey, Tally, str]] = {}
        self._silent_of: dict[str, tuple[list[AlertKey], list[tuple[int, str]]]] = {}  # by rule: its groups, the agents
        self._standing: dict[AlertKey, Standing] = {}
        self._counted: dict[AlertKey, tuple[Collection[str], Collection[str]]] = {}  # of whom it holds, all judged
        self._dirty: set[AlertKey] = set()
        self._waiting: set[AlertKey] = set()

    def note(self, bound: Bound, group: Group, reading: Reading, facts: Facts) -> None:
        """One member was looked at; its group is judged when time is passed next, if a count moved."""
        series = (reading.target, reading.check, reading.vantage)
        place = self._places.get((bound.rule.id, series))
        if place is None:
            place = self._places[bound.rule.id, series] = self._place_of(bound, group, reading)
        key, tally, unit = place
        for labels in facts.dimensions(bound.metrics):
            said = False if tally.of_silence else bound.test(facts, labels)
            member = (*series, *(text for pair in labels for text in pair)) if labels else series
            if tally.put(member, unit, said, reading.started + reading.took) and key not in self._dirty:
                self._dirty.add(key)
                self._push(reading.started + reading.took, "group", key)
        self._wait(key, tally)

    def _place_of(self, bound: Bound, group: Group, reading: Reading) -> tuple[AlertKey, Tally, str]:
        """The group that a series belongs to, and as whose."""
        key = self._key(bound.rule, group, reading)
        tally = self._tallies.get(key)
        if tally is None:
            wait_s = group.where.for_s if isinstance(group.where, Absent) else bound.stale_s
            tally = self._tallies[key] = Tally(bound.rule, group, wait_s)
        tally.lookers.add(reading.vantage)
        return key, tally, self._unit(group, reading)

    def judge(self, key: AlertKey, now: float) -> tuple[Rule, Verdict] | None:
        """What a group says now; None when there is no such group."""
        self._dirty.discard(key)
        self._waiting.discard(key)
        tally = self._tallies.get(key)
        if tally is None:
            return None
        tally.expire(now)
        self._wait(key, tally)
        return tally.rule, self._verdict(key, tally.group, tally.holding, tally.judged, now)

    def heard(self, key: AlertKey) -> Heard | None:
        """Who of a group still speaks, whether or not that can be judged; None where silence is what it asks."""
        tally = self._tallies.get(key)
        if tally is None or tally.of_silence:
            return None
        units, wanted = {seen.unit for seen in tally.members.values()}, max(1, tally.group.out_of)
        return Heard(len(units) >= wanted, len(tally.known) >= wanted, frozenset(tally.lookers), tally.wait_s)

    def silence(
        self,
        rule: Rule,
        agents: Sequence[Agent],
        heard: Iterable[float | None],
        alerts: Mapping[AlertKey, Alert],
        now: float,
    ) -> Iterator[Verdict]:
        """Agents that are expected and silent; `heard`: when each was heard last, None: it does not count now."""
        group = rule.condition
        assert isinstance(group, Group)
        assert isinstance(group.where, Absent)
        keys, places = self._silent_of.get(rule.id) or self._silent_places(rule, group, agents)
        for_s = group.where.for_s
        sides: list[tuple[set[str], set[str]] | None] = [None] * len(keys)
        begun = [alerts[key].bad_since if key in alerts else now for key in keys]
        oldest = [since - group.within_s - for_s if group.within_s else -math.inf for since in begun]
        for (number, unit), at in zip(places, heard, strict=True):
            if at is None:
                continue
            side = sides[number]
            if side is None:
                side = sides[number] = (set(), set())
            if at < oldest[number]:
                continue  # gone for longer than this question is about
            side[1].add(unit)
            if now - at >= for_s:
                side[0].add(unit)
        for key, side in zip(keys, sides, strict=True):
            if side is not None:
                yield self._verdict(key, group, *side, now, reason=Reason.SILENT)
            elif key in alerts:
                yield Verdict(key, None, False, now)

    def _silent_places(
        self, rule: Rule, group: Group, agents: Sequence[Agent]
    ) -> tuple[list[AlertKey], list[tuple[int, str]]]:
        """The groups of a rule about agents, in order, and of every agent the number of its group, and as whose."""
        of = [AlertKey(rule.id, self._place(group.by, one.target or ""), GROUP_CHECK, EVERYBODY) for one in agents]
        keys = sorted(set(of))
        numbers = {key: number for number, key in enumerate(keys)}
        places = [(numbers[key], self._agent_unit(group, agent)) for key, agent in zip(of, agents, strict=True)]
        self._silent_of[rule.id] = keys, places
        return keys, places

    def _wait(self, key: AlertKey, tally: Tally) -> None:
        at = None if key in self._waiting else tally.next_silence()
        if at is not None:
            self._waiting.add(key)
            self._push(at, "group", key)

    def standing(self, key: AlertKey) -> Standing | None:
        """Who was on which side when the group was judged last (bad only): for what they have in common."""
        return self._standing.get(key)

    def sides(self, key: AlertKey) -> Standing | None:
        """Who is on which side as of the last count, whatever came of it; None: never counted."""
        counted = self._counted.get(key)
        if counted is None:
            return None
        holding, judged = counted
        return Standing(tuple(sorted(holding)), tuple(sorted(set(judged) - set(holding))))

    def _verdict(
        self,
        key: AlertKey,
        group: Group,
        holding: Collection[str],
        judged: Collection[str],
        now: float,
        reason: Reason | None = None,
    ) -> Verdict:
        self._counted[key] = holding, judged
        known, held = len(judged), len(holding)
        if known < max(1, group.out_of):
            return Verdict(key, None, False, now)
        bad = (group.share is None or held >= group.share * known) and held >= (group.at_least or 1)
        detail = ""
        if bad:
            others = tuple(sorted(set(judged) - set(holding)))
            self._standing[key] = Standing(tuple(sorted(holding)), others)
            detail = _listed(self._standing[key].holding, known)
        else:
            self._standing.pop(key, None)
        value = held / known if group.share is not None else float(held)
        return Verdict(key, bad, not bad, now, value, reason if bad else None, detail)

    def _key(self, rule: Rule, group: Group, reading: Reading) -> AlertKey:
        if group.by == "target":
            return AlertKey(rule.id, reading.target, reading.check, EVERYBODY)
        return AlertKey(rule.id, self._place(group.by, reading.target), GROUP_CHECK, EVERYBODY)

    def _place(self, by: str, target_id: str) -> str:
        return group_place(self._estate, by, target_id)

    def _unit(self, group: Group, reading: Reading) -> str:
        match group.count:
            case Unit.TARGETS:
                return reading.target
            case Unit.VANTAGES:
                return reading.vantage
            case Unit.AREAS:
                return self._estate.vantage_area(reading.vantage) or self._area_of(reading.target)
            case Unit.SERIES:
                return f"{reading.target}/{reading.check}@{reading.vantage}"

    def _agent_unit(self, group: Group, agent: Agent) -> str:
        if group.count is Unit.AREAS:
            return self._area_of(agent.target or "")
        return (agent.target or agent.id) if group.count is Unit.TARGETS else agent.id

    def _area_of(self, target_id: str) -> str:
        target = self._estate.targets.get(target_id)
        return (target.area if target else None) or "-"


def group_place(estate: Estate, by: str, target_id: str) -> str:
    """The name of the group that a target belongs to."""
    target = estate.targets.get(target_id)
    if not by or target is None:
        return estate.organisation.id
    if by.startswith("label:"):
        return target.labels.get(by.removeprefix("label:"), "") or estate.organisation.id
    return {"area": target.area or "", "site": target.site, "kind": target.kind, "target": target.id}[by] or target.site


def _listed(names: Sequence[str], known: int) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    share = f"{len(names)} of {known} ({100 * len(names) / known:.0f} %)"
    return f"{share}: {shown}" + (f" and {more} more" if more > 0 else "")
