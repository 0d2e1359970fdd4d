"""A rule about many at once, asked about one: which group it is in, and on which side it stands. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from healthmon.alerting.detect.groups import Standing, group_place
from healthmon.alerting.detect.index import EVERYBODY, GROUP_CHECK
from healthmon.app.conditionwords import asked
from healthmon.model.alert import Alert, AlertKey, Rule
from healthmon.model.condition import Baseline, Group, questions
from healthmon.model.topology import Estate, Target

_NAMES_MOST = 5

#: Who was on which side of a group when it was judged last; None where that is not known.
Sides = Callable[[AlertKey], Standing | None]


@dataclass(frozen=True, slots=True)
class Circle:
    """One group of a rule: its condition, and the name that its alert has."""

    rule: Rule
    group: Group
    place: str

    def holds(self, alert: Alert) -> bool:
        return alert.key.rule == self.rule.id and alert.key.target == self.place

    def said(self, alerts: Iterable[Alert], sides: Sides, target: Target | None, estate: Estate) -> str:
        """The condition in words, with how many stand where, and on which side this one is."""
        key = next((alert.key for alert in alerts), None)
        words = f"in {self.place}, the condition {'holds' if key else 'does not hold'}: wants {asked(self.group)}"
        standing = sides(key or AlertKey(self.rule.id, self.place, GROUP_CHECK, EVERYBODY))
        parts = [words]
        if standing is not None:
            parts += [self._counted(standing), *self._side(standing, _units(target, estate))]
        elif key is None:
            parts.append("how many there are now is not known")
        learns = [one.weeks for one in questions(self.group.where) if isinstance(one, Baseline)]
        if learns and key is None:
            parts.append(f"a baseline judges nothing until it knows {max(learns)} earlier periods of the hour")
        return "; ".join(parts)

    def _counted(self, standing: Standing) -> str:
        held, judged = len(standing.holding), len(standing.holding) + len(standing.others)
        few = f" ({self.group.out_of} must be judged)" if judged < self.group.out_of else ""
        names = ", ".join(standing.holding[:_NAMES_MOST]) + (", ..." if held > _NAMES_MOST else "")
        return f"now {held} of {judged} that are judged{few}{f': {names}' if names else ''}"

    def _side(self, standing: Standing, units: set[str]) -> list[str]:
        """Whether this target is among those of whom it holds."""
        mine = sorted(name for name in standing.holding if _is(name, units))
        others = sorted(name for name in standing.others if _is(name, units))
        if mine:
            return [f"{mine[0]} is one of them"]
        if others:
            return [f"{others[0]} is not one of them"]
        return []


def circle_of(rule: Rule, target: Target | None, asked_for: str, estate: Estate) -> Circle | None:
    """The group that a target is in, or the one that is asked for by its own name."""
    group = rule.condition
    if not isinstance(group, Group):
        return None
    if target is not None:
        return Circle(rule, group, group_place(estate, group.by, target.id))
    places = {group_place(estate, group.by, ""), *(group_place(estate, group.by, id_) for id_ in estate.targets)}
    return Circle(rule, group, asked_for) if asked_for in places else None


def _units(target: Target | None, estate: Estate) -> set[str]:
    """The names under which a group may count this target."""
    if target is None:
        return set()
    agents = {agent.id for agent in estate.agents.values() if agent.target == target.id}
    return {target.id, *agents, *filter(None, (target.area,))}


def _is(name: str, units: set[str]) -> bool:
    return name in units or name.partition("/")[0] in units
