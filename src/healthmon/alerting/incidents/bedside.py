"""End devices that are gone from an area: with one incident, or with others before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.incidents.groups import Group
from healthmon.alerting.incidents.harm import Assessor, Losses
from healthmon.impact.bedside import Toll, toll
from healthmon.impact.severity import Harm
from healthmon.model.alert import Alert, Effect
from healthmon.model.incident import IncidentKind


@dataclass(slots=True)
class Bedside:
    """End devices of one step. `groups`: everything that fails now, whichever incident it belongs to."""

    assessor: Assessor
    losses: Losses
    groups: Sequence[Group]
    _gone: dict[str, float] | None = field(default=None)

    def devices(self, alerts: Sequence[Alert], groups: Sequence[Group]) -> dict[str, set[str]]:
        """End devices by area that fail, or that what is down has taken with it before their own silence is noticed."""
        evidence = self.assessor.evidence
        failing = {alert.key.target for alert in alerts if alert.effect is Effect.DOWN}
        nodes = [id_ for group in groups if group.areas is None and not group.faded for id_ in group.nodes]
        unheard = self.losses.taken_with(nodes, lambda id_: evidence.end_device(id_) and id_ not in failing)
        failing |= {id_ for id_ in unheard if evidence.in_use(id_)}
        found: dict[str, set[str]] = {}
        for id_ in failing:
            target = evidence.estate.targets.get(id_)
            if target and target.area and evidence.end_device(id_):
                found.setdefault(target.area, set()).add(id_)
        return found

    def harms(self, devices: Mapping[str, set[str]], now: float) -> list[Harm]:
        """Areas where every watched device of a kind is gone (two or more), or half of them (three or more)."""
        return [
            Harm(area, "", one.state, staffed=self.assessor.staffed(area, now))
            for area, _, one in self.tolls(devices)
            if one.state is not None
        ]

    def tolls(self, devices: Mapping[str, set[str]]) -> Iterator[tuple[str, str, Toll]]:
        """What these devices have made of each area and kind."""
        evidence = self.assessor.evidence
        for area, failing in sorted(devices.items()):
            for kind in sorted({evidence.kind(id_) for id_ in failing}):
                peers = [id_ for id_ in self.assessor.peers(area, kind) if evidence.watched(id_)]
                yield area, kind, toll(failing, peers, self._gone_since())

    def _gone_since(self) -> dict[str, float]:
        """End devices that are gone for everybody, in whichever incident, and since when."""
        if self._gone is None:
            outright = (g for g in self.groups if g.kind is IncidentKind.INCIDENT and g.areas is None and not g.faded)
            found: dict[str, float] = {}
            for alert in (alert for group in outright for alert, _ in group.members if alert.effect is Effect.DOWN):
                id_ = alert.key.target
                if self.assessor.evidence.end_device(id_):
                    found[id_] = min(alert.bad_since, found.get(id_, alert.bad_since))
            self._gone = found
        return self._gone
