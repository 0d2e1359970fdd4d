"""Many machines silent at once: part of what explains them, else one incident with them that says what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from healthmon.alerting.detect.groups import Standing
from healthmon.alerting.detect.index import GROUP_CHECK
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import Group, Pair, in_order
from healthmon.alerting.incidents.together import as_fate, by_itself
from healthmon.model.alert import Alert, AlertKey
from healthmon.model.sample import Reason

#: Who was lost and who was not, by the alert about them.
Sides = Callable[[AlertKey], Standing | None]


def with_lost(groups: Sequence[Group], evidence: Evidence, sides: Sides | None, now: float) -> list[Group]:
    """The groups, with each alert about the silence of many in the group that explains most of the lost.

    Where none does, the lost that are down by themselves join it, under what they share beyond chance.
    """
    masses = [group for group in groups if any(_of_silence(alert) for alert, _ in group.members)]
    rest = [group for group in groups if not any(group is mass for mass in masses)]
    for mass in masses:
        rest = _placed(mass, _lost(mass, evidence, sides), rest, evidence, now)
    return rest


def _of_silence(alert: Alert) -> bool:
    return alert.key.check == GROUP_CHECK and alert.reason is Reason.SILENT


def _lost(mass: Group, evidence: Evidence, sides: Sides | None) -> frozenset[str]:
    """The machines that the alert is about."""
    found: set[str] = set()
    for alert, _ in mass.members:
        standing = sides(alert.key) if sides is not None and _of_silence(alert) else None
        for unit in standing.holding if standing else ():
            agent = evidence.estate.agents.get(unit)
            found.add((agent.target or unit) if agent is not None else unit)
    return frozenset(found)


def _placed(mass: Group, lost: frozenset[str], rest: list[Group], evidence: Evidence, now: float) -> list[Group]:
    best = max(rest, key=lambda group: len(lost & _targets(group)), default=None)
    if best is not None and lost and 2 * len(lost & _targets(best)) >= len(lost):
        joined = [(alert, best.root.target) for alert, _ in mass.members]
        return [_with(group, joined) if group is best else group for group in rest]
    alone = [group for group in rest if by_itself(group, evidence) and group.root.target in lost]
    others = [group for group in rest if not any(group is one for one in alone)]
    return [*others, _one(mass, alone, lost, evidence, now)]


def _one(mass: Group, alone: Sequence[Group], lost: frozenset[str], evidence: Evidence, now: float) -> Group:
    """The mass with those that are lost by themselves; its root is the place, or what they share."""
    if not alone:
        return mass
    fates = evidence.fates.find(lost, now, since=mass.since)
    if fates:
        shared = as_fate(alone, fates[:1], evidence, now)
        return _with(shared, [(alert, shared.root.target) for alert, _ in mass.members])
    pairs = [(alert, mass.root.target) for group in alone for alert, _ in group.members]
    nodes = tuple(sorted({*mass.nodes, *(node for group in alone for node in group.nodes)}))
    return replace(_with(mass, pairs), nodes=nodes)


def _with(group: Group, pairs: Iterable[Pair]) -> Group:
    return replace(group, members=in_order((*group.members, *pairs)))


def _targets(group: Group) -> frozenset[str]:
    return frozenset(alert.key.target for alert, _ in group.members)
