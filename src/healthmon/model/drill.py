"""A fire drill: the whole way of a page walked on purpose, each hop timed, marked as a drill everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: The check under which an agent answers; `DRILL-ID` is what it is asked for. Never a check of a configuration.
CHECK = "drill"
#: What every id begins with: no incident has such a name.
PREFIX = "drill-"


class Hop(StrEnum):
    """The way of a page, in its order."""

    ASKED = "asked"  # the broker has the server's question
    AGENT_HEARD = "agent_heard"  # by the agent's clock, corrected
    AGENT_SPOKE = "agent_spoke"  # its answer left the spool
    SERVER_HEARD = "server_heard"  # through broker and ingest
    STORED = "stored"  # durable in the time-series store
    ENGINE_DECIDED = "engine_decided"  # the page is intended and on disk
    PAGE_SENT = "page_sent"  # a channel took it
    ACKNOWLEDGED = "acknowledged"  # a person answered


class DrillState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. hops: Unix s of each that was reached; missing: the first that was not, because: in words.

    paged: who was paged, by name and channel, never an address; late: hops that were reached after it had ended.
    """

    id: str
    agent: str
    by: str
    started: float
    scheduled: float | None = None  # the moment of the plan that it stands for
    state: DrillState = DrillState.RUNNING
    hops: Mapping[Hop, float] = field(default_factory=dict)
    paged: tuple[str, ...] = ()
    answered_by: str = ""
    missing: Hop | None = None
    because: str = ""
    ended: float | None = None
    late: Mapping[Hop, float] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return self.state is DrillState.RUNNING

    def took_s(self) -> dict[str, float]:
        """Seconds from each hop to the next that was reached. Clocks of two machines may make one a little negative."""
        reached = [(hop, self.hops[hop]) for hop in Hop if hop in self.hops and hop is not Hop.STORED]
        before, found = self.started, {}
        for hop, at in reached:
            found[hop.value] = round(at - before, 3)
            before = at
        if Hop.STORED in self.hops:
            found[Hop.STORED.value] = round(self.hops[Hop.STORED] - self.hops.get(Hop.SERVER_HEARD, self.started), 3)
        return found


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What the configuration says. at: moments of the local week (weekday, minute); none: only by hand.

    agents: asked in turn, none: every agent in turn; to: words of alerting/oncall/roster.py; channels as in a step.
    """

    at: tuple[tuple[int, int], ...] = ()
    agents: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    hop_within_s: float = 60.0
    answer_within_s: float = 900.0
    overdue_after_s: float | None = None
    reports: tuple[str, ...] = ()
