"""What healthmon concludes and counts, as points for the store. Made here, where its parts meet."""

from __future__ import annotations

from collections.abc import Iterator

from healthmon.ingest.own import own_rows
from healthmon.model.sample import Row
from healthmon.model.view import AgentStatus, View
from healthmon.web.metrics import parse_counter

#: Of a fleet each agent comes at least in each so many rounds: 10,000 in each one were nearly as many points as the
#: fleet itself sends. Boards look back two minutes.
ROUNDS = 4
#: A fleet up to this size comes whole each time.
SMALL = 500


class OwnRows:
    """Remembers what was last written of each agent: what has changed is written at once."""

    def __init__(self) -> None:
        self._round = 0
        self._written: dict[str, tuple[object, ...]] = {}

    def rows(self, view: View) -> tuple[Row, ...]:
        """Every conclusion, and every counter of healthmon's own under the name and labels that /metrics has."""
        self._round += 1
        return (*own_rows(view, list(self._due(view))), *_counters(view))

    def _due(self, view: View) -> Iterator[AgentStatus]:
        self._written = {name: said for name, said in self._written.items() if name in view.agents}
        rounds = 1 if len(view.agents) <= SMALL else ROUNDS
        for number, agent in enumerate(view.agents.values()):
            said = (agent.state, agent.gaps, agent.dropped, agent.skew_s, agent.cloned)
            if (number + self._round) % rounds == 0 or self._written.get(agent.agent) != said:
                self._written[agent.agent] = said
                yield agent


def _counters(view: View) -> tuple[Row, ...]:
    found: dict[tuple[tuple[str, str], ...], float] = {}
    for key, total in view.health.counters.items():
        name, labels = parse_counter(key)
        named = {"counter": name.removeprefix("healthmon_").removesuffix("_total"), **labels}
        found.setdefault(tuple(sorted((tag, value) for tag, value in named.items() if value)), total)
    return tuple(Row("own_counter", tags, (("total", total),), view.at) for tags, total in sorted(found.items()))
