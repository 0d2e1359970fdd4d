"""The written form of a site: one model for each block of the configuration file.

Field descriptions end in docs/config.md and in the JSON Schema; every model refuses unknown keys.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from healthmon.config.scalars import (
    Id,
    Interval,
    Timezone,
)
from healthmon.model.topology import Acuity, AreaKind


class Form(BaseModel):
    """What all blocks share: unknown keys are errors, numbers may stand where text is meant."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, populate_by_name=True)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[
    list[str],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class OrganisationForm(Form):
    """Who runs the hospital."""

    id: Id = Field(description="Names the organisation in every MQTT topic")
    name: str
    timezone: Timezone = Field(default="UTC", description="Name of the time zone database; people read this local time")
    holidays: str | None = Field(
        default=None, description="Country or country-subdivision of bank holidays, e.g. `GB-ENG`"
    )


class SiteForm(Form):
    """One campus. `site:` is the short form for an organisation with one."""

    id: Id
    name: str
    timezone: Timezone | None = Field(default=None, description="Default: the organisation's")


class AtLeastForm(Form):
    """A k-of-n need: so many of these must work."""

    at_least: int = Field(ge=1)
    of: list[Need] = Field(min_length=1)


def _need_tag(value: Any) -> str:
    return "group" if isinstance(value, (dict, AtLeastForm)) else "id"


Need = Annotated[Annotated[str, Tag("id")] | Annotated[AtLeastForm, Tag("group")], Discriminator(_need_tag)]
AtLeastForm.model_rebuild()


class ContactForm(Form):
    """How the people of an area are reached."""

    phone: str | None = None
    bleep: str | None = None
    email: str | None = None


_HOURS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_STAFFED = {"anyOf": [{"const": "always"}, {"type": "object", "additionalProperties": _HOURS}]}
Staffed = Annotated[Any, WithJsonSchema(_STAFFED)]


class AreaForm(Form):
    """A place where care happens."""

    id: Id
    name: str
    kind: AreaKind
    acuity: Acuity = Field(
        default=Acuity.NONE, description="How soon a patient suffers when the area works without computers"
    )
    site: str | None = Field(default=None, description="Site id; not needed with one site")
    beds: int = Field(default=0, ge=0)
    staffed: Staffed = Field(
        default="always",
        description='`always` or opening hours: `{mon-fri: "08:00-18:00", sat: ["09:00-12:00"], holidays: closed}`',
    )
    needs: list[Need] = Field(default=[], description="Targets and services without which nothing works here")
    contact: ContactForm | None = None
    downtime_pc: str | None = Field(default=None, description="Target id of the downtime computer")


class FallbackForm(Form):
    """What staff use instead."""

    text: str
    proven_by: str | None = Field(default=None, description="Target whose checks prove that the fallback is ready")


class ServiceForm(Form):
    """A clinical or IT service that areas use."""

    id: Id
    name: str
    tier: int = Field(ge=0, le=3, description="0 foundations, 1 safety-critical, 2 important, 3 supporting")
    used_in: Names = Field(description="`all`, area ids, or area kinds")
    needs: list[Need] = Field(default=[], description="All of these; `{at_least: n, of: [...]}` for spares")
    fallback: FallbackForm | None = None
    standards: dict[str, float] = Field(default={}, description="Aims by metric, e.g. `availability_ratio`")
    team: str | None = None
    functions: list[Literal["chart", "order", "meds", "results", "print", "badge"]] | None = Field(
        default=None, description="What staff do with it; default: by the words of its id (`lims`: results)"
    )


def _check_of_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class CheckForm(BaseModel):
    """One way of looking at a target; keys not named here are parameters of the check's kind."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    id: Id | None = Field(default=None, description="Unique in its target; default: the kind")
    kind: str = Field(description="A probe or collector")
    every: Interval = Field(default=30.0, description="Time between two runs")
    timeout: Interval | None = Field(default=None, description="Default: 5s or `every`, whichever is shorter")
    vantages: Names = Field(
        default=["poller"], alias="from", description="Who looks: `poller`, `agents` (each of them), agent ids"
    )
    recheck: int = Field(default=2, ge=0, le=10, description="Quick confirmations after a first failure")
    pack: str | None = Field(default=None, description="A pack of this kind: probes/<kind>/<pack>.yaml")


CheckItem = Annotated[CheckForm, BeforeValidator(_check_of_name)]


class TargetForm(Form):
    """A thing that can be asked over the network, or the host an agent runs on."""

    id: Id
    name: str | None = Field(default=None, description="Default: the id")
    kind: Id = Field(description="What it is, in the hospital's own words: switch, printer, pc, endpoint ...")
    address: str = Field(default="", description="Host name, IP address or URL; needed by network checks")
    site: str | None = Field(default=None, description="Default: the site of its area, or the only site")
    area: str | None = None
    needs: list[Need] = []
    team: str | None = None
    checks: list[CheckItem] = []
    labels: dict[str, str] = {}


class MatchForm(Form):
    """Which targets a group is about; all keys given must fit, each with any of its values."""

    kind: Names = []
    area: Names = []
    site: Names = []
    label: dict[str, str] = {}


class GroupForm(Form):
    """Checks for every target that matches; a target's own check of the same id wins."""

    id: Id | None = None
    match: MatchForm
    checks: list[CheckItem] = Field(min_length=1)


class TeamForm(Form):
    """Who mends things."""

    name: str | None = None
    rota: str | None = None
    phone: str | None = None
    desk: str | None = Field(default=None, description="Its help desk, as the contact list prints it")
    channels: Names = Field(default=[], description="Channels that reach this team, beside those of its rota")
    supplier: bool | None = Field(
        default=None,
        description="Outside the organisation: what it mends, nobody here can mend. Default: its id begins with "
        "`supplier-` and it has a `desk`",
    )


class AgentForm(Form):
    """A vantage point in the hospital."""

    id: Id
    target: str | None = Field(default=None, description="The host it runs on; default: the target of the same id")
    roles: Names = Field(default=[], description="Collector packs: collectors/roles/<role>.yaml")
    spool_max_bytes: int = Field(default=256 * 1024 * 1024, ge=1024 * 1024)
