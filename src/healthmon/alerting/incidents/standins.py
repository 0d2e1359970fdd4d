"""What stands behind a thing that fails or will fail: its spares and its backup, and whether those are well."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.alerting.incidents.groups import Group
from healthmon.impact.graph import NeedGraph
from healthmon.impact.refuge import COPY_CHECK
from healthmon.model.alert import AlertKey, Effect, Rule
from healthmon.model.condition import metrics_in

#: The label of a target that shows evidence of another one's backup.
BACKUP_OF = "backup_of"
_FAMILY = "backup_evidence"
#: What is restored from a backup; a switch is not.
_DATA = frozenset({"database", "storage"})


@dataclass(slots=True)
class Standins:
    """Spares and backups in one step. `groups`: everything that fails now; `down`: what is gone by itself."""

    graph: NeedGraph
    rules: Mapping[str, Rule]
    groups: Sequence[Group]
    down: Collection[str]
    _late: frozenset[str] | None = field(default=None, init=False)

    def spares_down(self, nodes: Iterable[str]) -> frozenset[str]:
        """What would have stood in for these, and is down itself."""
        wanted = frozenset(nodes)
        return frozenset(one for id_ in wanted for one in self.graph.beside(id_) if one in self.down) - wanted

    def unrestorable(self, groups: Iterable[Group]) -> tuple[str, ...]:
        """Of what does not work by itself, what has no good backup; that a backup is late makes itself no worse."""
        late = self._without_backup()
        if not late:
            return ()
        others = (group for group in groups if not all(self._of_backup(alert.key) for alert, _ in group.members))
        nodes = {id_ for group in others for id_ in group.nodes}
        return tuple(sorted(id_ for id_ in nodes if id_ in late or self._holds(id_, late)))

    def _holds(self, id_: str, late: frozenset[str]) -> bool:
        """It keeps the data of something that has no good backup."""
        target = self.graph.estate.targets.get(id_)
        return target is not None and target.kind in _DATA and not late.isdisjoint(self.graph.descendants(id_))

    def _without_backup(self) -> frozenset[str]:
        if self._late is None:
            alerts = (alert for group in self.groups for alert, _ in group.members)
            self._late = frozenset(self._whose(alert.key) for alert in alerts if self._of_backup(alert.key))
        return self._late

    def _of_backup(self, key: AlertKey) -> bool:
        """A rule says that the last good backup is too old, missing, or failed."""
        rule = self.rules.get(key.rule)
        if rule is None or rule.effect is not Effect.WARNING or key.check == COPY_CHECK:
            return False
        return any(metric.partition(".")[0] == _FAMILY for metric in metrics_in(rule.condition))

    def _whose(self, key: AlertKey) -> str:
        """By the label of the target that shows it, else by the backup's name, else its own."""
        targets, services = self.graph.estate.targets, self.graph.estate.services
        target = targets.get(key.target)
        named = (target.labels.get(BACKUP_OF) if target else None, dict(key.labels).get("backup"))
        known: Iterator[str] = (id_ for id_ in named if id_ is not None and (id_ in targets or id_ in services))
        return next(known, key.target)
