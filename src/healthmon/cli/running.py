"""Commands that start a role and run until they are stopped: all in one, server, poller, agent, watchdog, demo."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer

from healthmon.cli.frame import (
    ConfigOption,
    JsonOption,
    VerboseOption,
    WatchOption,
    find_config,
    levels,
    listening,
    need_config,
    start,
    today,
)
from healthmon.model.errors import ConfigError
from healthmon.runtime import memory
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.stopping import SERVER_STOP_S


def up(
    config: ConfigOption = None,
    json_: JsonOption = False,
    verbose: VerboseOption = False,
    agent: Annotated[list[str] | None, typer.Option(help="also run this declared agent here (default: local)")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of the board instead of web.listen")] = None,
    watch: WatchOption = False,
) -> None:
    """Server, poller and local agent on the embedded broker and store.

    Example: healthmon up -c healthmon.yaml. Without a configuration it watches this host and its resolver only.
    """
    from healthmon.app.roles import run_server
    from healthmon.config import default_site

    levels(verbose)
    memory.starting()
    path = find_config(config)

    def reread() -> Any:
        site = need_config(path) if path else default_site(today=today())
        return site if listen is None else replace(site, web=listening(site.web, listen))

    site = reread()
    local = agent if agent is not None else [a for a in ("local",) if a in site.estate.agents]

    def ready(url: str) -> None:
        if json_:
            print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
            return
        typer.echo(f"system up: board at {url}/   token in {site.web.token_file}")
        if not path:
            typer.echo("no configuration: watching this host and its resolver only.")
            typer.echo("next: copy configs/minimal.yaml to ./healthmon.yaml, then `healthmon check` and `healthmon up`")

    clock = SystemClock()
    start(run_server(site, clock=clock, ready=ready, poller=True, agents=local, reread=reread, watch=watch),
          budget_s=SERVER_STOP_S)  # fmt: skip


def server(
    config: ConfigOption = None,
    json_: JsonOption = False,
    verbose: VerboseOption = False,
    watch: WatchOption = False,
    standby: Annotated[bool, typer.Option("--standby", help="of two servers (`ha:`), stand by first")] = False,
) -> None:
    """The server alone, with the embedded broker if configured. Example: healthmon server -c site.yaml"""
    from healthmon.app.roles import run_one_of_two, run_server

    levels(verbose)
    memory.starting()
    site = need_config(config)

    def ready(url: str) -> None:
        print(json.dumps({"url": url, "pid": os.getpid()}) if json_ else f"server up: {url}/", flush=True)

    reread = partial(need_config, config)
    if site.pair is not None:
        memory.settle()  # it may stand by for months
        start(run_one_of_two(reread, clock=SystemClock(), ready=ready, standby=standby, watch=watch),
              budget_s=SERVER_STOP_S)  # fmt: skip
        return
    if standby:
        raise ConfigError(["server --standby: needs the block `ha:` in the configuration (docs/scaling.md)"])
    start(run_server(site, clock=SystemClock(), ready=ready, reread=reread, watch=watch), budget_s=SERVER_STOP_S)


def poller(config: ConfigOption = None, verbose: VerboseOption = False, watch: WatchOption = False) -> None:
    """The poller alone: probes every target that names it. Example: healthmon poller -c site.yaml"""
    from healthmon.app.roles import run_poller

    levels(verbose)
    reread = partial(need_config, config)
    start(run_poller(reread(), clock=SystemClock(), reread=reread, watch=watch))


def agent() -> None:
    """One agent from its resolved file. Example: healthmon agent -c agent.json"""
    from healthmon.cli.thin_agent import run

    raise typer.Exit(run(["--help"]))


def watchdog(config: ConfigOption = None, verbose: VerboseOption = False) -> None:
    """Pages by its own channel when the server is silent, frozen or stuck. Run it on another machine.

    Example: healthmon watchdog -c site.yaml (section notify.watch).
    """
    from healthmon.app.watching import watch

    levels(verbose)
    asyncio.run(watch(need_config(config), clock=SystemClock()))


def demo(
    store: Annotated[str, typer.Option(help="embedded or influxdb")] = "embedded",
    store_url: Annotated[str | None, typer.Option(help="a running InfluxDB instead of one started here")] = None,
    minutes: Annotated[float, typer.Option(help="how long the board stays open after the story")] = 2.0,
    fault: Annotated[str, typer.Option(help="device whose link is cut, or `random`")] = "sw-ward7",
    port: Annotated[int, typer.Option(help="port of the board; 0 takes a free one")] = 8470,
    verbose: VerboseOption = False,
) -> None:
    """A simulated hospital on loopback with real sockets: a fault, an incident, a page, recovery.

    Example: healthmon demo --fault random --minutes 1
    """
    from healthmon.app.demo import DemoOptions, run_demo
    from healthmon.app.demo_store import demo_store

    levels(verbose)
    code = 0

    async def story() -> None:
        nonlocal code
        async with demo_store(store, store_url) as store_config:
            options = DemoOptions(fault=fault, keep_s=minutes * 60.0, listen=f"127.0.0.1:{port}", store=store_config)
            code = await run_demo(options, clock=SystemClock(), say=lambda line: typer.echo(line))

    start(story(), budget_s=SERVER_STOP_S)
    raise typer.Exit(code)


COMMANDS = (
    ("up", up),
    ("server", server),
    ("poller", poller),
    ("agent", agent),
    ("watchdog", watchdog),
    ("demo", demo),
)
