"""What the site says about the web surfaces, and the one context that every handler gets."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from healthmon.model.ports import Clock, Commands, Duty, Queries
from healthmon.model.sample import Reading
from healthmon.model.view import Health

if TYPE_CHECKING:
    from healthmon.web.exporter import Exporter
    from healthmon.web.idempotency import Answers
    from healthmon.web.matrix import Matrix
    from healthmon.web.pages import Pages
    from healthmon.web.session import Sessions
    from healthmon.web.tooling import Tools

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
class WebSettings:
    """Who may read and act. anonymous: `loopback` (reading from this machine only) or `never`."""

    token: str = field(repr=False)
    anonymous: str = "loopback"
    ward_networks: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls: bool = False
    session_hours: float = 12.0
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
    answers: Answers
    exporter: Exporter
    pages: Pages
    read_health: Callable[[], Health] | None = None
    prober: Prober | None = None
    scrub: Scrub | None = None
    name_for_token: Callable[[str], str | None] | None = None
    tools: Tools | None = None
    duty: Duty | None = None
    streams: set[asyncio.Timeout] = field(default_factory=set)
    matrices: dict[bool, tuple[int, float, Matrix]] = field(default_factory=dict)
    errors: int = 0

    def health(self) -> Health:
        """The present health: asked of its own source, else of a view taken now (never of an old snapshot)."""
        return self.read_health() if self.read_health else self.queries.view().health


WEB: web.AppKey[Web] = web.AppKey("healthmon_web", Web)


def engine_stale(health: Health) -> bool:
    """Whether the engine has not ticked for so long that nothing shown may be called present."""
    return health.engine_tick_age_s > STALE_AFTER_S
