"""Where ward PCs are plugged in, and what their ports show: declared in the inventory, or learned from links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from healthmon.impact.presence import Port
from healthmon.model.sample import Reading
from healthmon.model.topology import Agent, Estate, Target, need_ids

#: A link that is so much slower than while the PC is on.
SLOWER = 0.5
#: Labels that say where a machine is plugged in.
_SWITCH, _PORT = "switch", "port"
_OF_PORT = frozenset({"oper_up", "speed_bits_per_second"})
_SWITCHES = frozenset({"switch", "router"})


@dataclass(frozen=True, slots=True)
class Plug:
    """The port that a machine hangs on; `by`: declared, or who says so."""

    switch: str
    port: str = ""
    by: str = "declared"


class Plugs:
    """The port of each machine, found once. `seen`: the newest readings of a target."""

    def __init__(self, estate: Estate, seen: Callable[[str], Iterable[Reading]]) -> None:
        self._estate, self._seen = estate, seen
        self._learned: Mapping[str, Plug] = {}
        self._found: dict[str, Plug | None] = {}

    def take(self, learned: Mapping[str, Plug]) -> bool:
        """Ports that links tell of, by target; whether that is anything new."""
        if learned == self._learned:
            return False
        self._learned = learned
        self._found.clear()
        return True

    def of(self, agent: Agent) -> Plug | None:
        """Where it is plugged in: declared by labels or needs, else learned."""
        if agent.id not in self._found:
            self._found[agent.id] = self._find(agent)
        return self._found[agent.id]

    def link(self, plug: Plug, usual_speed: float, since: float) -> Port | None:
        """What the port shows since then; None: nobody has looked."""
        seen = self.state(plug, since)
        if seen is None:
            return None
        up, speed = seen
        return Port.DOWN if not up else Port.SLOW if 0 < speed < SLOWER * usual_speed else Port.UP

    def state(self, plug: Plug, since: float) -> tuple[bool, float] | None:
        """(link, bit/s) by the newest look since then."""
        looks = [(at, up, speed) for at, up, speed in self.looks(plug) if at > since]
        return max(looks)[1:] if looks else None

    def looks(self, plug: Plug) -> list[tuple[float, bool, float]]:
        """(Unix s, link, bit/s) of the port, from every look at its switch that tells."""
        found = []
        for reading in self._seen(plug.switch):
            up, speed = None, 0.0
            for sample in reading.samples:
                value = sample.number if sample.field in _OF_PORT else None
                if value is not None and sample.labels.get("interface", "").casefold() == plug.port:
                    up, speed = (value, speed) if sample.field == "oper_up" else (up, value)
            if up is not None:
                found.append((reading.started, up > 0.5, speed))
        return found

    def _find(self, agent: Agent) -> Plug | None:
        target = self._estate.targets.get(agent.target or "")
        if target is None:
            return None
        declared = _declared(target, self._estate)
        learned = self._learned.get(target.id)
        return learned if learned is not None and (declared is None or not declared.port) else declared


def _declared(target: Target, estate: Estate) -> Plug | None:
    switch = target.labels.get(_SWITCH, "")
    if not switch:
        near = [id_ for id_ in need_ids(target.needs) if id_ in estate.targets]
        switches = [id_ for id_ in near if estate.targets[id_].kind in _SWITCHES]
        switch = switches[0] if len(switches) == 1 else ""
    return Plug(switch, target.labels.get(_PORT, "").casefold()) if switch else None
