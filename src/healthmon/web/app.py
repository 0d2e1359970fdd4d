"""Puts the surfaces together: one aiohttp application over the Queries and Commands ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from healthmon.model.ports import Clock, Commands, Drills, Duty, Letters, Queries
from healthmon.model.view import Health
from healthmon.runtime import auditlog
from healthmon.runtime.auditlog import AuditLog
from healthmon.runtime.clock import SystemClock
from healthmon.web import (
    accessapi,
    accessboard,
    accounts,
    actions,
    alertmanager,
    api,
    board,
    careboard,
    caseboard,
    events,
    fleetboard,
    mapboard,
    muteboard,
    mutes,
    notices,
    oidcsignin,
    oncall,
    pushed,
    session,
    signin,
    targetboard,
    tokens,
    tooling,
    wardroutes,
)
from healthmon.web import drills as drillapi
from healthmon.web.access import add_headers, admit
from healthmon.web.accounts import Accounts
from healthmon.web.approvals import ApprovalLog, Approvals, note_logins
from healthmon.web.audit import audited
from healthmon.web.blackbox import probe
from healthmon.web.exporter import Exporter
from healthmon.web.idempotency import Answers
from healthmon.web.pages import Pages, static_handler
from healthmon.web.problem import problems
from healthmon.web.session import Sessions
from healthmon.web.settings import WEB, Prober, Scrub, SignIn, TookOver, Web, WebSettings
from healthmon.web.throttle import Throttle
from healthmon.web.tokens import Tokens
from healthmon.web.tooling import Tools
from healthmon.web.wards import Wards

if TYPE_CHECKING:
    from healthmon.web.oidc import Provider

BODY_MOST_BYTES = 64 * 1024


def make_app(
    queries: Queries,
    commands: Commands,
    *,
    settings: WebSettings,
    health: Callable[[], Health] | None = None,
    prober: Prober | None = None,
    scrub: Scrub | None = None,
    name_for_token: Callable[[str], str | None] | None = None,
    clock: Clock | None = None,
    wards: Wards | None = None,
    tools: Tools | None = None,
    duty: Duty | None = None,
    care: careboard.CareDesk | None = None,
    audit: AuditLog | None = None,
    letters: Letters | None = None,
    drills: Drills | None = None,
    approvals: ApprovalLog | None = None,
    took_over: TookOver | None = None,
) -> web.Application:
    """The application. `health` gives live health if `queries.view().health` does not; `prober` opens /probe.

    Run it with `access_log=None`: acknowledgement tokens stand in paths.
    """
    clock = clock or SystemClock()
    folder, sign_in = settings.data_dir, settings.sign_in
    site = Web(
        queries=queries,
        commands=commands,
        settings=settings,
        clock=clock,
        sessions=sessions_of(settings, clock),
        accounts=Accounts(folder and folder / accounts.FILE),
        tokens=Tokens(folder and folder / tokens.FILE, clock=clock),
        throttle=Throttle(clock),
        audit=audit or AuditLog(folder and folder / auditlog.FILE, now=clock.now),
        approvals=Approvals(clock, approvals),
        answers=Answers(clock),
        exporter=Exporter(clock=clock, series_cap=settings.series_cap),
        pages=Pages(),
        read_health=health,
        prober=prober,
        scrub=scrub,
        name_for_token=name_for_token,
        wards=wards,
        tools=tools,
        duty=duty,
        letters=letters,
        care=care,
        provider=provider_of(sign_in, clock),
        drills=drills,
        took_over=took_over,
    )
    if took_over:  # what was signed in here, in an earlier term, may have been ended at the other server
        site.sessions.end_all()
    return _application(site)


def _application(site: Web) -> web.Application:
    app = web.Application(middlewares=[problems, audited, admit], client_max_size=BODY_MOST_BYTES)
    app[WEB] = site
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(close_streams)
    app.on_startup.append(note_logins)
    add_routes(app, site)
    return app


def sessions_of(settings: WebSettings, clock: Clock) -> Sessions:
    """Who is signed in; kept where there is a folder for it."""
    folder, sign_in = settings.data_dir, settings.sign_in
    path = folder and folder / session.FILE
    return Sessions(token=settings.token, hours=sign_in.hours, idle_s=sign_in.idle_s, clock=clock, path=path)


def provider_of(sign_in: SignIn, clock: Clock) -> Provider | None:
    """The OpenID provider, where there is one; its library is loaded only then."""
    if sign_in.oidc is None:
        return None
    from healthmon.web.oidc import Provider

    return Provider(sign_in.oidc, clock)


def add_routes(app: web.Application, site: Web) -> None:
    """Everything that is served; what is not built is not here."""
    app.add_routes([web.get(f"/api/v1/{path}", handler) for path, handler in api.ROUTES])
    app.router.add_get("/api/v1/events", events.events, allow_head=False)
    app.add_routes(actions.routes())
    app.add_routes(mutes.routes())
    app.add_routes(muteboard.routes())
    app.add_routes(oncall.routes())
    app.add_routes(notices.routes())
    app.add_routes(drillapi.routes())
    app.add_routes(tooling.routes())
    app.add_routes(pushed.routes())
    app.add_routes(alertmanager.routes())
    app.add_routes(wardroutes.routes())
    app.add_routes(board.routes())
    app.add_routes(fleetboard.routes())
    app.add_routes(accessboard.routes())
    app.add_routes(careboard.routes())
    app.add_routes(caseboard.routes())
    app.add_routes(mapboard.routes())
    app.add_routes(targetboard.routes())
    app.add_routes(signin.routes())
    app.add_routes(oidcsignin.routes())
    app.add_routes(accessapi.routes())
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/static/{name}", static_handler(site.pages))
    if site.prober:
        app.router.add_get("/probe", probe, allow_head=False)


async def metrics(request: web.Request) -> web.Response:
    """The exposition that Prometheus scrapes."""
    site = request.app[WEB]
    view = site.queries.view()
    accept = request.headers.get("Accept", "")
    body, content_type = await site.exporter.exposition(view, site.health(), accept=accept, web_errors=site.errors)
    return web.Response(body=body, headers={"Content-Type": content_type})


async def close_streams(app: web.Application) -> None:
    """End event streams before the server waits for its handlers."""
    events.end_streams(app[WEB])
