"""The written form of everything beside the inventory, and the top of the file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from healthmon.config.careforms import CareForm
from healthmon.config.forms import (
    AgentForm,
    AreaForm,
    CheckItem,
    Form,
    GroupForm,
    Names,
    OrganisationForm,
    ServiceForm,
    SiteForm,
    TargetForm,
    TeamForm,
)
from healthmon.config.lineforms import LinesForm
from healthmon.config.oncallforms import DrillsForm, OncallForm
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
from healthmon.config.wardforms import WardsForm
from healthmon.config.webforms import TlsForm, WebForm

DATA_DIR = (
    "Where spool, journal and embedded store live; left out: `$HEALTHMON_DATA_DIR`, else `/var/lib/healthmon` for root "
    "and `~/.local/state/healthmon` for others"
)


class BrokerForm(Form):
    """An MQTT broker; `broker: embedded` is the one that healthmon brings."""

    url: Url | None = Field(
        default=None, description="`mqtt://host:1883` or `mqtts://host:8883`; nodes of one cluster with commas between"
    )
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = Field(default=None, description="The authority of its certificate, PEM")
    listen: str | None = Field(
        default=None, description="Instead of `url`: the embedded broker for agents elsewhere, `0.0.0.0:8883`"
    )
    address: str | None = Field(
        default=None, description="With `listen`: its name in the certificate, for agents; default: that of `listen`"
    )
    tls: TlsForm | None = Field(default=None, description="With `listen`, where it is needed")


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
    retention: Retention = Field(
        default=35 * 86400.0, description="How long points are kept as they came, in a database that healthmon makes"
    )
    minutes: Retention = Field(default=90 * 86400.0, description="The same by the minute")
    hours: Retention = Field(default=396 * 86400.0, description="The same by the hour")


class LineProtocolForm(Form):
    """Anything that takes Influx line protocol over HTTP."""

    url: Url
    token: str | None = None
    token_file: str | None = None


class EmbeddedStoreForm(Form):
    """The store that healthmon brings."""

    retention: Retention = Field(default=35 * 86400.0, description="How long points are kept as they came")
    minutes: Retention = Field(default=90 * 86400.0, description="How long they are kept by the minute")
    hours: Retention = Field(default=396 * 86400.0, description="How long they are kept by the hour: 13 months")
    endpoints: Retention = Field(default=90 * 86400.0, description="Nothing of a person's workplace is kept for longer")
    endpoint_kinds: list[str] = Field(
        default=["ward-workstation", "workstation", "laptop", "thin-client", "downtime-pc"],
        description="Kinds of targets that are a person's workplace",
    )


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
    allow: list[MedicalAllowForm] = Field(default=[])
    every: MedicalInterval = Field(default=60.0, description="At most one probe of a device in this time")


class RatesForm(Form):
    """Probes in a time, for each target, each /24 (or /64), and in all."""

    per_target: Rate = 2.0
    per_subnet: Rate = 50.0
    everywhere: Rate = Field(default=2000.0, alias="global")


class SafetyForm(Form):
    """What no probe may do, whatever its origin."""

    deny: list[Network] = Field(default=[], description="Networks that are never probed")
    medical: list[MedicalForm] = Field(default=[])
    rates: RatesForm = RatesForm()


Mode = Literal["shadow", "live"]


def _mode_of_name(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


class RuleOverrideForm(Form):
    """How one rule differs here from its pack."""

    mode: Mode | None = None
    enabled: bool = True
    hold: Duration | None = None
    keep: Duration | None = None
    stale: Duration | None = None
    confirm: int | None = Field(default=None, ge=1)
    clear_confirm: int | None = Field(default=None, ge=1)
    value: float | None = Field(default=None, description="The limit of a rule that has one")


RuleOverride = Annotated[RuleOverrideForm, BeforeValidator(_mode_of_name)]


class PlaceOverrideForm(Form):
    """How one site or area differs."""

    mode: Mode | None = None
    rules: dict[str, RuleOverride] = Field(default={}, description="How single rules differ here")


PlaceOverride = Annotated[PlaceOverrideForm, BeforeValidator(_mode_of_name)]


class OverridesForm(Form):
    """Differences by place and by rule."""

    sites: dict[str, PlaceOverride] = Field(default={})
    areas: dict[str, PlaceOverride] = Field(default={})
    rules: dict[str, RuleOverride] = Field(default={})


class AlertingForm(Form):
    """Which rules run, and whether they page."""

    mode: Mode = Field(default="shadow", description="`shadow`: everything but paging; `live`: pages")
    packs: Names = Field(default=["stock"], description="`stock`: all rule packs; else names under alerting/rules/")
    overrides: OverridesForm = OverridesForm()


class ChannelForm(BaseModel):
    """One way to reach people; keys beside `kind` are the parameters of that kind of channel."""

    model_config = ConfigDict(extra="allow")

    kind: str
    via: Names = Field(
        default=[], description="What it hangs on: an uplink, a mail system, an identity provider, as you name them"
    )
    most_per_minute: float | None = Field(
        default=None,
        ge=0,
        description="Faster than this is folded into one message; 0: no limit; severity 1 never waits",
    )
    audience: Literal["it", "ward"] = Field(
        default="it", description="Who reads it; a fire drill never goes to a channel that is read on wards"
    )
    fallback: str | None = Field(
        default=None,
        description="The channel that is used as well when this one refuses, or has not taken it in a minute",
    )
    reply_secret: str | None = Field(default=None, description="Signs what the gateway posts to `replies/CHANNEL`")
    reply_secret_file: str | None = None
    reply_fields: dict[Literal["from", "text", "id", "key", "status"], str] = Field(
        default={}, description="The gateway's own names of what it posts"
    )


class WatchForm(Form):
    """What `healthmon watchdog` looks at from elsewhere."""

    url: Url
    every: Interval = 10.0
    channels: Names = Field(default=[])
    name: str = "healthmon"


class NotifyForm(Form):
    """The ways to reach people."""

    channels: dict[Id, ChannelForm] = Field(default={})
    watch: WatchForm | None = None


class ChangeForm(Form):
    """Planned work: signals that are expected in the window page nobody."""

    id: Id | None = Field(
        default=None,
        description="Used once: what is over never comes back. Without one it is made of targets, start, repetition",
    )
    title: str
    targets: list[str] = Field(min_length=1)
    starts_at: Moment
    ends_at: Moment
    expected: Names = Field(
        default=[], description="Rules, checks, reasons or effects (down, degraded, warning) that page nobody meanwhile"
    )
    owner: str = ""
    reason: str = ""
    repeat: str | None = Field(
        default=None, description="RRULE (RFC 5545) in local time, for example FREQ=WEEKLY;BYDAY=TU"
    )
    timezone: Timezone | None = Field(default=None, description="Of the repetition; default: the organisation's")
    except_on: Names = Field(default=[], description="Local starts that do not take place, 2027-01-31T22:00:00")


class ProbeModulesForm(Form):
    """What `GET /probe` offers to a Prometheus that was set up for blackbox_exporter."""

    networks: list[Network] = Field(
        default=[], description="Where it may look beside the targets of the inventory; never a medical network"
    )
    modules: dict[str, CheckItem] = Field(
        default={}, description="By name, each a check; `http_2xx`, `tcp_connect`, `icmp` and some more are there"
    )
    blackbox: str | None = Field(
        default=None, description="A module file of blackbox_exporter, as it is; `modules` are laid over it by name"
    )


class TrapUserForm(Form):
    """A user of SNMPv3 whose traps and informs are believed."""

    user: str
    auth_protocol: str | None = Field(default=None, description="MD5, SHA, SHA-224, SHA-256, SHA-384, SHA-512")
    auth_password: str | None = None
    auth_password_file: str | None = None
    priv_protocol: str | None = Field(default=None, description="DES, 3DES, AES, AES-192, AES-256 and others")
    priv_password: str | None = None
    priv_password_file: str | None = None


class TrapsForm(Form):
    """Where the poller listens for SNMP traps and informs of the targets."""

    listen: str = Field(default="0.0.0.0:162", description="Address and UDP port; below 1024 needs a capability")
    community: str | None = Field(default=None, description="Of v1 and v2c; without it these are refused")
    community_file: str | None = None
    users: list[TrapUserForm] = Field(default=[], description="Of v3; without any it is refused")
    per_sender: Rate = Field(default=10.0, description="What is taken from one address in the long run; 50 at once")


class PushForm(Form):
    """A tool that may send readings for the checks of kind `push` that name it under `from`."""

    token: str | None = None
    token_file: str | None = Field(default=None, description="Its secret; at least 16 characters")


def _embedded(value: Any) -> Any:
    return None if value == "embedded" else value


def _embedded_store(value: Any) -> Any:
    return {"embedded": {}} if value == "embedded" else value


class PairForm(Form):
    """Two servers with this configuration, of which one leads; each has a `name` of its own."""

    lease: str = Field(description="`nats://HOST:4222`, more with a comma between: NATS with JetStream")
    name: str | None = Field(default=None, description="This server; default: the host's name")
    life: Interval = Field(default=10.0, description="A lease that is not renewed for so long is free")
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = Field(default=None, description="With `tls://`: the authority of its certificate, PEM")


class JournalForm(Form):
    """The server's journal on a cluster of NATS as well: what was committed is there before anybody is paged."""

    line: str = Field(description="`nats://HOST:4222`, more with a comma between: NATS with JetStream, three nodes")
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = Field(default=None, description="With `tls://`: the authority of its certificate, PEM")


class WorkersForm(Form):
    """Several processes (`healthmon worker`) take the agents' batches; the server does everything else."""

    line: str = Field(description="`nats://HOST:4222`, more with a comma between: the cluster that is the broker too")
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = Field(default=None, description="With `tls://`: the authority of its certificate, PEM")
    detection: bool = Field(
        default=False, description="Workers judge each series too (windows, baselines); the server does the rest"
    )


class SiteFileForm(Form):
    """The top of the configuration."""

    include: Names = Field(default=[], description="Files to read as well; globs, relative to this file")
    data_dir: str | None = Field(default=None, description=DATA_DIR)
    packs: Names = Field(default=[], description="Folders with the hospital's own packs; the last one wins")
    organisation: OrganisationForm | None = None
    site: SiteForm | None = None
    sites: list[SiteForm] = Field(default=[])
    areas: list[AreaForm] = Field(default=[])
    services: list[ServiceForm] = Field(default=[])
    targets: list[TargetForm] = Field(default=[])
    groups: list[GroupForm] = Field(default=[])
    teams: dict[Id, TeamForm] = Field(default={})
    agents: list[AgentForm] = Field(default=[])
    broker: Annotated[
        BrokerForm | None, BeforeValidator(_embedded, json_schema_input_type=BrokerForm | Literal["embedded"])
    ] = Field(default=None, description="`embedded` (default) or an MQTT broker")
    store: Annotated[
        StoreForm, BeforeValidator(_embedded_store, json_schema_input_type=StoreForm | Literal["embedded"])
    ] = StoreForm()
    safety: SafetyForm = SafetyForm()
    alerting: AlertingForm = AlertingForm()
    oncall: OncallForm = OncallForm()
    drills: DrillsForm = DrillsForm()
    notify: NotifyForm = NotifyForm()
    changes: list[ChangeForm] = Field(default=[])
    web: WebForm = WebForm()
    wards: WardsForm = WardsForm()
    probe_modules: ProbeModulesForm = ProbeModulesForm()
    traps: TrapsForm | None = None
    care: CareForm = CareForm()
    line_protocol: LinesForm | None = None
    ha: PairForm | None = Field(default=None, description="Two servers: one leads, one stands by")
    journal: JournalForm | None = Field(default=None, description="The journal on a cluster as well")
    workers: WorkersForm | None = Field(default=None, description="Several processes take the agents' batches")
    push: dict[Id, PushForm] = Field(default={}, description="Sources of `POST /api/v1/readings`, by name")
