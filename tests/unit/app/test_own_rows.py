"""Which of a fleet's agents are written as points, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from daemons.webboard import sample_view
from healthmon.app.ownrows import EACH_S, SMALL, OwnRows
from healthmon.model.view import AgentStatus, View


def written(own: OwnRows, view: View) -> list[str]:
    return [dict(row.tags)["vantage"] for row in own.rows(view) if row.family == "agent"]


def fleet_of(number: int) -> View:
    names = [f"pc-{one:05}" for one in range(number)]
    return sample_view(agents={name: AgentStatus(name, None, "up", 1.0) for name in names})


def test_a_small_fleet_is_written_whole_each_time() -> None:
    own, view = OwnRows(), fleet_of(SMALL)
    assert written(own, view) == written(own, view) == list(view.agents)


def test_of_a_large_fleet_each_agent_comes_every_so_often() -> None:
    own, view, looks = OwnRows(), fleet_of(SMALL + 100), 3
    assert written(own, view) == list(view.agents), "nobody was written before"
    for _ in range(3):
        came = []
        for _ in range(looks):
            view = replace(view, at=view.at + EACH_S / looks)
            came.append(written(own, view))
        assert Counter(name for names in came for name in names) == Counter(list(view.agents))
        assert max(map(len, came)) <= len(view.agents) // looks + 10, "spread over the looks"


def test_who_fell_silent_is_written_at_once() -> None:
    own, view = OwnRows(), fleet_of(SMALL + 101)
    own.rows(view)
    assert not written(own, view)
    name = list(view.agents)[7]
    lost = replace(view, agents=view.agents | {name: replace(view.agents[name], state="silent")})
    assert written(own, lost) == [name]
