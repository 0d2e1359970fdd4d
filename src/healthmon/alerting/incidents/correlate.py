"""From firing alerts to groups with one root each: what explains what, and what nobody has seen working."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.incidents.blind import BLIND_RULE, holds_back
from healthmon.alerting.incidents.evidence import Evidence, Series
from healthmon.impact.graph import Explanation
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.incident import IncidentKind, Root
from healthmon.model.sample import Reason

#: Failures that began within this of one another may have one unseen cause.
TOGETHER_S = 300.0
#: A parent that failed about when its child did.
_ABOUT_THEN_S = 120.0
INFERRED = "inferred"
#: So many devices of one kind gone from one area at once are one incident.
_PEERS = 2


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts with one cause. `nodes`: what by itself does not work; `areas`: seen only from there, None everywhere."""

    kind: IncidentKind
    root: Root
    members: tuple[tuple[Alert, str | None], ...]  # alert, and the root that it is behind
    nodes: tuple[str, ...] = ()
    areas: frozenset[str] | None = None
    peers: bool = False  # devices of one kind in one area, with no known cause in common
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


def correlate(
    alerts: Mapping[AlertKey, Alert], evidence: Evidence, now: float, *, cleared: Mapping[Series, float] | None = None
) -> Picture:
    """Every active alert in exactly one group, in a stable order. `cleared`: who recovered lately, and when."""
    active = sorted((alert for alert in alerts.values() if alert.active), key=lambda alert: alert.key)
    blind = [alert for alert in active if alert.key.rule == BLIND_RULE]
    held = {alert.key: view for alert in active for view in blind if holds_back(view, alert, evidence, now=now)}
    groups = [_blind_group(view, [a for a in active if held.get(a.key) is view]) for view in blind]
    rest = [a for a in active if a.key not in held and a.key.rule != BLIND_RULE]
    hard = [alert for alert in rest if alert.effect in (Effect.DOWN, Effect.DEGRADED)]
    recovering = {_series(alert): float("inf") for alert in active if alert.phase is Phase.CLEARING}
    doubted = {(alert.key.rule, _series(alert)) for alert in alerts.values() if _bad(alert)}
    run = _Run(evidence, now, hard, {**(cleared or {}), **recovering}, doubted)
    hard_groups = [replace(group, faded=_faded(group, evidence, now)) for group in run.groups()]
    groups += hard_groups
    warnings = [alert for alert in rest if alert.effect not in (Effect.DOWN, Effect.DEGRADED)]
    groups = _come_true(groups, warnings)
    groups += _warnings([alert for alert in warnings if not _in_any(groups, alert)])
    troubles = _troubles(hard_groups, run.findings)
    troubles.slow_series = frozenset(_series(a) for a in alerts.values() if a.effect is Effect.DEGRADED and _bad(a))
    return Picture(tuple(_joined(groups)), troubles)


def _bad(alert: Alert) -> bool:
    """Its newest reading speaks against the target, whether or not that is confirmed."""
    return alert.phase in (Phase.PENDING, Phase.FIRING)


class _Run:
    """One correlation of the hard alerts (down and degraded)."""

    def __init__(
        self,
        evidence: Evidence,
        now: float,
        alerts: Sequence[Alert],
        cleared: Mapping[Series, float],
        doubted: Container[tuple[str, Series]],
    ) -> None:
        self._evidence = evidence
        self._cleared = cleared
        self._doubted = doubted  # what this very rule finds bad there too: slow answers are ok readings
        self._graph = evidence.graph
        self._now = now
        self.findings = {target: self._finding(target, own) for target, own in _by_target(alerts).items()}
        spread = [f for f in self.findings.values() if not f.elsewhere_ok and not f.passing and f.target in self._graph]
        self._down = {f.target: f for f in spread if f.effect is Effect.DOWN}
        self._bad = {f.target: f for f in spread}
        self._by_down = Explanation(self._graph, self._down)
        self._by_bad = Explanation(self._graph, self._bad)

    def groups(self) -> list[Group]:
        """Findings under their roots; unseen common causes last, because they need the rest explained."""
        roots: dict[str, list[tuple[Finding, tuple[str, ...]]]] = {}
        local: list[Group] = []
        for finding in self.findings.values():
            if finding.elsewhere_ok:
                local.append(self._local(finding))
                continue
            root, others = self._root(finding)
            roots.setdefault(root, []).append((finding, others))
        return [*self._with_peers(list(self._inferred(roots))), *local]

    def _finding(self, target: str, alerts: Sequence[Alert]) -> Finding:
        down = [alert for alert in alerts if alert.effect is Effect.DOWN]
        judged = down or list(alerts)
        since = min(alert.bad_since for alert in judged)
        vantages = tuple(dict.fromkeys(alert.key.vantage for alert in judged))
        elsewhere_ok = all(self._elsewhere_ok(alert) for alert in judged)
        slow = [alert for alert in alerts if alert.effect is Effect.DEGRADED] if down and elsewhere_ok else []
        return Finding(
            target=target,
            alerts=tuple(alerts),
            effect=Effect.DOWN if down else Effect.DEGRADED,
            since=since,
            vantages=vantages,
            elsewhere_ok=elsewhere_ok,
            passing=self._evidence.passing_kind(target) and self._evidence.passes(target, since, self._now),
            slow_too=not all(self._elsewhere_ok(alert) for alert in slow),
        )

    def _elsewhere_ok(self, alert: Alert) -> bool:
        """Somebody else has seen the same thing working since this began."""
        key, since = alert.key, alert.bad_since
        if alert.reason is Reason.SILENT:
            return self._evidence.ok_since(key.target, since, self._now)
        own = self._evidence.latest.get(_series(alert))
        looked_at = own.started if own is not None else since
        # what others saw does not age faster than what speaks against it
        at = min(self._now, own.started + own.took) if own is not None else self._now
        for other in self._evidence.same_check_ok(_series(alert), since, at):
            # one that has only just recovered says nothing until we have looked again ourselves
            if looked_at > self._cleared.get(other, float("-inf")) and (key.rule, other) not in self._doubted:
                return True
        check = self._evidence.index.check(key.target, key.check)
        is_ping = check is not None and check.kind == "icmp"
        return is_ping and any(self._evidence.heard_since(a.id, since) for a in self._evidence.agents_on(key.target))

    def _root(self, finding: Finding) -> tuple[str, tuple[str, ...]]:
        """The failing thing that explains this one (itself, if none does), and the other candidates."""
        if finding.target not in self._graph:
            return finding.target, ()
        explanation = self._by_down if finding.effect is Effect.DOWN else self._by_bad
        culprits = set(explanation.culprits(finding.target)) or self._way_there(finding, explanation)
        culprits.discard(finding.target)
        if not culprits:
            return finding.target, ()
        ranked = sorted(culprits, key=lambda id_: self._rank(id_, finding))
        return ranked[0], tuple(ranked[1:])

    def _way_there(self, finding: Finding, explanation: Explanation) -> set[str]:
        """What fails on the way from every looker: then nothing is known of the target itself."""
        common: set[str] | None = None
        for vantage in finding.vantages:
            host = self._evidence.host(vantage)
            if host is None or host == finding.target or finding.target in self._graph.requires(host):
                return set()
            mine = set(explanation.culprits(host)) or ({host} & set(self._down))
            common = mine if common is None else common & mine
        return common or set()

    def _rank(self, id_: str, finding: Finding) -> tuple[bool, bool, float, str]:
        """Failed about then, alone enough to explain it, closest in time, by name."""
        apart = abs(self._bad[id_].since - finding.since)
        return apart > _ABOUT_THEN_S, id_ not in self._graph.strict(finding.target), apart, id_

    def _local(self, finding: Finding) -> Group:
        """Seen failing from some vantage points while others see it ok."""
        hosts = [self._evidence.host(vantage) for vantage in finding.vantages]
        areas = frozenset(a for v in finding.vantages if (a := self._evidence.estate.vantage_area(v)) is not None)
        shared = self._shared_by(finding, [host for host in hosts if host is not None and host != finding.target])
        if shared is None:
            root = _root_of(finding, finding.target, confidence=0.6)
            return Group(IncidentKind.INCIDENT, root, _members([finding], finding.target), (finding.target,), areas)
        unseen = shared not in self._bad
        root = Root(shared, "", INFERRED, 0.5) if unseen else _root_of(self._bad[shared], shared, confidence=0.8)
        return Group(IncidentKind.INCIDENT, root, _members([finding], shared), (finding.target,), areas)

    def _shared_by(self, finding: Finding, hosts: Sequence[str]) -> str | None:
        """What the failing vantage points have in common and nobody has seen working: failing, or not looked at."""
        if not hosts:
            return None
        ways = [self._graph.strict(host) | {host} for host in hosts]
        common = frozenset.intersection(*ways) - set(self._graph.strict(finding.target)) - {finding.target}
        failing = sorted(common & set(self._down), key=lambda id_: self._rank(id_, finding))
        if failing:
            return failing[0]
        return self._unseen(sorted(common), finding.since) if len(hosts) >= 2 else None

    def _unseen(self, candidates: Iterable[str], since: float) -> str | None:
        """The nearest candidate that nobody has seen working since then."""
        open_ = [id_ for id_ in candidates if self._may_be_down(id_, since)]
        return min(open_, key=lambda id_: (len(self._graph.descendants(id_)), id_), default=None)

    def _may_be_down(self, id_: str, since: float) -> bool:
        return (
            id_ in self._evidence.estate.targets
            and not self._evidence.ok_since(id_, since, self._now)
            and not self._evidence.passes(id_, since, self._now)
        )

    def _inferred(self, roots: dict[str, list[tuple[Finding, tuple[str, ...]]]]) -> Iterator[Group]:
        """Groups; those whose roots share an unseen need that explains two or more become one."""
        left = dict(sorted(roots.items()))
        while (found := self._common_cause(left)) is not None:
            cause, explained, alternatives = found
            findings = [finding for root in explained for finding, _ in left.pop(root)]
            confidence = min(0.85, 0.55 + 0.05 * len(findings))
            root = Root(cause, "", INFERRED, confidence, alternatives)
            yield Group(IncidentKind.INCIDENT, root, _members(findings, cause), (cause,))
        for root_id, entries in left.items():
            yield self._group(root_id, entries)

    def _with_peers(self, groups: list[Group]) -> Iterator[Group]:
        """Devices of one kind that leave one area together are one thing, whatever took them."""
        apart: dict[tuple[str, str], list[Group]] = {}
        for group in groups:
            target = self._evidence.estate.targets.get(group.root.target)
            alone = target is not None and group.root.reason != INFERRED and len(group.nodes) == 1
            if alone and target is not None and target.area and self._evidence.end_device(target.id):
                apart.setdefault((target.area, target.kind), []).append(group)
            else:
                yield group
        for own in apart.values():
            newest = max(group.since for group in own)
            together = [group for group in own if newest - group.since <= TOGETHER_S]
            yield from (group for group in own if group not in together)
            yield from [_as_peers(together)] if len(together) >= _PEERS else together

    def _common_cause(
        self, roots: Mapping[str, Sequence[tuple[Finding, tuple[str, ...]]]]
    ) -> tuple[str, list[str], tuple[str, ...]] | None:
        """The unseen need that explains most roots; the nearest, then the first by name."""
        covered: dict[str, list[str]] = {}
        for root in roots:
            for id_ in sorted(self._causes(root)):
                covered.setdefault(id_, []).append(root)
        ranked: list[tuple[int, int, str, list[str]]] = []
        for id_, explained in covered.items():
            together = self._together(explained)
            targets = {finding.target for root in together for finding, _ in roots[root]}
            if len(together) >= 2 and len(targets) >= 2 and self._may_be_down(id_, self._began(together)):
                ranked.append((-len(together), len(self._graph.descendants(id_)), id_, together))
        if not ranked:
            return None
        ranked.sort(key=lambda one: one[:3])
        best = ranked[0]
        same = tuple(one[2] for one in ranked[1:4] if one[3] == best[3])
        return best[2], best[3], same

    def _causes(self, root: str) -> frozenset[str]:
        """What could have taken this root down, unseen."""
        finding = self.findings.get(root)
        if finding is None or root not in self._graph or finding.passing:
            return frozenset()
        ways = [
            self._graph.strict(host) | {host}
            for vantage in finding.vantages
            if vantage in self._evidence.estate.agents
            and (host := self._evidence.host(vantage)) is not None
            and self._evidence.estate.vantage_area(vantage) is not None
            and host != root
        ]
        looking = frozenset.intersection(*ways) if ways and len(ways) == len(finding.vantages) else frozenset()
        return (self._graph.strict(root) | looking) - {root}

    def _together(self, roots: Sequence[str]) -> list[str]:
        """Those that failed within a short time of the newest of them."""
        newest = max(self.findings[root].since for root in roots)
        return [root for root in roots if newest - self.findings[root].since <= TOGETHER_S]

    def _began(self, roots: Sequence[str]) -> float:
        return min(self.findings[root].since for root in roots)

    def _group(self, root_id: str, entries: Sequence[tuple[Finding, tuple[str, ...]]]) -> Group:
        findings = [finding for finding, _ in entries]
        alternatives = tuple(dict.fromkeys(id_ for _, others in entries for id_ in others))
        own = self.findings[root_id]
        confidence = 0.5 if alternatives else 0.97 if len(findings) > 1 else 0.9
        root = _root_of(own, root_id, confidence=confidence, alternatives=alternatives)
        nodes = () if own.passing else (root_id,)
        return Group(IncidentKind.INCIDENT, root, _members(findings, root_id), nodes)


def _series(alert: Alert) -> Series:
    return (alert.key.target, alert.key.check, alert.key.vantage)


def _as_peers(groups: Sequence[Group]) -> Group:
    first = min(groups, key=lambda group: (group.since, group.root.target))
    members = tuple(sorted((pair for group in groups for pair in group.members), key=lambda pair: pair[0].key))
    nodes = tuple(sorted({id_ for group in groups for id_ in group.nodes}))
    return replace(first, members=members, nodes=nodes, peers=True, root=replace(first.root, confidence=0.5))


def _by_target(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.key.target, []).append(alert)
    return found


def _root_of(finding: Finding, target: str, *, confidence: float, alternatives: tuple[str, ...] = ()) -> Root:
    """The root with the check and reason of its first alert."""
    judged = [alert for alert in finding.alerts if alert.effect is finding.effect]
    first = min(judged, key=lambda alert: (alert.bad_since, alert.key))
    reason = first.reason.value if first.reason else first.effect.value
    return Root(target, first.key.check, reason, confidence, alternatives)


def _members(findings: Iterable[Finding], root: str) -> tuple[tuple[Alert, str | None], ...]:
    pairs = [(a, root if a.key.target != root else None) for finding in findings for a in finding.alerts]
    return tuple(sorted(pairs, key=lambda pair: pair[0].key))


def _blind_group(view: Alert, held: Sequence[Alert]) -> Group:
    reason = view.reason.value if view.reason else "blind"
    root = Root(view.key.target, view.key.check, reason, 0.9)
    members = [(view, None), *((alert, view.key.target) for alert in held)]
    return Group(IncidentKind.BLIND, root, tuple(sorted(members, key=lambda pair: pair[0].key)))


def _in_any(groups: Iterable[Group], alert: Alert) -> bool:
    return any(alert is member for group in groups for member, _ in group.members)


def _come_true(groups: Sequence[Group], warnings: Sequence[Alert]) -> list[Group]:
    """The warning that a certificate would end belongs to the outage once it has."""
    after: list[Group] = []
    for group in groups:
        ended = {alert.key.target for alert, _ in group.members if alert.reason is Reason.CERT_EXPIRED}
        warned = [w for w in warnings if w.key.target in ended and w.effect is Effect.WARNING and _of_expiry(w)]
        root = group.root.target
        pairs = [(w, root if w.key.target != root else None) for w in warned]
        members = tuple(sorted((*group.members, *pairs), key=lambda pair: pair[0].key))
        after.append(replace(group, members=members) if pairs else group)
    return after


def _of_expiry(alert: Alert) -> bool:
    """It foretold an end that has passed, or is of the reading that says so."""
    return alert.reason is Reason.CERT_EXPIRED or (alert.value is not None and alert.value <= 0)


def _warnings(alerts: Iterable[Alert]) -> list[Group]:
    """One early warning per target and rule."""
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.key.target, alert.key.rule), []).append(alert)
    return [
        Group(
            IncidentKind.EARLY_WARNING,
            Root(target, own[0].key.check, own[0].key.rule, 0.9),
            tuple((alert, None) for alert in own),
            (target,),
        )
        for (target, _), own in sorted(found.items())
    ]


def _joined(groups: Iterable[Group]) -> list[Group]:
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
        members=tuple(sorted((*first.members, *second.members), key=lambda pair: pair[0].key)),
        nodes=tuple(dict.fromkeys((*first.nodes, *second.nodes))),
        peers=first.peers or second.peers,
        faded=first.faded and second.faded,
        areas=None if first.areas is None or second.areas is None else first.areas | second.areas,
    )


def _faded(group: Group, evidence: Evidence, now: float) -> bool:
    """Whether all of it was seen working again and then not looked at any more."""
    for alert, _ in group.members:
        newest = evidence.latest.get(_series(alert))
        if alert.phase is not Phase.CLEARING or newest is None or evidence.fresh(newest, now):
            return False
    return True


def _troubles(groups: Sequence[Group], findings: Mapping[str, Finding]) -> Troubles:
    """What the groups say does not work. A thing behind another is lost by the graph, not by itself."""
    troubles = Troubles()
    for group in groups:
        for id_ in () if group.faded else group.nodes:
            own = findings.get(id_)
            degraded = own is not None and own.effect is Effect.DEGRADED
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
