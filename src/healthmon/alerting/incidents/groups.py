"""Groups of alerts with one cause: what they are made of, joined, and what they say does not work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.reach import Series
from healthmon.impact.sharedfate import Fate
from healthmon.model.alert import Alert, Effect, Phase, Rule, by_key
from healthmon.model.condition import metrics_in
from healthmon.model.incident import IncidentKind, Root
from healthmon.model.sample import Reason

#: Failures that began within this of one another may have one unseen cause.
TOGETHER_S = 300.0
INFERRED = "inferred"
#: An alert, and the root that it is behind.
Pair = tuple[Alert, str | None]


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts with one cause. `nodes`: what by itself does not work; `areas`: seen only from there, None everywhere."""

    kind: IncidentKind
    root: Root
    members: tuple[Pair, ...]
    nodes: tuple[str, ...] = ()
    areas: frozenset[str] | None = None
    peers: bool = False  # devices of one kind in one area, with no known cause in common
    in_common: tuple[Fate, ...] = ()  # devices that share nothing known to fail, and this beyond chance
    faded: bool = False  # all last seen working, not confirmed, and not looked at since: that is not known

    @property
    def since(self) -> float:
        return min(alert.bad_since for alert, _ in self.members)


@dataclass(slots=True)
class Troubles:
    """What does not work, by id and since when; `local`: only as seen from these areas."""

    down: dict[str, float] = field(default_factory=dict)
    degraded: dict[str, float] = field(default_factory=dict)
    local_down: dict[str, frozenset[str]] = field(default_factory=dict)
    local_degraded: dict[str, frozenset[str]] = field(default_factory=dict)
    checks: dict[str, frozenset[str]] = field(default_factory=dict)  # the failing checks of each
    slow_series: frozenset[Series] = frozenset()  # who sees slow answers: ok readings that prove no speed


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that fails, explained."""

    groups: tuple[Group, ...] = ()
    troubles: Troubles = field(default_factory=Troubles)
    steady: Mapping[str, Finding] = field(default_factory=dict)  # by target, those that change with their alerts only


@dataclass(frozen=True, slots=True)
class Finding:
    """One target and what speaks against it. `elsewhere_ok`: every failing check is seen ok by somebody else."""

    target: str
    alerts: tuple[Alert, ...]
    effect: Effect
    since: float
    vantages: tuple[str, ...]
    elsewhere_ok: bool
    passing: bool  # what needs it works, so it works: only its own check fails
    slow_too: bool = False  # down only from some places, and slow from everywhere


def series_of(alert: Alert) -> Series:
    return (alert.key.target, alert.key.check, alert.key.vantage)


def root_of(finding: Finding, target: str, *, confidence: float, alternatives: tuple[str, ...] = ()) -> Root:
    """The root with the check and reason of its first alert."""
    judged = [alert for alert in finding.alerts if alert.effect is finding.effect]
    first = min(judged, key=lambda alert: (alert.bad_since, alert.key))
    reason = first.reason.value if first.reason else first.effect.value
    return Root(target, first.key.check, reason, confidence, alternatives)


def members_of(findings: Iterable[Finding], root: str) -> tuple[Pair, ...]:
    return in_order((a, root if a.key.target != root else None) for finding in findings for a in finding.alerts)


def in_order(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Members of a group as they stand in it: by the keys of their alerts."""
    return tuple(sorted(pairs, key=lambda pair: by_key(pair[0])))


def blind_group(view: Alert, held: Sequence[Alert]) -> Group:
    reason = view.reason.value if view.reason else "blind"
    root = Root(view.key.target, view.key.check, reason, 0.9)
    members: list[Pair] = [(view, None), *((alert, view.key.target) for alert in held)]
    return Group(IncidentKind.BLIND, root, in_order(members))


def in_any(groups: Iterable[Group], alert: Alert) -> bool:
    return any(alert is member for group in groups for member, _ in group.members)


def come_true(groups: Sequence[Group], warnings: Sequence[Alert]) -> list[Group]:
    """The warning that a certificate would end belongs to the outage once it has."""
    after: list[Group] = []
    for group in groups:
        ended = {alert.key.target for alert, _ in group.members if alert.reason is Reason.CERT_EXPIRED}
        warned = [w for w in warnings if w.key.target in ended and w.effect is Effect.WARNING and _of_expiry(w)]
        root = group.root.target
        pairs = [(w, root if w.key.target != root else None) for w in warned]
        members = in_order((*group.members, *pairs))
        after.append(replace(group, members=members) if pairs else group)
    return after


def _of_expiry(alert: Alert) -> bool:
    """It foretold an end that has passed, or is of the reading that says so."""
    return alert.reason is Reason.CERT_EXPIRED or (alert.value is not None and alert.value <= 0)


def warning_groups(alerts: Iterable[Alert], rules: Mapping[str, Rule]) -> list[Group]:
    """One early warning per target and thing: a disk that will be full and one that is nearly full are one warning."""
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        rule = rules.get(alert.key.rule)
        families = sorted({metric.partition(".")[0] for metric in metrics_in(rule.condition)}) if rule else []
        found.setdefault((alert.key.target, " ".join(families) or alert.key.rule), []).append(alert)
    return [
        Group(
            IncidentKind.EARLY_WARNING,
            Root(target, own[0].key.check, own[0].key.rule, 0.9),
            tuple((alert, None) for alert in own),
            (target,),
        )
        for (target, _), own in sorted(found.items())
    ]


def outright(group: Group) -> bool:
    """Something fails for everybody, and not merely several devices of a kind."""
    return group.kind is IncidentKind.INCIDENT and group.areas is None and not group.peers


def slow(group: Group) -> bool:
    """All of it answers, badly."""
    return not any(alert.effect is Effect.DOWN for alert, _ in group.members)


def of_one_cause(groups: Sequence[Group]) -> Group:
    """The first to fail names them all; what was behind any of them stays behind it."""
    if len(groups) == 1:
        return groups[0]
    first = min(groups, key=lambda group: (group.since, group.root.target))
    roots = {group.root.target for group in groups}
    others = tuple(id_ for id_ in first.root.alternatives if id_ not in roots)
    return replace(
        first,
        root=replace(first.root, alternatives=others, confidence=max(group.root.confidence for group in groups)),
        members=in_order(pair for group in groups for pair in group.members),
        nodes=tuple(dict.fromkeys(id_ for group in groups for id_ in group.nodes)),
    )


def joined(groups: Iterable[Group]) -> list[Group]:
    """Groups that blame the same thing become one; early warnings stay apart."""
    kept: dict[tuple[IncidentKind, str, str], Group] = {}
    for group in groups:
        apart = group.root.reason if group.kind is IncidentKind.EARLY_WARNING else ""
        key = (group.kind, group.root.target, apart)
        kept[key] = _join(kept[key], group) if key in kept else group
    return list(kept.values())


def _join(first: Group, second: Group) -> Group:
    surer = max((first, second), key=lambda group: group.root.confidence)
    return Group(
        kind=first.kind,
        root=surer.root,
        members=in_order((*first.members, *second.members)),
        nodes=tuple(dict.fromkeys((*first.nodes, *second.nodes))),
        peers=first.peers or second.peers,
        faded=first.faded and second.faded,
        in_common=first.in_common or second.in_common,
        areas=None if first.areas is None or second.areas is None else first.areas | second.areas,
    )


def faded(group: Group, evidence: Evidence, now: float) -> bool:
    """Whether all of it was seen working again and then not looked at any more."""
    for alert, _ in group.members:
        newest = evidence.latest.get(series_of(alert))
        if alert.phase is not Phase.CLEARING or newest is None or evidence.fresh(newest, now):
            return False
    return True


def troubles_of(groups: Sequence[Group], findings: Mapping[str, Finding]) -> Troubles:
    """What the groups say does not work. A thing behind another is lost by the graph, not by itself."""
    troubles = Troubles()
    for group in groups:
        for id_ in () if group.faded else group.nodes:
            own = findings.get(id_)
            degraded = own.effect is Effect.DEGRADED if own is not None else slow(group)
            if own is not None:
                troubles.checks[id_] = _failing_checks(own)
            if group.areas is not None:
                local = troubles.local_degraded if degraded else troubles.local_down
                local[id_] = local.get(id_, frozenset()) | group.areas
                if own is not None and own.slow_too:
                    troubles.degraded[id_] = own.since
            else:
                (troubles.degraded if degraded else troubles.down)[id_] = own.since if own else group.since
    return troubles


def _failing_checks(finding: Finding) -> frozenset[str]:
    return frozenset(alert.key.check for alert in finding.alerts if alert.effect is finding.effect)
