"""The engine: readings in, alerts, incidents, impact and notices out. The one stateful class; no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from healthmon.alerting.detect import groups
from healthmon.alerting.detect.desk import ASLEEP_S, AlertDesk
from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.presences import Plug
from healthmon.alerting.detect.told import Findings
from healthmon.alerting.drills import DrillDesk
from healthmon.alerting.engine_asking import Asking
from healthmon.alerting.engine_cases import Cases
from healthmon.alerting.engine_lookers import Lookers
from healthmon.alerting.engine_looking import Looking
from healthmon.alerting.engine_settings import EngineSettings, EngineStep
from healthmon.alerting.engine_telling import Escalate, Telling
from healthmon.alerting.engine_view import Showing
from healthmon.alerting.incidents import flapping, latefaults, reports
from healthmon.alerting.incidents.assess import Weighing
from healthmon.alerting.incidents.blind import BLIND_RULE
from healthmon.alerting.incidents.correlate import correlate
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.fronts import fronts_of
from healthmon.alerting.incidents.groups import Picture
from healthmon.alerting.incidents.harm import Assessor, Losses, PathCache
from healthmon.alerting.incidents.placing import place
from healthmon.alerting.incidents.questions import Questions
from healthmon.alerting.incidents.reach import Series, reached
from healthmon.alerting.incidents.readiness import Readiness
from healthmon.alerting.incidents.reconcile import Reconciler
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.incidents.unwatched import Scope, readings_of, watched
from healthmon.alerting.mutes import floor, holding, messages
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.alerting.mutes.preview import preview
from healthmon.alerting.mutes.scope import MuteScope
from healthmon.impact.graph import NeedGraph
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import Hospital, SeverityTable
from healthmon.model.alert import Alert, AlertKey, Phase, Rule, by_key
from healthmon.model.incident import (
    Ask,
    Command,
    Incident,
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

_FUTURE_S = 60.0
#: Baselines are counted again so often: a hospital may have hundreds of thousands of them.
_LEARNING_COUNTED_S = 300.0
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
        self._fronts = fronts_of(self._graph)
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
        self._evidence.fates.worked_on = self._mutes.worked_on
        self._desk.hurried = self._mutes.hurries
        self._telling = Telling(
            estate, tuple(policies), settings, staffed, self._index.rules, escalate, self._mutes, self._at_stake
        )
        self._cases = Cases(estate, settings, self._texts, self._telling)
        self._incidents = self._cases.by_id
        self._picture = Picture()
        self._losses = Losses(self._evidence, self._picture.troubles, self._cache, 0.0)
        self._showing = Showing(self._evidence, self._desk.alerts, self._cache, self._index)
        self._questions = Questions(
            budget_per_s=settings.ask_budget_per_s, settle_s=settings.settle_s, returned=self._evidence.returned
        )
        self._asking = Asking(
            self._questions, self._evidence, self._desk.alerts, self._cases, settle_s=settings.settle_s
        )
        self._lookers = Lookers(self._desk, self._evidence, server=settings.server, settle_s=settings.settle_s)
        self._looking = Looking(self._desk, self._evidence, self._lookers, settle_s=settings.settle_s)
        self._late = latefaults.LateBook()
        self._changed_readings: dict[Series, Reading] = {}
        self._changed_presence: dict[str, tuple[str, float]] = {}
        self._ledger: list[LedgerRow] = []
        self._mute_events: tuple[MuteEvent, ...] = ()
        self._now = self._ticked_at = float("-inf")
        self._version = 0
        self._learning: tuple[float, dict[str, tuple[int, int]]] = (float("-inf"), {})
        self._mutes.restore(
            restored.mutes if restored is not None else (), restored.at if restored is not None else None
        )
        self.passed_over = self._mutes.passed_over
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
            if not live or (
                now - reading.started - reading.took > self._settings.late_after_s and self._past(reading, now)
            ):
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
        if self._evidence.presence.get(agent) == (state, now):
            return  # one of several batches that came together
        self._evidence.spoke(agent, state, now)
        self._changed_presence[agent] = (state, now)
        self._desk.heard(agent, state, now)
        host = self._evidence.host(agent)
        self._showing.touch((host,) if host else ())
        self._looking.heard()

    def plugged(self, plugs: Mapping[str, Plug]) -> None:
        """Where machines are plugged in, as links that were learned say; what the inventory declares goes before."""
        self._desk.present.plug_in(plugs)

    def tick(self, now: float) -> EngineStep:
        """Everything that follows from what was observed and from the time that has passed."""
        now = self._moved_on(now)
        before, self._ticked_at = self._ticked_at, now
        self._desk.pass_time(now, before)
        self._mutes.pass_time(now)
        self._ledger += sorted(self._desk.ledger, key=lambda row: row.key)
        self._desk.ledger.clear()
        asks: tuple[Ask, ...] = ()
        moved = self._desk.moved
        if self._looking.due(now):
            if self._lookers.watch(now):
                self._showing.touch(self._estate.targets)
            readiness = self._readiness()
            asks = self._asking.due(readiness, now)
            self._correlate(readiness, now)
            self._cases.keep_all(reports.seen_too(self._incidents, now, self._texts))
        asks += self._asking.after_changes(self._mutes, now, before)
        self._tell_late(now)
        self._cases.keep_all(flapping.told(self._desk.drain_flaps(), self._incidents, now, self._texts))
        notices = (*self._tell(now), *self.drills.due(now))
        changes = self._changes(now, notices)
        return EngineStep(changes, notices, asks, moved or not changes.empty())

    def counts(self) -> dict[str, float]:
        """What was set aside and why; every figure only ever grows."""
        rules = {f"rule_errors.{rule}": float(count) for rule, count in self._desk.errors.items()}
        counters = self.counters + self._desk.counters + self._desk.recall.counters + self._late.counters
        return {name: float(count) for name, count in counters.items()} | rules

    def learning(self) -> dict[str, tuple[int, int]]:
        """Baselines by metric: (series that can be judged, series that are still learning)."""
        at, known = self._learning
        if not known or self._now - at >= _LEARNING_COUNTED_S:
            self._learning = (self._now, self._desk.recall.learning(self._index.periods_wanted()))
        return self._learning[1]

    def suppressed(self) -> dict[str, float]:
        """Pages not sent since the start, by cause."""
        return {cause: float(count) for cause, count in self._telling.held.items()}

    def act(self, command: Command, now: float) -> Incident:
        """A person acts. Raises NotFound, Conflict."""
        after = self._cases.act(command, self._moved_on(now), self._member_fails)
        self._looking.news = True
        return after

    def report(self, filed: Filed, now: float) -> reports.Placed:
        """A ward says what does not work; it is part of an incident from now on. Never refused."""
        placed = self._cases.report(filed, self._moved_on(now))
        self._looking.news = True
        return placed

    def works_again(self, incident: str, area: str, now: float) -> Incident | None:
        """A ward says that it can work again; None when that incident is not known."""
        return self._cases.works_again(incident, area, self._moved_on(now))

    def ticketed(self, ticket: Ticket, now: float, *, before_s: float) -> tuple[str, ...]:
        """A ticket of another system: the incidents that it is about."""
        return self._cases.ticketed(ticket, self._moved_on(now), before_s=before_s)

    def sides(self, key: AlertKey) -> groups.Standing | None:
        """Of a rule about many: who was on which side when they were counted last."""
        return self._desk.groups.sides(key)

    def incident(self, id_: str) -> Incident | None:
        """One incident as it is now; of one that went into another, that other."""
        return self._cases.find(id_)

    def mute(self, command: MuteCommand, now: float) -> Standing:
        """A person makes, extends, ends or reviews a silence or a change. Raises NotFound, Conflict, NotAllowed."""
        now = self._moved_on(now)
        return self._mutes.standing(self._mutes.act(command, now), now)

    def preview(self, mute: Mute) -> Preview:
        """What a silence or a change would hide if it were in force now."""
        scope = MuteScope(self._graph.estate, self._index.rules, self._index.judges)
        return preview(mute, self._graph, self._desk.alerts.values(), self._incidents.values(), scope)

    def told(self, notice: Notice, now: float) -> None:
        """What became of a sending."""
        now = self._moved_on(now)
        if notice.why is Why.DRILL:
            return
        incident = self._telling.told(notice, self._incidents.get(notice.incident), now)
        if incident is not None:
            self._cases.keep(incident)

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
            incidents=self._cases.in_order(),
            alerts=tuple(sorted(self._desk.alerts.values(), key=by_key)),
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
        dues.append(self._looking.again_at)
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
            self._looking.news = True
        self._now = now
        return now

    def _start(self, now: float) -> None:
        """First moment of a first start: from now on the declared agents are expected."""
        for agent in self._estate.agents.values():
            if self._index.for_agent(agent) and agent.id not in self._evidence.presence:
                never = ("never", now)
                self._evidence.presence[agent.id] = self._changed_presence[agent.id] = never
        self._desk.agents.watch_all(now)
        self._desk.unheard.watch_declared(now)

    def _restore(self, restored: Restored) -> None:
        scope = Scope(self._index, self._estate, self._settings.server, BLIND_RULE)
        for reading in readings_of(restored.readings.values(), scope):
            self._evidence.admit(reading)
        self._showing.restored()
        presence = dict(restored.presence)
        _, self._desk.awake_at = presence.pop(_SELF, ("awake", float("-inf")))
        self._evidence.presence.update(presence)
        self._cases.restore(restored.incidents)
        self._telling.restore(restored, self._incidents)
        if restored.at is None:
            return
        kept = watched(restored.alerts, restored.incidents.values(), scope, self._texts, restored.at)
        self._desk.restore(kept.alerts, restored.at)
        self._desk.touched.update({alert.key: alert for alert in kept.ended})
        self._cases.keep_all(kept.incidents)
        memory = self._questions.restore(self._late.restore(restored.memory))
        self._desk.remember(self._lookers.remember(self._evidence.fates.restore(memory)))
        self._desk.count_again(self._evidence.latest.values())
        self._desk.unheard.restore(self._evidence.latest.values(), restored.at)
        self._lookers.restore()
        self._start(restored.at)
        self._now = self._ticked_at = restored.at

    def _past(self, reading: Reading, now: float) -> bool:
        known = self._evidence.latest.get((reading.target, reading.check, reading.vantage))
        return self._index.is_past(reading, now, newest=known.started if known else None)

    def _take_up(self, reading: Reading, now: float, found: Findings | None) -> None:
        series = (reading.target, reading.check, reading.vantage)
        self._changed_readings[series] = reading
        self._questions.answered(series)
        self._desk.read(reading, now, found.told(reading) if found is not None else None)
        self._showing.seen(reading)
        odd = reading.outcome is not Outcome.OK and not reached(reading)
        self._looking.heard(odd=odd)

    def _spoke(self, vantages: set[str], now: float) -> None:
        """Whose readings arrive live is there; a clean goodbye stands until `heard` says otherwise."""
        for vantage in sorted(one for one in vantages if one in self._estate.agents):
            known = self._evidence.presence.get(vantage)
            if known is None or (known[0] != "stopped" and known != ("up", now)):
                self.heard(vantage, "up", now)

    def _readiness(self) -> Readiness:
        settings = self._settings
        return Readiness(
            self._evidence,
            self._desk.alerts,
            settle_s=settings.settle_s,
            server=settings.server,
            fronts=self._fronts,
            suspect=self._lookers.suspect,
        )

    def _tell_late(self, now: float) -> None:
        """What was heard too late to be judged stands on a timeline, or in the ledger."""
        spans = self._late.settled(now)
        if not spans:
            return
        hosts = {span.vantage: host for span in spans if (host := self._evidence.host(span.vantage))}
        incidents, rows = latefaults.told(spans, self._incidents, hosts, now, self._texts)
        self._cases.keep_all(incidents)
        self._ledger += rows

    def _correlate(self, readiness: Readiness, now: float) -> None:
        self._looking.begun(now)
        sides = self._desk.groups.standing
        cleared, before = self._cases.cleared(), self._picture
        self._picture = correlate(self._desk.alerts, self._evidence, now, cleared=cleared, sides=sides, before=before)
        self._losses = Losses(self._evidence, self._picture.troubles, self._cache, now)
        groups, rules = self._picture.groups, self._index.rules
        placement = place(self._incidents, groups, lambda alert: readiness.ready(alert, now), now)
        weighing = Weighing(self._assessor, self._losses, self._cache, rules, self._texts, now, groups)
        done = Reconciler(
            incidents=self._incidents,
            weighing=weighing,
            texts=self._texts,
            failing_since=self._failing_since,
            now=now,
            auto_resolve_s=self._settings.auto_resolve_s,
            hold_resolution=bool(self._evidence.blind),
        ).run(placement)
        self._cases.keep_all(self._mutes.attributed(done.incidents[id_]) for id_ in sorted(done.incidents))
        self._ledger += done.ledger
        self._showing.touch(self._desk.gone_stale)
        self._desk.gone_stale.clear()
        self._looking.done(readiness, self._cases, self._questions, done.deadlines, now)

    def _tell(self, now: float) -> tuple[Notice, ...]:
        if self._mutes.turned:
            self._mutes.turned = False
            for incident in self._incidents.values():
                if incident.open:
                    self._telling.look_at(incident.id)
        self._cases.keep_all(self._telling.lapse(self._incidents, now))
        notices, rows = self._telling.due(self._incidents, now)
        self._ledger += rows
        for id_, decision in self._telling.drain_decisions().items():
            after = holding.marked(self._incidents[id_], decision, now, self._estate)
            if after is not self._incidents[id_]:
                self._cases.keep_quietly(after)
        self._mute_events, about_mutes = self._mutes.drain()
        if about_mutes and not self._settings.pages_somebody():
            self._ledger += messages.unsent(about_mutes)
            about_mutes = ()
        return (*notices, *about_mutes)

    def _at_stake(self, incident: Incident) -> tuple[floor.Line, ...]:
        """Last ways of an ED, ICU or theatre that this incident takes, as things are now."""
        return floor.at_stake(incident, self._graph, lambda line: self._losses.state(line) is ServiceState.LOST)

    def _changes(self, now: float, notices: tuple[Notice, ...]) -> Changes:
        told = (*notices, *self._telling.drain_told())
        changes = Changes(
            at=now,
            readings=tuple(self._changed_readings.values()),
            alerts=self._desk.drain(),
            incidents=self._cases.drain(),
            notices=told,
            ledger=self._telling.unwritten(self._ledger),
            presence=dict(self._changed_presence),
            mutes=self._mute_events,
            memory=self._remembered(),
        )
        self._changed_readings.clear()
        self._changed_presence.clear()
        self._mute_events = ()
        self._ledger.clear()
        if not changes.empty():
            self._version += 1
            self._cases.forget_old()
        return changes

    def _remembered(self) -> dict[str, bytes]:
        """What each part has to write down, by key; an empty body forgets."""
        asked, late, sight = self._questions.written(), self._late.written(), self._lookers.written()
        return self._desk.written() | asked | late | sight | self._evidence.fates.written()

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
