"""What the rest of healthmon gets: the site, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from healthmon.alerting.oncall.waking import Waking
from healthmon.impact.severity import SeverityTable
from healthmon.model.alert import Rule
from healthmon.model.drill import DrillPlan
from healthmon.model.incident import Policy
from healthmon.model.mute import Change
from healthmon.model.oncall import OncallPlan, Override
from healthmon.model.plan import Broker, Safety
from healthmon.model.sample import Family
from healthmon.model.topology import Estate
from healthmon.model.wards import WardPlan
from healthmon.probes.snmp_client import Credentials
from healthmon.probes.trap_pack import Meaning
from healthmon.reports.care import Care


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """kind: embedded, influxdb or lineprotocol. Secrets are read from their files already."""

    kind: str = "embedded"
    url: str | None = None
    version: int = 1
    org: str | None = None
    bucket: str = "healthmon"
    database: str = "healthmon"
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    retention_days: float = 35.0
    minutes_days: float = 90.0
    hours_days: float = 396.0
    endpoint_days: float = 90.0
    endpoint_kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One channel; `params` decode to the Params of its kind."""

    id: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    via: tuple[str, ...] = ()  # what it hangs on: an uplink, a mail system, an identity provider
    most_per_minute: float | None = None  # None: what is usual for its kind
    audience: str = "it"  # it, or ward: who reads it
    fallback: str | None = None  # the channel that is used as well when this one fails
    reply_secret: str | None = field(default=None, repr=False)
    reply_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertingConfig:
    """mode is `shadow` or `live`; the narrower setting wins: rule, area, site, this."""

    mode: str = "shadow"
    site_modes: Mapping[str, str] = field(default_factory=dict)
    area_modes: Mapping[str, str] = field(default_factory=dict)
    rule_modes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    email: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The headers in which a trusted proxy says who signed in."""

    user_header: str
    name_header: str
    groups_header: str


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """An OpenID provider, as written under `web.oidc`."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    label: str = ""
    scopes: tuple[str, ...] = ("openid",)
    user_claim: str = "preferred_username"
    name_claim: str = "name"
    groups_claim: str = "groups"
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SignInConfig:
    """Roles of groups, how long a session lives, and the ways in beside the site's token."""

    groups: Mapping[str, str] = field(default_factory=dict)
    default_role: str | None = None
    life_s: float = 43200.0
    idle_s: float = 3600.0
    proxy: ProxyConfig | None = None
    oidc: OidcConfig | None = None


@dataclass(frozen=True, slots=True)
class WebConfig:
    """anonymous: `loopback` (reading needs a loopback peer and no forwarding header) or `never`."""

    token_file: Path
    host: str = "127.0.0.1"
    port: int = 8470
    anonymous: str = "loopback"
    ward_networks: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    users: tuple[User, ...] = ()
    sign_in: SignInConfig = field(default_factory=SignInConfig)


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """What the watchdog asks, how often (seconds), and whom it tells."""

    url: str
    every_s: float = 10.0
    channels: tuple[str, ...] = ()
    name: str = "healthmon"


@dataclass(frozen=True, slots=True)
class PairConfig:
    """Of two servers the one that holds the lease pages. lease: NATS URLs with JetStream, comma between."""

    lease: str
    name: str
    lease_s: float = 10.0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """The journal on a cluster of NATS as well. line: its URLs, comma between."""

    line: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """Several processes take the agents' batches. line: NATS URLs of the cluster, comma between.

    detection: they judge each series too, and the server goes on from what they found.
    """

    line: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    detection: bool = False
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class ProbeModule:
    """One way to look on demand; `limit_s` is None where only the asker's own patience counts.

    `prefer`: of all addresses of a name only the first is tried, of this IP version where there is one; 0 = all.
    """

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limit_s: float | None = None
    prefer: int = 0


@dataclass(frozen=True, slots=True)
class ProbeModules:
    """What /probe offers. Targets of the inventory may be looked at always, others inside these networks."""

    networks: tuple[str, ...] = ()
    modules: Mapping[str, ProbeModule] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # modules of a blackbox file that are not offered: why


@dataclass(frozen=True, slots=True)
class TrapsConfig:
    """Where traps come in, whom they are believed from, and what their OIDs mean."""

    host: str
    port: int
    community: str | None = field(default=None, repr=False)
    users: tuple[Credentials, ...] = ()
    per_sender_hz: float = 10.0
    meanings: Mapping[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineProtocolConfig:
    """Line protocol of other tools: families by name, targets by the value of `host`, tags that are left out."""

    families: Mapping[str, Family] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    drop_tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listener:
    """Where the embedded broker takes agents from other machines, always over TLS; `address` is what they call it."""

    host: str
    port: int
    address: str
    cert_file: str
    key_file: str
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """Everything a configuration says. `warnings` are `file:line:col: message` lines that stop nothing."""

    estate: Estate
    safety: Safety
    broker: Broker | None  # None: the embedded one
    store: StoreConfig
    rules: tuple[Rule, ...]
    policies: tuple[Policy, ...]
    channels: Mapping[str, ChannelConfig]
    severity: SeverityTable
    waking: Waking
    alerting: AlertingConfig
    web: WebConfig
    data_dir: Path
    watch: WatchConfig | None = None
    holidays: frozenset[date] = frozenset()
    oncall: OncallPlan = field(default_factory=OncallPlan)
    drills: DrillPlan = field(default_factory=DrillPlan)
    overrides: tuple[Override, ...] = ()  # of the rotas, as the configuration says
    changes: tuple[Change, ...] = ()
    site_manager: tuple[str, ...] = ()  # channels that hear when the clinical floor is lifted by one person
    reminders: tuple[str, ...] = ()  # channels that hear of silences that end or cover something
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)  # the words of incidents, by message name
    catalogues: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the same and the wards', by language
    wards: WardPlan = field(default_factory=WardPlan)
    pack_roots: tuple[Path, ...] = ()
    probe_modules: ProbeModules = ProbeModules()
    traps: TrapsConfig | None = None
    care: Care = field(default_factory=Care)
    pair: PairConfig | None = None
    workers: WorkersConfig | None = None
    journal: JournalConfig | None = None
    push_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)  # by source
    line_protocol: LineProtocolConfig | None = None
    listener: Listener | None = None  # None: the embedded broker is for this machine only
