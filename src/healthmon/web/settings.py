"""What the site says about the web surfaces, and the one context that every handler gets."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from healthmon.model.ports import Clock, Commands, Drills, Duty, Letters, Queries
from healthmon.model.sample import Reading
from healthmon.model.view import Health
from healthmon.runtime.auditlog import AuditLog
from healthmon.web.permissions import Role
from healthmon.web.throttle import Recent, Throttle

if TYPE_CHECKING:
    from healthmon.model.incident import Incident
    from healthmon.web.accounts import Accounts
    from healthmon.web.approvals import Approvals
    from healthmon.web.careboard import CareDesk
    from healthmon.web.casefile import CaseFile
    from healthmon.web.exporter import Exporter
    from healthmon.web.idempotency import Answers
    from healthmon.web.matrix import Matrix
    from healthmon.web.oidc import Provider
    from healthmon.web.pages import Pages
    from healthmon.web.session import Sessions
    from healthmon.web.tokens import Tokens
    from healthmon.web.tooling import Tools
    from healthmon.web.wards import Wards

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Demand:
    """What a GET of /probe asks for. hostname: what the target is to be called; limit_s: what the scrape leaves."""

    module: str
    target: str
    hostname: str = ""
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it. address: the first one looked at; lines: the transcript."""

    reading: Reading
    kind: str
    address: str = ""
    dns_s: float = 0.0
    lines: tuple[str, ...] = ()


#: Raises NotFound for an unknown module, NotAllowed when the config or the safety block forbids it.
Prober = Callable[[Demand], Awaitable[Found]]
#: Says what kind of patient data a text seems to hold, or None. Its answer is never shown or stored.
Scrub = Callable[[str], str | None]

STALE_AFTER_S = 10.0  # an engine silent for longer makes every page say so


@dataclass(frozen=True, slots=True)
class Proxy:
    """The headers in which a trusted proxy says who signed in there."""

    user_header: str
    name_header: str = "X-Remote-Name"
    groups_header: str = "X-Remote-Groups"


@dataclass(frozen=True, slots=True)
class Oidc:
    """An OpenID provider. The claims say under which names it gives the user's id, name and groups."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    label: str = "Sign in with the hospital's login"
    scopes: tuple[str, ...] = ("openid", "profile")
    user_claim: str = "preferred_username"
    name_claim: str = "name"
    groups_claim: str = "groups"
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Roles of groups and people, how long a session lasts, and the ways in beside the site's token."""

    groups: Mapping[str, Role] = field(default_factory=dict)
    people: Mapping[str, Role] = field(default_factory=dict)
    default_role: Role | None = None
    hours: float = 12.0
    idle_s: float = 3600.0
    proxy: Proxy | None = None
    oidc: Oidc | None = None


@dataclass(frozen=True, slots=True)
class TookOver:
    """This server of a pair leads since then; `before` led until then, and its sign-ins are not known here."""

    at: float
    before: str


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Who may read and act. anonymous: `loopback` (reading from this machine only) or `never`."""

    token: str = field(repr=False)
    anonymous: str = "loopback"
    ward_networks: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls: bool = False
    sign_in: SignIn = field(default_factory=SignIn)
    data_dir: Path | None = None  # where users, tokens, sessions and the audit are kept; None: nowhere
    series_cap: int = 20_000
    streams_cap: int = 200

    def __post_init__(self) -> None:
        if not self.token.strip():
            raise ValueError("web: the token must not be empty")
        if self.anonymous not in ("loopback", "never"):
            raise ValueError(f"web.anonymous: {self.anonymous!r} (allowed: loopback, never)")
        networks(self.ward_networks)
        networks(self.trusted_proxies)


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses or CIDRs as networks; raises ValueError with the text that is neither."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


@dataclass(slots=True)
class Web:
    """What handlers may use. `read_health` is asked at every request, so that a stuck engine shows."""

    queries: Queries
    commands: Commands
    settings: WebSettings
    clock: Clock
    sessions: Sessions
    accounts: Accounts
    tokens: Tokens
    throttle: Throttle
    audit: AuditLog
    approvals: Approvals
    answers: Answers
    exporter: Exporter
    pages: Pages
    read_health: Callable[[], Health] | None = None
    prober: Prober | None = None
    scrub: Scrub | None = None
    name_for_token: Callable[[str], str | None] | None = None
    tools: Tools | None = None
    duty: Duty | None = None
    care: CareDesk | None = None
    provider: Provider | None = None
    refusals: Recent = field(default_factory=Recent)
    letters: Letters | None = None
    wards: Wards | None = None
    drills: Drills | None = None
    took_over: TookOver | None = None
    streams: set[asyncio.Timeout] = field(default_factory=set)
    matrices: dict[bool, tuple[int, float, Matrix]] = field(default_factory=dict)
    #: The page of one incident, made once for all who look: (version, incident, when, case).
    cases: dict[str, tuple[int, Incident, float, CaseFile]] = field(default_factory=dict)
    errors: int = 0

    def health(self) -> Health:
        """The present health: asked of its own source, else of a view taken now (never of an old snapshot)."""
        return self.read_health() if self.read_health else self.queries.view().health


WEB: web.AppKey[Web] = web.AppKey("healthmon_web", Web)


def engine_stale(health: Health) -> bool:
    """Whether the engine has not ticked for so long that nothing shown may be called present."""
    return health.engine_tick_age_s > STALE_AFTER_S
