"""When the engine looks over everything that fails: at once on a small site, with pauses in a storm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from healthmon.alerting.detect.desk import AlertDesk
from healthmon.alerting.engine_cases import Cases
from healthmon.alerting.engine_lookers import Lookers
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.placing import failing_members
from healthmon.alerting.incidents.questions import Questions
from healthmon.alerting.incidents.readiness import Readiness
from healthmon.model.alert import Alert, Phase

#: Opening hours and fallbacks move severities without any reading.
_REASSESS_S = 30.0
#: While a looker is cut off, or alerts wait, look again so often.
_WATCH_S = 1.0
#: So many series are not correlated anew at every reading while nothing moves.
_LARGE_SITE = 1_000
#: With so many alerts a look takes long, and the next one waits: readings must not wait for both.
_STORM = 1_000
_STORM_LOOK_S = 0.5


class Looking:
    """`news`: something was heard that may change the picture; `again_at`: when time alone may."""

    def __init__(self, desk: AlertDesk, evidence: Evidence, lookers: Lookers, *, settle_s: float) -> None:
        self.news = True
        self.again_at = float("-inf")
        self._desk = desk
        self._evidence = evidence
        self._lookers = lookers
        self._settle_s = settle_s
        self._waiting = False
        self._at = float("-inf")

    def heard(self, *, odd: bool = False) -> None:
        """Somebody has spoken: news if it is odd, or while anything is wrong at all."""
        self.news = self.news or odd or bool(self._desk.alerts)

    def due(self, now: float) -> bool:
        """At once when an alert moved or waits; a large site is otherwise looked over once a second, a storm twice."""
        calm_at = self._at + _STORM_LOOK_S
        if len(self._desk.alerts) >= _STORM and now < calm_at:
            self.again_at = min(self.again_at, calm_at)
            return False
        if self._desk.moved or now >= self.again_at:
            return True
        hurry = self._waiting or len(self._evidence.latest) < _LARGE_SITE
        return self.news and (hurry or now - self._at >= _WATCH_S)

    def begun(self, now: float) -> None:
        """What is known now is what is looked over."""
        self.news = self._desk.moved = False
        self._at = now

    def done(
        self, readiness: Readiness, cases: Cases, questions: Questions, deadlines: Sequence[float], now: float
    ) -> None:
        """When time alone may change the picture; `deadlines` are those of the incidents."""
        times = list(deadlines)
        if any(cases.worked_on()):
            times.append((now // _REASSESS_S + 1) * _REASSESS_S)  # round moments, so that a restart moves none
        waiting = list(self._still_waiting(readiness, cases, now))
        self._waiting = bool(waiting) or self._lookers.waiting
        times += [alert.fired_at + self._settle_s for alert in waiting if alert.fired_at is not None]
        if self._lookers.waiting:
            times += [now + _WATCH_S, *self._lookers.turns]
        if self._desk.alerts:
            times += questions.deadlines()
        self.again_at = min((at for at in times if at > now), default=float("inf"))

    def _still_waiting(self, readiness: Readiness, cases: Cases, now: float) -> Iterator[Alert]:
        """Alerts that belong to no incident yet because something is still to be looked at."""
        known = failing_members(cases.by_id.values())
        for alert in self._desk.alerts.values():
            if alert.phase is Phase.FIRING and alert.key not in known and not readiness.ready(alert, now):
                yield alert
