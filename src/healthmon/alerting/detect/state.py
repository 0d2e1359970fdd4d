"""The state table of an alert: clear, pending, firing, clearing, and back."""

from __future__ import annotations

from dataclasses import replace

from healthmon.model.alert import Alert, Phase, Rule, Verdict


def advance(alert: Alert | None, verdict: Verdict, rule: Rule, now: float) -> Alert | None:
    """The alert after one more verdict; None is clear. A verdict that judges nothing changes nothing."""
    if verdict.bad is None and not verdict.good:
        return alert
    match (alert.phase if alert else Phase.CLEAR), bool(verdict.bad), verdict.good:
        case Phase.CLEAR, True, _:
            return _fired(_fresh(verdict, rule, now), rule, verdict.at, now)
        case Phase.PENDING, True, _:
            assert alert is not None
            return _fired(_seen(alert, verdict, streak=alert.streak + 1), rule, verdict.at, now)
        case Phase.FIRING, True, _:
            assert alert is not None
            return _seen(alert, verdict, streak=alert.streak + 1)
        case Phase.CLEARING, True, _:
            assert alert is not None
            return replace(_seen(alert, verdict, streak=1), phase=Phase.FIRING, since=now)
        case Phase.FIRING, _, True:
            assert alert is not None
            return _cleared(replace(alert, phase=Phase.CLEARING, since=now, streak=1), rule, now)
        case Phase.CLEARING, _, True:
            assert alert is not None
            return _cleared(replace(alert, streak=alert.streak + 1), rule, now)
        case Phase.CLEARING, _, False:  # between the two limits: not clear after all
            assert alert is not None
            return replace(alert, phase=Phase.FIRING, since=now, streak=1)
        case Phase.FIRING, _, False:
            return alert
        case _:  # clear, or pending and no longer bad
            return None


def resumed(alert: Alert, verdict: Verdict, rule: Rule, stale_s: float) -> Alert:
    """A pending alert before one more bad verdict: unseen for as long as its hold, it has lasted only since now."""
    unseen_s = verdict.at - alert.bad_at if alert.bad_at else 0.0
    if not rule.hold_s or alert.phase is not Phase.PENDING or unseen_s <= max(rule.hold_s, stale_s):
        return alert
    return replace(alert, bad_since=verdict.at)


def quicker(rule: Rule) -> Rule:
    """The rule while a change is open on the target: half as many readings, half as long."""
    return replace(rule, confirm=max(1, (rule.confirm + 1) // 2), hold_s=rule.hold_s / 2.0)


def expire(alert: Alert, rule: Rule, now: float) -> Alert | None:
    """The alert when a hold or keep time may have run out, with no new reading."""
    if alert.phase is Phase.PENDING:
        return _fired(alert, rule, now, now)
    if alert.phase is Phase.CLEARING and alert.flapping_since is None:
        return _cleared(alert, rule, now)
    return alert


def damped(known: Alert | None, after: Alert | None, *, flapping: bool, streak: int, now: float) -> Alert | None:
    """The alert after `advance` while its state flaps: it does not become clear, and says since when it flaps."""
    if after is None and known is not None and known.active and flapping:
        since = known.since if known.phase is Phase.CLEARING else now
        after = replace(known, phase=Phase.CLEARING, since=since, streak=streak)
    if after is None:
        return None
    since_when = None
    if flapping and after.active:
        since_when = now if known is None or known.flapping_since is None else known.flapping_since
    return replace(after, flapping_since=since_when)


def due_at(alert: Alert, rule: Rule) -> float | None:
    """When `expire` would change the alert without any new reading."""
    if alert.phase is Phase.PENDING and rule.hold_s > 0 and alert.streak >= rule.confirm:
        return alert.bad_since + rule.hold_s
    calm = alert.flapping_since is None
    if alert.phase is Phase.CLEARING and calm and rule.keep_s > 0 and alert.streak >= rule.clear_confirm:
        return alert.since + rule.keep_s
    return None


def _fresh(verdict: Verdict, rule: Rule, now: float) -> Alert:
    return Alert(
        key=verdict.key,
        phase=Phase.PENDING,
        effect=rule.effect,
        since=now,
        bad_since=verdict.at,
        streak=1,
        value=verdict.value,
        reason=verdict.reason,
        detail=verdict.detail,
        because=verdict.because,
        bad_at=verdict.at,
    )


def _seen(alert: Alert, verdict: Verdict, *, streak: int) -> Alert:
    because = alert.because
    if verdict.because and verdict.because != because:
        because = tuple(dict.fromkeys((*because, *verdict.because)))
    return replace(
        alert,
        streak=streak,
        value=verdict.value,
        reason=verdict.reason,
        detail=verdict.detail,
        because=because,
        bad_at=verdict.at,
    )


def _fired(alert: Alert, rule: Rule, at: float, now: float) -> Alert:
    """Firing, once enough readings agree and the condition has lasted."""
    if alert.streak < rule.confirm or at - alert.bad_since < rule.hold_s:
        return alert
    return replace(alert, phase=Phase.FIRING, since=now, fired_at=now)


def _cleared(alert: Alert, rule: Rule, now: float) -> Alert | None:
    """Clear, once enough readings agree and the alert has been kept long enough."""
    if alert.streak < rule.clear_confirm or now - alert.since < rule.keep_s:
        return alert
    return None
