"""What a standby answers over HTTP: that it stands by, who leads, how fresh its copy is, and what is open in it.

Reading only, and never taken for the server: its health says `standby` with status 503, so that a load balancer or a
watchdog leaves it alone.
"""

from __future__ import annotations

import contextlib
import html
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from aiohttp import web

from healthmon import __version__
from healthmon.app.private import token_of
from healthmon.config import SiteConfig, WebConfig
from healthmon.model.errors import ConfigError
from healthmon.model.incident import Incident
from healthmon.model.ports import Clock
from healthmon.model.render import incident_json, rfc3339
from healthmon.web.accounts import FILE, Accounts
from healthmon.web.origin import forwarded, is_loopback, is_loopback_host, peer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Copied:
    """The copy as it is now. at: of its newest commit, Unix s; incidents: those that are not resolved in it.

    logins: people have logins at the server that leads.
    """

    leader: str | None
    term: int
    synced: bool
    at: float | None
    incidents: tuple[Incident, ...]
    logins: bool = False


#: Reads the copy; cheap enough for every request of a person.
ReadCopy = Callable[[], Copied]


@contextlib.asynccontextmanager
async def standing_by(site: SiteConfig, read: ReadCopy, clock: Clock) -> AsyncIterator[None]:
    """Serve while the block runs. An address that cannot be taken costs the page, not the standing by."""
    runner = web.AppRunner(_application(site, read, clock), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, site.web.host, site.web.port, ssl_context=_tls(site.web)).start()
        except OSError as error:
            log.warning("standby serves no page", extra={"error": str(error.strerror)})
        yield
    finally:
        await runner.cleanup()


def _tls(config: WebConfig) -> ssl.SSLContext | None:
    if not config.tls_cert_file or not config.tls_key_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    return context


def _application(site: SiteConfig, read: ReadCopy, clock: Clock) -> web.Application:
    async def health(request: web.Request) -> web.Response:
        copied = read()
        body = {
            "status": "standby",
            "leader": copied.leader,
            "term": copied.term,
            "copied": copied.synced,
            "copied_at": rfc3339(copied.at),
            "logins_missing": logins_missing(site, copied),
            "version": __version__,
            "now": rfc3339(clock.now()),
            "broker_ok": False,  # what a server says of itself: none of it is ours to say
            "store_ok": False,
        }
        return web.json_response(body, status=503, headers={"Cache-Control": "no-store"})

    async def incidents(request: web.Request) -> web.Response:
        _admit(site, request)
        items: list[dict[str, Any]] = [incident_json(one, ()) for one in read().incidents]
        return web.json_response({"items": items, "next": None, "standby": True})

    async def page(request: web.Request) -> web.Response:
        shown = _may_read(site, request)
        return web.Response(text=_page(site, read(), shown=shown, now=clock.now()), content_type="text/html",
                            status=503, headers=_HEADERS)  # fmt: skip

    app = web.Application()
    app.router.add_get("/api/v1/health", health)
    app.router.add_get("/api/v1/incidents", incidents)
    app.router.add_get("/", page)
    return app


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Retry-After": "10",
}


def _may_read(site: SiteConfig, request: web.Request) -> bool:
    """The token, or this machine itself as far as the configuration lets it read."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if given and compare_digest(given.encode(), token_of(site.web.token_file).encode()):
        return True
    local = is_loopback(peer(request)) and is_loopback_host(request.host) and not forwarded(request)
    return local and site.web.anonymous == "loopback"


def _admit(site: SiteConfig, request: web.Request) -> None:
    if not _may_read(site, request):
        raise web.HTTPUnauthorized(text="a token is needed; this server stands by")


def logins_missing(site: SiteConfig, copied: Copied) -> bool:
    """Whether nobody could sign in here as themselves after a takeover, though people do where it leads now."""
    sign_in = site.web.sign_in
    if not copied.logins or sign_in.proxy or sign_in.oidc:
        return False
    with contextlib.suppress(ConfigError):  # a file that cannot be read is named when we lead
        return not Accounts(site.data_dir / FILE).all()
    return False


def _page(site: SiteConfig, copied: Copied, *, shown: bool, now: float) -> str:
    name = html.escape(site.estate.organisation.name)
    leads = html.escape(copied.leader or "")
    who = f"<b>{leads}</b> leads." if leads else "Nobody is known to lead."
    fresh = f"Its copy is as of {rfc3339(copied.at)}." if copied.synced and copied.at else "It has no copy yet."
    rows = "".join(
        f"<tr><td>{one.severity}</td><td>{one.state}</td><td>{html.escape(one.title)}</td>"
        f"<td>{rfc3339(one.opened_at)}</td></tr>"
        for one in copied.incidents
    )
    table = f"<table><tr><th>Severity</th><th>State</th><th>Incident</th><th>Since</th></tr>{rows}</table>"
    warned = (
        "<p><b>Nobody has a login here, though people have them at the server that leads: copy users.json and "
        "tokens.json, or nobody signs in as themselves after a takeover.</b></p>"
        if logins_missing(site, copied)
        else ""
    )
    listed = (table if rows else "<p>The copy holds no open incident.</p>") if shown else ""
    return (
        f"<!doctype html><html lang=en-GB><meta charset=utf-8><meta http-equiv=refresh content=10>"
        f"<title>Standby · {name}</title><style>body{{font:1rem sans-serif;margin:2rem}}"
        f"td,th{{padding:.3rem 1rem .3rem 0;text-align:left}}</style><h1>This is the standby of {name}</h1>"
        f"<p>{who} {fresh} It pages nobody and changes nothing until it leads. As at {rfc3339(now)}.</p>"
        f"{warned}{listed}"
    )
