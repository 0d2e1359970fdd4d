"""Second thoughts about roots: spares that go together, what warned before, what feeds, what all slow ones need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.groups import INFERRED, TOGETHER_S, Group, joined
from healthmon.impact.graph import Explanation
from healthmon.model.alert import Alert, Effect
from healthmon.model.incident import IncidentKind, Root
from healthmon.model.sample import Outcome

#: Something that warned so long before others failed may be why they did.
_WARNED_BEFORE_S = 900.0
#: Looks that say only that something is there.
_SHALLOW = frozenset({"icmp", "tcp", "snmp"})
#: Filters by who asks whom: fails from some places and not from others, while both ends are well.
_FILTERS = frozenset({"firewall"})


def reconsidered(groups: Sequence[Group], warnings: Sequence[Alert], evidence: Evidence, now: float) -> list[Group]:
    """The groups with better roots, those that then blame the same thing joined."""
    found = _of_spares(groups, evidence)
    found = _of_feeders(found, evidence, now)
    found = _of_slow_need(found, evidence, now)
    found = [_filtered(group, evidence) for group in found]
    found = [_warned(group, warnings, evidence) for group in found]
    return joined(found)


def feeders(evidence: Evidence, id_: str) -> tuple[str, ...]:
    """Things that a label names (a power feed, a host): not declared as needed, and yet what it hangs on."""
    return evidence.feeders.get(id_, ())


def _of_spares(groups: Sequence[Group], evidence: Evidence) -> list[Group]:
    """Alternatives that are all gone are one thing: only together do they take down what needs them."""
    by_root = {group.root.target: group for group in groups if _outright(group) and group.root.target in group.nodes}
    explanation = Explanation(evidence.graph, by_root)
    pairs: dict[str, set[str]] = {root: {root} for root in by_root}
    users = {user for root in by_root for user in evidence.graph.descendants(root)} if len(by_root) > 1 else set()
    for user in sorted(users):
        culprits = explanation.culprits(user) & by_root.keys()
        if len(culprits) > 1 and not culprits & evidence.graph.strict(user):
            together = set().union(*(pairs[one] for one in culprits))
            pairs.update(dict.fromkeys(together, together))
    kept = [group for group in groups if by_root.get(group.root.target) is not group]
    for together in {id(one): one for one in pairs.values()}.values():
        kept.append(_as_one([by_root[root] for root in sorted(together)]))
    return kept


def _as_one(groups: Sequence[Group]) -> Group:
    """The first to fail names them all; what was behind any of them stays behind it."""
    if len(groups) == 1:
        return groups[0]
    first = min(groups, key=lambda group: (group.since, group.root.target))
    roots = {group.root.target for group in groups}
    others = tuple(id_ for id_ in first.root.alternatives if id_ not in roots)
    return replace(
        first,
        root=replace(first.root, alternatives=others, confidence=max(group.root.confidence for group in groups)),
        members=tuple(sorted((pair for group in groups for pair in group.members), key=lambda pair: pair[0].key)),
        nodes=tuple(dict.fromkeys(id_ for group in groups for id_ in group.nodes)),
    )


def _of_feeders(groups: Sequence[Group], evidence: Evidence, now: float) -> list[Group]:
    """What a label says it hangs on fails too, from before; or has left all that hangs on it without."""
    whole = [group for group in groups if group.kind is IncidentKind.INCIDENT and group.areas is None]
    roots = {group.root.target: group for group in whole}
    moved: dict[str, list[Group]] = {}
    for group in whole:
        feeder = _feeder_of(group, roots, whole, evidence, now)
        if feeder is not None:
            moved.setdefault(feeder, []).append(group)
    gone = {id(group) for those in moved.values() for group in those}
    after = [group for group in groups if id(group) not in gone]
    for feeder, those in sorted(moved.items()):
        above = roots.get(feeder)
        root = above.root if above is not None else Root(feeder, "", INFERRED, 0.6)
        one = _as_one(those)
        members = tuple((alert, feeder) for alert, _ in one.members)
        after.append(replace(one, root=root, members=members, peers=False))
    return joined(after)


def _feeder_of(
    group: Group, roots: Mapping[str, Group], whole: Sequence[Group], evidence: Evidence, now: float
) -> str | None:
    """What feeds everything that fails by itself in the group, if that may be why."""
    if group.root.target not in group.nodes:
        return None
    shared = set.intersection(*(set(feeders(evidence, node)) for node in group.nodes))
    for feeder in sorted(shared):
        above = roots.get(feeder)
        if above is None and _all_gone(feeder, whole, evidence, now):
            return feeder
        if above is not None and _WARNED_BEFORE_S >= group.since - above.since >= -TOGETHER_S:
            return feeder
    return None


def _all_gone(feeder: str, whole: Sequence[Group], evidence: Evidence, now: float) -> bool:
    """Two or more of what it feeds are down by themselves, and none has been seen working since."""
    fed = evidence.fed_by(feeder)
    down = {id_: group for group in whole if not _slow(group) for id_ in group.nodes if id_ in fed}
    began = [group.since for group in down.values()]
    if len(down) < 2 or max(began) - min(began) > TOGETHER_S:
        return False
    return not any(evidence.ok_since(id_, max(began), now) for id_ in fed)


def _of_slow_need(groups: Sequence[Group], evidence: Evidence, now: float) -> list[Group]:
    """Several that answer slowly, and one thing that all of them need and no quick one does."""
    slow = {g.root.target: g for g in groups if _outright(g) and g.nodes == (g.root.target,) and _slow(g)}
    newest = max((group.since for group in slow.values()), default=0.0)
    slow = {id_: group for id_, group in slow.items() if newest - group.since <= TOGETHER_S}
    covered: dict[str, list[str]] = {}
    for id_ in sorted(slow):
        for need in evidence.graph.requires(id_) if id_ in evidence.graph else ():
            covered.setdefault(need, []).append(id_)
    fits = [
        (need, users)
        for need, users in covered.items()
        if len(users) >= 2 and need in evidence.estate.targets and _may_be_slow(need, slow, evidence, now)
    ]
    if not fits:
        return list(groups)
    need, users = min(fits, key=lambda one: (-len(one[1]), len(evidence.graph.descendants(one[0])), one[0]))
    others = tuple(other for other, its in fits if other != need and its == users)[:3]
    one = _as_one([slow[id_] for id_ in users])
    root = Root(need, "", INFERRED, min(0.85, 0.55 + 0.1 * len(users)), others)
    members = tuple((alert, need) for alert, _ in one.members)
    return [*(g for g in groups if g.root.target not in users), replace(one, root=root, members=members)]


def _may_be_slow(need: str, slow: Mapping[str, Group], evidence: Evidence, now: float) -> bool:
    """Nobody has seen it, or anything else that needs it, do its work quickly since then."""
    since = max(group.since for group in slow.values())
    for id_ in (need, *sorted(evidence.graph.descendants(need))):
        if id_ in slow:
            continue
        for reading in evidence.of_target(id_):
            check = evidence.index.check(id_, reading.check)
            deep = check is not None and check.kind not in _SHALLOW
            if deep and reading.outcome is Outcome.OK and reading.started >= since and evidence.counts(reading, now):
                return False
    return True


def _filtered(group: Group, evidence: Evidence) -> Group:
    """Fails from several places and works from others: a filter on the way is blamed, the thing stays possible."""
    if (
        group.areas is None
        or len(group.areas) < 2
        or group.root.reason == INFERRED
        or group.nodes != (group.root.target,)
    ):
        return group
    root = group.root
    hosts = [host for alert, _ in group.members if (host := evidence.host(alert.key.vantage)) is not None]
    ways = [set(evidence.graph.requires(host)) | set(evidence.graph.requires(root.target)) for host in hosts]
    if not ways or root.target not in evidence.graph:
        return group
    shared = set.intersection(*ways)
    filters = sorted(id_ for id_ in shared if (t := evidence.estate.targets.get(id_)) and t.kind in _FILTERS)
    if not filters:
        return group
    others = (*filters[1:3], root.target)
    named = Root(filters[0], "", INFERRED, 0.6, others)
    return replace(group, root=named, members=tuple((alert, filters[0]) for alert, _ in group.members))


def _warned(group: Group, warnings: Sequence[Alert], evidence: Evidence) -> Group:
    """What it hangs on has lately said itself that something is wrong with it."""
    root = group.root.target
    if not _outright(group) or group.in_common:
        return group
    above = {id_ for node in (root, *group.nodes) for id_ in _above(evidence, node)}
    above |= {id_ for id_ in (root,) if group.root.reason == INFERRED}
    lately = [
        alert
        for alert in warnings
        if alert.key.target in above - set(group.nodes)
        and alert.effect is Effect.WARNING
        and group.since - _WARNED_BEFORE_S <= alert.bad_since <= group.since + TOGETHER_S
    ]
    if not lately:
        return group
    near = set(feeders(evidence, root))
    first = min(
        lately,
        key=lambda a: (a.key.target not in near, -len(evidence.graph.requires(a.key.target)), a.bad_since, a.key),
    )
    suspect = first.key.target
    own = [(alert, None) for alert in lately if alert.key.target == suspect]
    reason = first.reason.value if first.reason else first.effect.value
    named = Root(suspect, first.key.check, reason, 0.85)
    behind = [(alert, suspect) for alert, _ in group.members]
    members = tuple(sorted((*own, *behind), key=lambda pair: pair[0].key))
    return replace(group, root=named, members=members, peers=False)


def _above(evidence: Evidence, id_: str) -> Iterable[str]:
    """Everything that it hangs on, and what feeds that or it."""
    needed = evidence.graph.requires(id_) if id_ in evidence.graph else ()
    for one in (id_, *needed):
        yield one
        yield from feeders(evidence, one)


def _outright(group: Group) -> bool:
    return group.kind is IncidentKind.INCIDENT and group.areas is None and not group.peers


def _slow(group: Group) -> bool:
    return not any(alert.effect is Effect.DOWN for alert, _ in group.members)
