"""Several things that turn slow together: one cause, and which of the things that they need it most likely is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, TOGETHER_S, Group, of_one_cause, outright, slow
from healthmon.model.incident import Root


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
    return left


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
