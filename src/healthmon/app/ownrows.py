"""What healthmon concludes and counts, as points for the store. Made here, where its parts meet."""

from __future__ import annotations

from collections.abc import Iterator

from healthmon.ingest.own import own_rows
from healthmon.model.sample import Row
from healthmon.model.view import AgentStatus, View
from healthmon.web.metrics import parse_counter

EVERY_S, MOST_S = 15.0, 45.0
#: A look at 10,000 agents takes a second: then it is followed by so many times that.
REST = 50.0
#: Of a fleet each agent comes so often (s): 10,000 at each look were nearly as many points as the fleet itself sends.
#: Boards look back two minutes.
EACH_S = MOST_S
#: A fleet up to this size comes whole each time.
SMALL = 500


def rest_s(took_s: float) -> float:
    """How long after a look that took so long the next one comes."""
    return min(MOST_S, max(EVERY_S, REST * took_s))


class OwnRows:
    """Remembers what was last written of each agent: what has changed is written at once."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[float, tuple[object, ...]]] = {}

    def rows(self, view: View) -> tuple[Row, ...]:
        """Every conclusion, and every counter of healthmon's own under the name and labels that /metrics has."""
        return (*own_rows(view, list(self._due(view))), *_counters(view))

    def _due(self, view: View) -> Iterator[AgentStatus]:
        before, self._written = self._written, {}
        each_s = 0.0 if len(view.agents) <= SMALL else EACH_S
        for number, agent in enumerate(view.agents.values()):
            said = (agent.state, agent.gaps, agent.dropped, agent.skew_s, agent.cloned)
            first = (view.at - each_s * (number % 100) / 100, ())  # from now on not all at once
            at, was = before.get(agent.agent, first)
            if was != said or view.at - at >= each_s:
                at = view.at if was else at
                yield agent
            self._written[agent.agent] = (at, said)


def _counters(view: View) -> tuple[Row, ...]:
    found: dict[tuple[tuple[str, str], ...], float] = {}
    for key, total in view.health.counters.items():
        name, labels = parse_counter(key)
        named = {"counter": name.removeprefix("healthmon_").removesuffix("_total"), **labels}
        found.setdefault(tuple(sorted((tag, value) for tag, value in named.items() if value)), total)
    return tuple(Row("own_counter", tags, (("total", total),), view.at) for tags, total in sorted(found.items()))
