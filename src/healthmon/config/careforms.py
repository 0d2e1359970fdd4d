"""The `care:` block: what the reports need to know that no probe can see."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from healthmon.config.forms import Form, Names
from healthmon.config.scalars import Id

Ends = Annotated[list[float], Field(min_length=3, max_length=3)]


class PeopleForm(Form):
    """Staff who normally work in an area at once."""

    day: float = Field(ge=0, description="From 08:00 to 20:00")
    night: float | None = Field(default=None, ge=0, description="Default: as by day")
    pcs: int | None = Field(default=None, ge=1, description="All PCs of the area, also those without an agent")
    roles: dict[Id, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="How many of those by day are of each role: `{nurse: 6, doctor: 2}`"
    )

    @model_validator(mode="after")
    def _roles_are_among_them(self) -> Self:
        if sum(self.roles.values()) > self.day:
            raise ValueError("roles: more people than by day")
        return self


class CostsForm(Form):
    """What lost time is worked out with; every number is an assumption to be overwritten."""

    move_seconds: float = Field(default=180.0, ge=0, description="To find another PC after giving up a wait")
    paper_lost: Ends = Field(
        default=[0.25, 0.5, 1.0], description="Share of working time lost without a service: low, usual, high"
    )
    paper_degraded: Ends = Field(default=[0.05, 0.15, 0.3], description="The same while it is slow")


class PaperFormsForm(Form):
    """A pack of paper forms and the version that lies in the areas."""

    id: Id
    name: str
    areas: Names = Field(default=["all"], description="Areas that have it, or `all`")
    version: str = Field(description="What lies there")
    current: str = Field(description="What is in force")
    printed_on: date | None = None


class LegacyForm(Form):
    """A system past its time, or near it."""

    id: Id
    name: str
    system: str = Field(default="", description="For example Windows 7")
    targets: Names = Field(default=[], description="What it runs on")
    end_of_support: date | None = None
    owner: str = ""
    plan: str = ""
    retired_on: date | None = None


class ExpiryForm(Form):
    """A date that takes something away."""

    id: Id
    name: str
    kind: Literal["licence", "certificate", "domain", "password", "contract", "smartcard", "other"] = "licence"
    expires_on: date
    owner: str = ""
    services: Names = Field(default=[], description="Services that stop with it")


class AskedForm(Form):
    """What a ward asked for, and what was done."""

    id: Id
    area: str
    asked_on: date
    text: str
    done_on: date | None = None
    done: str = ""


class CareForm(Form):
    """What the reports need to know that no probe can see."""

    people: dict[Id, PeopleForm] = Field(default={}, description="By area")
    costs: CostsForm = CostsForm()
    forms: list[PaperFormsForm] = Field(default=[], description="Paper for downtime")
    legacy: list[LegacyForm] = Field(default=[], description="Register of legacy and end-of-life systems")
    expiries: list[ExpiryForm] = Field(default=[], description="Licences, contracts and whatever else ends on a day")
    asked: list[AskedForm] = Field(default=[], description="What wards asked for")
