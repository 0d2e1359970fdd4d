"""What a monthly report is made of, and the parts it is made into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.incident import Incident, LedgerRow, Notice, Why
from healthmon.model.topology import Estate
from healthmon.reports.availability import Line, Tally
from healthmon.reports.care import Care
from healthmon.reports.endpoints import Pc
from healthmon.reports.period import Period
from healthmon.reports.tickets import Ticket, by_incident

#: A message that wakes somebody, or may.
BAD_NEWS = frozenset({Why.OPENED, Why.WORSE, Why.NEW_AREA, Why.ESCALATED})


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned change with its windows in the month (Unix s)."""

    id: str
    title: str
    owner: str
    targets: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """`How was IT this shift`, one tap. at: when the shift began; nothing about who tapped."""

    at: float
    area: str
    answer: str


@dataclass(frozen=True, slots=True)
class Record:
    """Raw facts of one month: what the journal, the store and the service desk kept.

    incidents: that opened in it; tickets: that were opened in it; notices: by incident, oldest first.
    """

    period: Period
    estate: Estate
    incidents: tuple[Incident, ...] = ()
    notices: Mapping[str, tuple[Notice, ...]] = field(default_factory=dict)
    ledger: tuple[LedgerRow, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    tallies: Mapping[Line, Tally] = field(default_factory=dict)
    care: Care = field(default_factory=Care)
    pcs: tuple[Pc, ...] = ()
    responses: Mapping[Line, tuple[float, ...]] = field(default_factory=dict)  # seconds, each look from the area itself
    changes: tuple[Planned, ...] = ()
    history: tuple[Incident, ...] = ()  # of the half year before, too
    votes: tuple[Vote, ...] = ()

    @property
    def raised(self) -> tuple[Incident, ...]:
        """The incidents that stand for themselves: what was merged into another is told there."""
        return tuple(one for one in self.incidents if one.merged_into is None)

    def reported(self) -> tuple[Mapping[str, tuple[Ticket, ...]], tuple[Ticket, ...]]:
        """Tickets by incident, and those that fit none."""
        return by_incident(self.tickets, self.raised, until=self.period.until)

    def area_name(self, id_: str) -> str:
        area = self.estate.areas.get(id_)
        return area.name if area else id_

    def service_name(self, id_: str) -> str:
        service = self.estate.services.get(id_)
        return service.name if service else id_


def prose(text: str) -> str:
    """A text that was broken to fit the file, as one line."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. form: text, time, seconds, hours, ratio, count or number; empty: what None is called."""

    key: str
    head: str
    form: str = "text"
    empty: str = "not known"


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of one number over the rows of the table. most: so many rows at most."""

    label: str
    value: str
    title: str
    form: str = "seconds"
    most: int = 20


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: what it says, its figures, one table, and how it was counted."""

    id: str
    title: str
    says: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    counted: str = ""
    chart: Chart | None = None

    def as_data(self) -> dict[str, Any]:
        """For the JSON beside the page: every number, in base units."""
        return {"id": self.id, "title": self.title, "says": list(self.says), "figures": dict(self.figures),
                "rows": [dict(row) for row in self.rows], "counted": self.counted}  # fmt: skip
