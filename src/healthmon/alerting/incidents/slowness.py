"""Several things that turn slow together: one cause, and which of the things that they need it most likely is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, TOGETHER_S, Group, of_one_cause, outright, slow
from healthmon.model.alert import Effect
from healthmon.model.incident import Root

#: Turned slow in the same moments, as far as looks that are seconds apart can tell.
_AT_ONCE_S = 20.0
#: So many at once are no coincidence, whatever the inventory says.
_NO_COINCIDENCE = 3
#: What a program may be slow for: an inventory that names none of these says nothing of what it stands on.
_STANDS_ON = frozenset({"storage", "database", "hypervisor", "endpoint", "server", "host"})


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Something that several slow things need. `surely`: those for which nothing stands in for it."""

    id: str
    users: frozenset[str]
    surely: frozenset[str]
    quick: int  # of what needs it, so many have been seen quick since
    behind: int

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Explains most beyond what speaks against it; of equals the nearest, then the first by name."""
        return self.quick - len(self.surely), self.quick - len(self.users), self.behind, self.id


def of_slow_need(groups: Sequence[Group], evidence: Evidence, now: float) -> list[Group]:
    """The groups, with those that turned slow together under the need that explains most of them.

    One quick user does not clear a need (storage that is slow for nine programs may serve the tenth from memory), as
    many quick ones as slow ones do. Those that share any need that is not cleared are one incident, also where an
    inventory with gaps gives no single need to all of them.
    """
    found = {g.root.target: g for g in groups if outright(g) and g.nodes == (g.root.target,) and slow(g)}
    newest = max((group.since for group in found.values()), default=0.0)
    found = {id_: group for id_, group in found.items() if newest - group.since <= TOGETHER_S}
    left = list(groups)
    suspects = _suspects(found, evidence, evidence.quick_since(newest, now)) if len(found) >= 2 else []
    while suspects:
        first = min(suspects, key=lambda one: one.rank)
        together = _linked(first.users, suspects)
        likely = (one.id for one in suspects if one.users == first.users and one.quick == first.quick)
        others = tuple(id_ for id_ in likely if id_ != first.id)[:3]
        root = Root(first.id, "", INFERRED, min(0.85, 0.55 + 0.1 * len(first.users)), others)
        one = of_one_cause([found[id_] for id_ in sorted(together)])
        members = tuple((alert, first.id) for alert, _ in one.members)
        left = [
            group for group in left if found.get(group.root.target) is not group or group.root.target not in together
        ]
        left.append(replace(one, root=root, members=members))
        suspects = [one for one in suspects if not one.users & together]
    return _at_once(left, found, evidence)


def _at_once(groups: Sequence[Group], found: Mapping[str, Group], evidence: Evidence) -> list[Group]:
    """The groups, with slow things that began in the same moments as one; the one that a need explains leads.

    Three of them, or two if the inventory does not say what one of them stands on.
    """
    apart = [group for group in groups if slow(group) and outright(group) and found.keys() >= set(group.nodes)]
    rest = [group for group in groups if not any(group is one for one in apart)]
    for run in _moments(apart):
        count = sum(len(group.nodes) for group in run)
        unknown = any(len(group.nodes) == 1 and not _stands_on(group.nodes[0], evidence) for group in run)
        together = len(run) > 1 and (count >= _NO_COINCIDENCE or unknown)
        rest += [_led(run)] if together else run
    return rest


def _moments(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in order, cut where one began too long after the first of its run."""
    run: list[Group] = []
    for group in sorted(groups, key=lambda one: (one.since, one.root.target)):
        if run and group.since - run[0].since > _AT_ONCE_S:
            yield run
            run = []
        run.append(group)
    if run:
        yield run


def _stands_on(id_: str, evidence: Evidence) -> bool:
    return any(evidence.kind(need) in _STANDS_ON for need in evidence.graph.requires(id_))


def _led(run: Sequence[Group]) -> Group:
    """One group under the root that explains most of it; without one, the first may be the cause of the rest."""
    first = max(run, key=lambda group: len(group.nodes))
    one, root = of_one_cause(run), first.root
    if len(first.nodes) == 1:
        root = replace(root, confidence=0.5, alternatives=tuple(group.root.target for group in run[1:])[:3])
    behind = [(alert, None if alert.key.target == root.target else root.target) for alert, _ in one.members]
    return replace(one, root=root, members=tuple(behind))


def with_unmeasured(group: Group, evidence: Evidence, now: float) -> Group:
    """The group with what surely stands on its slow root too and whose speed nobody measures.

    Only where the root is well founded: it says itself that it is not well, or it explains three; and where more of
    what stands on it is seen slow than quick.
    """
    root, graph = group.root.target, evidence.graph
    if root in group.nodes or root not in graph or not (slow(group) and outright(group)):
        return group
    explained = [id_ for id_ in group.nodes if id_ in graph and root in graph.strict(id_)]
    says_so = any(alert.key.target == root and alert.effect is Effect.WARNING for alert, _ in group.members)
    quick = evidence.quick_since(group.since, now) & graph.descendants(root)
    if len(explained) < (2 if says_so else _NO_COINCIDENCE) or len(quick) >= len(explained):
        return group
    behind = sorted(id_ for id_ in graph.descendants(root) if root in graph.strict(id_))
    more = tuple(
        id_
        for id_ in behind
        if id_ in evidence.estate.targets
        and id_ not in group.nodes
        and graph.lines_behind(id_)
        and not evidence.measured(id_)
        and not graph.strict(id_) & quick
    )
    return replace(group, nodes=(*group.nodes, *more)) if more else group


def _suspects(found: Collection[str], evidence: Evidence, quick: frozenset[str]) -> list[_Suspect]:
    """Every need of two or more slow things that is not cleared by as many quick ones."""
    graph = evidence.graph
    users: dict[str, set[str]] = {}
    for id_ in sorted(found):
        for need in graph.requires(id_) if id_ in graph else ():
            if need in evidence.estate.targets:
                users.setdefault(need, set()).add(id_)
    suspects: list[_Suspect] = []
    for need, own in users.items():
        behind = graph.descendants(need)
        against = len(quick & behind) + (need in quick)
        if len(own) >= 2 and need not in quick and against < len(own):
            surely = frozenset(id_ for id_ in own if need in graph.strict(id_))
            suspects.append(_Suspect(need, frozenset(own), surely, against, len(behind)))
    return suspects


def _linked(start: frozenset[str], suspects: Sequence[_Suspect]) -> frozenset[str]:
    """Everything that shares some suspect with these, and so on."""
    together, before = set(start), 0
    while len(together) > before:
        before = len(together)
        together.update(*(one.users for one in suspects if one.users & together))
    return frozenset(together)
