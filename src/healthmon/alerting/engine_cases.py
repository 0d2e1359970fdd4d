"""The engine's incidents: as they are, what people say of them, and which changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.engine_telling import Telling
from healthmon.alerting.incidents import actions, reports
from healthmon.alerting.incidents.reach import Series
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.oncall.roster import Roster
from healthmon.model.incident import Command, Incident, IncidentState, Member
from healthmon.model.report import Filed, Ticket
from healthmon.model.topology import Estate

_RESOLVED_KEPT = 200
BEING_WORKED_ON = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


class Cases:
    """Incidents by id. Whatever is kept is told on and is in the next `drain`."""

    def __init__(self, estate: Estate, settings: EngineSettings, texts: Texts, telling: Telling) -> None:
        self.by_id: dict[str, Incident] = {}
        self._changed: dict[str, Incident] = {}
        self._estate = estate
        self._settings = settings
        self._texts = texts
        self._telling = telling

    def keep(self, incident: Incident) -> None:
        """The incident is this from now on."""
        self.keep_quietly(incident)
        self._telling.look_at(incident.id)

    def keep_quietly(self, incident: Incident) -> None:
        """The same, and it is no reason to think again of whom to tell."""
        self.by_id[incident.id] = self._changed[incident.id] = incident

    def drain(self) -> tuple[Incident, ...]:
        """What changed since the last call."""
        changed = tuple(self._changed.values())
        self._changed.clear()
        return changed

    def act(self, command: Command, now: float, failing: Callable[[Member], bool]) -> Incident:
        """A person acts. Raises NotFound, Conflict."""
        roster = self._settings.roster
        if command.action == "pass" and roster is not None:
            command = replace(command, to=roster.word_of(command.to, self._estate.teams, now))
        changed = actions.act(self.by_id, command, now, failing=failing, texts=self._texts)
        for incident in changed:
            self.keep(incident)
        if command.action in ("ack", "own", "pass"):
            self._telling.answered(command.incident, _readers_of(command, roster), now)
        return changed[0]

    def report(self, filed: Filed, now: float) -> reports.Placed:
        """A ward says what does not work; it is part of an incident from now on."""
        placed = reports.take(self.by_id, filed, now, texts=self._texts, estate=self._estate)
        self.keep(placed.incident)
        return placed

    def works_again(self, incident: str, area: str, now: float) -> Incident | None:
        """A ward says that it can work again; None when that incident is not known."""
        found = self.by_id.get(incident)
        if found is None:
            return None
        after = reports.works_again(found, area, now, self._texts)
        if after is not found:
            self.keep(after)
        return after

    def ticketed(self, ticket: Ticket, now: float, *, before_s: float) -> tuple[str, ...]:
        """A ticket of another system: the incidents that it is about."""
        found = reports.ticketed(self.by_id.values(), ticket, now, before_s=before_s, texts=self._texts)
        for incident in found:
            if incident != self.by_id[incident.id]:
                self.keep(incident)
        return tuple(incident.id for incident in found)

    def find(self, id_: str) -> Incident | None:
        """One incident as it is now; of one that went into another, that other."""
        found = self.by_id.get(id_)
        while found is not None and found.merged_into is not None:
            found = self.by_id.get(found.merged_into)
        return found

    def worked_on(self) -> Iterator[Incident]:
        """Those that somebody has to bring to an end."""
        return (incident for incident in self.by_id.values() if incident.state in BEING_WORKED_ON)

    def cleared(self) -> dict[Series, float]:
        """Members of open incidents that have recovered, and when."""
        return {
            (member.key.target, member.key.check, member.key.vantage): member.cleared_at
            for incident in self.worked_on()
            for member in incident.members
            if member.cleared_at is not None
        }

    def in_order(self) -> tuple[Incident, ...]:
        """Open first, newest first, then the resolved ones, newest first."""
        return tuple(sorted(self.by_id.values(), key=lambda one: (not one.open, -one.opened_at, one.id)))

    def forget_old(self) -> None:
        """Resolved incidents beyond the newest few stay in the journal only."""
        resolved = [incident for incident in self.by_id.values() if not incident.open]
        if len(resolved) > 2 * _RESOLVED_KEPT:
            resolved.sort(key=lambda incident: (incident.resolved_at or 0.0, incident.id))
            for incident in resolved[:-_RESOLVED_KEPT]:
                del self.by_id[incident.id]
                self._telling.forget(incident.id)

    def restore(self, incidents: Mapping[str, Incident]) -> None:
        """Those of the last run."""
        self.by_id.update(incidents)

    def keep_all(self, incidents: Iterable[Incident]) -> None:
        for incident in incidents:
            self.keep(incident)


def _readers_of(command: Command, roster: Roster | None) -> set[tuple[str, str]]:
    """Where whoever acts was written to: the way that they answered on, and all ways of an on-call user."""
    user = roster.named(command.by) if roster is not None else None
    return {*(user.readers if user else ()), *([command.reader] if command.reader else [])}
