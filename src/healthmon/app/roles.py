"""Start and stop the roles: server with broker and web, poller, agents, or all of them at once (`up`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import asdict
from functools import partial

from healthmon.app.agent import AgentRuntime
from healthmon.app.identities import users_of
from healthmon.app.journalstart import journal_stream
from healthmon.app.linkrounds import LinkRounds
from healthmon.app.localagents import LocalAgents
from healthmon.app.pair import Following, Leading, Pairing, run_pair
from healthmon.app.private import usable
from healthmon.app.reload import Reloader, digest_of
from healthmon.app.restraint import counters
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.webapp import application
from healthmon.config import SiteConfig
from healthmon.ingest.pipeline import POLLER
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock
from healthmon.runtime.auditlog import Deed
from healthmon.runtime.memory import settle
from healthmon.runtime.privatefile import write_private
from healthmon.runtime.supervise import Unit, detach, spawn
from healthmon.transport.access import nats_users
from healthmon.transport.embedded import EmbeddedBroker, Opened

#: Called with the board's URL when everything listens.
Ready = Callable[[str], None]
#: Gives the configuration on disk. Raises ConfigError.
Reread = Callable[[], SiteConfig]
BROKER_FILE = "broker.json"
#: A broker elsewhere that does not answer by then holds back no board.
BROKER_WAIT_S = 3.0


@contextlib.asynccontextmanager
async def broker_of(site: SiteConfig, *, clock: Clock) -> AsyncIterator[Broker]:
    """The configured broker, or the embedded one, started here and described in `broker.json` for other roles."""
    if site.broker is not None:
        yield site.broker
        return
    opened = Opened(**asdict(site.listener)) if site.listener else None
    users = partial(_users, site)
    async with EmbeddedBroker(site.data_dir / "broker", clock=clock, opened=opened, users=users) as embedded:
        write_private(site.data_dir / BROKER_FILE, json.dumps(_broker_json(embedded.broker)))
        yield embedded.broker


def _users(site: SiteConfig, password: str) -> str:
    server, users = users_of(site, server_password=password)
    return nats_users(site.estate.organisation.id, users, server=server)


def known_broker(site: SiteConfig) -> Broker:
    """For a poller or agent beside a server: the configured broker, or the one the server has started."""
    if site.broker is not None:
        return site.broker
    path = site.data_dir / BROKER_FILE
    try:
        return Broker(**json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise TransportDown(f"{path}: no embedded broker is described here; start `healthmon server` first") from error
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError([f"{path}: does not describe a broker ({error}); start `healthmon server` again"]) from error


def _broker_json(broker: Broker) -> dict[str, str | bool | None]:
    found = {"url": broker.url, "username": broker.username, "password": broker.password, "ca_file": broker.ca_file}
    return found | {"mqtt5": broker.mqtt5}


async def run_server(
    site: SiteConfig,
    *,
    clock: Clock,
    ready: Ready,
    poller: bool = False,
    agents: Iterable[str] = (),
    reread: Reread | None = None,
    watch: bool = False,
    leading: Leading | None = None,
) -> None:
    """Broker, server and web; with `poller` and `agents` it is `healthmon up`. Runs until cancelled.

    reread: gives the configuration on disk, for a reload by SIGHUP, by the API, and with `watch` by itself.
    """
    usable(site.data_dir)
    async with broker_of(site, clock=clock) as broker, journal_stream(site, clock) as stream:
        server = Server(site, clock=clock, broker=broker, leading=leading, stream=stream)
        settle()
        local = LocalAgents(
            site, [*([POLLER] if poller else []), *agents], broker=broker, clock=clock, made=partial(_count, server)
        )
        rounds = LinkRounds(site, server.links, clock=clock, heard=server.links_learned)

        async def take(found: SiteConfig) -> None:
            plans = local.plans(found)
            await server.adopt(found)
            rounds.adopt(found)
            plans()

        if reread is not None:
            server.reloader = Reloader(site, reread, take, server.clock, audit=server.audit)
        async with asyncio.TaskGroup() as group, reloading(group, server.reloader, watch=watch):
            spawn(group, "server", server.run())
            async with web_of(server) as url:
                local.start(group)
                if poller:
                    spawn(group, "link rounds", Unit("link rounds", rounds.run, clock=clock).supervise())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BROKER_WAIT_S):
                        await server.inbox.connected.wait()
                ready(url)
                try:
                    await asyncio.Event().wait()
                finally:
                    await server.wind_down()


async def run_one_of_two(
    read: Reread, *, clock: Clock, ready: Ready, standby: bool = False, watch: bool = False
) -> None:
    """One of two servers: leads or stands by (CONTRACT: fails open). Runs until cancelled."""
    from healthmon.app.approvalbook import LOGINS
    from healthmon.app.standby import Copied, standing_by
    from healthmon.transport.pairing import PairLink

    site = read()
    assert site.pair is not None
    usable(site.data_dir)
    pair = site.pair
    link = PairLink(pair.lease, organisation=site.estate.organisation.id, holder=pair.name, username=pair.username,
                    password=pair.password, ca_file=pair.ca_file)  # fmt: skip

    async def serve(leading: Leading) -> None:
        await run_server(read(), clock=clock, ready=ready, reread=read, watch=watch, leading=leading)

    def shown(following: Following) -> contextlib.AbstractAsyncContextManager[None]:
        def copied() -> Copied:
            seen = following.seen
            at, incidents = following.read()
            return Copied(
                seen.holder or None if seen else None, seen.term if seen else 0, following.synced, at, incidents,
                following.knows(LOGINS, LOGINS),
            )  # fmt: skip

        return standing_by(site, copied, clock)

    pairing = Pairing(pair.lease_s, standby)
    await run_pair(link, site.data_dir / "journal.sqlite", clock=clock, pairing=pairing, serve=serve, shown=shown)


@contextlib.asynccontextmanager
async def reloading(group: asyncio.TaskGroup, reloader: Reloader | None, *, watch: bool) -> AsyncIterator[None]:
    """SIGHUP reloads while the block runs, and with `watch` so does a changed file."""
    if reloader is None:
        yield
        return
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has no SIGHUP
        loop.add_signal_handler(signal.SIGHUP, lambda: detach("reload", reloader.on_signal("SIGHUP")))
    if watch:
        spawn(group, "watch", reloader.watch())
    yield


@contextlib.asynccontextmanager
async def web_of(server: Server) -> AsyncIterator[str]:
    """API, exporter and board; the URL they listen on."""
    from aiohttp import web

    config = server.site.web
    started = Deed("server", "start", detail=f"files {digest_of(server.site)}")
    await asyncio.to_thread(server.audit.note, started)
    runner = web.AppRunner(application(server, Surface(server)), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    context = None
    if config.tls_cert_file and config.tls_key_file:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    try:
        site = web.TCPSite(runner, config.host, config.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError([f"web.listen {config.host}:{config.port}: {error.strerror}"]) from error
        port = runner.addresses[0][1]
        yield f"{'https' if context else 'http'}://{config.host}:{port}"
    finally:
        await runner.cleanup()


async def run_poller(site: SiteConfig, *, clock: Clock, reread: Reread | None = None, watch: bool = False) -> None:
    """The poller alone; `reread` and `watch` as for the server."""
    usable(site.data_dir)
    local = LocalAgents(site, [POLLER], broker=known_broker(site), clock=clock)

    async def take(found: SiteConfig) -> None:
        local.plans(found)()

    reloader = Reloader(site, reread, take, clock) if reread is not None else None
    async with asyncio.TaskGroup() as group, reloading(group, reloader, watch=watch):
        await local.run(POLLER)


def _count(server: Server, agent: AgentRuntime) -> None:
    server.probers[agent.plan.agent] = partial(counters, agent.plan.agent, agent.guard, agent.runner)
