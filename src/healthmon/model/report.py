"""What people on wards say: reports of what does not work, and tickets that another system tells us of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Said(StrEnum):
    """The three answers of a ward, the worst first."""

    NOBODY_CAN_WORK = "nobody_can_work"
    ONE_OF_US_CANNOT = "one_of_us_cannot"
    CAN_WAIT = "can_wait"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Said).index(self)


#: The severity that each answer opens with, where no fault is known. What is measured alone makes severity 1.
SEVERITY_OF = {Said.NOBODY_CAN_WORK: 2, Said.ONE_OF_US_CANNOT: 3, Said.CAN_WAIT: 4}


@dataclass(frozen=True, slots=True)
class WardReport:
    """One area that says one service does not work, however often it says so. Empty ids: not named, or not known.

    again_at: when it was said again after the incident had been called over; works_at: the area says it works again.
    """

    area: str
    service: str
    effect: Said
    first_at: float
    last_at: float
    count: int = 1
    source: str = "ward"
    again_at: tuple[float, ...] = ()
    works_at: float | None = None
    filed: tuple[str, ...] = ()  # the newest filings, so that one which comes twice counts once


@dataclass(frozen=True, slots=True)
class Heard:
    """A report as it came over the wire, believed in nothing.

    client: the address it came from; key: the sender's own name for it, so that a repeat is one; broken: the body
    could not be read.
    """

    area: str = ""
    service: str = ""
    effect: str = ""
    text: str = ""
    client: str = ""
    key: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Filed:
    """A report as it came in, checked: ids are known or empty, the text is free of what looks like patient data.

    id: names this filing, so that one which waited for the engine is not counted twice.
    """

    id: str
    at: float
    area: str
    service: str
    effect: Said
    text: str = ""
    source: str = "ward"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket of another system that is about a fault: when a person first said so. Never any free text.

    system and number name it; opened_at is what its system says; state: open, resolved, reopened, closed.
    """

    system: str
    number: str
    state: str
    at: float
    opened_at: float
    area: str = ""
    service: str = ""
    incidents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A person said that paper began, that writing back began, or that it is done."""

    at: float
    area: str
    what: str
    by: str
