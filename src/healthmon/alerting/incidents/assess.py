"""One incident's groups, weighed: the root, the lines, the severity and the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.alerting.detect.figures import figures
from healthmon.alerting.incidents.bedside import Bedside
from healthmon.alerting.incidents.blind import BLIND_RULE
from healthmon.alerting.incidents.groups import INFERRED, Group
from healthmon.alerting.incidents.harm import Assessor, Line, Losses, PathCache, lines_at_stake, lines_of, spares_gone
from healthmon.alerting.incidents.standins import Standins
from healthmon.alerting.incidents.supplier import at_fault
from healthmon.alerting.incidents.text import Story, Texts
from healthmon.impact.refuge import Nearest, nearest, pc_ready
from healthmon.impact.severity import Harm, Score, Situation, score
from healthmon.model.alert import Alert, AlertKey, Effect, Rule
from healthmon.model.incident import ImpactLine, Incident, IncidentKind, Root, ServiceState
from healthmon.model.sample import Reading

_KIND_RANK = (IncidentKind.BLIND, IncidentKind.INCIDENT, IncidentKind.EARLY_WARNING)
#: Downtime PCs are looked up for so many areas; a text names no more.
_DOWNTIME_MOST = 12


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one incident now."""

    kind: IncidentKind
    root: Root
    lines: tuple[ImpactLine, ...]
    impact_known: str
    score: Score
    title: str
    plain_text: str
    team: str | None
    runbook: str = ""
    first_steps: tuple[str, ...] = ()


@dataclass(slots=True)
class Weighing:
    """Assesses incidents of one step, all under the same troubles. `groups`: all that fails, of every incident."""

    assessor: Assessor
    losses: Losses
    cache: PathCache
    rules: Mapping[str, Rule]
    texts: Texts
    now: float
    groups: Sequence[Group] = ()
    bedside: Bedside = field(init=False)
    standins: Standins = field(init=False)

    def __post_init__(self) -> None:
        self.bedside = Bedside(self.assessor, self.losses, self.groups)
        self.standins = Standins(self.assessor.evidence.graph, self.rules, self.groups, self.losses.down)

    def assess(self, groups: Sequence[Group], before: Incident | None) -> Assessment:
        """The incident that these groups make, `before` being what was said of it last."""
        lead = self._lead(groups, before)
        root = replace(lead.root, supplier=at_fault(lead, self.assessor.evidence, self.now))
        lines = self._lines(lead.kind, groups)
        since = min(group.since for group in groups)
        known = before.impact if before else ()
        impact = self.assessor.impact_lines(lines, self.losses, before=known, since=since, now=self.now)
        mapped = self._mapped(groups)
        gone = self._spares_gone(lead.kind, groups, lines)
        story = Story(
            kind=lead.kind,
            root=root,
            cause=self._whole_cause(lead),
            lines=impact,
            impact_known=mapped,
            since=since,
            answers=self._answers(lead),
            passing=not lead.nodes and lead.kind is IncidentKind.INCIDENT,
            from_areas=tuple(sorted(lead.areas)) if lead.areas is not None else None,
            spares_gone=gone,
            downtime=self._downtime(impact),
            unrestorable=self.standins.unrestorable(groups),
            spares_down=self._spares_down(lead.kind, groups),
        )
        guide = self._guide(lead)
        return Assessment(
            kind=lead.kind,
            root=root,
            lines=impact,
            impact_known=mapped,
            score=self._score(groups, story),
            title=self.texts.title(story),
            plain_text=self.texts.plain(story),
            team=self._team(lead),
            runbook=guide.runbook if guide else "",
            first_steps=guide.first_steps if guide else (),
        )

    def _lead(self, groups: Sequence[Group], before: Incident | None) -> Group:
        """The group that names the incident: the most members, then the one that named it before."""
        last = before.root.target if before and before.root else None
        return min(
            groups,
            key=lambda g: (
                _KIND_RANK.index(g.kind),
                -len(g.members),
                g.root.target != last,
                g.since,
                g.root.target,
            ),
        )

    def _downtime(self, impact: Sequence[ImpactLine]) -> tuple[Nearest, ...]:
        """Where the areas that lost something can go on; only what was seen ready."""
        evidence = self.assessor.evidence
        known: dict[str, bool] = {}

        def ready(pc: str) -> bool:
            if pc not in known:
                known[pc] = pc_ready(evidence.estate, pc, self._counting)
            return known[pc]

        lost = dict.fromkeys(line.area for line in impact if line.state is ServiceState.LOST)
        areas = [area for area in lost if area in evidence.estate.areas][:_DOWNTIME_MOST]
        found = (nearest(evidence.estate, area, ready) for area in areas)
        return tuple(one for one in found if one is not None)

    def _counting(self, target: str) -> list[Reading]:
        evidence = self.assessor.evidence
        return [one for one in evidence.of_target(target) if evidence.counts(one, self.now)]

    def _lines(self, kind: IncidentKind, groups: Sequence[Group]) -> dict[Line, ServiceState]:
        graph = self.assessor.evidence.graph
        if kind is IncidentKind.BLIND:
            return self._unseen_lines(groups)
        hard = [group for group in groups if group.kind is IncidentKind.INCIDENT]
        lines = lines_of(hard, self.losses, graph)
        if not hard:
            nodes = [id_ for group in groups for id_ in group.nodes]
            lines = self._at_stake(nodes)
        return lines

    def _at_stake(self, nodes: Sequence[str]) -> dict[Line, ServiceState]:
        """What a warning is about; where a spare is down already, also what only the two together would lose."""
        evidence, cache, now = self.assessor.evidence, self.cache, self.now
        lines = lines_at_stake(nodes, evidence, cache, now)
        spares = self.standins.spares_down(nodes)
        both = lines_at_stake([*nodes, *sorted(spares)], evidence, cache, now) if spares else {}
        return lines | {line: at for line, at in both.items() if self.losses.state(line) is not ServiceState.LOST}

    def _spares_down(self, kind: IncidentKind, groups: Sequence[Group]) -> tuple[str, ...]:
        if kind is not IncidentKind.EARLY_WARNING:
            return ()
        return tuple(sorted(self.standins.spares_down(id_ for group in groups for id_ in group.nodes)))

    def _unseen_lines(self, groups: Sequence[Group]) -> dict[Line, ServiceState]:
        """What only the cut-off looker could see, and what is not known to be lost anyway."""
        evidence = self.assessor.evidence
        lookers = {a.key.vantage for g in groups for a, _ in g.members if a.key.rule == BLIND_RULE}
        unseen = {
            reading.target
            for looker in sorted(lookers)
            for reading in evidence.of_vantage(looker)
            if reading.target != evidence.host(looker)
            and not any(evidence.counts(other, self.now) for other in evidence.of_target(reading.target))
        }
        touched = sorted({line for id_ in unseen for line in evidence.graph.lines_behind(id_)})
        return {line: ServiceState.UNKNOWN for line in touched if self.losses.state(line) is not ServiceState.LOST}

    def _mapped(self, groups: Sequence[Group]) -> str:
        """full, partial or none: how much of what fails has services mapped behind it.

        A root that is blamed and answers itself (a switch that powers nothing any more) is none of what fails.
        """
        graph = self.assessor.evidence.graph
        nodes = {id_ for group in groups for id_ in (group.nodes or (group.root.target,))}
        mapped = sum(bool(graph.lines_behind(id_)) for id_ in nodes if id_ in graph)
        if groups[0].kind is IncidentKind.BLIND:
            return "partial" if self._unseen_lines(groups) else "none"
        return "none" if mapped == 0 else "full" if mapped == len(nodes) else "partial"

    def _score(self, groups: Sequence[Group], story: Story) -> Score:
        assessor, kind, impact = self.assessor, story.kind, story.lines
        warning = kind is IncidentKind.EARLY_WARNING
        harms = assessor.harms(impact, self.now, as_state=ServiceState.LOST if warning else None)
        alerts = [alert for group in groups for alert, _ in group.members]
        devices = self.bedside.devices(alerts, () if warning else groups)
        only_devices = not warning and self._only_devices(groups)
        situation = Situation(
            harms=(*harms, *self.bedside.harms(devices, self.now), *self._on_one_leg(story.spares_gone)),
            kind=kind,
            due_in_s=self._due_in(alerts) if warning else None,
            mapped=story.impact_known != "none" or only_devices,
            silent_behind=len({a.key.target for g in groups for a, behind in g.members if behind and _gone(a)}),
            single_device=not impact and bool(devices) and only_devices,
            staffed=any(assessor.staffed(area, self.now) for area in devices) if devices else True,
            sees_critical=any(line.area in assessor.hospital.critical for line in impact),
            uncorroborated=all(self._certainty(alert) == "threshold" for alert in alerts),
            info=all(alert.effect is Effect.INFO for alert in alerts),
            spare_unhealthy=bool(story.unrestorable or story.spares_down),
        )
        return score(assessor.table, assessor.hospital_now(self.now), situation)

    def _spares_gone(
        self, kind: IncidentKind, groups: Sequence[Group], lines: Mapping[Line, ServiceState]
    ) -> dict[Line, frozenset[str]]:
        if kind is not IncidentKind.INCIDENT:
            return {}
        hard = [group for group in groups if group.kind is IncidentKind.INCIDENT]
        return spares_gone(hard, self.losses, self.cache, lines)

    def _on_one_leg(self, gone: Mapping[Line, frozenset[str]]) -> list[Harm]:
        """A lost spare weighs like `at risk`, though the line had other single points by design."""
        services = self.assessor.evidence.estate.services
        return [
            Harm(
                area,
                service,
                ServiceState.AT_RISK,
                services[service].tier,
                self.assessor.staffed(area, self.now),
            )
            for area, service in gone
        ]

    def _only_devices(self, groups: Sequence[Group]) -> bool:
        """Nothing but end devices fails by itself; of many that are silent at one place, these are what fails."""
        evidence = self.assessor.evidence
        targets = evidence.estate.targets
        own = ([g.root.target] if g.root.target in targets else [n for n in g.nodes if n in targets] for g in groups)
        return all(ids and all(map(evidence.end_device, ids)) for ids in own)

    def _due_in(self, alerts: Sequence[Alert]) -> float | None:
        """Seconds until a warning comes true: known for deterministic ends, unknown for thresholds."""
        known = [
            alert.value
            for alert in alerts
            if alert.value is not None and self._certainty(alert) == "deterministic" and self._in_seconds(alert)
        ]
        if known:
            return min(known)
        return None if any(self._certainty(alert) == "symptom" for alert in alerts) else float("inf")

    def _in_seconds(self, alert: Alert) -> bool:
        rule = self.rules.get(alert.key.rule)
        return rule is not None and any(metric.endswith("_seconds") for metric in metrics_of(rule))

    def _certainty(self, alert: Alert) -> str:
        rule = self.rules.get(alert.key.rule)
        return rule.certainty if rule else "symptom"

    def _whole_cause(self, lead: Group) -> str:
        """The cause; of a device, also that the others of its kind there had gone before it."""
        cause = self._cause(lead)
        if lead.kind is not IncidentKind.INCIDENT or not self.assessor.evidence.end_device(lead.root.target):
            return cause
        devices = self.bedside.devices([alert for alert, _ in lead.members], ())
        for area, kind, toll in self.bedside.tolls(devices):
            if toll.last:
                where = self.texts.areas([area])
                return self.texts.say("cause_last", cause=cause, total=len(toll.peers), kind=kind, area=where)
        return cause

    def _cause(self, lead: Group) -> str:
        """The summary of the rule that speaks about the root."""
        if lead.in_common:
            return self._cause_in_common(lead)
        if lead.peers:
            return self._cause_of_peers(lead)
        if self._answers(lead):
            count = len({alert.key.target for alert, _ in lead.members})
            return self.texts.say("cause_behind", target=self.texts.name(lead.root.target), count=count)
        own = [alert for alert, _ in lead.members if alert.key.target == lead.root.target]
        if not own or lead.root.reason == INFERRED:
            return self.texts.say("cause_default", target=self.texts.name(lead.root.target), reason=lead.root.reason)
        first = min(own, key=_speaks_first)
        rule = self.rules.get(first.key.rule)
        values = {
            "target": self.texts.name(first.key.target),
            "check": first.key.check,
            "vantage": first.key.vantage,
            "reason": _words(first),
            **figures(first.value),
            "detail": first.detail,
            **dict(first.key.labels),
        }
        return self.texts.fill(rule.summary, values) if rule else self.texts.say("cause_default", **values)

    def _guide(self, lead: Group) -> Rule | None:
        """The rule whose runbook is handed out: that of the root, else of what failed first."""
        members = [alert for alert, _ in lead.members]
        own = [alert for alert in members if alert.key.target == lead.root.target] or members
        return self.rules.get(min(own, key=_speaks_first).key.rule)

    def _cause_of_peers(self, lead: Group) -> str:
        """Several devices of a kind in one area, and nothing they share is known to fail."""
        target = self.assessor.evidence.estate.targets[lead.root.target]
        area = target.area or ""
        failing = {alert.key.target for alert, _ in lead.members}
        peers = [id_ for id_ in self.assessor.peers(area, target.kind) if self.assessor.evidence.watched(id_)]
        where = self.texts.areas([area])
        cause = self.texts.say(
            "cause_peers", count=len(failing), total=len(peers), kind=target.kind, area=where, reason=lead.root.reason
        )
        hints = self.assessor.evidence.fates.hints(failing, self.now)
        shared = ", ".join(f"{self.texts.label(name)} {value} ({n} of {of})" for name, value, n, of in hints)
        return self.texts.say("cause_peers_share", cause=cause, shared=shared) if shared else cause

    def _answers(self, lead: Group) -> bool:
        """The root is blamed for what hangs on it while its own looks find it there."""
        inferred = lead.root.reason == INFERRED and not lead.in_common
        return inferred and self.assessor.evidence.ok_since(lead.root.target, lead.since, self.now)

    def _cause_in_common(self, lead: Group) -> str:
        """Things that went at once share what is said here; how many with the same are well belongs to it."""
        fate, reason = lead.in_common[0], lead.root.reason
        shared = (f"{self.texts.label(one.attribute)} {self.texts.name(one.value)}" for one in lead.in_common[:3])
        return self.texts.say(
            "cause_in_common",
            count=len(fate.broken),
            reason="nobody looks at that directly" if reason == INFERRED else reason.replace("_", " "),
            common=" or ".join(shared),
            healthy=fate.healthy_count,
        )

    def _team(self, lead: Group) -> str | None:
        """The team of the root, else of a service that needs it."""
        estate, root = self.assessor.evidence.estate, lead.root.target
        target = estate.targets.get(root)
        if target is not None and target.team:
            return target.team
        graph = self.assessor.evidence.graph
        users = sorted({service for _, service in graph.lines_behind(root)} if root in graph else set())
        named = [estate.services[id_] for id_ in users if estate.services[id_].team]
        return min(named, key=lambda service: (service.tier, service.id)).team if named else None


def _gone(alert: Alert) -> bool:
    """Not merely slow or lossy."""
    return alert.effect is Effect.DOWN


def _speaks_first(alert: Alert) -> tuple[bool, float, AlertKey]:
    return (alert.effect is not Effect.DOWN, alert.bad_since, alert.key)


def _words(alert: Alert) -> str:
    return alert.reason.value.replace("_", " ") if alert.reason else alert.effect.value
