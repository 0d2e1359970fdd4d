"""Pings that are not answered by something that may answer otherwise: they are often filtered, or rationed."""

from __future__ import annotations

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.alerting.incidents.reach import Series, reached
from healthmon.model.alert import Alert, Effect
from healthmon.model.sample import Reading, Reason


def unanswered(alert: Alert, evidence: Evidence) -> bool:
    """The alert says that pings are not answered."""
    check = evidence.index.check(alert.key.target, alert.key.check)
    pinged = check is not None and check.kind == "icmp"
    return pinged and alert.effect is Effect.DOWN and alert.reason is not Reason.SILENT


def beside(alert: Alert, evidence: Evidence) -> list[Reading]:
    """The newest answers to what the same looker asks the same target otherwise."""
    own = (one for one in evidence.of_target(alert.key.target) if one.vantage == alert.key.vantage)
    checks = ((one, evidence.index.check(one.target, one.check)) for one in own)
    return [one for one, check in checks if check is not None and check.kind != "icmp"]


def unasked(alert: Alert, evidence: Evidence) -> Series | None:
    """A look that would tell: none of the others is newer than the failure."""
    others = beside(alert, evidence) if unanswered(alert, evidence) else []
    if not others or any(one.started >= alert.bad_since for one in others):
        return None
    return (others[0].target, others[0].check, others[0].vantage)


def answers_otherwise(alert: Alert, evidence: Evidence, now: float) -> bool:
    """An agent on it has spoken since, or it has answered this looker's other questions."""
    if not unanswered(alert, evidence):
        return False
    since = alert.bad_since
    if any(evidence.heard_since(agent.id, since) for agent in evidence.agents_on(alert.key.target)):
        return True
    return any(o.started >= since and reached(o) and evidence.counts(o, now) for o in beside(alert, evidence))
