"""What wards are told and in which words: desks to ring, ticket systems, stages of a downtime. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Desk:
    """Who answers the telephone. phone None: no number was given."""

    name: str
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """From so many seconds of downtime on, this is done: a message of the catalogue, or the hospital's own words."""

    after_s: float
    message: str = ""
    text: str = ""


#: The stage table while no pack gives one.
DEFAULT_STAGES = (
    Stage(300.0, "stage_5"),
    Stage(900.0, "stage_15"),
    Stage(1_800.0, "stage_30"),
    Stage(3_600.0, "stage_60"),
)


@dataclass(frozen=True, slots=True)
class TicketSource:
    """A ticket system that tells us of its tickets.

    shape: servicenow, ivanti, jira or plain; fields: our name to a dotted path in its message, over those of the
    shape; areas and services: its words to our ids; token: its permission.
    """

    id: str
    shape: str = "plain"
    token: str = field(default="", repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    areas: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WardTexts:
    """Texts to the telephones of areas. channel: read on wards; phones: by area; severity: so bad or worse.

    services: only these (empty: any); after_s: how long it has been lost before a ward is told.
    """

    channel: str
    phones: Mapping[str, tuple[str, ...]]
    severity: int = 2
    services: tuple[str, ...] = ()
    after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class WardPlan:
    """The `wards` block, resolved.

    language: of what IT and wards read, unless a site, an area or a channel has its own; situation_every_s: how often a
    situation report goes out while a severity 1 or 2 is open, to `situation` (channels).
    """

    desk: Desk = Desk("IT")
    desks: Mapping[str, Desk] = field(default_factory=dict)  # by site
    language: str = "en"
    site_languages: Mapping[str, str] = field(default_factory=dict)
    area_languages: Mapping[str, str] = field(default_factory=dict)
    channel_languages: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = DEFAULT_STAGES
    tickets: Mapping[str, TicketSource] = field(default_factory=dict)
    situation: tuple[str, ...] = ()
    situation_every_s: float = 7_200.0
    handover: tuple[str, ...] = ()
    texts: WardTexts | None = None

    def desk_of(self, site: str | None) -> Desk:
        """Whom a ward of this site rings."""
        return self.desks.get(site or "", self.desk)

    def language_of(self, *, area: str | None = None, site: str | None = None, channel: str | None = None) -> str:
        """Of a channel, else an area, else a site, else everybody's."""
        return (
            self.channel_languages.get(channel or "")
            or self.area_languages.get(area or "")
            or self.site_languages.get(site or "")
            or self.language
        )
