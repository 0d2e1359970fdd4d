"""The engine: readings in, alerts, incidents, impact and notices out. The one stateful class; no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from healthmon.alerting.detect.desk import ASLEEP_S, AlertDesk
from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.presences import Plug
from healthmon.alerting.detect.told import Findings
from healthmon.alerting.drills import DrillDesk
from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.alerting.engine_telling import Escalate, Telling
from healthmon.alerting.engine_view import Showing
from healthmon.alerting.incidents import actions, latefaults, reports
from healthmon.alerting.incidents.assess import Weighing
from healthmon.alerting.incidents.blind import BLIND_RULE, outlook, turns, watch
from healthmon.alerting.incidents.correlate import correlate
from healthmon.alerting.incidents.evidence import Evidence, Series, reached
from healthmon.alerting.incidents.groups import Picture
from healthmon.alerting.incidents.harm import Assessor, Losses, PathCache
from healthmon.alerting.incidents.placing import place
from healthmon.alerting.incidents.questions import Questions
from healthmon.alerting.incidents.readiness import Readiness, questions_within
from healthmon.alerting.incidents.reconcile import Reconciler
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.incidents.unwatched import Scope, readings_of, watched
from healthmon.alerting.mutes import floor, holding, messages
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.alerting.mutes.preview import preview
from healthmon.alerting.oncall.roster import Roster
from healthmon.impact.graph import NeedGraph
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import Hospital, SeverityTable
from healthmon.model.alert import Alert, Effect, Phase, Rule
from healthmon.model.incident import (
    Ask,
    Command,
    Incident,
    IncidentState,
    LedgerRow,
    Member,
    Notice,
    Policy,
    ServiceState,
    Why,
)
from healthmon.model.journal import Changes, Restored
from healthmon.model.mute import Mute, MuteCommand, MuteEvent, Preview, Standing
from healthmon.model.report import Filed, Ticket
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Estate
from healthmon.model.view import Health, View

#: Opening hours and fallbacks move severities without any reading.
_REASSESS_S = 30.0
#: While a looker is cut off, or alerts wait, look again so often.
_WATCH_S = 1.0
_FUTURE_S = 60.0
_RESOLVED_KEPT = 200
#: Baselines are counted again so often: a hospital may have hundreds of thousands of them.
_LEARNING_COUNTED_S = 300.0
#: So many series are not correlated anew at every reading while nothing moves.
_LARGE_SITE = 1_000
#: The engine's own line in the presence table: when it last woke from a long sleep.
_SELF = "*"

__all__ = ["Engine", "EngineSettings", "EngineStep"]


class Engine:
    """Feed it with `observe` and `heard`, move it with `tick`; everything it knows goes out in `Changes`."""

    def __init__(
        self,
        *,
        estate: Estate,
        rules: Iterable[Rule],
        policies: Sequence[Policy],
        severity: SeverityTable,
        settings: EngineSettings,
        staffed: Callable[[str, float], bool],
        restored: Restored | None = None,
        escalate: Escalate | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.drills = DrillDesk()
        self._estate = estate
        self._settings = settings
        self._graph = NeedGraph(estate)
        self._index = RuleIndex(estate, rules)
        self._evidence = Evidence(estate, self._graph, self._index, settings.server)
        self._evidence.end_devices = frozenset(severity.end_devices)
        latest, presence = self._evidence.latest, self._evidence.presence
        self._desk = AlertDesk(estate, self._index, staffed, latest, presence)
        self._desk.present.seen = self._evidence.of_target
        self._cache = PathCache(self._graph)
        self._texts = Texts(settings.text, estate, Calendar(estate))
        self._assessor = Assessor(self._evidence, staffed, severity, Hospital.of(estate))
        self._mutes = MuteDesk(self._graph, settings.mutes)
        self._desk.hurried = self._mutes.hurries
        self._telling = Telling(
            estate, tuple(policies), settings, staffed, self._index.rules, escalate, self._mutes, self._at_stake
        )
        self._incidents: dict[str, Incident] = {}
        self._picture = Picture()
        self._losses = Losses(self._evidence, self._picture.troubles, self._cache, 0.0)
        self._showing = Showing(self._evidence, self._desk.alerts, self._cache, self._index)
        self._questions = Questions(
            budget_per_s=settings.ask_budget_per_s, settle_s=settings.settle_s, returned=self._evidence.returned
        )
        self._late = latefaults.LateBook()
        self._changed_incidents: dict[str, Incident] = {}
        self._changed_readings: dict[Series, Reading] = {}
        self._changed_presence: dict[str, tuple[str, float]] = {}
        self._ledger: list[LedgerRow] = []
        self._mute_events: tuple[MuteEvent, ...] = ()
        self._now = self._ticked_at = self._looked_at = float("-inf")
        self._news = True
        self._look_again_at = float("-inf")
        self._waiting_for_sight = self._suspect = self._waiting = False
        self._turns_of_sight: tuple[float, ...] = ()
        self._version = 0
        self._learning: tuple[float, dict[str, tuple[int, int]]] = (float("-inf"), {})
        self._mutes.restore(
            restored.mutes if restored is not None else (), restored.at if restored is not None else None
        )
        if restored is not None:
            self._restore(restored)

    def observe(
        self, readings: Sequence[Reading], *, now: float, live: bool = True, found: Findings | None = None
    ) -> None:
        """Take up readings; late ones only mend history elsewhere and never page. found: what a worker has judged."""
        now = self._moved_on(now)
        readings = self.drills.take(readings)
        speakers: set[str] = set()
        for reading in readings if live else ():
            self._evidence.arrived(reading, now)
        for reading in readings:
            if not live or now - reading.started - reading.took > self._settings.late_after_s:
                self.counters["readings_late"] += 1
                self._desk.learn_late(reading, remember=found is None)
                self._late.note(reading, now, every_s=self._index.every_s(reading.target, reading.check))
            elif reading.started > now + _FUTURE_S:
                self.counters["readings_from_the_future"] += 1
            elif not self._evidence.admit(reading):
                self.counters["readings_not_newest"] += 1
            else:
                speakers.add(reading.vantage)
                self._take_up(reading, now, found)
        self._spoke(speakers, now)

    def heard(self, agent: str, state: str, now: float) -> None:
        """An agent's batch has arrived (`up`), or its clean goodbye (`stopped`)."""
        now = self._moved_on(now)
        self._evidence.spoke(agent, state, now)
        self._changed_presence[agent] = (state, now)
        self._desk.heard(agent, state, now)
        host = self._evidence.host(agent)
        self._showing.touch((host,) if host else ())
        self._news = self._news or bool(self._desk.alerts)

    def plugged(self, plugs: Mapping[str, Plug]) -> None:
        """Where machines are plugged in, as links that were learned say; what the inventory declares goes before."""
        self._desk.present.plug_in(plugs)

    def tick(self, now: float) -> EngineStep:
        """Everything that follows from what was observed and from the time that has passed."""
        now = self._moved_on(now)
        before, self._ticked_at = self._ticked_at, now
        self._desk.pass_time(now, before)
        self._mutes.pass_time(now)
        self._ledger += self._desk.ledger
        self._desk.ledger.clear()
        asks: tuple[Ask, ...] = ()
        moved = self._desk.moved
        if self._must_look(now):
            self._watch_lookers(now)
            readiness = self._readiness()
            asks = self._asks(readiness, now)
            self._correlate(readiness, now)
            for incident in reports.seen_too(self._incidents, now, self._texts):
                self._keep(incident)
        asks += self._looks_after_changes(now, before)
        self._tell_late(now)
        notices = (*self._tell(now), *self.drills.due(now))
        changes = self._changes(now, notices)
        return EngineStep(changes, notices, asks, moved or not changes.empty())

    def _must_look(self, now: float) -> bool:
        """At once when an alert moved or waits; a large site is otherwise looked over once a second."""
        if self._desk.moved or now >= self._look_again_at:
            return True
        hurry = self._waiting or len(self._evidence.latest) < _LARGE_SITE
        return self._news and (hurry or now - self._looked_at >= _WATCH_S)

    def counts(self) -> dict[str, float]:
        """What was set aside and why; every figure only ever grows."""
        rules = {f"rule_errors.{rule}": float(count) for rule, count in self._desk.errors.items()}
        counters = self.counters + self._desk.counters + self._desk.recall.counters + self._late.counters
        return {name: float(count) for name, count in counters.items()} | rules

    def learning(self) -> dict[str, tuple[int, int]]:
        """Baselines by metric: (series that can be judged, series that are still learning)."""
        at, known = self._learning
        if not known or self._now - at >= _LEARNING_COUNTED_S:
            self._learning = (self._now, self._desk.recall.learning())
        return self._learning[1]

    def suppressed(self) -> dict[str, float]:
        """Pages not sent since the start, by cause."""
        return {cause: float(count) for cause, count in self._telling.held.items()}

    def act(self, command: Command, now: float) -> Incident:
        """A person acts. Raises NotFound, Conflict."""
        now = self._moved_on(now)
        if command.action == "pass" and self._settings.roster is not None:
            command = replace(command, to=self._settings.roster.word_of(command.to, self._estate.teams, now))
        changed = actions.act(self._incidents, command, now, failing=self._member_fails, texts=self._texts)
        for incident in changed:
            self._keep(incident)
        if command.action in ("ack", "own", "pass"):
            self._telling.answered(command.incident, _readers_of(command, self._settings.roster), now)
        self._news = True
        return changed[0]

    def report(self, filed: Filed, now: float) -> reports.Placed:
        """A ward says what does not work; it is part of an incident from now on. Never refused."""
        now = self._moved_on(now)
        placed = reports.take(self._incidents, filed, now, texts=self._texts, estate=self._estate)
        self._keep(placed.incident)
        self._news = True
        return placed

    def works_again(self, incident: str, area: str, now: float) -> Incident | None:
        """A ward says that it can work again; None when that incident is not known."""
        found = self._incidents.get(incident)
        if found is None:
            return None
        after = reports.works_again(found, area, self._moved_on(now), self._texts)
        if after is not found:
            self._keep(after)
        return after

    def ticketed(self, ticket: Ticket, now: float, *, before_s: float) -> tuple[str, ...]:
        """A ticket of another system: the incidents that it is about."""
        now = self._moved_on(now)
        found = reports.ticketed(self._incidents.values(), ticket, now, before_s=before_s, texts=self._texts)
        for incident in found:
            if incident != self._incidents[incident.id]:
                self._keep(incident)
        return tuple(incident.id for incident in found)

    def incident(self, id_: str) -> Incident | None:
        """One incident as it is now; of one that went into another, that other."""
        found = self._incidents.get(id_)
        while found is not None and found.merged_into is not None:
            found = self._incidents.get(found.merged_into)
        return found

    def mute(self, command: MuteCommand, now: float) -> Standing:
        """A person makes, extends, ends or reviews a silence or a change. Raises NotFound, Conflict, NotAllowed."""
        now = self._moved_on(now)
        return self._mutes.standing(self._mutes.act(command, now), now)

    def preview(self, mute: Mute) -> Preview:
        """What a silence or a change would hide if it were in force now."""
        return preview(mute, self._graph, self._desk.alerts.values(), self._incidents.values())

    def told(self, notice: Notice, now: float) -> None:
        """What became of a sending."""
        now = self._moved_on(now)
        if notice.why is Why.DRILL:
            return
        incident = self._telling.told(notice, self._incidents.get(notice.incident), now)
        if incident is not None:
            self._keep(incident)

    def received(self, key: str, now: float) -> bool:
        """A gateway's receipt: the message of this key was delivered. False when there is none."""
        return self._telling.received(key, self._moved_on(now))

    def view(self, now: float, health: Health) -> View:
        """One immutable picture for every surface."""
        now = self._moved_on(now)
        targets, services, agents = self._showing.show(self._picture, self._losses, self._incidents, now)
        return View(
            version=self._version,
            at=now,
            estate=self._estate,
            targets=targets,
            services=services,
            incidents=_in_order(self._incidents.values()),
            alerts=tuple(self._desk.alerts[key] for key in sorted(self._desk.alerts)),
            latest=dict(self._evidence.latest),
            agents=agents,
            health=health,
            ledger=self._telling.recent,
            mutes=self._mutes.standings(now),
            presence=self._desk.present.statuses(),
        )

    def next_deadline(self) -> float | None:
        """When `tick` will have something to do even if nothing is observed."""
        dues = [self._desk.next_due(), self._telling.next_due(), self._mutes.next_due(), self._late.next_due()]
        dues.append(self._look_again_at)
        times = [due for due in dues if due is not None and due > float("-inf")]
        return min(times, default=None)

    def _moved_on(self, now: float) -> float:
        """Engine time never goes back; a long sleep is noted, because silence during it proves nothing."""
        if now < self._now:
            return self._now
        if self._now == float("-inf"):
            self._start(now)
        elif now - self._now > ASLEEP_S:
            self.counters["slept"] += 1
            self._desk.awake_at = now
            self._changed_presence[_SELF] = ("awake", now)
            self._news = True
        self._now = now
        return now

    def _start(self, now: float) -> None:
        """First moment of a first start: from now on the declared agents are expected."""
        for agent in self._estate.agents.values():
            if self._index.for_agent(agent) and agent.id not in self._evidence.presence:
                never = ("never", now)
                self._evidence.presence[agent.id] = self._changed_presence[agent.id] = never
        self._desk.agents.watch_all(now)

    def _restore(self, restored: Restored) -> None:
        scope = Scope(self._index, self._estate, self._settings.server, BLIND_RULE)
        for reading in readings_of(restored.readings.values(), scope):
            self._evidence.admit(reading)
        presence = dict(restored.presence)
        _, self._desk.awake_at = presence.pop(_SELF, ("awake", float("-inf")))
        self._evidence.presence.update(presence)
        self._incidents.update(restored.incidents)
        self._telling.restore(restored, self._incidents)
        if restored.at is None:
            return
        kept = watched(restored.alerts, restored.incidents.values(), scope, self._texts, restored.at)
        self._desk.restore(kept.alerts, restored.at)
        self._desk.touched.update({alert.key: alert for alert in kept.ended})
        for incident in kept.incidents:
            self._keep(incident)
        self._desk.remember(self._questions.restore(self._late.restore(restored.memory)))
        self._desk.count_again(self._evidence.latest.values())
        for reading in self._evidence.latest.values():
            self._desk.watch_series(reading)
        is_blind = any(a.key.rule == BLIND_RULE and a.phase is Phase.FIRING for a in self._desk.alerts.values())
        self._desk.blind, self._evidence.blind = is_blind, {self._settings.server} if is_blind else set()
        self._start(restored.at)
        self._now = self._ticked_at = restored.at

    def _take_up(self, reading: Reading, now: float, found: Findings | None) -> None:
        series = (reading.target, reading.check, reading.vantage)
        self._changed_readings[series] = reading
        self._questions.answered(series)
        self._desk.read(reading, now, found.told(reading) if found is not None else None)
        self._showing.seen(reading)
        odd = reading.outcome is not Outcome.OK and not reached(reading)
        self._news = self._news or odd or bool(self._desk.alerts)

    def _spoke(self, vantages: set[str], now: float) -> None:
        """Whose readings arrive live is there; a clean goodbye stands until `heard` says otherwise."""
        for vantage in sorted(vantages & self._estate.agents.keys()):
            if self._evidence.presence.get(vantage, ("up", now))[0] != "stopped":
                self.heard(vantage, "up", now)

    def _watch_lookers(self, now: float) -> None:
        """Is the server's own looker cut off?"""
        server, alerts = self._settings.server, self._desk.alerts
        known = next((alert for alert in alerts.values() if alert.key.rule == BLIND_RULE), None)
        seen = outlook(self._evidence, server, alerts)
        after = watch(known, seen, self._evidence, alerts, now=now, settle_s=self._settings.settle_s)
        if known is not None and after is None:
            self._desk.drop(known.key, now)
        elif after is not None:
            if known is not None and known.key != after.key:
                self._desk.drop(known.key, now)
            self._desk.put(after)
        is_blind = after is not None and after.phase is Phase.FIRING
        self._desk.blind = is_blind
        blind = {server} if is_blind else set()
        if blind != self._evidence.blind:
            self._showing.touch(self._estate.targets)
        self._evidence.blind = blind
        self._suspect = after is not None and after.phase is Phase.PENDING
        self._waiting_for_sight = after is not None
        self._turns_of_sight = turns(after, seen, settle_s=self._settings.settle_s)

    def _readiness(self) -> Readiness:
        settings = self._settings
        return Readiness(
            self._evidence,
            self._desk.alerts,
            settle_s=settings.settle_s,
            server=settings.server,
            suspect=self._suspect,
        )

    def _tell_late(self, now: float) -> None:
        """What was heard too late to be judged stands on a timeline, or in the ledger."""
        spans = self._late.settled(now)
        if not spans:
            return
        hosts = {span.vantage: host for span in spans if (host := self._evidence.host(span.vantage))}
        incidents, rows = latefaults.told(spans, self._incidents, hosts, now, self._texts)
        for incident in incidents:
            self._keep(incident)
        self._ledger += rows

    def _asks(self, readiness: Readiness, now: float) -> tuple[Ask, ...]:
        """Look at the parents at the first sign of trouble, within the budget."""
        settings = self._settings
        room, asked = self._questions.room(now), self._questions.asked
        deadline = now + settings.settle_s
        found = questions_within(self._recoveries(), asked, deadline=deadline, room=room)
        homes = {member.key for incident in self._incidents.values() if incident.open for member in incident.members}
        new = [a for a in self._desk.alerts.values() if _may_ask(a) and a.key not in homes] if len(found) < room else []
        for alert in sorted(new, key=lambda one: one.key):
            if len(found) < room:
                questions = readiness.open_questions(alert, now)
                found += questions_within(questions, asked, deadline=deadline, room=room - len(found))
        self._questions.went_out(len(found), now)
        return tuple(Ask(*series, deadline=deadline) for series in found)

    def _recoveries(self) -> Iterator[Series]:
        """Where something has come back, look at the rest again: an all-clear needs every member confirmed."""
        for incident in self._incidents.values():
            if incident.state not in _BEING_WORKED_ON:
                continue
            alerts = [a for m in incident.members if (a := self._desk.alerts.get(m.key)) is not None and a.active]
            ends = [member.cleared_at for member in incident.members if member.cleared_at is not None]
            ends += [alert.since for alert in alerts if alert.phase is Phase.CLEARING]
            for alert in alerts if ends else ():
                series = (alert.key.target, alert.key.check, alert.key.vantage)
                reading = self._evidence.latest.get(series)
                if reading and (reading.started < max(ends) or alert.phase is Phase.CLEARING):
                    yield series

    def _correlate(self, readiness: Readiness, now: float) -> None:
        self._news = self._desk.moved = False
        self._looked_at = now
        sides = self._desk.groups.standing
        self._picture = correlate(self._desk.alerts, self._evidence, now, cleared=self._cleared(), sides=sides)
        self._losses = Losses(self._evidence, self._picture.troubles, self._cache, now)
        placement = place(self._incidents, self._picture.groups, lambda alert: readiness.ready(alert, now), now)
        weighing = Weighing(self._assessor, self._losses, self._cache, self._index.rules, self._texts, now)
        done = Reconciler(
            incidents=self._incidents,
            weighing=weighing,
            texts=self._texts,
            failing_since=self._failing_since,
            now=now,
            auto_resolve_s=self._settings.auto_resolve_s,
            hold_resolution=bool(self._evidence.blind),
        ).run(placement)
        for id_ in sorted(done.incidents):
            self._keep(self._mutes.attributed(done.incidents[id_]))
        self._ledger += done.ledger
        self._showing.touch(self._desk.gone_stale)
        self._desk.gone_stale.clear()
        self._look_again_at = self._next_look(readiness, done.deadlines, now)

    def _cleared(self) -> dict[Series, float]:
        """Members of open incidents that have recovered, and when."""
        return {
            (member.key.target, member.key.check, member.key.vantage): member.cleared_at
            for incident in self._incidents.values()
            if incident.state in _BEING_WORKED_ON
            for member in incident.members
            if member.cleared_at is not None
        }

    def _next_look(self, readiness: Readiness, deadlines: Sequence[float], now: float) -> float:
        """When time alone may change the picture."""
        times = list(deadlines)
        if any(incident.state in _BEING_WORKED_ON for incident in self._incidents.values()):
            times.append((now // _REASSESS_S + 1) * _REASSESS_S)  # round moments, so that a restart moves none
        waiting = [a for a in self._desk.alerts.values() if a.phase is Phase.FIRING and not readiness.ready(a, now)]
        self._waiting = bool(waiting) or self._waiting_for_sight
        times += [alert.fired_at + self._settings.settle_s for alert in waiting if alert.fired_at is not None]
        if self._waiting_for_sight:
            times += [now + _WATCH_S, *self._turns_of_sight]
        if self._desk.alerts:
            times += self._questions.deadlines()
        return min((at for at in times if at > now), default=float("inf"))

    def _keep(self, incident: Incident) -> None:
        self._incidents[incident.id] = self._changed_incidents[incident.id] = incident
        self._telling.look_at(incident.id)

    def _tell(self, now: float) -> tuple[Notice, ...]:
        if self._mutes.turned:
            self._mutes.turned = False
            for incident in self._incidents.values():
                if incident.open:
                    self._telling.look_at(incident.id)
        for incident in self._telling.lapse(self._incidents, now):
            self._keep(incident)
        notices, rows = self._telling.due(self._incidents, now)
        self._ledger += rows
        for id_, decision in self._telling.drain_decisions().items():
            after = holding.marked(self._incidents[id_], decision, now, self._estate)
            if after is not self._incidents[id_]:
                self._incidents[id_] = self._changed_incidents[id_] = after
        self._mute_events, about_mutes = self._mutes.drain()
        if about_mutes and not self._settings.pages_somebody():
            self._ledger += messages.unsent(about_mutes)
            about_mutes = ()
        return (*notices, *about_mutes)

    def _at_stake(self, incident: Incident) -> tuple[floor.Line, ...]:
        """Last ways of an ED, ICU or theatre that this incident takes, as things are now."""
        return floor.at_stake(incident, self._graph, lambda line: self._losses.state(line) is ServiceState.LOST)

    def _looks_after_changes(self, now: float, before: float) -> tuple[Ask, ...]:
        """What a change worked on, and what needs it, is looked at again when its window closes."""
        targets = self._mutes.looks_due(now, before)
        if not targets:
            return ()
        asked = self._questions.asked
        room = int(self._settings.ask_budget_per_s * self._settings.settle_s) - len(asked)
        series = sorted(one for one in self._evidence.latest if one[0] in targets)[: max(0, room)]
        deadline = now + self._settings.settle_s
        asked.update((one, deadline) for one in series)
        return tuple(Ask(*one, deadline=deadline) for one in series)

    def _changes(self, now: float, notices: tuple[Notice, ...]) -> Changes:
        told = (*notices, *self._telling.drain_told())
        changes = Changes(
            at=now,
            readings=tuple(self._changed_readings.values()),
            alerts=self._desk.drain(),
            incidents=tuple(self._changed_incidents.values()),
            notices=told,
            ledger=self._telling.unwritten(self._ledger),
            presence=dict(self._changed_presence),
            mutes=self._mute_events,
            memory=self._desk.recall.written() | self._questions.written() | self._late.written(),
        )
        self._changed_readings.clear()
        self._changed_incidents.clear()
        self._changed_presence.clear()
        self._mute_events = ()
        self._ledger.clear()
        if not changes.empty():
            self._version += 1
            self._forget_old()
        return changes

    def _forget_old(self) -> None:
        """Resolved incidents beyond the newest few stay in the journal only."""
        resolved = [incident for incident in self._incidents.values() if not incident.open]
        if len(resolved) > 2 * _RESOLVED_KEPT:
            resolved.sort(key=lambda incident: (incident.resolved_at or 0.0, incident.id))
            for incident in resolved[:-_RESOLVED_KEPT]:
                del self._incidents[incident.id]
                self._telling.forget(incident.id)

    def _failing_since(self, alert: Alert, since: float) -> bool:
        """The alert has come back, or its series has failed afresh, since then."""
        reading = self._evidence.latest.get((alert.key.target, alert.key.check, alert.key.vantage))
        afresh = reading is not None and reading.started > since and alert.phase is Phase.FIRING
        return (alert.fired_at or 0.0) > since or afresh

    def _member_fails(self, member: Member) -> bool:
        """By what is seen now: an alert held only because nobody can see does not count."""
        alert = self._desk.alerts.get(member.key)
        if alert is None or not alert.active:
            return False
        reading = self._evidence.latest.get((member.key.target, member.key.check, member.key.vantage))
        return reading is None or self._evidence.counts(reading, self._now)


def _may_ask(alert: Alert) -> bool:
    hard = alert.effect in (Effect.DOWN, Effect.DEGRADED) and alert.key.rule != BLIND_RULE
    return hard and alert.phase in (Phase.PENDING, Phase.FIRING)


_BEING_WORKED_ON = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


def _readers_of(command: Command, roster: Roster | None) -> set[tuple[str, str]]:
    """Where whoever acts was written to: the way that they answered on, and all ways of an on-call user."""
    user = roster.named(command.by) if roster is not None else None
    return {*(user.readers if user else ()), *([command.reader] if command.reader else [])}


def _in_order(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """Open first, newest first, then the resolved ones, newest first."""
    return tuple(sorted(incidents, key=lambda incident: (not incident.open, -incident.opened_at, incident.id)))
