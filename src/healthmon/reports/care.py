"""What a hospital says about its own care: people, standards, paper, legacy, dates that expire, wishes of wards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from healthmon.impact.losttime import DEFAULT_COSTS, Costs


@dataclass(frozen=True, slots=True)
class People:
    """Staff who normally work in an area at once, by day (08:00 to 20:00) and by night; pcs: all, also unwatched.

    roles: how many of those by day are of each role.
    """

    day: float
    night: float | None = None
    pcs: int | None = None
    roles: Mapping[str, float] = field(default_factory=dict)

    def at(self, hour: int) -> float:
        """So many at this hour of the local day."""
        return self.day if 8 <= hour < 20 or self.night is None else self.night


@dataclass(frozen=True, slots=True)
class Standard:
    """One minimum standard. metric: what is measured; aim: at least or at most so much; tiers: of services it is for.

    source: where the number comes from, or that it is a convention.
    """

    id: str
    name: str
    metric: str
    aim: float
    at_least: bool
    unit: str
    tiers: tuple[int, ...] = ()
    source: str = ""

    def met(self, value: float) -> bool:
        return value >= self.aim if self.at_least else value <= self.aim


@dataclass(frozen=True, slots=True)
class PaperForms:
    """A pack of paper forms: the version that lies in the areas, and the one that is in force."""

    id: str
    name: str
    areas: tuple[str, ...]
    version: str
    current: str
    printed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Legacy:
    """A system past its time, or near it. targets: what it runs on; retired_on: when it went."""

    id: str
    name: str
    system: str = ""
    targets: tuple[str, ...] = ()
    end_of_support: date | None = None
    owner: str = ""
    plan: str = ""
    retired_on: date | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """A date that takes something away. kind: licence, certificate, domain, password, contract, smartcard."""

    id: str
    name: str
    kind: str
    on: date
    owner: str = ""
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a ward asked for, and what was done."""

    id: str
    area: str
    asked_on: date
    text: str
    done_on: date | None = None
    done: str = ""


@dataclass(frozen=True, slots=True)
class Care:
    """The `care:` block and the standards that hold; `own`: standards by service where it has its own aim."""

    standards: tuple[Standard, ...] = ()
    own: Mapping[tuple[str, str], float] = field(default_factory=dict)
    people: Mapping[str, People] = field(default_factory=dict)
    costs: Costs = DEFAULT_COSTS
    forms: tuple[PaperForms, ...] = ()
    legacy: tuple[Legacy, ...] = ()
    expiries: tuple[Expiry, ...] = ()
    asked: tuple[Asked, ...] = ()

    def aim(self, standard: Standard, service: str) -> float:
        """The aim for one service: its own, else the common one."""
        return self.own.get((service, standard.id), standard.aim)
