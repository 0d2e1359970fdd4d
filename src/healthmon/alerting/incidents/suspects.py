"""Second thoughts about roots: spares that go together, what warned before, what feeds, what all slow ones need."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from healthmon.alerting.incidents.evidence import PASSING_KINDS, Evidence
from healthmon.alerting.incidents.groups import (
    INFERRED,
    TOGETHER_S,
    Group,
    in_order,
    joined,
    of_one_cause,
    outright,
    slow,
)
from healthmon.alerting.incidents.reach import ANSWERED
from healthmon.alerting.incidents.slowness import of_slow_need, with_unmeasured
from healthmon.impact.graph import Explanation
from healthmon.model.alert import Alert, Effect
from healthmon.model.condition import metrics_in
from healthmon.model.incident import IncidentKind, Root

#: Something that warned so long before others failed may be why they did.
_WARNED_BEFORE_S = 900.0
#: Families of metrics that tell of a day to come: a certificate's end, an account's, the age of a copy.
_TO_COME = frozenset({"tls", "expiry", "backup_evidence"})
#: What feeds others with power, and speaks of its own end while it still can.
_POWER = frozenset({"ups"})
#: Filters by who asks whom: fails from some places and not from others, while both ends are well.
_FILTERS = frozenset({"firewall"})


def reconsidered(groups: Sequence[Group], warnings: Sequence[Alert], evidence: Evidence, now: float) -> list[Group]:
    """The groups with better roots, those that then blame the same thing joined."""
    found = _of_spares(groups, evidence)
    found = _of_feeders(found, warnings, evidence, now)
    found = of_slow_need(found, evidence, now)
    found = [_filtered(group, evidence) for group in found]
    found = [_warned(group, warnings, evidence) for group in found]
    return [with_unmeasured(group, evidence, now) for group in joined(found)]


def feeders(evidence: Evidence, id_: str) -> tuple[str, ...]:
    """Things that a label names (a power feed, a host): not declared as needed, and yet what it hangs on."""
    return evidence.feeders.get(id_, ())


def _of_spares(groups: Sequence[Group], evidence: Evidence) -> list[Group]:
    """Alternatives that are all gone are one thing: only together do they take down what needs them."""
    by_root = {group.root.target: group for group in groups if outright(group) and group.root.target in group.nodes}
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
        kept.append(of_one_cause([by_root[root] for root in sorted(together)]))
    return kept


def _of_feeders(groups: Sequence[Group], warnings: Sequence[Alert], evidence: Evidence, now: float) -> list[Group]:
    """What a label says it hangs on fails too, from before; or has left all that hangs on it without."""
    warned = {alert.key.target for alert in warnings}
    groups = _behind_what_they_feed(groups, warned, evidence)
    whole = [group for group in groups if group.kind is IncidentKind.INCIDENT and group.areas is None]
    roots = {group.root.target: group for group in whole}
    moved: dict[str, list[Group]] = {}
    for group in whole:
        feeder = _feeder_of(group, roots, whole, warned, evidence, now)
        if feeder is not None:
            moved.setdefault(feeder, []).append(group)
    gone = {id(group) for those in moved.values() for group in those}
    after = [group for group in groups if id(group) not in gone]
    for feeder, those in sorted(moved.items()):
        above = roots.get(feeder)
        root = above.root if above is not None else Root(feeder, "", INFERRED, 0.6)
        one = of_one_cause(those)
        members = tuple((alert, feeder) for alert, _ in one.members)
        after.append(replace(one, root=root, members=members, peers=False))
    return joined(after)


def _behind_what_they_feed(groups: Sequence[Group], warned: Container[str], evidence: Evidence) -> list[Group]:
    """Power supplies that fell silent without a warning, behind the switches that they feed and that fell silent too.

    The card of a UPS is reached through what the UPS feeds, and a UPS that ends says so first: silence with the switch
    and without a warning is the switch's. It stays a possible cause.
    """
    whole = [group for group in groups if group.kind is IncidentKind.INCIDENT and group.areas is None]
    moved: dict[str, list[Group]] = {}
    for group in whole:
        id_ = group.root.target
        if group.nodes == (id_,) and id_ not in warned and _only_silent(group, evidence):
            fed = [g for g in whole if g is not group and any(_passes_for(node, id_, evidence) for node in g.nodes)]
            if fed:
                moved.setdefault(min(fed, key=lambda g: (g.since, g.root.target)).root.target, []).append(group)
    gone = {id(group) for those in moved.values() for group in those}
    return [_taking(group, moved.get(group.root.target, ())) for group in groups if id(group) not in gone]


def _only_silent(group: Group, evidence: Evidence) -> bool:
    """A power supply of which nothing is known but that it does not answer: what it said itself is no silence."""
    own = [alert for alert, _ in group.members if alert.key.target == group.root.target]
    silent = all(alert.reason is not None and alert.reason not in ANSWERED for alert in own)
    return silent and _is_power(group.root.target, evidence)


def _would_have_said(feeder: str, warned: Container[str], evidence: Evidence) -> bool:
    """A power supply that somebody looks at, and that has not warned."""
    return _is_power(feeder, evidence) and evidence.monitored(feeder) and feeder not in warned


def _is_power(id_: str, evidence: Evidence) -> bool:
    target = evidence.estate.targets.get(id_)
    return target is not None and target.kind in _POWER


def _passes_for(node: str, feeder: str, evidence: Evidence) -> bool:
    """The node passes traffic on, is no power supply itself, and the feeder is said to feed it."""
    target = evidence.estate.targets.get(node)
    passing = target is not None and target.kind in PASSING_KINDS - _POWER
    return passing and feeder in feeders(evidence, node)


def _taking(group: Group, silent: Sequence[Group]) -> Group:
    """The group with these behind its root, each still a possible cause."""
    if not silent:
        return group
    root = group.root
    others = tuple(dict.fromkeys((*root.alternatives, *(one.root.target for one in silent))))
    pairs = [(alert, root.target) for one in silent for alert, _ in one.members]
    members = in_order((*group.members, *pairs))
    return replace(group, root=replace(root, alternatives=others), members=members)


def _feeder_of(
    group: Group,
    roots: Mapping[str, Group],
    whole: Sequence[Group],
    warned: Container[str],
    evidence: Evidence,
    now: float,
) -> str | None:
    """What feeds everything that fails by itself in the group, if that may be why."""
    if group.root.target not in group.nodes:
        return None
    shared = set.intersection(*(set(feeders(evidence, node)) for node in group.nodes))
    for feeder in sorted(shared):
        above = roots.get(feeder)
        silent = above is None and not _would_have_said(feeder, warned, evidence)
        if silent and _all_gone(feeder, whole, evidence, now):
            return feeder
        if above is not None and _WARNED_BEFORE_S >= group.since - above.since >= -TOGETHER_S:
            return feeder
    return None


def _all_gone(feeder: str, whole: Sequence[Group], evidence: Evidence, now: float) -> bool:
    """Two or more of what it feeds are down by themselves, and none has been seen working since."""
    fed = evidence.fed_by(feeder)
    down = {id_: group for group in whole if not slow(group) for id_ in group.nodes if id_ in fed}
    began = [group.since for group in down.values()]
    if len(down) < 2 or max(began) - min(began) > TOGETHER_S:
        return False
    return not any(evidence.ok_since(id_, max(began), now) for id_ in fed)


def _filtered(group: Group, evidence: Evidence) -> Group:
    """Fails from several places and works from others: a filter on the way is blamed, the thing stays possible.

    A filter lets through or it does not: it makes nothing slow.
    """
    if (
        group.areas is None
        or slow(group)
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
    if not outright(group) or group.in_common:
        return group
    above = {id_ for node in (root, *group.nodes) for id_ in _above(evidence, node)}
    above |= {id_ for id_ in (root,) if group.root.reason == INFERRED}
    lately = [
        alert
        for alert in warnings
        if alert.key.target in above - set(group.nodes)
        and _speaks_of_now(alert, evidence)
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
    members = in_order((*own, *behind))
    return replace(group, root=named, members=members, peers=False)


def _speaks_of_now(alert: Alert, evidence: Evidence) -> bool:
    """A warning about how the thing is, and not about a day to come or about paper."""
    rule = evidence.index.rules.get(alert.key.rule)
    families = {metric.partition(".")[0] for metric in metrics_in(rule.condition)} if rule is not None else set()
    return alert.effect is Effect.WARNING and not families & _TO_COME


def _above(evidence: Evidence, id_: str) -> Iterable[str]:
    """Everything that it hangs on, and what feeds that or it."""
    needed = evidence.graph.requires(id_) if id_ in evidence.graph else ()
    for one in (id_, *needed):
        yield one
        yield from feeders(evidence, one)
