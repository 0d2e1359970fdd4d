"""Clinician time lost, counted while it is lost: a counter for each area, service and basis."""

from __future__ import annotations

import logging

from healthmon.app.lostwaits import LiveWaits
from healthmon.config import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.impact.losttime import REPORTING_LEAST, SMALL, outage, wait_cost_s
from healthmon.model.errors import HealthmonError
from healthmon.model.incident import ServiceState
from healthmon.model.ports import Store
from healthmon.model.sample import Query, Series
from healthmon.model.view import View
from healthmon.reports.facts import PC_KINDS
from healthmon.reports.lostwork import WORKSTATION, wait_of

log = logging.getLogger(__name__)
COUNTER = "clinician_lost_seconds_total"
#: A longer pause between two looks (a stop, a clock set) counts as this much.
_PAUSE_MOST_S = 60.0


class LostTicker:
    """`counters` are monotone over restarts: `restored` begins them at what the store has."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self._at: float | None = None
        self._waits = LiveWaits()

    async def begin(self, store: Store) -> None:
        """Go on where the last server stopped; where the store cannot tell, from nothing (a counter may do that)."""
        if self._at is None:
            try:
                self.restored(await store.query(stored()))
            except (HealthmonError, ValueError) as error:
                log.warning("lost time begins at zero", extra={"error": str(error)})

    def restored(self, series: list[Series]) -> None:
        """The newest point of each counter as it was stored."""
        for one in series:
            if one.points and {"area", "service", "basis"} <= one.tags.keys():
                self._add(one.tags["area"], one.tags["service"], one.tags["basis"], float(one.points[-1][1]))

    def look(self, view: View, site: SiteConfig) -> None:
        """What was lost since the last look, if the states of now held all the while."""
        since, self._at = self._at, view.at
        elapsed = 0.0 if since is None else min(max(0.0, view.at - since), _PAUSE_MOST_S)
        calendar = Calendar(site.estate, site.holidays)
        for (area, service), status in view.services.items():
            if status.state not in (ServiceState.LOST, ServiceState.DEGRADED) or not calendar.staffed(area, view.at):
                continue
            people = self.people(view, site, area, calendar)
            if people is not None and people >= SMALL:
                lost = elapsed if status.state is ServiceState.LOST else 0.0
                found = outage(people, lost, elapsed - lost, site.care.costs)
                self._add(area, service, "estimated", found.usual_s)
        self._measure(view, site, calendar)

    def people(self, view: View, site: SiteConfig, area: str, calendar: Calendar) -> float | None:
        """As the hospital says, else sessions where enough PCs report."""
        said = site.care.people.get(area)
        if said is not None:
            return said.at(calendar.local(site.estate.areas[area].site, view.at).hour)
        pcs = [t.id for t in site.estate.targets.values() if t.area == area and t.kind in PC_KINDS]
        found = [value for pc in pcs if (value := _newest(view, pc, "sessions")) is not None]
        return sum(found) / (len(found) / len(pcs)) if found and len(found) / len(pcs) >= REPORTING_LEAST else None

    def _measure(self, view: View, site: SiteConfig, calendar: Calendar) -> None:
        """Waits that came in since the last look."""
        for area, event in self._waits.fresh(view, calendar):
            if self._most(view, site, area, calendar) >= SMALL:
                cost_s = wait_cost_s(wait_of(event, site.care), site.care.costs)
                self._add(area, WORKSTATION, "measured", cost_s)

    def _most(self, view: View, site: SiteConfig, area: str, calendar: Calendar) -> float:
        """By which small areas are told."""
        said = site.care.people.get(area)
        return max(said.day, said.night or 0.0) if said else self.people(view, site, area, calendar) or 0.0

    def _add(self, area: str, service: str, basis: str, seconds: float) -> None:
        key = f"{COUNTER}.{area}.{service}.{basis}"
        self.counters[key] = self.counters.get(key, 0.0) + seconds


def _newest(view: View, target: str, field: str) -> float | None:
    found = [
        (reading.started, number)
        for reading in view.latest.values() if reading.target == target
        for one in reading.samples
        if (one.family, one.field) == ("host_logons", field) and (number := one.number) is not None
    ]  # fmt: skip
    return max(found)[1] if found else None


def stored() -> Query:
    """What a restart begins with."""
    return Query("own_counter", "total", {"counter": "clinician_lost_seconds"}, newest=True)
