"""The written form of what wards get: a telephone number, a language, tickets, situation reports."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from healthmon.config.forms import Form, Names
from healthmon.config.scalars import Duration, Id


class DeskForm(Form):
    """Who answers when a ward rings."""

    name: str = "IT service desk"
    phone: str | None = Field(default=None, description="Shown first on every ward page and in every answer")


class LanguagesForm(Form):
    """Languages that differ from `language`; each needs a catalogue `alerting/text/LANGUAGE.yaml`."""

    sites: dict[Id, str] = Field(default={})
    areas: dict[Id, str] = Field(default={})
    channels: dict[Id, str] = Field(default={}, description="What a channel's readers read: SMS in German, for example")


class TicketSourceForm(Form):
    """A ticket system that tells of its tickets by `POST /api/v1/tickets`."""

    shape: Literal["servicenow", "ivanti", "jira", "plain"] = "plain"
    token: str | None = None
    token_file: str | None = None
    fields: dict[str, str] = Field(
        default={},
        description="number, opened_at, state, area, service: where each stands in its message, as a dotted path",
    )
    areas: dict[str, str] = Field(default={}, description="Its words for a place, and our area ids")
    services: dict[str, str] = Field(default={}, description="Its words for a service, and our service ids")


class SituationForm(Form):
    """The situation report: what is known, what is not, who was told, when the next one comes."""

    every: Duration = Field(default=7200.0, description="While an incident of severity 1 or 2 is open")
    channels: Names = Field(default=[], description="Who gets it; without channels it is made on demand only")


class TextsForm(Form):
    """Texts to wards: once what an area has lost, once that it is back. Only areas that stand here get any."""

    channel: Id = Field(description="A channel of kind `gateway` with `audience: ward`")
    phones: dict[Id, list[str]] = Field(description="By area: the telephones that are texted")
    severity: int = Field(default=2, ge=1, le=3, description="Incidents of this severity or worse")
    services: Names = Field(default=[], description="Only when one of these is lost; left out: any")
    after: Duration = Field(default=60.0, description="How long it has been lost before the ward is told")


class WardsForm(Form):
    """What people outside IT see and say."""

    desk: DeskForm | None = None
    desks: dict[Id, DeskForm] = Field(default={}, description="By site, where a site has a desk of its own")
    language: str = Field(default="en", description="Of incidents and ward pages")
    languages: LanguagesForm = LanguagesForm()
    tickets: dict[Id, TicketSourceForm] = Field(default={})
    situation_report: SituationForm = SituationForm()
    texts: TextsForm | None = None
    handover: Names = Field(default=[], description="Channels that get the hand-over list when a shift changes")
