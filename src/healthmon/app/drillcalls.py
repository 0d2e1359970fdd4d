"""Whom a fire drill asks, whom it pages, when one is due, and what keeps one from beginning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from healthmon.alerting.drills import Called
from healthmon.alerting.oncall.localtime import local_day, moment
from healthmon.alerting.oncall.roster import TEAM
from healthmon.model.drill import Drill
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.oncall import Reader

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: A planned drill whose moment was missed for so long is left out: no drill at night because of a restart.
MISSED_S = 3600.0
_VITAL = 2


class DrillCalls:
    """Reads the plan, the roster and the incidents of one server; changes nothing."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def refuse(self, drills: Iterable[Drill]) -> None:
        """Raises Conflict when none may begin now."""
        if not self._server.pages_somebody():
            raise Conflict("nothing is live here (alerting.mode: shadow): a drill would page nobody")
        running = next((one for one in drills if one.running), None)
        if running is not None:
            raise Conflict(f"{running.id} is running")
        serious = self.serious()
        if serious:
            raise Conflict(f"not while an incident of severity 1 or 2 is open ({serious})")

    def serious(self) -> str:
        """A real incident that nobody may be kept from."""
        open_ = [one.id for one in self._server.view().incidents if one.open and one.severity <= _VITAL
                 and one.merged_into is None and one.mitigated_at is None]  # fmt: skip
        return ", ".join(open_[:3])

    def agent(self, wanted: str | None, drills: Iterable[Drill]) -> str:
        """The one that was named, else the next in turn; drills: newest first. Raises NotFound, Conflict."""
        known = self._server.site.estate.agents
        if wanted is not None:
            if wanted not in known:
                raise NotFound(f"no agent {wanted[:80]!r}")
            return wanted
        turns = [agent for agent in (self._server.site.drills.agents or sorted(known)) if agent in known]
        if not turns:
            raise Conflict("no agent is declared: nobody can speak")
        last = next((one.agent for one in drills if one.agent in turns), None)
        return turns[(turns.index(last) + 1) % len(turns)] if last else turns[0]

    def due_at(self, now: float) -> float | None:
        """The newest moment of the plan that has come, within the last week."""
        zone = ZoneInfo(self._server.site.estate.organisation.timezone)
        today = local_day(zone, now)
        days = [today - timedelta(days=number) for number in range(8)]
        found = [
            moment(zone, day, minute)
            for day in days for weekday, minute in self._server.site.drills.at
            if day.weekday() == weekday and moment(zone, day, minute) <= now
        ]  # fmt: skip
        newest = max(found, default=None)
        return newest if newest is not None and newest >= self._server.started_at - MISSED_S else None

    def called(self, target: str | None, now: float) -> tuple[Called, ...]:
        """Whom the plan names; else whoever a severity 2 fault of that target would page first. Never a ward."""
        server, plan = self._server, self._server.site.drills
        known = server.site.estate.targets.get(target or "")
        team = known.team if known else None
        words, channels = plan.to, plan.channels
        if not words and not channels:
            step = next((p.steps[0] for p in server.site.policies if _VITAL in p.severities and
                         (not p.teams or team in p.teams)), None)  # fmt: skip
            words, channels = (step.to or (TEAM,), step.channels) if step else ((TEAM,), ())
        found: dict[Reader, Called] = {}
        for word in words:
            user = server.roster.meant(word, team, now)
            if user is not None and user.readers:
                reader = next((one for one in user.readers if self._may_hear(one[0])), None)
                if reader is not None:
                    found[reader] = Called(reader, user.id, f"{user.name} by {reader[0]}")
        for name in channels:
            channel, _, to = name.partition(":")
            if self._may_hear(channel):
                found.setdefault((channel, to or channel), Called((channel, to or channel), None, channel))
        return tuple(found.values())

    def _may_hear(self, channel: str) -> bool:
        config = self._server.site.channels.get(channel)
        return config is not None and config.audience == "it"
