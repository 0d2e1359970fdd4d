"""What a mute would hide if it were in force now. Pure; reads the estate, the alerts and the incidents."""

from __future__ import annotations

from collections.abc import Iterable

from healthmon.alerting.mutes.floor import Line, lifts, protected, speaking
from healthmon.alerting.mutes.matching import covers, expects, fits_key, scope_of, targets_of
from healthmon.alerting.mutes.scope import MuteScope
from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import Alert
from healthmon.model.incident import Incident
from healthmon.model.mute import Mute, Preview, Silence

_LINES_MOST = 5_000


def preview(
    mute: Mute, graph: NeedGraph, alerts: Iterable[Alert], incidents: Iterable[Incident], by_rule: MuteScope
) -> Preview:
    """Targets, areas, alerts and open incidents that it covers, and whom it would leave without a page."""
    estate = graph.estate
    targets = frozenset(id_ for id_ in targets_of(mute, estate) if by_rule.about(mute, id_))
    scope = targets if isinstance(mute, Silence) else scope_of(mute, estate)
    hidden = [
        incident.id
        for incident in incidents
        if incident.open
        and (members := speaking(incident))
        and all(covers(mute, scope, member, estate) for member in members)
    ]
    lines = uncovered(frozenset(id_ for id_ in targets if by_rule.hides_loss(mute, id_)), graph)
    places = {estate.targets[id_].area for id_ in targets if id_ in estate.targets} | {area for area, _ in lines}
    return Preview(
        targets=tuple(sorted(targets)),
        areas=tuple(sorted(area for area in places if area)),
        alerts=tuple(sorted(str(alert.key) for alert in alerts if alert.active and _covers(mute, scope, alert, graph))),
        incidents=tuple(hidden),
        uncovered=lines,
        floor=tuple(line for line in lines if protected(estate, line)),
        floor_lifted=lifts(mute),
    )


def uncovered(targets: frozenset[str], graph: NeedGraph) -> tuple[Line, ...]:
    """(area, service) pairs that are lost when all of these fail: nobody would be told of it."""
    behind = {line for id_ in targets for line in graph.lines_behind(id_)}
    found = []
    for line in sorted(behind)[:_LINES_MOST]:
        if graph.evaluate(graph.goal(*line), lambda id_: id_ not in targets) is False:
            found.append(line)
    return tuple(found)


def _covers(mute: Mute, scope: frozenset[str], alert: Alert, graph: NeedGraph) -> bool:
    if isinstance(mute, Silence):
        return fits_key(mute.match, alert.key, graph.estate)
    reason = alert.reason.value if alert.reason else ""
    return expects(mute, scope, alert.key, reason=reason, effect=alert.effect)
