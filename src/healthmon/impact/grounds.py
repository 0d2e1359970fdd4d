"""What speaks for and against the cause that an incident names: a pure reading of one snapshot, for `explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from healthmon.impact.graph import NeedGraph
from healthmon.impact.sharedfate import Fate, FateTest, attributes_of
from healthmon.model.incident import Incident, IncidentKind, IncidentState, Member
from healthmon.model.mute import Change
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Estate
from healthmon.model.view import View

#: A parent that failed about when its child did.
ABOUT_THEN_S = 120.0
_NAMED = 5
_OVER = (IncidentState.MITIGATED, IncidentState.RESOLVED)


@dataclass(frozen=True, slots=True)
class Ground:
    """One thing that speaks for or against a cause. `what` is a constant word, `text` is for people; `ids` are the
    targets or vantage points it rests on (the first few of `count`), `at` when it was seen (Unix s)."""

    what: str
    text: str
    count: int = 1
    ids: tuple[str, ...] = ()
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible cause, the named one first. `certainty`: very likely, likely, one of these."""

    target: str
    certainty: str
    speaks_for: tuple[Ground, ...] = ()
    speaks_against: tuple[Ground, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """One check of one target as different vantage points see it since the incident began: they contradict."""

    target: str
    check: str
    working_from: tuple[str, ...]
    failing_from: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.target} seen working from {_few(self.working_from)}, failing from {_few(self.failing_from)}"


@dataclass(frozen=True, slots=True)
class Grounds:
    """Everything that bears on the cause, as at one moment; once the incident is over, only what it remembers."""

    as_at: float
    candidates: tuple[Candidate, ...] = ()
    sights: tuple[Sight, ...] = ()
    in_common: tuple[Fate, ...] = ()


def evidence_for(incident: Incident, view: View) -> Grounds:
    """The evidence for and against the root of the incident and each alternative, as the snapshot has it."""
    if incident.root is None:
        return Grounds(view.at)
    case = _Case(incident, view, graph_of(view.estate))
    sights = tuple(case.sights())
    in_common = case.in_common()
    names = (incident.root.target, *incident.root.alternatives)
    found = tuple(
        Candidate(
            id_,
            incident.root.certainty if number == 0 else "one of these",
            tuple(case.speaks_for(id_, in_common)),
            tuple(case.speaks_against(id_, sights, in_common)),
        )
        for number, id_ in enumerate(names)
    )
    return Grounds(view.at, found, sights, in_common)


class _Case:
    """One incident against one snapshot."""

    def __init__(self, incident: Incident, view: View, graph: NeedGraph) -> None:
        self._incident = incident
        self._view = view
        self._graph = graph
        self._members = incident.members
        self._by_target: dict[str, list[Member]] = {}
        for member in incident.members:
            self._by_target.setdefault(member.key.target, []).append(member)
        self._live = incident.state not in _OVER
        self._readings: dict[str, list[Reading]] = {}
        wanted = {member.key.target for member in self._members}
        wanted |= set(self._behind_any())
        for (target, _, _), reading in view.latest.items():
            if target in wanted:
                self._readings.setdefault(target, []).append(reading)

    def speaks_for(self, id_: str, in_common: Iterable[Fate]) -> Iterator[Ground]:
        """What makes it the likely cause."""
        own = self._of(id_)
        if self._incident.kind is IncidentKind.BLIND:
            count = len({member.key.target for member in self._members})
            yield Ground("nothing_reached", f"nothing beyond {id_} has been reached since then, from there", count)
        elif own:
            first = min(own, key=lambda member: member.since)
            lookers = _unique(member.key.vantage for member in own)
            text = f"{id_} itself fails ({first.reason or 'by its own check'}), seen from {_few(lookers)}"
            yield Ground("fails_itself", text, len(lookers), lookers[:_NAMED], first.since)
        elif not self._seen_working(id_):
            text = f"nothing that depends on {id_} has been seen working since, and nobody looks at {id_} directly"
            yield Ground("nothing_seen_working", text)
        explained = self._explained_by(id_)
        if explained:
            text = f"{len(explained)} of the others that fail need {id_}: {_few(explained)}"
            yield Ground("explains", text, len(explained), explained[:_NAMED])
        yield from self._timing_for(id_, explained)
        for fate in in_common:
            if fate.value == id_:
                yield Ground("in_common", fate_text(fate), len(fate.broken), fate.broken[:_NAMED])

    def speaks_against(self, id_: str, sights: Iterable[Sight], in_common: Iterable[Fate]) -> Iterator[Ground]:
        """What does not fit."""
        for sight in sights:
            if sight.target == id_:
                ids = sight.working_from[:_NAMED]
                yield Ground("seen_working", sight.text, len(sight.working_from), ids)
        working = self._working_behind(id_)
        if working:
            text = f"{_few(working)} cannot work without {id_} and was seen working since"
            yield Ground("behind_it_works", text, len(working), working[:_NAMED])
        sharing = self._sharing(id_, in_common)
        unexplained = tuple(other for other in self._unexplained(id_) if other not in sharing)
        if unexplained:
            text = f"{_few(unexplained)} fails too and does not need {id_}"
            yield Ground("not_explained", text, len(unexplained), unexplained[:_NAMED])
        earlier = self._earlier(id_)
        if earlier:
            text = f"{_few(earlier)} failed more than {ABOUT_THEN_S:.0f} s before {id_}"
            yield Ground("began_before", text, len(earlier), earlier[:_NAMED])

    def sights(self) -> Iterator[Sight]:
        """Where vantage points contradict each other about what fails."""
        if not self._live:
            return
        by_check: dict[tuple[str, str], list[Member]] = {}
        for member in self._members:
            if member.cleared_at is None and member.key.check:
                by_check.setdefault((member.key.target, member.key.check), []).append(member)
        for (target, check), members in sorted(by_check.items()):
            failing = _unique(member.key.vantage for member in members)
            since = min(member.since for member in members)
            working = _unique(
                reading.vantage
                for reading in self._readings.get(target, ())
                if reading.check == check
                and reading.outcome is Outcome.OK
                and reading.started >= since
                and reading.vantage not in failing
            )
            if working:
                yield Sight(target, check, self._places(working), self._places(failing))

    def in_common(self) -> tuple[Fate, ...]:
        """What the failing things share beyond chance, among all watched things of their kinds."""
        estate = self._view.estate
        broken = {member.key.target for member in self._members if member.key.target in estate.targets}
        kinds = {estate.targets[id_].kind for id_ in broken}
        peers = [
            target
            for id_, target in estate.targets.items()
            if target.kind in kinds and (id_ in broken or self._is_ok(id_))
        ]
        if len(broken) < 3 or len(peers) <= len(broken):
            return ()
        attributes = attributes_of(estate, self._graph, peers)
        found = FateTest(attributes).find(broken, changes=self._changes())
        return tuple(fate for fate in found if 2 * len(fate.broken) >= fate.of_broken)

    def _changes(self) -> dict[str, frozenset[str]]:
        """What the planned work that is put down to it is on."""
        mutes = (standing.mute for standing in self._view.mutes)
        changes = (mute for mute in mutes if isinstance(mute, Change) and mute.id in self._incident.changes_open)
        return {change.id: frozenset(change.targets) for change in changes}

    def _of(self, id_: str) -> list[Member]:
        return self._by_target.get(id_, [])

    def _others(self, id_: str) -> tuple[str, ...]:
        return _unique(member.key.target for member in self._members if member.key.target != id_)

    def _explained_by(self, id_: str) -> tuple[str, ...]:
        """Others that need it, and what is seen only from behind it."""
        return tuple(other for other in self._others(id_) if self._needs(other, id_))

    def _needs(self, other: str, id_: str) -> bool:
        if other in self._graph and id_ in self._graph.requires(other):
            return True
        hosts = [self._view.estate.vantage_target(member.key.vantage) for member in self._of(other)]
        return bool(hosts) and all(
            host is not None and host.id in self._graph and (host.id == id_ or id_ in self._graph.requires(host.id))
            for host in hosts
        )

    def _unexplained(self, id_: str) -> tuple[str, ...]:
        return tuple(other for other in self._others(id_) if not self._needs(other, id_))

    def _sharing(self, id_: str, in_common: Iterable[Fate]) -> frozenset[str]:
        """Those whose failing is put down to what they share with the root, which is only the first of them."""
        root = self._incident.root
        if root is None or id_ != root.target:
            return frozenset()
        named = (fate for fate in in_common if f"{fate.attribute} {fate.value}" in root.in_common)
        return frozenset(other for fate in named for other in fate.broken)

    def _began(self, id_: str) -> float | None:
        return min((member.since for member in self._of(id_)), default=None)

    def _timing_for(self, id_: str, explained: tuple[str, ...]) -> Iterator[Ground]:
        began = self._began(id_)
        if began is None:
            return
        then = tuple(o for o in explained if abs((self._began(o) or began) - began) <= ABOUT_THEN_S)
        if then:
            text = f"{len(then)} of these began to fail within {ABOUT_THEN_S:.0f} s of {id_}"
            yield Ground("about_then", text, len(then), then[:_NAMED], began)

    def _earlier(self, id_: str) -> tuple[str, ...]:
        began = self._began(id_)
        if began is None:
            return ()
        return tuple(o for o in self._explained_by(id_) if (self._began(o) or began) < began - ABOUT_THEN_S)

    def _behind_any(self) -> Iterator[str]:
        root = self._incident.root
        for id_ in (root.target, *root.alternatives) if root else ():
            yield from self._graph.descendants(id_) if id_ in self._graph else ()

    def _working_behind(self, id_: str) -> tuple[str, ...]:
        """What cannot work without it and has been seen working since it failed."""
        if not self._live or id_ not in self._graph:
            return ()
        since = self._since(id_)
        return tuple(
            other
            for other in sorted(self._graph.descendants(id_) & self._readings.keys())
            if id_ in self._graph.strict(other)
            and any(r.outcome is Outcome.OK and r.started >= since for r in self._readings[other])
        )

    def _seen_working(self, id_: str) -> bool:
        since = self._since(id_)
        return any(r.outcome is Outcome.OK and r.started >= since for r in self._readings.get(id_, ()))

    def _since(self, id_: str) -> float:
        began = self._began(id_)
        return began if began is not None else max((m.since for m in self._members), default=self._incident.opened_at)

    def _is_ok(self, id_: str) -> bool:
        status = self._view.targets.get(id_)
        return status is not None and status.outcome is Outcome.OK

    def _places(self, vantages: Iterable[str]) -> tuple[str, ...]:
        """Where they stand, if that is known."""
        return _unique(self._view.estate.vantage_area(vantage) or vantage for vantage in vantages)


def fate_text(fate: Fate) -> str:
    """One line for people: how many share it, and how many with the same are well."""
    return (
        f"{len(fate.broken)} of {fate.of_broken} that fail have {fate.attribute} {fate.value} in common; "
        f"{fate.healthy_count} with the same are well"
    )


def fate_proof(fate: Fate) -> str:
    """How likely that is by chance, and some that have the same and are well."""
    few = f", for example {_few(fate.healthy)}" if fate.healthy else ""
    chance = f"p {fate.p_value:.1g}, corrected for {fate.tried} values that were tried"
    return f"by chance: {chance}; well with the same: {fate.healthy_count}{few}"


_last: list[tuple[Estate, NeedGraph]] = []


def graph_of(estate: Estate) -> NeedGraph:
    """The need graph of a snapshot's estate, made once for as long as the estate stays the same."""
    if not _last or _last[0][0] is not estate:
        _last[:] = [(estate, NeedGraph(estate))]
    return _last[0][1]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
