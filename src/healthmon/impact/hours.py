"""When an area is staffed, in its site's local time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from healthmon.model.topology import Estate


class Calendar:
    """Opening hours of every area; weekday and minute are read off the wall clock of the area's site."""

    def __init__(self, estate: Estate, holidays: frozenset[date] = frozenset()) -> None:
        self._areas = estate.areas
        self._holidays = holidays
        self._zones = {id_: ZoneInfo(site.timezone) for id_, site in estate.sites.items()}
        self._fallback = ZoneInfo(estate.organisation.timezone)
        self._known: dict[str, tuple[float, bool]] = {}  # by area: the last minute that was asked for

    def staffed(self, area_id: str, at: float) -> bool:
        """Whether somebody works there at this Unix time; an area without hours, or unknown, always."""
        area = self._areas.get(area_id)
        if area is None or area.staffed is None:
            return True
        known = self._known.get(area_id)
        if known is None or known[0] != at // 60.0:
            local = self.local(area.site, at)
            minute, holiday = local.hour * 60 + local.minute, local.date() in self._holidays
            known = self._known[area_id] = (at // 60.0, area.staffed.open_at(local.weekday(), minute, holiday))
        return known[1]

    def local(self, site: str, at: float) -> datetime:
        """A Unix time as the clock on the wall of that site shows it."""
        return datetime.fromtimestamp(at, UTC).astimezone(self._zones.get(site, self._fallback))
