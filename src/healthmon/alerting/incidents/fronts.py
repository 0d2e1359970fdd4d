"""What people use in front of a thing: while that works, a few failed looks at the thing behind it may be chance."""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.alerting.incidents.evidence import LOOK_S, SHALLOW, Evidence
from healthmon.alerting.incidents.reach import Series
from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import Alert, Effect
from healthmon.model.sample import Outcome, Reason
from healthmon.model.topology import need_ids


def fronts_of(graph: NeedGraph) -> Mapping[str, tuple[str, ...]]:
    """By thing: what services name as their needs, and what cannot work without the thing."""
    found: dict[str, list[str]] = {}
    named = {id_ for service in graph.estate.services.values() for id_ in need_ids(service.needs)}
    for front in sorted(named & graph.estate.targets.keys()):
        for id_ in graph.strict(front):
            found.setdefault(id_, []).append(front)
    return {id_: tuple(fronts) for id_, fronts in found.items()}


def doubted(alert: Alert, evidence: Evidence, fronts: Mapping[str, tuple[str, ...]], now: float) -> Series | None:
    """The look that decides: it was not made since the alert fired, and a front has worked since the failure began."""
    series = (alert.key.target, alert.key.check, alert.key.vantage)
    latest = evidence.latest.get(series)
    if alert.effect is not Effect.DOWN or alert.reason is Reason.SILENT or alert.fired_at is None or latest is None:
        return None
    since = alert.bad_since + LOOK_S
    known = latest.started > alert.fired_at
    works = not known and any(_works(one, since, evidence, now) for one in fronts.get(series[0], ()))
    return series if works else None


def _works(front: str, since: float, evidence: Evidence, now: float) -> bool:
    """It has done its work since then, and not only answered."""
    for look in evidence.of_target(front):
        check = evidence.index.check(front, look.check)
        deep = check is not None and check.kind not in SHALLOW
        if deep and look.outcome is Outcome.OK and look.started >= since and evidence.counts(look, now):
            return True
    return False
