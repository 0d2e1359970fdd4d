"""What the engine wants looked at out of turn: parents of what fails, and the rest when something is back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from healthmon.alerting.engine_cases import Cases
from healthmon.alerting.incidents.blind import BLIND_RULE
from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.questions import Questions
from healthmon.alerting.incidents.reach import Series
from healthmon.alerting.incidents.readiness import Readiness, questions_within
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.model.alert import Alert, AlertKey, Effect, Phase, by_key
from healthmon.model.incident import Ask


@dataclass(slots=True)
class Asking:
    """Looks within the budget; what was asked is not asked again before its deadline."""

    questions: Questions
    evidence: Evidence
    alerts: Mapping[AlertKey, Alert]
    cases: Cases
    settle_s: float

    def due(self, readiness: Readiness, now: float) -> tuple[Ask, ...]:
        """Recoveries first, then alerts that belong to no incident yet."""
        room, asked = self.questions.room(now), self.questions.asked
        deadline = now + self.settle_s
        found = questions_within(self._recoveries(), asked, deadline=deadline, room=room)
        for alert in self._new() if len(found) < room else ():
            if len(found) < room:
                wanted = readiness.open_questions(alert, now)
                found += questions_within(wanted, asked, deadline=deadline, room=room - len(found))
        self.questions.went_out(len(found), now)
        return tuple(Ask(*series, deadline=deadline) for series in found)

    def after_changes(self, mutes: MuteDesk, now: float, before: float) -> tuple[Ask, ...]:
        """What a change worked on, and what needs it, is looked at again when its window closes, the oldest first."""
        targets = mutes.looks_due(now, before)
        if not targets:
            return ()
        room, asked, latest = self.questions.room(now) // 2, self.questions.asked, self.evidence.latest
        wanted = sorted((latest[one].started, one) for one in latest if one[0] in targets and one not in asked)
        series = [one for _, one in wanted[: max(0, room)]]  # the rest of the budget is for what has failed meanwhile
        deadline = now + self.settle_s
        asked.update((one, deadline) for one in series)
        self.questions.went_out(len(series), now)
        return tuple(Ask(*one, deadline=deadline) for one in series)

    def _new(self) -> list[Alert]:
        incidents = self.cases.by_id.values()
        homes = {member.key for incident in incidents if incident.open for member in incident.members}
        new = [alert for alert in self.alerts.values() if _may_ask(alert) and alert.key not in homes]
        return sorted(new, key=by_key)

    def _recoveries(self) -> Iterator[Series]:
        """Where something has come back, look at the rest again: an all-clear needs every member confirmed."""
        for incident in self.cases.worked_on():
            alerts = [a for m in incident.members if (a := self.alerts.get(m.key)) is not None and a.active]
            ends = [member.cleared_at for member in incident.members if member.cleared_at is not None]
            ends += [alert.since for alert in alerts if alert.phase is Phase.CLEARING]
            for alert in alerts if ends else ():
                series = (alert.key.target, alert.key.check, alert.key.vantage)
                reading = self.evidence.latest.get(series)
                if reading and (reading.started < max(ends) or alert.phase is Phase.CLEARING):
                    yield series


def _may_ask(alert: Alert) -> bool:
    hard = alert.effect in (Effect.DOWN, Effect.DEGRADED) and alert.key.rule != BLIND_RULE
    return hard and alert.phase in (Phase.PENDING, Phase.FIRING)
