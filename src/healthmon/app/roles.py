"""Start and stop the roles: server with broker and web, poller, agents, or all of them at once (`up`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from healthmon.app.agent import AgentRuntime, Source
from healthmon.app.private import usable, write_private
from healthmon.app.restraint import counters
from healthmon.app.server import Server
from healthmon.app.surface import Surface
from healthmon.app.traps import sources_of
from healthmon.app.webapp import application
from healthmon.config import SiteConfig, plan_for, poller_plan
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker, Plan
from healthmon.model.ports import Clock
from healthmon.runtime.supervise import Unit, spawn
from healthmon.transport.embedded import EmbeddedBroker

#: Called with the board's URL when everything listens.
Ready = Callable[[str], None]
BROKER_FILE = "broker.json"
#: A broker elsewhere that does not answer by then holds back no board.
BROKER_WAIT_S = 3.0


@contextlib.asynccontextmanager
async def broker_of(site: SiteConfig, *, clock: Clock) -> AsyncIterator[Broker]:
    """The configured broker, or the embedded one, started here and described in `broker.json` for other roles."""
    if site.broker is not None:
        yield site.broker
        return
    async with EmbeddedBroker(site.data_dir / "broker", clock=clock) as embedded:
        write_private(site.data_dir / BROKER_FILE, json.dumps(_broker_json(embedded.broker)))
        yield embedded.broker


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


def _broker_json(broker: Broker) -> dict[str, str | None]:
    return {"url": broker.url, "username": broker.username, "password": broker.password, "ca_file": broker.ca_file}


async def run_server(
    site: SiteConfig, *, clock: Clock, ready: Ready, poller: bool = False, agents: Iterable[str] = ()
) -> None:
    """Broker, server and web; with `poller` and `agents` it is `healthmon up`. Runs until cancelled."""
    usable(site.data_dir)
    async with broker_of(site, clock=clock) as broker:
        server = Server(site, clock=clock, broker=broker)
        here: list[tuple[Plan, Sequence[Source]]] = []
        if poller:
            here.append((poller_plan(site, broker=broker), sources_of(site)))
        here += [(_here(plan_for(site, agent, broker=broker), site), ()) for agent in agents]
        async with asyncio.TaskGroup() as group:
            spawn(group, "server", server.run())
            async with web_of(server) as url:
                for plan, sources in here:
                    run = partial(run_agent, plan, clock=clock, sources=sources, made=partial(_count, server))
                    unit = Unit(plan.agent, run, clock=clock)
                    spawn(group, plan.agent, unit.supervise())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BROKER_WAIT_S):
                        await server.inbox.connected.wait()
                ready(url)
                try:
                    await asyncio.Event().wait()
                finally:
                    await server.wind_down()


def _here(plan: Plan, site: SiteConfig) -> Plan:
    """An agent beside the server keeps its spool in the server's data folder and obeys the same stop button."""
    return replace(plan, spool_path=str(site.data_dir / plan.spool_path), stop_file=str(site.data_dir / "stop-probing"))


@contextlib.asynccontextmanager
async def web_of(server: Server) -> AsyncIterator[str]:
    """API, exporter and board; the URL they listen on."""
    from aiohttp import web

    config = server.site.web
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


async def run_poller(site: SiteConfig, *, clock: Clock) -> None:
    """The poller alone."""
    usable(site.data_dir)
    plan = poller_plan(site, broker=known_broker(site))
    await AgentRuntime(plan, clock=clock, sources=sources_of(site)).run()


async def run_agent(
    plan: Plan, *, clock: Clock, sources: Sequence[Source] = (), made: Callable[[AgentRuntime], None] | None = None
) -> None:
    """One agent; `made` hears of it before it runs."""
    agent = AgentRuntime(plan, clock=clock, sources=sources)
    if made is not None:
        made(agent)
    await agent.run()


def _count(server: Server, agent: AgentRuntime) -> None:
    server.probers[agent.plan.agent] = partial(counters, agent.plan.agent, agent.guard, agent.runner)
