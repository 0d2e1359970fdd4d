"""The web application of a server: which token, which prober, which guard against patient data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from healthmon.app.approvalbook import ApprovalBook
from healthmon.app.caredesk import CareDesk
from healthmon.app.dutydesk import DutyDesk
from healthmon.app.letters import Letters
from healthmon.app.ondemand import OnDemand
from healthmon.app.private import token_of
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.toolbox import Toolbox
from healthmon.app.warddesk import WardDesk
from healthmon.config import WebConfig
from healthmon.ingest.guard import suspicious
from healthmon.web import WebSettings, make_app
from healthmon.web.permissions import Role
from healthmon.web.settings import Demand, Found, Oidc, Proxy, SignIn, TookOver


class _Prober:
    """Looks on demand under the configuration that runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._site = server.site
        self._made = self._make()

    async def __call__(self, demand: Demand) -> Found:
        if self._server.site is not self._site:
            self._site, self._made = self._server.site, self._make()
        return await self._made(demand)

    def counters(self) -> dict[str, float]:
        return self._made.counters()

    def _make(self) -> OnDemand:
        server = self._server
        return OnDemand(server.site, clock=server.clock, stop_file=server.stop_file)


def sign_in_of(config: WebConfig) -> SignIn:
    """The ways to sign in, as the web knows them."""
    found = config.sign_in
    return SignIn(
        groups={group: Role(role) for group, role in found.groups.items()},
        people={user.id: Role(user.role) for user in config.users if user.role},
        default_role=Role(found.default_role) if found.default_role else None,
        hours=found.life_s / 3600.0,
        idle_s=found.idle_s,
        proxy=Proxy(**asdict(found.proxy)) if found.proxy else None,
        oidc=Oidc(**asdict(found.oidc)) if found.oidc else None,
    )


def took_over(server: Server) -> TookOver | None:
    """From whom this server of a pair has it, when another one led before."""
    if server.leading is None:
        return None
    terms = server.journal.events("term")[-2:]
    before = str(terms[0].body["server"]) if len(terms) == 2 else ""
    return TookOver(server.started_at, before) if before not in ("", server.leading.link.holder) else None


def application(server: Server, surface: Surface) -> Any:
    """The aiohttp application for this server."""
    config = server.site.web
    prober = _Prober(server)
    server.probers["probe"] = prober.counters
    settings = WebSettings(
        token=token_of(config.token_file),
        anonymous=config.anonymous,
        ward_networks=config.ward_networks,
        trusted_proxies=config.trusted_proxies,
        tls=config.tls_cert_file is not None,
        sign_in=sign_in_of(config),
        data_dir=server.data_dir,
    )
    return make_app(
        surface,
        surface,
        settings=settings,
        health=server.health,
        prober=prober,
        scrub=suspicious,
        name_for_token=surface.name_for_token,
        clock=server.clock,
        tools=Toolbox(server),
        duty=DutyDesk(server),
        care=CareDesk(server),
        audit=server.audit,
        letters=Letters(server),
        wards=WardDesk(server),
        drills=server.drills,
        approvals=ApprovalBook(server),
        took_over=took_over(server),
    )
