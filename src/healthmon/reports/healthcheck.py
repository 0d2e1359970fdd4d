"""The monthly service health check: every part of it, from one record of raw facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from healthmon.reports.experience import experience
from healthmon.reports.leadtime import lead_times
from healthmon.reports.lostroles import lost_by_role
from healthmon.reports.lostwork import lost_by_incident, lost_time
from healthmon.reports.machines import slowest
from healthmon.reports.paging import owners, pages
from healthmon.reports.programs import programs
from healthmon.reports.promises import asked, legacy, votes
from healthmon.reports.record import Record, Section
from healthmon.reports.scorecard import changes, scorecard
from healthmon.reports.services import availability
from healthmon.reports.standards import standards
from healthmon.reports.zerotouch import zero_touch

PARTS: tuple[Callable[[Record], Section], ...] = (
    lead_times,
    zero_touch,
    owners,
    availability,
    standards,
    lost_time,
    lost_by_incident,
    lost_by_role,
    experience,
    programs,
    votes,
    slowest,
    pages,
    scorecard,
    changes,
    legacy,
    asked,
)


def sections(record: Record) -> list[Section]:
    """Every part, in the order in which it is read."""
    return [part(record) for part in PARTS]


def as_data(record: Record, parts: Sequence[Section], *, area: str | None = None) -> dict[str, Any]:
    """The JSON beside the page. The same month gives the same bytes: it does not say when it was made."""
    period, organisation = record.period, record.estate.organisation
    return {
        "v": 1,
        "organisation": {"id": organisation.id, "name": organisation.name},
        "area": area,
        "month": period.name,
        "timezone": period.timezone,
        "from": _stamp(period.start),
        "until": _stamp(period.until),
        "complete": period.complete,
        "sections": [part.as_data() for part in parts],
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
