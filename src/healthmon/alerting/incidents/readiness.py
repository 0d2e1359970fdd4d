"""Look at the parents first: what an alert waits for before it opens or joins an incident, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from healthmon.alerting.incidents.blind import BLIND_RULE
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.fronts import doubted
from healthmon.alerting.incidents.pings import unasked
from healthmon.alerting.incidents.reach import ANSWERED, Series
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.sample import Reason

#: Other lookers at the same check, and other targets of the same looker, that are asked at most.
_WITNESSES = 4


class Readiness:
    """Whether an alert has waited enough. Built per step; `targets` with a pending alert keep others waiting."""

    def __init__(
        self,
        evidence: Evidence,
        alerts: Mapping[AlertKey, Alert],
        *,
        settle_s: float,
        server: str,
        fronts: Mapping[str, tuple[str, ...]],
        suspect: bool = False,
    ) -> None:
        self._evidence = evidence
        self._fronts = fronts
        self._settle_s = settle_s
        self._suspect = suspect  # the server's own looker may be cut off: then nothing opens before that is settled
        self._server = server
        self._firing = {a.key.target for a in alerts.values() if a.active and a.effect is Effect.DOWN}
        self._answered: dict[AlertKey, bool] = {}  # nothing is learned within a step
        self._reached_at = evidence.reach(server).reached_at
        self._witnesses = evidence.spread(server, _WITNESSES)
        self._pending = {a.key.target for a in alerts.values() if a.phase is Phase.PENDING and a.effect is Effect.DOWN}

    def ready(self, alert: Alert, now: float) -> bool:
        """Every thing that could explain it has been looked at since it began, or the wait is over."""
        if alert.phase is not Phase.FIRING:
            return False
        if alert.key.rule == BLIND_RULE or alert.effect not in (Effect.DOWN, Effect.DEGRADED):
            return True
        if alert.fired_at is None or now - alert.fired_at >= self._settle_s:
            return True
        if self._suspect and (alert.reason is Reason.SILENT or alert.key.vantage == self._server):
            return False
        answered = self._answered.get(alert.key)
        if answered is None:
            answered = next(self.open_questions(alert, now), None) is None
        return answered

    def open_questions(self, alert: Alert, now: float) -> Iterator[Series]:
        """The looks that the alert still waits for."""
        waits = False
        for series in self._questions(alert, now):
            waits = True
            self._answered[alert.key] = False
            yield series
        if not waits:
            self._answered[alert.key] = True

    def _questions(self, alert: Alert, now: float) -> Iterator[Series]:
        yield from self._afresh(alert)
        yield from self._second_thoughts(alert, now)
        yield from self._parents(alert, now)
        yield from self._behind(alert, now)
        yield from self._other_lookers(alert)
        yield from self._way_out(alert)

    def _afresh(self, alert: Alert) -> Iterator[Series]:
        """What arrives after an interruption tells of the interruption: look once more."""
        series = (alert.key.target, alert.key.check, alert.key.vantage)
        if alert.reason is not Reason.SILENT and not self._evidence.looked_afresh(series):
            yield series

    def _second_thoughts(self, alert: Alert, now: float) -> Iterator[Series]:
        """Pings prove little, and so do a few failed looks while what people use in front of it works."""
        looks = unasked(alert, self._evidence), doubted(alert, self._evidence, self._fronts, now)
        yield from (one for one in looks if one is not None)

    def _parents(self, alert: Alert, now: float) -> Iterator[Series]:
        evidence, since = self._evidence, alert.bad_since
        looker = self._server if alert.reason is Reason.SILENT else alert.key.vantage
        for id_ in evidence.depends_on(alert.key.target, looker):
            answered = alert.reason in ANSWERED and evidence.passing_kind(id_)
            if id_ in self._firing or answered or evidence.passes(id_, since, now):
                continue
            waiting = id_ in self._pending
            if waiting or (evidence.monitored(id_) and not evidence.looked_since(id_, since)):
                way = _way_to_look(evidence, id_, self._server)
                if way is not None:
                    yield way

    def _behind(self, alert: Alert, now: float) -> Iterator[Series]:
        """Does what answered through it at the very beginning still answer?"""
        passes_on = alert.effect is Effect.DOWN and self._evidence.passing_kind(alert.key.target)
        proof = self._evidence.early_proof(alert.key.target, alert.bad_since, now) if passes_on else None
        if proof is not None:
            yield proof

    def _other_lookers(self, alert: Alert) -> Iterator[Series]:
        """Does anybody else see it working?"""
        key = alert.key
        if self._evidence.seen_once(key.target):
            return
        others = [v for v in self._evidence.lookers(key.target, key.check) if v != key.vantage]
        asked = [(key.target, key.check, vantage) for vantage in sorted(others)[:_WITNESSES]]
        unanswered = [series for series in asked if self._evidence.latest[series].started < alert.bad_since]
        if len(unanswered) == len(asked):
            yield from unanswered

    def _way_out(self, alert: Alert) -> Iterator[Series]:
        """Does the looker reach anything else at all?"""
        looker = self._server if alert.reason is Reason.SILENT else alert.key.vantage
        if looker != self._server or self._reached_at >= alert.bad_since:
            return
        for reading in self._witnesses:
            if reading.target != alert.key.target and reading.started < alert.bad_since:
                yield (reading.target, reading.check, looker)


def questions_within(
    questions: Iterator[Series], asked: dict[Series, float], *, deadline: float, room: int
) -> list[Series]:
    """The questions that may be asked now; each at most once while an answer is awaited."""
    chosen: list[Series] = []
    for series in questions:
        if len(chosen) >= room:
            break
        if series not in asked:
            asked[series] = deadline
            chosen.append(series)
    return chosen


def _way_to_look(evidence: Evidence, target_id: str, server: str) -> Series | None:
    """One check that tells whether the target is there: by the server's own looker, if there is such a one."""
    known = ((r.vantage != server, r.check, r.vantage) for r in evidence.of_target(target_id))
    best = min(known, default=None)
    if best is not None:
        _, check, vantage = best
        return (target_id, check, vantage)
    target = evidence.estate.targets.get(target_id)
    declared = [check.id for check in target.checks if server in check.vantages] if target else []
    return (target_id, declared[0], server) if declared else None
