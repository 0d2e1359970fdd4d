"""All alerts of the site: every reading, every word of an agent and every silence moves them; nothing else does."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from healthmon.alerting.detect.conditions import Facts, Labels, cleared, verdict_of
from healthmon.alerting.detect.groups import Groups
from healthmon.alerting.detect.index import EVERYBODY, Bound, RuleIndex
from healthmon.alerting.detect.presences import AGENT_CHECK, Presences
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.sight import Sight, learn_late, look_back
from healthmon.alerting.detect.silence import AgentSilence, agent_key
from healthmon.alerting.detect.state import advance, damped, due_at, expire, quicker, resumed
from healthmon.alerting.detect.told import Told
from healthmon.alerting.detect.tracks import Tracks
from healthmon.alerting.detect.unheard import Unheard
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Alert, AlertKey, NoData, Phase, Rule, Verdict, by_key
from healthmon.model.incident import LedgerRow
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Estate

Series = tuple[str, str, str]
#: An engine that did nothing for so long was asleep: silence is counted from when it woke.
ASLEEP_S = 30.0


@dataclass(frozen=True, slots=True)
class SetAside:
    """A rule that failed on a reading; the rest went on."""

    rule: str
    series: Series
    error: str


@dataclass(slots=True)
class AlertDesk:
    """Alerts by key. `touched`: keys that changed since the last `drain`; `moved`: some phase did."""

    estate: Estate
    index: RuleIndex
    staffed: Callable[[str, float], bool]
    latest: Mapping[Series, Reading]
    presence: Mapping[str, tuple[str, float]]
    alerts: dict[AlertKey, Alert] = field(default_factory=dict)
    touched: dict[AlertKey, Alert] = field(default_factory=dict)
    moved: bool = False
    stale: set[Series] = field(default_factory=set)
    gone_stale: set[str] = field(default_factory=set)  # targets, until somebody has taken note
    errors: dict[str, int] = field(default_factory=dict)
    set_aside: deque[SetAside] = field(default_factory=lambda: deque(maxlen=100))
    ledger: list[LedgerRow] = field(default_factory=list)
    flaps: list[tuple[AlertKey, bool]] = field(default_factory=list)  # began or ended, until somebody has told of it
    awake_at: float = float("-inf")
    hurried: Callable[[str, float], bool] = lambda _target, _now: False  # a change is open: confirmed in half the time
    blind: bool = False  # the server's own looker is cut off: its silence proves nothing
    blind_at: float = float("-inf")  # when it was so last
    recall: Recall = field(init=False)
    groups: Groups = field(init=False)
    present: Presences = field(init=False)
    agents: AgentSilence = field(init=False)
    unheard: Unheard = field(init=False)
    counters: Counter[str] = field(default_factory=Counter)
    _due: list[tuple[float, int, str, AlertKey | Series | str]] = field(default_factory=list)
    _order: int = 0
    _by_series: dict[Series, set[AlertKey]] = field(default_factory=dict)
    _tracks: Tracks = field(init=False)

    def __post_init__(self) -> None:
        targets = self.estate.targets
        self.recall = Recall(lambda id_: targets[id_].site if id_ in targets else "", Calendar(self.estate).local)
        self.groups = Groups(self.estate, self.push)
        self._tracks = Tracks(self.recall, self.groups)
        self.present = Presences(self.estate, self.recall, self.staffed, self.presence)
        self.agents = AgentSilence(self)
        self.unheard = Unheard(self)

    def restore(self, alerts: Mapping[AlertKey, Alert], now: float) -> None:
        """Take up the alerts of the last run; those of rules or targets that are gone are forgotten."""
        for key in sorted(alerts):
            self.alerts[key] = alerts[key]
            self._by_series.setdefault((key.target, key.check, key.vantage), set()).add(key)
            self._schedule(alerts[key], now)

    def read(self, reading: Reading, now: float, told: Told | None = None) -> None:
        """Ask every rule about this series. told: what a worker has found of it, in the place of our memory."""
        series = (reading.target, reading.check, reading.vantage)
        self.stale.discard(series)
        slate = self.index.slate(reading.target, reading.check)
        calm = not self._by_series.get(series) and not self.recall.flaps(series)
        if calm and told is None and slate.idle and reading.says_nothing():
            pass
        elif slate.bounds and not (calm and told is not None and told.quiet and not slate.counted):
            facts = Facts.of(reading, slate.metrics)
            if calm and told is None:  # most readings are good, and nothing is open
                left = self._tracks.left(slate, series, reading, facts)
            else:
                left = [(bound, None) for bound in slate.bounds]
            if left:
                sight = told or Sight(self.recall, reading, facts)
                facts.ask = sight.answer
                for bound, dimensions in left:
                    self._judge(bound, dimensions, reading, facts, sight, now)
            if not calm and reading.outcome is Outcome.OK:
                self.unheard.seen(slate, reading, facts, now)
        if slate.wary:
            self.unheard.carried(slate, reading, now)
        if series not in self.unheard.watched:
            self.unheard.watch(reading)
        if reading.check == AGENT_CHECK:
            self.present.said(reading)

    def learn_late(self, reading: Reading, *, remember: bool = True) -> None:
        """A reading that is too late to be judged may still teach what is usual, and that its looker ran."""
        self.present.late(reading)
        for bound in self.index.bound(reading.target, reading.check) if remember else ():
            if bound.feeds:
                learn_late(self.recall, bound.feeds, reading, bound.metrics)

    def remember(self, memory: Mapping[str, bytes]) -> None:
        """What rules remembered at the last commit, as far as there still are such rules and targets."""
        known = self.estate.targets.keys() | self.estate.agents.keys() | self.estate.sites.keys()
        wanted = self.index.wanted()
        self.recall.restore(self.unheard.remember(memory), wanted, known.__contains__)

    def written(self) -> dict[str, bytes]:
        """Rows for the journal: what rules remember that has changed; an empty one forgets."""
        return self.recall.written() | self.unheard.written()

    def count_again(self, readings: Iterable[Reading]) -> None:
        """After a restart: what the newest readings say of their groups, from memory."""
        for reading in sorted(readings, key=lambda one: one.started):
            for bound in self.index.bound(reading.target, reading.check):
                if bound.group is not None:
                    facts = Facts.of(reading, bound.metrics)
                    look_back(self.recall, reading, facts)
                    self.groups.note(bound, bound.group, reading, facts)

    def heard(self, agent_id: str, state: str, now: float) -> None:
        """An agent has spoken: up, or a clean stop."""
        agent = self.estate.agents.get(agent_id)
        if agent is None:
            return
        self.agents.spoke(agent_id)
        self.present.spoke(agent_id, state, now)
        for rule in self.index.for_agent(agent) if state == "up" and self.alerts else ():
            key = agent_key(rule, agent)
            if key in self.alerts:
                self._move(key, advance(self.alerts[key], Verdict(key, False, True, now), rule, now), now)
        self.agents.watch(agent, now)

    def pass_time(self, now: float, before: float) -> None:
        """Everything that falls due by itself: holds, keeps, silence. `before`: the last time this was called."""
        if self.blind:
            self.blind_at = now
        while self._due and self._due[0][0] <= now:
            at, _, kind, what = heapq.heappop(self._due)
            if kind == "alert" and isinstance(what, AlertKey):
                self._expire(what, now)
            elif kind == "series" and isinstance(what, tuple):
                self.unheard.due(what, at, now)
            elif kind == "agent" and isinstance(what, str):
                self.agents.due(what, at, now, before)
            elif kind == "group" and isinstance(what, AlertKey):
                self._group_due(what, now)
            elif kind == "lost" and isinstance(what, str):
                self.agents.lost_due(what, now)
        self.recall.sweep(now)
        if not self.blind:
            self.present.pass_time(now)

    def next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def put(self, alert: Alert) -> None:
        """An alert that no rule makes (a cut-off looker)."""
        self._move(alert.key, alert, alert.since)

    def drop(self, key: AlertKey, now: float) -> None:
        self._move(key, None, now)

    def drain_flaps(self) -> list[tuple[AlertKey, bool]]:
        """Alerts that began to flap (true) or ended it, since the last call."""
        flaps, self.flaps = self.flaps, []
        return flaps

    def open_on(self, series: Series) -> list[AlertKey]:
        """The alerts of this series, in order."""
        return sorted(self._by_series.get(series, ()))

    def drain(self) -> tuple[Alert, ...]:
        """What changed since the last call, in order of key."""
        changed = tuple(sorted(self.touched.values(), key=by_key))
        self.touched.clear()
        return changed

    def _judge(
        self,
        bound: Bound,
        dimensions: list[Labels] | None,
        reading: Reading,
        facts: Facts,
        sight: Sight | Told,
        now: float,
    ) -> None:
        series = (reading.target, reading.check, reading.vantage)
        try:
            if dimensions is None:
                dimensions = facts.dimensions(bound.metrics)
            if bound.feeds:
                sight.remember(bound.feeds, dimensions)
            if bound.group is not None:
                self.groups.note(bound, bound.group, reading, facts)
                return
            if bound.rule.flap is None and not self._by_series.get(series):
                dimensions = [labels for labels in dimensions if bound.test(facts, labels)]
            verdicts = [(verdict_of(bound.rule, reading, facts, labels), labels) for labels in dimensions]
        except Exception as error:  # boundary: one rule on one reading; counted, kept aside, the others go on
            self.errors[bound.rule.id] = self.errors.get(bound.rule.id, 0) + 1
            self.set_aside.append(SetAside(bound.rule.id, series, repr(error)))
            return
        for verdict, labels in verdicts:
            known = self.alerts.get(verdict.key)
            if known is not None or verdict.bad:
                self.judged(verdict, bound.rule, facts, labels, now)
            elif bound.rule.flap is not None and verdict.bad is False:
                self.recall.flapped(verdict.key, bound.rule.flap, verdict.at, bad=False)

    def judged(
        self, verdict: Verdict, rule: Rule, facts: Facts, labels: Labels, now: float, *, good: bool = False
    ) -> None:
        """One verdict on a key that is bad, or that has an alert. good: what raised the alert is over."""
        known = self.alerts.get(verdict.key)
        open_ = known is not None and verdict.bad is None and not verdict.good
        if known is not None and open_ and (good or cleared(rule, facts, labels, known.because)):
            verdict = replace(verdict, bad=False, good=True)
        if known is not None and verdict.bad:
            known = resumed(known, verdict, rule, self._stale_after(rule, verdict.key))
        after = advance(known, verdict, quicker(rule) if self.hurried(verdict.key.target, now) else rule, now)
        if rule.flap is not None and verdict.bad is not None:
            after = self._damped(known, after, verdict, rule, now)
        self._move(verdict.key, after, now)

    def _damped(
        self, known: Alert | None, after: Alert | None, verdict: Verdict, rule: Rule, now: float
    ) -> Alert | None:
        """While an alert flaps it is not cleared; it says since when."""
        assert rule.flap is not None
        flapping = self.recall.flapped(verdict.key, rule.flap, verdict.at, bad=verdict.bad is True)
        after = damped(known, after, flapping=flapping, streak=rule.clear_confirm, now=now)
        was, is_ = known and known.flapping_since, after and after.flapping_since
        if (was is None) is not (is_ is None):
            self.flaps.append((verdict.key, is_ is not None))
            self.counters["flapping_started" if is_ is not None else "flapping_ended"] += 1
        return after

    def _group_due(self, key: AlertKey, now: float) -> None:
        """Judge a group whose members moved, or are not heard any more."""
        judged = self.groups.judge(key, now)
        if judged is not None:
            rule, verdict = judged
            if verdict.bad is None and rule.no_data is not NoData.HOLD:
                self.unheard.group(key, rule, now)
            self.move_group(verdict, rule, now)

    def move_group(self, verdict: Verdict, rule: Rule, now: float) -> None:
        """A group is judged whenever a count moves: a longer streak means nothing."""
        known = self.alerts.get(verdict.key)
        if known is not None and known.phase in (Phase.PENDING, Phase.FIRING) and verdict.bad:
            after = replace(known, value=verdict.value, reason=verdict.reason, detail=verdict.detail)
            self._move(verdict.key, after, now)
        elif known is not None or verdict.bad:
            self._move(verdict.key, advance(known, verdict, rule, now), now)

    def _move(self, key: AlertKey, after: Alert | None, now: float) -> None:
        before = self.alerts.get(key)
        if after == before:
            return
        series = (key.target, key.check, key.vantage)
        if after is None:
            assert before is not None
            del self.alerts[key]
            self._by_series[series].discard(key)
            self.unheard.over(key)
            self.touched[key] = Alert(key, Phase.CLEAR, before.effect, since=now, bad_since=before.bad_since)
        else:
            self.alerts[key] = self.touched[key] = after
            self._by_series.setdefault(series, set()).add(key)
            self._schedule(after, now)
        if before is None or after is None or before.phase is not after.phase:
            self.moved = True

    def _schedule(self, alert: Alert, now: float) -> None:
        rule = self.index.rule_of(alert.key)
        at = due_at(alert, rule) if rule is not None else None
        if at is not None:
            self.push(max(at, now), "alert", alert.key)

    def push(self, at: float, kind: str, what: AlertKey | Series | str) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, kind, what))

    def _expire(self, key: AlertKey, now: float) -> None:
        alert, rule = self.alerts.get(key), self.index.rule_of(key)
        if alert is not None and rule is not None:
            at = due_at(alert, rule)
            if at is not None and at > now:
                self.push(at, "alert", key)
            elif alert.phase is not Phase.PENDING or self._lasts(alert, rule, now):
                self._move(key, expire(alert, rule, now), now)

    def _lasts(self, alert: Alert, rule: Rule, now: float) -> bool:
        """Whether the newest look called it bad and still counts: a hold runs out on evidence alone."""
        key = alert.key
        if alert.reason is Reason.SILENT:
            return True
        if key.vantage == EVERYBODY:
            judged = self.groups.judge(key, now)
            return judged is None or judged[1].bad is True
        reading = self.latest.get((key.target, key.check, key.vantage))
        if reading is None or reading.started > alert.bad_at:
            return False
        return now - self.index.expected_by(reading) < self._stale_after(rule, key)

    def _stale_after(self, rule: Rule, key: AlertKey) -> float:
        """After so long without a reading the rule has no data."""
        return rule.stale_s or self.index.stale_s(key.target, key.check)

    def silent(self, key: AlertKey, rule: Rule, since: float, now: float, detail: str = "") -> None:
        """Silence is one long observation: it fires at once, holds apart."""
        known = self.alerts.get(key)
        if known is not None and known.active:
            return
        alert = Alert(
            key=key,
            phase=Phase.PENDING,
            effect=rule.effect,
            since=known.since if known else now,
            bad_since=known.bad_since if known else since,
            streak=rule.confirm,
            reason=Reason.SILENT,
            detail=detail,
        )
        self._move(key, expire(alert, rule, now), now)
