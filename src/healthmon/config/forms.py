"""The written form of a site: one model for each block of the configuration file.

Field descriptions end in docs/config.md and in the JSON Schema; every model refuses unknown keys.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from healthmon.config.scalars import (
    Day,
    Duration,
    Id,
    Interval,
    MedicalInterval,
    Moment,
    Network,
    Rate,
    Retention,
    Timezone,
    Url,
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
    desk: str | None = None
    channels: Names = Field(default=[], description="Channels that reach this team, beside those of its rota")


class AgentForm(Form):
    """A vantage point in the hospital."""

    id: Id
    target: str | None = Field(default=None, description="The host it runs on; default: the target of the same id")
    roles: Names = Field(default=[], description="Collector packs: collectors/roles/<role>.yaml")
    spool_max_bytes: int = Field(default=256 * 1024 * 1024, ge=1024 * 1024)


class BrokerForm(Form):
    """An MQTT broker; `broker: embedded` is the one that healthmon brings."""

    url: Url = Field(description="`mqtt://host:1883` or `mqtts://host:8883`")
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = None


class InfluxForm(Form):
    """InfluxDB 1.x, 2.x or 3.x."""

    url: Url
    version: Literal[1, 2, 3] = 1
    org: str | None = Field(default=None, description="Version 2")
    bucket: str = Field(default="healthmon", description="Version 2; the database of version 3")
    database: str | None = Field(default=None, description="Version 1; default: the bucket")
    token: str | None = None
    token_file: str | None = None
    username: str | None = None
    password: str | None = None
    password_file: str | None = None


class LineProtocolForm(Form):
    """Anything that takes Influx line protocol over HTTP."""

    url: Url
    token: str | None = None
    token_file: str | None = None


class EmbeddedStoreForm(Form):
    """The store that healthmon brings."""

    retention: Retention = Field(default=30 * 86400.0, description="How long points are kept")


class StoreForm(Form):
    """Exactly one kind of store; `store: embedded` is the default."""

    embedded: EmbeddedStoreForm | None = None
    influxdb: InfluxForm | None = None
    lineprotocol: LineProtocolForm | None = None


class MedicalAllowForm(Form):
    """One approved kind of probe in a medical network."""

    kind: str
    approved_by: str
    approved_on: Day


class MedicalForm(Form):
    """A network of medical devices: nothing is probed but what clinical engineering approved."""

    cidr: Network
    allow: list[MedicalAllowForm] = []
    every: MedicalInterval = Field(default=60.0, description="At most one probe of a device in this time")


class RatesForm(Form):
    """Probes in a time, for each target, each /24 (or /64), and in all."""

    per_target: Rate = 2.0
    per_subnet: Rate = 50.0
    everywhere: Rate = Field(default=2000.0, alias="global")


class SafetyForm(Form):
    """What no probe may do, whatever its origin."""

    deny: list[Network] = Field(default=[], description="Networks that are never probed")
    medical: list[MedicalForm] = []
    rates: RatesForm = RatesForm()


Mode = Literal["shadow", "live"]


def _mode_of_name(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class PlaceOverrideForm(Form):
    """How one site or area differs."""

    mode: Mode


PlaceOverride = Annotated[PlaceOverrideForm, BeforeValidator(_mode_of_name)]


class RuleOverrideForm(Form):
    """How one rule differs here from its pack."""

    mode: Mode | None = None
    enabled: bool = True
    hold: Duration | None = None
    keep: Duration | None = None
    stale: Duration | None = None
    confirm: int | None = Field(default=None, ge=1)
    clear_confirm: int | None = Field(default=None, ge=1)
    value: float | None = Field(default=None, description="The threshold of a rule with one `above` or `below`")


RuleOverride = Annotated[RuleOverrideForm, BeforeValidator(_mode_of_name)]


class OverridesForm(Form):
    """Differences by place and by rule."""

    sites: dict[str, PlaceOverride] = {}
    areas: dict[str, PlaceOverride] = {}
    rules: dict[str, RuleOverride] = {}


class AlertingForm(Form):
    """Which rules run, and whether they page."""

    mode: Mode = Field(default="shadow", description="`shadow`: everything but paging; `live`: pages")
    packs: Names = Field(default=["stock"], description="`stock`: all rule packs; else names under alerting/rules/")
    overrides: OverridesForm = OverridesForm()


class PersonForm(Form):
    """Somebody on a rota."""

    id: Id
    name: str
    email: str | None = None
    phone: str | None = None
    channels: Names = []


class RotaForm(Form):
    """People who take turns."""

    id: Id
    name: str | None = None
    people: list[PersonForm] = Field(min_length=1)


class StepForm(Form):
    """After so long without an owner, tell these channels."""

    after: Duration = 0.0
    channels: Names = Field(min_length=1)


class PolicyForm(Form):
    """Who is told, in which order."""

    id: Id
    severities: list[Annotated[int, Field(ge=1, le=5)]] = [1, 2, 3]
    teams: Names = Field(default=[], description="Empty: every team")
    steps: list[StepForm] = Field(min_length=1)


class OncallForm(Form):
    """Rotas and escalation; policies given here replace those of the packs."""

    rotas: list[RotaForm] = []
    policies: list[PolicyForm] = []


class ChannelForm(BaseModel):
    """One way to reach people; keys beside `kind` are the parameters of that kind of channel."""

    model_config = ConfigDict(extra="allow")

    kind: str


class WatchForm(Form):
    """What `healthmon watchdog` looks at from elsewhere."""

    url: Url
    every: Interval = 10.0
    channels: Names = []
    name: str = "healthmon"


class NotifyForm(Form):
    """The ways to reach people."""

    channels: dict[Id, ChannelForm] = {}
    watch: WatchForm | None = None


class ChangeForm(Form):
    """Planned work: signals that are expected in the window page nobody."""

    id: Id | None = None
    title: str
    targets: list[str] = Field(min_length=1)
    starts_at: Moment
    ends_at: Moment
    expected: Names = []


class TlsForm(Form):
    """Certificate and key of the web server, PEM."""

    cert_file: str
    key_file: str


class UserForm(Form):
    """A person who may sign in."""

    id: Id
    name: str
    email: str | None = None


class WebForm(Form):
    """API, board and ward pages."""

    listen: str = Field(default="127.0.0.1:8470", description="Address and port; `[::]:8470` for IPv6")
    token_file: str | None = Field(
        default=None, description="Made at first start (mode 0600); default: in the data directory"
    )
    tls: TlsForm | None = None
    trusted_proxies: list[Network] = []
    anonymous: Literal["loopback", "never"] = Field(default="loopback", description="Who may read without a token")
    ward_networks: list[Network] = Field(default=[], description="Networks whose PCs see their ward page without login")
    users: list[UserForm] = []


def _embedded(value: Any) -> Any:
    return None if value == "embedded" else value


def _embedded_store(value: Any) -> Any:
    return {"embedded": {}} if value == "embedded" else value


class SiteFileForm(Form):
    """The top of the configuration."""

    include: Names = Field(default=[], description="Files to read as well; globs, relative to this file")
    data_dir: str | None = Field(default=None, description="Where spool, journal and embedded store live")
    packs: Names = Field(default=[], description="Folders with the hospital's own packs; the last one wins")
    organisation: OrganisationForm | None = None
    site: SiteForm | None = None
    sites: list[SiteForm] = []
    areas: list[AreaForm] = []
    services: list[ServiceForm] = []
    targets: list[TargetForm] = []
    groups: list[GroupForm] = []
    teams: dict[Id, TeamForm] = {}
    agents: list[AgentForm] = []
    broker: Annotated[
        BrokerForm | None, BeforeValidator(_embedded, json_schema_input_type=BrokerForm | Literal["embedded"])
    ] = Field(default=None, description="`embedded` (default) or an MQTT broker")
    store: Annotated[
        StoreForm, BeforeValidator(_embedded_store, json_schema_input_type=StoreForm | Literal["embedded"])
    ] = StoreForm()
    safety: SafetyForm = SafetyForm()
    alerting: AlertingForm = AlertingForm()
    oncall: OncallForm = OncallForm()
    notify: NotifyForm = NotifyForm()
    changes: list[ChangeForm] = []
    web: WebForm = WebForm()
