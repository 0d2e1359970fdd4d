"""Is it them or is it us: a looker that reaches nothing at all is cut off, and says nothing about its targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from healthmon.alerting.incidents.evidence import Evidence
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.sample import Outcome, Reading, Reason

BLIND_RULE = "monitor-blind"
BLIND_CHECK = "reach"
#: Readings that were under way when the link went.
SLACK_S = 4.0
#: No way out is judged after it has lasted so long; failures are judged when a rule has confirmed them.
_UNSEEING_S = 5.0
_FEWEST_WITHOUT_UPLINK = 3
#: Agents reconnect spread over a minute after the server was cut off.
_RECONNECT_S = 60.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one vantage point sees of the world beyond its own host."""

    vantage: str
    host: str | None
    hops: tuple[str, ...]  # watched things that everything it sees goes through, nearest first
    uplink: str | None  # the nearest of these, watched or not
    remote: frozenset[str]
    bad: Mapping[str, Reading]  # targets that it could not reach, none reached since
    reached_at: float
    first_bad_at: float
    newly: frozenset[str]  # of the bad ones, those that did not fail already while others were reached

    @property
    def subject(self) -> str:
        """Beyond what we cannot see: the failing hop, the host, or the vantage point itself."""
        failing = [hop for hop in self.hops if hop in self.bad]
        return failing[0] if failing else self.uplink or self.host or self.vantage


def outlook(evidence: Evidence, vantage: str, alerts: Mapping[AlertKey, Alert]) -> Outlook:
    """What the vantage point sees, from its newest readings alone."""
    host = evidence.host(vantage)
    reach = evidence.reach(vantage)
    reached_at, bad, remote = reach.reached_at, reach.unreached(), reach.targets
    hops = _hops(evidence, host, remote)
    starts = [reading.started for reading in bad.values()]
    starts += [a.bad_since for a in alerts.values() if a.key.vantage == vantage and a.bad_since > reached_at]
    first_bad_at = min(starts, default=float("inf"))
    before = {
        alert.key.target
        for alert in alerts.values()
        if alert.phase is Phase.FIRING and alert.key.vantage == vantage and alert.bad_since < reached_at
    }
    newly = frozenset(bad.keys() - before)
    return Outlook(vantage, host, hops, _nearest(evidence, host), remote, bad, reached_at, first_bad_at, newly)


def _is_blind(view: Outlook, alerts: Mapping[AlertKey, Alert], *, since: float, now: float, settle_s: float) -> bool:
    """What may be blindness has lasted, was looked at from enough sides, and is confirmed."""
    looked = len(view.bad) == len(view.remote) or now - since >= settle_s
    if not looked:
        return False
    if view.hops:
        hop = [target for target in view.hops if target in view.bad]
        return _confirmed(view, hop, alerts, now - since) and _not_alone(view)
    return _confirmed(view, view.bad, alerts, now - since)


def may_be_blind(view: Outlook, evidence: Evidence) -> bool:
    """It looks as if nothing is reached; whether that is so is settled within seconds."""
    if not view.bad or view.first_bad_at < view.reached_at:
        return False
    if not gagged(view) and independent(view, evidence, since=view.first_bad_at):
        return False
    if view.hops:
        return any(hop in view.bad for hop in view.hops)
    if len(view.newly) < _FEWEST_WITHOUT_UPLINK:
        return False
    return view.uplink is not None or _branches(evidence, view.newly) >= 2


def gagged(view: Outlook) -> bool:
    """This machine itself says that nothing gets out: then words that still come in do not prove that we can see."""
    asked = [view.bad[hop] for hop in view.hops if hop in view.bad] or list(view.bad.values())
    return bool(asked) and all(reading.outcome is Outcome.UNKNOWN for reading in asked)


def independent(view: Outlook, evidence: Evidence, *, since: float) -> bool:
    """Somebody who is not on our host has got word to us since then."""
    for agent in evidence.estate.agents.values():
        if (
            agent.id != view.vantage
            and _elsewhere(evidence, agent.id, view.host)
            and evidence.heard_since(agent.id, since)
        ):
            return True
    return any(
        reading.started >= since + 1.0 and vantage != view.vantage and _elsewhere(evidence, vantage, view.host)
        for vantage in evidence.vantages()
        for reading in evidence.of_vantage(vantage)
    )


def watch(
    blind: Alert | None,
    view: Outlook,
    evidence: Evidence,
    alerts: Mapping[AlertKey, Alert],
    *,
    now: float,
    settle_s: float,
) -> Alert | None:
    """The state of being cut off, as an alert: pending, firing, clearing while members are looked at afresh, clear."""
    if blind is None or blind.phase is Phase.PENDING:
        return _suspected(blind, view, evidence, alerts, now=now, settle_s=settle_s)
    if blind.phase is Phase.FIRING:
        word = not gagged(view) and independent(view, evidence, since=blind.bad_since)
        seen_again = view.reached_at > blind.bad_since or word
        return replace(blind, phase=Phase.CLEARING, since=now, streak=1) if seen_again else blind
    gone_again = view.first_bad_at > blind.since and may_be_blind(view, evidence)
    if gone_again and _is_blind(view, alerts, since=view.first_bad_at, now=now, settle_s=settle_s):
        return replace(blind, phase=Phase.FIRING, since=now)
    if any(holds_back(blind, alert, evidence, now=now) for alert in alerts.values()):
        return blind
    return _suspected(None, view, evidence, alerts, now=now, settle_s=settle_s)  # it may be cut off again by now


def turns(blind: Alert | None, view: Outlook, *, settle_s: float) -> tuple[float, ...]:
    """When the state of being cut off may change with time alone."""
    if blind is None:
        return ()
    begun = (blind.bad_since, view.first_bad_at)
    judged = [at + lasted for at in begun for lasted in (settle_s, _UNSEEING_S)]
    return (*judged, blind.since + _RECONNECT_S)


def holds_back(blind: Alert, alert: Alert, evidence: Evidence, *, now: float) -> bool:
    """Whether the alert rests on what a cut-off looker failed to see, and nobody has looked afresh since."""
    if alert.key.rule == BLIND_RULE or not alert.active:
        return False
    if alert.reason is Reason.SILENT:
        after = blind.bad_since - SLACK_S
        return alert.bad_since >= after and (blind.phase is Phase.FIRING or now < blind.since + _RECONNECT_S)
    if alert.key.vantage != blind.key.vantage or alert.bad_since < blind.bad_since - SLACK_S:
        return False
    if alert.key.target == evidence.host(alert.key.vantage):
        return False
    if blind.phase is Phase.FIRING or alert.phase is Phase.CLEARING:
        return True
    latest = evidence.latest.get((alert.key.target, alert.key.check, alert.key.vantage))
    return latest is None or latest.started < blind.since or latest.outcome is not Outcome.FAILED


def _suspected(
    known: Alert | None,
    view: Outlook,
    evidence: Evidence,
    alerts: Mapping[AlertKey, Alert],
    *,
    now: float,
    settle_s: float,
) -> Alert | None:
    if not may_be_blind(view, evidence):
        return None
    since = min(view.first_bad_at, known.bad_since) if known else view.first_bad_at
    found = replace(_begin(view, now), bad_since=since)
    if _is_blind(view, alerts, since=since, now=now, settle_s=settle_s):
        return found
    pending = replace(found, phase=Phase.PENDING, fired_at=None, since=known.since if known else now)
    return known if known is not None and known.key == pending.key else pending


def _begin(view: Outlook, now: float) -> Alert:
    unsure = all(reading.outcome is Outcome.UNKNOWN for reading in view.bad.values())
    return Alert(
        key=AlertKey(BLIND_RULE, view.subject, BLIND_CHECK, view.vantage),
        phase=Phase.FIRING,
        effect=Effect.DOWN,
        since=now,
        bad_since=view.first_bad_at,
        fired_at=now,
        streak=1,
        value=float(len(view.bad)),
        reason=Reason.NO_ROUTE if unsure else Reason.UNREACHABLE,
    )


def _hops(evidence: Evidence, host: str | None, remote: frozenset[str]) -> tuple[str, ...]:
    """What every look from the host goes through, nearest first, as far as the host itself looks at it."""
    if host is None:
        return ()
    way = evidence.graph.strict(host)
    ranked = [id_ for id_ in evidence.graph.requires(host) if id_ in way and id_ in remote]
    return tuple(reversed(ranked))


def _nearest(evidence: Evidence, host: str | None) -> str | None:
    way = evidence.graph.strict(host) if host is not None else frozenset()
    return max(way, key=lambda id_: (len(evidence.graph.requires(id_)), id_), default=None)


def _not_alone(view: Outlook) -> bool:
    return len(view.bad) >= min(2, len(view.remote))


def _confirmed(view: Outlook, targets: Iterable[str], alerts: Mapping[AlertKey, Alert], lasted_s: float) -> bool:
    """A rule has confirmed that one of these fails, or there has been no way out for some seconds."""
    wanted = set(targets)
    if not wanted:
        return False
    if any(a.active and a.key.target in wanted and a.key.vantage == view.vantage for a in alerts.values()):
        return True
    unseeing = all(view.bad[target].outcome is Outcome.UNKNOWN for target in wanted if target in view.bad)
    return unseeing and lasted_s >= _UNSEEING_S


def _branches(evidence: Evidence, bad: Iterable[str]) -> int:
    """How many of the failing things share nothing that could be the one cause."""
    graph = evidence.graph
    tops = [id_ for id_ in sorted(bad) if id_ in graph and not set(graph.requires(id_)) & set(bad)]
    apart: list[frozenset[str]] = []
    for id_ in tops:
        way = frozenset(graph.requires(id_)) | {id_}
        if all(not way & other for other in apart):
            apart.append(way)
    return len(apart)


def _elsewhere(evidence: Evidence, vantage: str, host: str | None) -> bool:
    """Whether the vantage point is known to run on another machine."""
    other = evidence.host(vantage)
    return other != host if host is not None else other is not None
