"""Plain Prometheus rules with Alertmanager's documented grouping, on the same readings. AN EMULATION, not the programs.

One alert per series and rule: the stock conditions, `for` three samples in a row, resolved by one good sample. One
group per rule and site (group_by: [alertname, site]), group_wait 30 s, group_interval 5 m, as Alertmanager's own
example configuration has them. Every sending of a group that holds a firing alert is one page. A look that cannot leave
the prober fails, as with blackbox_exporter. PCs are not scraped (one that is switched off would alert), so faults that
only take PCs are not seen. There is no topology: inhibition rules would have to be written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.detect.conditions import evaluate
from healthmon.alerting.detect.index import RuleIndex
from healthmon.model.alert import AlertKey, Effect, Rule
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.model.topology import Estate

GROUP_WAIT_S = 30.0
GROUP_INTERVAL_S = 300.0
SAMPLES = 3
_CANNOT_LEAVE = (Reason.NO_ROUTE, Reason.NAME_SERVICE)
_PAGING = (Effect.DOWN, Effect.DEGRADED)


@dataclass(frozen=True, slots=True)
class Sending:
    """One notification: when, and the targets of the alerts in it."""

    at: float
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What was sent of one fault. first: the targets in the first sending."""

    pages: int
    alerts: int
    first_at: float | None
    first: frozenset[str]


NOTHING = Found(0, 0, None, frozenset())


@dataclass(slots=True)
class _Group:
    firing: set[AlertKey] = field(default_factory=set)
    told: frozenset[AlertKey] = frozenset()
    send_at: float | None = None
    sent_at: float = float("-inf")


class Peer:
    """Feed with `observe`, move with `tick`."""

    def __init__(self, estate: Estate, rules: Iterable[Rule]) -> None:
        self._estate = estate
        self._rules = [rule for rule in rules if rule.effect in _PAGING]
        self._index = RuleIndex(estate, self._rules)
        self._bad: dict[AlertKey, int] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self.sent: list[Sending] = []

    def observe(self, readings: Sequence[Reading], now: float) -> None:
        for reading in readings:
            if reading.reason in _CANNOT_LEAVE:
                reading = replace(reading, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
            for bound in self._index.bound(reading.target, reading.check):
                if reading.outcome is Outcome.OK and not bound.metrics and not self._bad:
                    continue
                for verdict in evaluate(bound.rule, reading, bound.metrics):
                    self._judge(verdict.key, verdict.bad, now)

    def tick(self, now: float) -> None:
        """Send the groups whose wait is over."""
        for group in self._groups.values():
            if group.send_at is None or group.send_at > now:
                continue
            if group.firing and frozenset(group.firing) != group.told:
                self.sent.append(Sending(now, frozenset(key.target for key in group.firing)))
            group.told, group.sent_at, group.send_at = frozenset(group.firing), now, None

    def since(self, at: float, touched: set[str]) -> Found:
        """What was sent of these targets since then."""
        mine = [one for one in self.sent if one.at >= at and one.targets & touched]
        alerts = {target for one in mine for target in one.targets & touched}
        return Found(len(mine), len(alerts), mine[0].at if mine else None, mine[0].targets if mine else frozenset())

    def _judge(self, key: AlertKey, bad: bool | None, now: float) -> None:
        if bad is None:
            return
        if not bad:
            if self._bad.pop(key, 0) >= SAMPLES:
                self._group(key).firing.discard(key)
            return
        streak = self._bad[key] = self._bad.get(key, 0) + 1
        if streak == SAMPLES:
            group = self._group(key)
            group.firing.add(key)
            if group.send_at is None:
                first = not group.told
                group.send_at = now + GROUP_WAIT_S if first else max(now, group.sent_at + GROUP_INTERVAL_S)

    def _group(self, key: AlertKey) -> _Group:
        target = self._estate.targets.get(key.target)
        return self._groups.setdefault((key.rule, target.site if target else ""), _Group())
