"""Things that go at once though nothing known to fail explains them: devices of one area, or of one shared fate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, TOGETHER_S, Group, in_order
from healthmon.impact.sharedfate import Fate
from healthmon.model.alert import Effect
from healthmon.model.incident import Root

#: So many devices of one kind gone from one area at once are one incident.
_PEERS = 2
#: So many things gone one after the other are asked what they share.
_MASS = 3
#: Groups are joined only on this; naming what is shared, beside a known cause, needs less.
_JOINING_RATE = 0.001


def gathered(groups: Sequence[Group], evidence: Evidence, now: float) -> list[Group]:
    """The groups, with those joined that share a fate, and then those of one kind in one area."""
    alone = [group for group in groups if by_itself(group, evidence)]
    rest = [group for group in groups if not by_itself(group, evidence)]
    for run in _chained(alone):
        rest += _of_one_fate(run, evidence, now)
    return list(_with_peers(rest, evidence))


def by_itself(group: Group, evidence: Evidence) -> bool:
    """One thing that is down by itself, for no reason that is known."""
    root = group.root
    known = root.target in evidence.estate.targets and root.reason != INFERRED and group.nodes == (root.target,)
    return known and any(a.effect is Effect.DOWN and a.key.target == root.target for a, _ in group.members)


def _chained(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Runs of groups, each of which began soon after the one before: what spreads may take an hour in all."""
    run: list[Group] = []
    for group in sorted(groups, key=lambda one: (one.since, one.root.target)):
        if run and group.since - run[-1].since > TOGETHER_S:
            yield run
            run = []
        run.append(group)
    if run:
        yield run


def _of_one_fate(run: list[Group], evidence: Evidence, now: float) -> list[Group]:
    """The run with those as one group that share something beyond chance; again, until nothing more is shared."""
    left, found = run, []
    while len(left) >= _MASS:
        since, broken = min(group.since for group in left), [group.root.target for group in left]
        fates = evidence.fates.find(broken, now, since=since, false_rate=_JOINING_RATE)
        if not fates or len(fates[0].broken) < _MASS:
            break
        sharing = frozenset(fates[0].broken)
        mine = [group for group in left if group.root.target in sharing]
        found.append(as_fate(mine, tuple(f for f in fates if sharing <= set(f.broken)), evidence, now))
        left = [group for group in left if group.root.target not in sharing]
    return [*left, *found]


def as_fate(groups: Sequence[Group], fates: tuple[Fate, ...], evidence: Evidence, now: float) -> Group:
    """One group; its root is what they share where that is a thing that may have failed unseen, else the first."""
    one = _as_peers(groups)
    confidence = 0.85 if len(fates) == 1 else 0.6
    root = replace(one.root, confidence=confidence, in_common=tuple(f"{f.attribute} {f.value}" for f in fates))
    for fate in fates:
        thing = evidence.estate.targets.get(fate.value)
        if thing is None or (fate.healthy_count and _seen(thing.id, one.since, evidence, now)):
            continue  # what answers and feeds others well is not it; where all that it feeds is gone, it may be
        root = Root(thing.id, "", INFERRED, confidence, in_common=root.in_common)
        members = tuple((alert, thing.id) for alert, _ in one.members)
        return replace(
            one,
            root=root,
            members=members,
            nodes=one.nodes if _seen(thing.id, one.since, evidence, now) else (*one.nodes, thing.id),
            in_common=fates,
            peers=False,
        )
    return replace(one, root=root, in_common=fates, peers=False)


def _seen(id_: str, since: float, evidence: Evidence, now: float) -> bool:
    return evidence.passes(id_, since, now) or evidence.ok_since(id_, since, now)


def _with_peers(groups: Iterable[Group], evidence: Evidence) -> Iterator[Group]:
    """Devices of one kind that leave one area together are one thing, whatever took them."""
    apart: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        target = evidence.estate.targets.get(group.root.target)
        alone = target is not None and group.root.reason != INFERRED and len(group.nodes) == 1
        if alone and target is not None and target.area and evidence.end_device(target.id):
            apart.setdefault((target.area, target.kind), []).append(group)
        else:
            yield group
    for own in apart.values():
        newest = max(group.since for group in own)
        together = [group for group in own if newest - group.since <= TOGETHER_S]
        yield from (group for group in own if group not in together)
        yield from [_as_peers(together)] if len(together) >= _PEERS else together


def _as_peers(groups: Sequence[Group]) -> Group:
    first = min(groups, key=lambda group: (group.since, group.root.target))
    members = in_order(pair for group in groups for pair in group.members)
    nodes = tuple(sorted({id_ for group in groups for id_ in group.nodes}))
    return replace(first, members=members, nodes=nodes, peers=True, root=replace(first.root, confidence=0.5))
