"""From firing alerts to groups with one root each: what explains what, and what nobody has seen working."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest

from healthmon.alerting.incidents.blind import BLIND_RULE, holds_back
from healthmon.alerting.incidents.evidence import LOOK_S, Evidence
from healthmon.alerting.incidents.findings import Findings, bad
from healthmon.alerting.incidents.groups import (
    INFERRED,
    TOGETHER_S,
    Finding,
    Group,
    Picture,
    blind_group,
    come_true,
    faded,
    in_any,
    joined,
    members_of,
    root_of,
    series_of,
    troubles_of,
    warning_groups,
)
from healthmon.alerting.incidents.masses import Sides, with_lost
from healthmon.alerting.incidents.reach import Series
from healthmon.alerting.incidents.spares import proven
from healthmon.alerting.incidents.suspects import reconsidered
from healthmon.alerting.incidents.together import gathered
from healthmon.impact.graph import Explanation
from healthmon.model.alert import Alert, AlertKey, Effect, Phase, by_key
from healthmon.model.incident import IncidentKind, Root

#: A parent that failed about when its child did.
_ABOUT_THEN_S = 120.0
#: So many that look unwell behind a thing that is known to be unwell need no confirmation each.
_WITNESSES = 2
#: A core that answers pings badly, with one bad printer among hundreds behind it, has not slowed the hospital down.
_FELT = 0.25
_HARD = (Effect.DOWN, Effect.DEGRADED)


def correlate(
    alerts: Mapping[AlertKey, Alert],
    evidence: Evidence,
    now: float,
    *,
    cleared: Mapping[Series, float] | None = None,
    sides: Sides | None = None,
    before: Picture | None = None,
) -> Picture:
    """Every active alert in exactly one group, in a stable order.

    cleared: who recovered lately, and when; sides: who is lost and who is not, by the alert about many of them;
    before: the last picture, of which is taken over what has not changed.
    """
    active = sorted((alert for alert in alerts.values() if alert.active), key=by_key)
    blind = [alert for alert in active if alert.key.rule == BLIND_RULE]
    held = {alert.key: view for alert in active for view in blind if holds_back(view, alert, evidence, now=now)}
    groups = [blind_group(view, [a for a in active if held.get(a.key) is view]) for view in blind]
    rest = [a for a in active if a.key not in held and a.key.rule != BLIND_RULE]
    hard = [alert for alert in rest if alert.effect in _HARD]
    known = before.steady if before is not None else {}
    findings = Findings(evidence, now, alerts, cleared=cleared or {}, before=known)
    pending = frozenset(a.key.target for a in alerts.values() if a.phase is Phase.PENDING and a.effect in _HARD)
    run = _Run(evidence, now, findings.of(hard), pending)
    warnings = [alert for alert in rest if alert.effect not in _HARD]
    found = with_lost(reconsidered(run.groups(), warnings, evidence, now), evidence, sides, now)
    hard_groups = [replace(group, faded=faded(group, evidence, now)) for group in found]
    groups += hard_groups
    groups = come_true(groups, warnings)
    groups += warning_groups([a for a in warnings if not in_any(groups, a)], evidence.index.rules)
    troubles = troubles_of(hard_groups, run.findings)
    troubles.slow_series = frozenset(series_of(a) for a in alerts.values() if a.effect is Effect.DEGRADED and bad(a))
    return Picture(tuple(joined(groups)), troubles, findings.steady)


class _Run:
    """One correlation of the hard alerts (down and degraded)."""

    def __init__(
        self, evidence: Evidence, now: float, findings: dict[str, Finding], pending: frozenset[str] = frozenset()
    ) -> None:
        self._evidence = evidence
        self._pending = pending  # what looks unwell and is not confirmed yet
        self._graph = evidence.graph
        self._now = now
        self.findings = findings
        for id_ in proven(self.findings, evidence, now):
            self.findings[id_] = replace(self.findings[id_], passing=True)
        self.findings.update({f.target: replace(f, passing=False) for f in self._lossy()})
        spread = [f for f in self.findings.values() if not f.elsewhere_ok and not f.passing and f.target in self._graph]
        self._down = {f.target: f for f in spread if f.effect is Effect.DOWN}
        self._bad = {f.target: f for f in spread}
        self._by_down = Explanation(self._graph, self._down)
        same = len(self._bad) == len(self._down)
        self._by_bad = self._by_down if same else Explanation(self._graph, self._bad)

    def _lossy(self) -> list[Finding]:
        """What passes traffic on, badly: what is behind it feels that, so `it passes` is no excuse."""
        passing = [one for one in self.findings.values() if one.passing and one.effect is Effect.DEGRADED]
        return [one for one in passing if one.target in self._graph and self._felt(one.target, one.since)]

    def _felt(self, id_: str, since: float) -> bool:
        """Behind it one thing is confirmed to be unwell or two look so, a share of what was looked at since."""
        unwell = [one for one in {*self.findings, *self._pending} if self._hangs_on(one, id_)]
        if not any(one in self.findings for one in unwell) and len(unwell) < _WITNESSES:
            return False
        looked_at = (one for one in self._graph.descendants(id_) if self._evidence.looked_since(one, since))
        behind = {one for one in looked_at if self._hangs_on(one, id_)} | set(unwell)
        return len(unwell) >= _FELT * len(behind)

    def _hangs_on(self, id_: str, other: str) -> bool:
        return id_ in self._graph and other in self._graph.strict(id_)

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
        return [*gathered(list(self._inferred(roots)), self._evidence, self._now), *local]

    def _root(self, finding: Finding) -> tuple[str, tuple[str, ...]]:
        """The failing thing that explains this one (itself, if none does), and the other candidates."""
        if finding.target not in self._graph:
            return finding.target, ()
        explanation = self._by_down if finding.effect is Effect.DOWN else self._by_bad
        culprits = set(explanation.culprits(finding.target)) or self._way_there(finding, explanation)
        culprits.discard(finding.target)
        if len(culprits) < 2:
            return next(iter(culprits), finding.target), ()
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
        return {id_ for id_ in common or () if not self._came_after(id_, finding)}

    def _came_after(self, id_: str, finding: Finding) -> bool:
        """It was still seen well after the other had failed: more than a round of looks lies between."""
        other = self._bad[id_]
        rounds = [self._evidence.index.every_s(id_, alert.key.check) for alert in other.alerts]
        return other.since - finding.since > max(rounds, default=0.0) + LOOK_S

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
            root = root_of(finding, finding.target, confidence=0.6)
            return Group(IncidentKind.INCIDENT, root, members_of([finding], finding.target), (finding.target,), areas)
        unseen = shared not in self._bad
        root = Root(shared, "", INFERRED, 0.5) if unseen else root_of(self._bad[shared], shared, confidence=0.8)
        return Group(IncidentKind.INCIDENT, root, members_of([finding], shared), (finding.target,), areas)

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
        """Groups; those whose roots share an unseen need that explains two or more become one.

        Each cause is judged again only when a root that it explains has gone: with 10,000 agents silent behind 200
        switches, judging all of them after each group took tens of seconds of every second.
        """
        left = dict(sorted(roots.items()))
        causes = {root: self._causes(root) for root in left}
        covered: dict[str, list[str]] = {}
        for root in left:
            for id_ in sorted(causes[root]):
                covered.setdefault(id_, []).append(root)
        ranked = {id_: rank for id_ in covered if (rank := self._explains(id_, covered[id_], left)) is not None}
        while ranked:
            best, *others = nsmallest(4, ranked.values(), key=lambda one: one[:3])
            alternatives = tuple(one[2] for one in others if one[3] == best[3])
            cause, explained = best[2], best[3]
            findings = [finding for root in explained for finding, _ in left.pop(root)]
            for id_ in frozenset().union(*(causes[root] for root in explained)):
                ranked.pop(id_, None)
                covered[id_] = [root for root in covered[id_] if root in left]
                if (rank := self._explains(id_, covered[id_], left)) is not None:
                    ranked[id_] = rank
            confidence = min(0.85, 0.55 + 0.05 * len(findings))
            inferred = Root(cause, "", INFERRED, confidence, alternatives)
            yield Group(IncidentKind.INCIDENT, inferred, members_of(findings, cause), (cause,))
        for root_id, entries in left.items():
            yield self._group(root_id, entries)

    def _explains(
        self, id_: str, explained: Sequence[str], roots: Mapping[str, Sequence[tuple[Finding, tuple[str, ...]]]]
    ) -> tuple[int, int, str, list[str]] | None:
        """The unseen need that explains most roots comes first; the nearest, then the first by name."""
        if len(explained) < 2:
            return None
        together = self._together(explained)
        targets = {finding.target for root in together for finding, _ in roots[root]}
        if len(together) >= 2 and len(targets) >= 2 and self._may_be_down(id_, self._began(together)):
            return (-len(together), len(self._graph.descendants(id_)), id_, together)
        return None

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
        root = root_of(own, root_id, confidence=confidence, alternatives=alternatives)
        nodes = () if own.passing else (root_id,)
        return Group(IncidentKind.INCIDENT, root, members_of(findings, root_id), nodes)
