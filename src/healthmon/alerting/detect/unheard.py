"""Series that are not heard, and parts that their readings carry no more: when to ask, and what `no_data` does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from healthmon.alerting.detect.conditions import Facts, absent_after, verdict_of
from healthmon.alerting.detect.index import Bound, Slate
from healthmon.alerting.detect.moments import Moments, Name, named
from healthmon.alerting.detect.presences import AGAIN_S
from healthmon.model.alert import AlertKey, NoData, Rule
from healthmon.model.incident import LedgerRow
from healthmon.model.sample import Outcome, Reading, Reason

if TYPE_CHECKING:
    from healthmon.alerting.detect.desk import AlertDesk

Series = tuple[str, str, str]
#: Under `hold`, an alert whose label no reading carries any more ends after so long; a disk that died is missing too.
GONE_S = 86_400.0


class Unheard:
    """The desk's part that waits for series; alerts, the newest readings and due times are the desk's."""

    def __init__(self, desk: AlertDesk) -> None:
        self._desk = desk
        self.watched: dict[Series, float] = {}  # when each is looked at next; one that is excused is not among them
        self._carried: dict[AlertKey, float] = {}  # when a metric was last there whose absence is an alert
        self._lacking = Moments("*lacking")  # the same of those that the newest reading lacks
        self._missing = Moments("*missing")  # since when readings lack what an alert is about
        self._declared = Moments("*declared")  # series never heard, and expected since
        self._from = Moments("*from")  # of a series: silence is counted from then at the earliest
        self._excused = Moments("*excused")  # since when its looker is known to be off, as it may be
        self._again: dict[Series, float] = {}  # when that is thought about next

    def watch(self, reading: Reading) -> None:
        """Notice when this series falls silent."""
        series = (reading.target, reading.check, reading.vantage)
        if series not in self.watched:
            ended = max(self._desk.index.expected_by(reading), self._desk.awake_at)
            self._look_at(series, ended + self._shortest_s(series))

    def watch_declared(self, now: float) -> None:
        """Expect what is declared and was never heard, where a rule asks for its silence; counted from now."""
        for target, check in self._desk.index.asked_of_silence():
            for vantage in check.vantages:
                series = (target, check.id, vantage)
                if series not in self.watched and vantage in self._desk.estate.agents:
                    since = self._declared.get(series)
                    if since is None:
                        self._declared.put(series, since := now)
                    self._look_at(series, since + self._shortest_s(series))

    def _look_at(self, series: Series, at: float) -> None:
        self.watched[series] = at
        self._desk.push(at, "series", series)

    def due(self, series: Series, at: float, now: float) -> None:
        """The series has been silent for a while, or has spoken since."""
        if self.watched.get(series, at) != at:
            return  # it was heard while its looker was excused: another moment was chosen
        desk = self._desk
        reading = desk.latest.get(series)
        if reading is not None:
            self._declared.pop(series)
        expected = desk.index.expected_by(reading) if reading is not None else self._declared.get(series) or now
        ended = max(expected, desk.awake_at, desk.blind_at)
        excused_at = self._excused.get(series)
        if excused_at is not None and reading is not None and reading.started + reading.took > excused_at:
            self._excused.pop(series)
        stale_s = desk.index.stale_s(series[0], series[1])
        looks = [ended + stale_s]
        looks += [self._ask(b, series, ended, now) for b in desk.index.bound(series[0], series[1]) if b.wants_silence]
        if reading is not None and now >= expected + stale_s and series not in desk.stale:
            desk.stale.add(series)
            desk.gone_stale.add(series[0])
            desk.moved = True
        ahead = [at for at in looks if at > now]
        if ahead:
            self._look_at(series, min(ahead))
        if not ahead or self._excused.get(series) is not None:
            self.watched.pop(series, None)  # the next reading watches it again

    def seen(self, slate: Slate, reading: Reading, facts: Facts, now: float) -> None:
        """After a good reading of a series with open alerts: what becomes of those that it does not speak of."""
        rules = {bound.rule.id: bound for bound in slate.bounds if bound.group is None}
        for key in self._desk.open_on((reading.target, reading.check, reading.vantage)):
            bound = rules.get(key.rule)
            if bound is None:
                continue
            if key.labels in facts.dimensions(bound.metrics):
                self._missing.pop(named(key))
            elif key.labels:
                self._miss(key, bound, reading, now)
            else:
                self._back(key, bound.rule, reading, facts, now)

    def carried(self, slate: Slate, reading: Reading, now: float) -> None:
        """Which metrics whose absence is an alert a reading has, and which good ones have lacked for too long."""
        names = _carries(reading)
        series = (reading.target, reading.check, reading.vantage)
        for bound in slate.wary:
            key = AlertKey(bound.rule.id, *series)
            if not names.isdisjoint(bound.metrics):
                self._carried[key] = reading.started
                self._lacking.pop(named(key))
                continue
            at = self._carried.get(key) or self._lacking.get(named(key))
            if at is not None:
                self._lacking.put(named(key), at)
                if reading.outcome is Outcome.OK and reading.started - at >= bound.stale_s:
                    self._alert(bound.rule, series, at + bound.stale_s, now)

    def over(self, key: AlertKey) -> None:
        """The alert has ended."""
        self._missing.pop(named(key))

    def written(self) -> dict[str, bytes]:
        """Rows for the journal that have changed; an empty one forgets."""
        silence = self._declared.written() | self._from.written() | self._excused.written()
        return self._lacking.written() | self._missing.written() | silence

    def remember(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written, of what there still is; what is not ours is handed back."""
        index, estate = self._desk.index, self._desk.estate

        def of_alert(name: Name) -> bool:
            return name[0] in index.rules and (name[1] in estate.targets or name[1] in estate.agents)

        def of_series(name: Name) -> bool:
            return name[0] in estate.targets or name[0] in estate.agents

        rest = self._missing.restore(self._lacking.restore(memory, of_alert), of_alert)
        rest = self._declared.restore(rest, lambda name: index.check(name[0], name[1]) is not None)
        return self._excused.restore(self._from.restore(rest, of_series), of_series)

    def restore(self, newest: Iterable[Reading], now: float) -> None:
        """The newest reading of each series as it was at the last commit; what was to be thought about by then, was."""
        for target, check, vantage in self._excused.names():
            self._again[(target, check, vantage)] = self._desk.present.again_at(vantage, now)
        for reading in newest:
            for bound in self._desk.index.slate(reading.target, reading.check).wary:
                if not bound.metrics.isdisjoint(_carries(reading)):
                    key = AlertKey(bound.rule.id, reading.target, reading.check, reading.vantage)
                    self._carried[key] = reading.started
            self.watch(reading)

    def group(self, key: AlertKey, rule: Rule, now: float) -> None:
        """Too few of a group can be judged: its policy speaks where they are not heard."""
        heard = self._desk.groups.heard(key)
        if heard is None or heard.enough:
            return
        since = max(self._desk.awake_at, self._desk.blind_at)
        if now - since < heard.wait_s:
            self._desk.push(since + heard.wait_s, "group", key)
        elif rule.no_data is NoData.CLEAR:
            self._end(key, now)
        elif heard.once and all(self._desk.agents.excuses(one, now) for one in heard.lookers):
            self._desk.push(now + AGAIN_S, "group", key)
        elif heard.once:
            self._desk.silent(key, rule, now, now)

    def _shortest_s(self, series: Series) -> float:
        """The shortest time after which anybody calls this series silent."""
        target, check, _ = series
        asked = [b.stale_s for b in self._desk.index.bound(target, check) if b.wants_silence]
        asked += [s for b in self._desk.index.bound(target, check) if (s := absent_after(b.rule)) is not None]
        return min([self._desk.index.stale_s(target, check), *asked])

    def _ask(self, bound: Bound, series: Series, ended: float, now: float) -> float:
        """Apply a rule's policy for no data, or its question about absence, where it is time; when that is."""
        for_s, excused = absent_after(bound.rule), self._excused.get(series) is not None
        limit_s = bound.stale_s if for_s is None else for_s
        due = max(ended, self._from.get(series) or ended) + limit_s
        if due > now:
            return due
        if for_s is None and bound.rule.no_data is NoData.CLEAR:
            for key in self._keys(bound.rule, series):
                self._end(key, now)
            return due
        if excused and now < self._again[series]:
            return self._again[series]
        if self._desk.agents.excuses(series[2], now):
            if not excused:
                self._excused.put(series, now)
            self._again[series] = self._desk.present.again_at(series[2], now)
            return self._again[series]
        if excused:  # from now on it counts again
            self._excused.pop(series)
            self._from.put(series, now)
            return now + limit_s
        if for_s is None:
            self._alert(bound.rule, series, due, now)
        else:
            self._desk.silent(AlertKey(bound.rule.id, *series), bound.rule, due, now)
        return due

    def _keys(self, rule: Rule, series: Series) -> list[AlertKey]:
        return [key for key in self._desk.open_on(series) if key.rule == rule.id]

    def _alert(self, rule: Rule, series: Series, since: float, now: float) -> None:
        """`no_data: alert`: on what is open already, else on the series itself."""
        for key in self._keys(rule, series) or [AlertKey(rule.id, *series)]:
            self._desk.silent(key, rule, since, now)

    def _miss(self, key: AlertKey, bound: Bound, reading: Reading, now: float) -> None:
        """The series goes on without what this alert is about: a disk was taken out, or it died."""
        since = self._missing.get(named(key))
        if since is None:
            self._missing.put(named(key), since := reading.started)
        gone_s = reading.started - since
        held = bound.rule.no_data is NoData.HOLD and self._desk.alerts[key].active
        if gone_s < (max(GONE_S, bound.stale_s) if held else bound.stale_s):
            return
        if bound.rule.no_data is NoData.ALERT:
            self._desk.silent(key, bound.rule, reading.started, now)
            return
        self._end(key, now)
        if held:
            what = ", ".join(f"{name} {value}" for name, value in key.labels)
            because = f"{key.target} has not told of {what} for a day: nobody can say that it is well"
            self._desk.ledger.append(LedgerRow(now, "", f"{key}#{now:.3f}", "nobody", "no_longer_seen", because))

    def _back(self, key: AlertKey, rule: Rule, reading: Reading, facts: Facts, now: float) -> None:
        """An alert on the series itself, and the series is heard again under labels."""
        verdict = verdict_of(rule, reading, facts, ())
        silent = self._desk.alerts[key].reason is Reason.SILENT
        self._desk.judged(verdict, rule, facts, (), now, good=silent and verdict.bad is None)

    def _end(self, key: AlertKey, now: float) -> None:
        if key in self._desk.alerts:
            self._desk.drop(key, now)


def _carries(reading: Reading) -> set[str]:
    """The metrics that a good reading has; one that failed has none to speak of."""
    good = reading.outcome is Outcome.OK
    return {f"{sample.family}.{sample.field}" for sample in reading.samples if good}
