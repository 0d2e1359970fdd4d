"""What speaks against each target: its alerts, since when, and whether anybody sees it working all the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from healthmon.alerting.incidents.evidence import LOOK_S, Evidence
from healthmon.alerting.incidents.groups import Finding, series_of
from healthmon.alerting.incidents.pings import answers_otherwise
from healthmon.alerting.incidents.reach import Series
from healthmon.model.alert import Alert, AlertKey, Effect, Phase
from healthmon.model.sample import Reason


def bad(alert: Alert) -> bool:
    """Its newest reading speaks against the target, whether or not that is confirmed."""
    return alert.phase in (Phase.PENDING, Phase.FIRING)


class Findings:
    """One finding for each target with alerts.

    steady: of this time, by target, those that say the same until their alerts change; before: those of last time.
    cleared: who recovered lately, and when.
    """

    def __init__(
        self,
        evidence: Evidence,
        now: float,
        alerts: Mapping[AlertKey, Alert],
        *,
        cleared: Mapping[Series, float],
        before: Mapping[str, Finding],
    ) -> None:
        self.steady: dict[str, Finding] = {}
        self._evidence = evidence
        self._now = now
        self._alerts = alerts
        self._cleared = cleared
        self._before = before

    def of(self, alerts: Iterable[Alert]) -> dict[str, Finding]:
        """By target, in the order of the alerts."""
        by_target: dict[str, list[Alert]] = {}
        for alert in alerts:
            by_target.setdefault(alert.key.target, []).append(alert)
        return {target: self._of(target, tuple(own)) for target, own in by_target.items()}

    def _of(self, target: str, own: tuple[Alert, ...]) -> Finding:
        steady = self._evidence.lone(target) and not any(alert.reason is Reason.SILENT for alert in own)
        if not steady:
            return self._made(target, own)
        known = self._before.get(target)
        found = known if known is not None and known.alerts == own else self._made(target, own, steady=True)
        self.steady[target] = found
        return found

    def _made(self, target: str, alerts: tuple[Alert, ...], *, steady: bool = False) -> Finding:
        if steady and len(alerts) == 1:
            (one,) = alerts
            return Finding(target, alerts, one.effect, one.bad_since, (one.key.vantage,), False, False)
        down = [alert for alert in alerts if alert.effect is Effect.DOWN]
        judged: Sequence[Alert] = down or alerts
        since = min([alert.bad_since for alert in judged])
        elsewhere_ok = not steady and all(self._elsewhere_ok(alert) for alert in judged)
        slow = [alert for alert in alerts if alert.effect is Effect.DEGRADED] if down and elsewhere_ok else []
        return Finding(
            target=target,
            alerts=alerts,
            effect=Effect.DOWN if down else Effect.DEGRADED,
            since=since,
            vantages=tuple(dict.fromkeys(alert.key.vantage for alert in judged)),
            elsewhere_ok=elsewhere_ok,
            passing=not steady
            and self._evidence.passing_kind(target)
            and self._evidence.passes(target, since + (LOOK_S if down else 0.0), self._now),
            slow_too=not all(self._elsewhere_ok(alert) for alert in slow),
        )

    def _elsewhere_ok(self, alert: Alert) -> bool:
        """Somebody else has seen the same thing working since this began."""
        key, since = alert.key, alert.bad_since
        if alert.reason is Reason.SILENT:
            return self._evidence.ok_since(key.target, since, self._now)
        own = self._evidence.latest.get(series_of(alert))
        looked_at = own.started if own is not None else since
        # what others saw does not age faster than what speaks against it
        at = min(self._now, own.started + own.took) if own is not None else self._now
        for other in self._evidence.same_check_ok(series_of(alert), since, at):
            # one that has only just recovered says nothing until we have looked again ourselves
            if looked_at > self._recovered_at(other) and (key.rule, other) not in self._doubted:
                return True
        return answers_otherwise(alert, self._evidence, at)

    def _recovered_at(self, series: Series) -> float:
        return float("inf") if series in self._recovering else self._cleared.get(series, float("-inf"))

    @cached_property
    def _recovering(self) -> frozenset[Series]:
        return frozenset(series_of(alert) for alert in self._alerts.values() if alert.phase is Phase.CLEARING)

    @cached_property
    def _doubted(self) -> frozenset[tuple[str, Series]]:
        """What the very rule finds bad there too: slow answers are ok readings."""
        return frozenset((alert.key.rule, series_of(alert)) for alert in self._alerts.values() if bad(alert))
