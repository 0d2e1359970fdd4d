"""Why a rule pages nobody about a target: every gate on the way from a reading to a page, in its order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.alerting.detect.figures import span_text
from healthmon.alerting.detect.index import RuleIndex
from healthmon.app.conditionwords import asked, number
from healthmon.app.groupgate import Circle, Sides, circle_of
from healthmon.config import SiteConfig
from healthmon.config.problems import did_you_mean
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Alert, AlertKey, Rule
from healthmon.model.condition import Baseline, questions
from healthmon.model.errors import NotFound
from healthmon.model.incident import Incident, IncidentState, LedgerRow, Notice
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Agent, Target
from healthmon.model.view import Presence, View
from healthmon.web.presencewords import hours_words, presence_words

_ROWS_MOST = 5


@dataclass(frozen=True, slots=True)
class Gate:
    """One step on the way to a page. `open` False: here it ends; `what` is a constant word, `text` for people."""

    what: str
    open: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked about. `subject`: the name in its alerts, of a target or of a group; `target` None: a group."""

    index: RuleIndex
    rule: Rule
    subject: str
    target: Target | None
    circle: Circle | None
    checks: list[str]
    agents: list[Agent]

    def about(self, key: AlertKey) -> bool:
        return (key.rule, key.target) == (self.rule.id, self.subject)


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What is known to answer with. `notices`, `ledger`: of the incident; `sides`: who stands where in a group."""

    site: SiteConfig
    view: View
    notices: Sequence[Notice] = ()
    ledger: Sequence[LedgerRow] = ()
    sides: Sides = lambda _key: None

    def gates(self, rule_id: str, target_id: str) -> list[Gate]:
        """The gates in order, ending with the first that is shut. Raises NotFound for unknown names."""
        found: list[Gate] = []
        for gate in self._walk(self._asked(rule_id, target_id)):
            found.append(gate)
            if not gate.open:
                break
        return found

    def newest(self, rule_id: str, target_id: str, past: Iterable[Incident]) -> Incident | None:
        """The newest incident that came of it. Raises NotFound."""
        asked_for = self._asked(rule_id, target_id)
        found = (incident for incident in past if any(asked_for.about(member.key) for member in incident.members))
        return max(found, key=lambda incident: incident.opened_at, default=None)

    def before(self, rule_id: str, target_id: str, newest: Incident | None, unsaid: Iterable[LedgerRow]) -> list[Gate]:
        """What it came to before: an incident and who was told, then what no incident was made of (newest first)."""
        asked_for = self._asked(rule_id, target_id)
        loose = [row for row in unsaid if not row.incident][:_ROWS_MOST]
        said = [Gate(row.cause, False, f"{self._day(row.at)}: {row.because}") for row in loose]
        return [*(self._past(asked_for, newest) if newest else ()), *said]

    def _past(self, asked_for: _Asked, incident: Incident) -> Iterator[Gate]:
        member = max((one for one in incident.members if asked_for.about(one.key)), key=lambda one: one.since)
        ended = f" to {self._clock(member.cleared_at)}" if member.cleared_at else ""
        text = f"{self._day(member.since)}{ended} it was in incident {incident.id}, severity {incident.severity}"
        yield Gate("incident", True, f"{text}: {incident.title}")
        own = f"{asked_for.rule.id}/{asked_for.subject}/"
        held = [row for row in self.ledger if row.cause == "behind_root" and row.key.startswith(own)]
        if member.behind is not None or held:
            root = member.behind or held[0].because.removeprefix("behind ")
            yield Gate("root", False, f"it was behind {root}: no extra page")
        else:
            yield from self._telling(incident)

    def subject(self, rule_id: str, target_id: str) -> str:
        """How the keys of its alerts begin. Raises NotFound."""
        return f"{rule_id}/{self._asked(rule_id, target_id).subject}/"

    def incident(self, rule_id: str, target_id: str) -> Incident | None:
        """The open incident that the gates will speak of. Raises NotFound."""
        return self._incident(self._asked(rule_id, target_id))

    def _asked(self, rule_id: str, target_id: str) -> _Asked:
        index = RuleIndex(self.site.estate, self.site.rules)
        rule, target = index.rules.get(rule_id), self.site.estate.targets.get(target_id)
        if rule is None:
            raise NotFound(f"no rule {rule_id!r}{did_you_mean(rule_id, index.rules)}")
        circle = circle_of(rule, target, target_id, self.site.estate)
        if target is None and circle is None:
            raise NotFound(f"no target {target_id!r}{did_you_mean(target_id, self.site.estate.targets)}")
        declared = [check.id for check in target.checks] if target else []
        checks = [id_ for id_ in declared if any(bound.rule.id == rule.id for bound in index.bound(target_id, id_))]
        agents = [agent for agent in index.agents_of(rule) if target is not None and agent.target == target.id]
        return _Asked(index, rule, circle.place if circle else target_id, target, circle, checks, agents)

    def _walk(self, asked_for: _Asked) -> Iterator[Gate]:
        rule, target = asked_for.rule, asked_for.target
        yield self._selector(asked_for)
        alerts = [alert for alert in self.view.alerts if asked_for.about(alert.key)]
        if target is not None and not alerts and not rule.on.agents:
            yield self._readings(asked_for, target)
        present = self.view.presence.get(target.id) if target else None
        if rule.on.agents and present is not None:
            yield presence_gate(present, fires=bool(alerts))
        yield self._condition(asked_for, alerts)
        yield self._pending(rule, alerts)
        incident = self._incident(asked_for)
        yield self._in_incident(asked_for, incident)
        if incident is not None:
            yield from self._telling(incident)

    def _selector(self, asked_for: _Asked) -> Gate:
        rule, target = asked_for.rule, asked_for.target
        if target is None:
            return Gate("selector", True, f"{rule.id} is about many at once; {asked_for.subject} is a group of them")
        among = f", together with others in {asked_for.subject}" if asked_for.circle else ""
        if asked_for.checks or asked_for.agents:
            about = f"its checks {', '.join(asked_for.checks)}" if asked_for.checks else "the agent on it"
            return Gate("selector", True, f"{rule.id} is about {target.id}: {about}{among}")
        if rule.on.agents:
            return Gate("selector", False, f"{rule.id} asks for silent agents, and no such agent runs on {target.id}")
        wrong = list(self._mismatches(asked_for.index, rule, target))
        text = "; ".join(wrong) or f"no check of {target.id} fits all that it asks"
        return Gate("selector", False, f"{rule.id} is not about {target.id}: {text}")

    def _mismatches(self, index: RuleIndex, rule: Rule, target: Target) -> Iterator[str]:
        """Which words of the selector the target does not have."""
        on, area = rule.on, self.site.estate.areas.get(target.area or "")
        roles = {role for a in self.site.estate.agents.values() if a.target == target.id for role in a.roles}
        mine: Mapping[str, tuple[set[Any], str]] = {
            "kinds": ({target.kind}, target.kind),
            "areas": ({target.area}, target.area or "none"),
            "sites": ({target.site}, target.site),
            "targets": ({target.id}, target.id),
            "area_kinds": ({area.kind.value} if area else set(), area.kind.value if area else "none"),
            "acuities": ({area.acuity.value} if area else set(), area.acuity.value if area else "none"),
            "roles": (roles, ", ".join(sorted(roles)) or "none"),
            "probes": ({c.kind for c in target.checks}, ", ".join(c.kind for c in target.checks) or "no checks"),
            "checks": ({c.id for c in target.checks}, ", ".join(c.id for c in target.checks) or "no checks"),
        }
        for name, (has, shown) in mine.items():
            wanted = getattr(on, name)
            if wanted and not has & set(wanted):
                yield f"`on.{name}` wants {', '.join(map(str, wanted))}, it has {shown}"
        for label, value in on.labels.items():
            if target.labels.get(label) != value:
                yield f"`on.labels` wants {label}={value}, it has {target.labels.get(label, 'none')}"
        if index.places.rule_at(rule, target.id) is None:
            yield "the rule is switched off where it stands"

    def _readings(self, asked_for: _Asked, target: Target) -> Gate:
        checks = asked_for.checks
        seen = [r for (id_, check, _), r in self.view.latest.items() if id_ == target.id and check in checks]
        if not seen:
            return Gate("readings", False, f"nobody has looked at {', '.join(checks)} of {target.id} yet")
        newest = max(seen, key=lambda reading: reading.started)
        every_s = max(asked_for.index.every_s(target.id, check) for check in checks)
        age_s = self.view.at - newest.started - newest.took
        if age_s > 3.0 * every_s:
            age, every = span_text(age_s), span_text(every_s)
            text = f"the newest look is {age} old, asked for every {every}: nothing can be judged"
            return Gate("readings", False, text)
        unknown = all(reading.outcome is Outcome.UNKNOWN for reading in seen)
        text = f"looked at {span_text(max(0.0, age_s))} ago from {newest.vantage}: {_outcome(newest)}"
        return Gate("readings", not unknown, f"{text}: says nothing about the target" if unknown else text)

    def _condition(self, asked_for: _Asked, alerts: Sequence[Alert]) -> Gate:
        rule, target = asked_for.rule, asked_for.target
        if asked_for.circle is not None:
            text = asked_for.circle.said(alerts, self.sides, target, self.site.estate)
            return Gate("condition", bool(alerts), text)
        if alerts:
            return Gate("condition", True, f"the condition holds: {asked(rule.condition)}")
        now = [self._present(rule, r) for (id_, check, _), r in sorted(self.view.latest.items())
               if id_ == asked_for.subject and check in asked_for.checks]  # fmt: skip
        text = f"the condition does not hold: wants {asked(rule.condition)}"
        text += f"; now {'; '.join(dict.fromkeys(filter(None, now)))}" if any(now) else ""
        learns = [leaf for leaf in questions(rule.condition) if isinstance(leaf, Baseline)]
        if learns:
            text += f" (a baseline judges nothing until it knows {max(leaf.weeks for leaf in learns)} weeks)"
        return Gate("condition", False, text)

    def _present(self, rule: Rule, reading: Reading) -> str:
        wanted = metrics_of(rule)
        values = [f"{s.family}.{s.field}{_dims(s.labels)} is {number(s.value)}" for s in reading.samples
                  if f"{s.family}.{s.field}" in wanted]  # fmt: skip
        return ", ".join(values[:_ROWS_MOST]) if wanted else f"{reading.check} is {_outcome(reading)}"

    def _pending(self, rule: Rule, alerts: Sequence[Alert]) -> Gate:
        if any(alert.active for alert in alerts):
            return Gate("hold", True, "it fires")
        alert = max(alerts, key=lambda one: one.streak)
        waits = []
        if alert.streak < rule.confirm:
            waits.append(f"{alert.streak} of {rule.confirm} readings in a row")
        left_s = alert.bad_since + rule.hold_s - self.view.at
        if left_s > 0:
            waits.append(f"{span_text(left_s)} of {span_text(rule.hold_s)} still to hold")
        return Gate("hold", False, f"it is pending: {' and '.join(waits) or 'it fires at the next look'}")

    def _incident(self, asked_for: _Asked) -> Incident | None:
        mine = [i for i in self.view.incidents if i.open and any(
            asked_for.about(m.key) and m.cleared_at is None for m in i.members)]  # fmt: skip
        return mine[0] if mine else None

    def _in_incident(self, asked_for: _Asked, incident: Incident | None) -> Gate:
        if incident is None:
            return Gate("incident", False, "it waits for news of what it depends on, or it is about to be told")
        member = next(m for m in incident.members if asked_for.about(m.key))
        if member.behind is not None:
            text = f"it is behind {member.behind}, part of incident {incident.id}: {incident.title}; no extra page"
            return Gate("root", False, text)
        return Gate(
            "incident", True, f"it is in incident {incident.id}, severity {incident.severity}: {incident.title}"
        )

    def _telling(self, incident: Incident) -> Iterator[Gate]:
        sent = [n for n in self.notices if n.incident == incident.id]
        if sent:
            said = ", ".join(f"{n.to} at {self._clock(n.at or n.due)} ({n.result.value})" for n in sent[:_ROWS_MOST])
            yield Gate("told", True, f"people were told: {said}")
            return
        rows = [row for row in self.ledger if row.incident == incident.id]
        for row in rows[:_ROWS_MOST]:
            yield Gate(row.cause, True, f"not sent ({row.cause}): {row.because}")
        if incident.state is not IncidentState.OPEN:
            yield Gate("state", False, f"the incident is {incident.state.value}")
        policies = [p for p in self.site.policies if incident.severity in p.severities]
        if not policies:
            yield Gate("policy", False, f"no policy is about severity {incident.severity}")
        teams = [p for p in policies if not p.teams or incident.team in p.teams]
        if policies and not teams:
            yield Gate("policy", False, f"no policy is about team {incident.team or 'nobody'}")
        yield Gate("told", False, "nobody was told" + (": see above" if rows else " yet"))

    def _clock(self, at: float, form: str = "%H:%M") -> str:
        calendar = Calendar(self.site.estate)
        return calendar.local(next(iter(self.site.estate.sites), ""), at).strftime(form)

    def _day(self, at: float) -> str:
        return self._clock(at, "%Y-%m-%d %H:%M")


def presence_gate(present: Presence, *, fires: bool) -> Gate:
    """Why a machine that people switch off is not missed, or is; with its hours."""
    text = "; ".join(filter(None, (presence_words(present), hours_words(present))))
    if present.state in ("on", "never"):
        return Gate(
            "presence", True, f"{present.agent} is {'heard' if present.state == 'on' else 'never heard'}; {text}"
        )
    return Gate("presence", fires or present.told, f"{present.agent}: {text}")


def _outcome(reading: Reading) -> str:
    return f"{reading.outcome.value} ({reading.reason.value})" if reading.reason else reading.outcome.value


def _dims(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{k}={v}" for k, v in sorted(labels.items())) + "}" if labels else ""
