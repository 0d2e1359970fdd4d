"""All commands but `agent`. Errors are one clear line; exit 0 ok, 1 bad, 2 usage or config, 3 unreachable."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon import __version__
from healthmon.cli import (
    access,
    care,
    coverage,
    doctoring,
    drills,
    enrolling,
    export,
    fleet,
    importing,
    links,
    loading,
    mute_commands,
    notices,
    oncall,
    papers,
    questions,
    reloading,
    report,
    ruletests,
    storing,
    whatif,
    working,
)
from healthmon.cli.frame import (
    ConfigOption,
    JsonOption,
    VerboseOption,
    WatchOption,
    app,
    clear_errors,
    find_config,
    levels,
    listening,
    need_config,
    person,
    start,
    today,
)
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock

__all__ = ["app"]


@app.command()
@clear_errors
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
    start(run_server(site, clock=clock, ready=ready, poller=True, agents=local, reread=reread, watch=watch))


@app.command()
@clear_errors
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
    site = need_config(config)

    def ready(url: str) -> None:
        print(json.dumps({"url": url, "pid": os.getpid()}) if json_ else f"server up: {url}/", flush=True)

    reread = partial(need_config, config)
    if site.pair is not None:
        start(run_one_of_two(reread, clock=SystemClock(), ready=ready, standby=standby, watch=watch))
        return
    if standby:
        raise ConfigError(["server --standby: needs the block `ha:` in the configuration (docs/scaling.md)"])
    start(run_server(site, clock=SystemClock(), ready=ready, reread=reread, watch=watch))


@app.command()
@clear_errors
def poller(config: ConfigOption = None, verbose: VerboseOption = False, watch: WatchOption = False) -> None:
    """The poller alone: probes every target that names it. Example: healthmon poller -c site.yaml"""
    from healthmon.app.roles import run_poller

    levels(verbose)
    reread = partial(need_config, config)
    start(run_poller(reread(), clock=SystemClock(), reread=reread, watch=watch))


@app.command()
def agent() -> None:
    """One agent from its resolved file. Example: healthmon agent -c agent.json"""
    from healthmon.cli.thin_agent import run

    raise typer.Exit(run(["--help"]))


@app.command()
@clear_errors
def watchdog(config: ConfigOption = None, verbose: VerboseOption = False) -> None:
    """Pages by its own channel when the server is silent, frozen or stuck. Run it on another machine.

    Example: healthmon watchdog -c site.yaml (section notify.watch).
    """
    from healthmon.app.watching import watch

    levels(verbose)
    asyncio.run(watch(need_config(config), clock=SystemClock()))


@app.command()
@clear_errors
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

    start(story())
    raise typer.Exit(code)


@app.command()
@clear_errors
def check(
    config: ConfigOption = None,
    resolve: Annotated[str | None, typer.Option(help="write the resolved file of this agent")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="where to write it (default: stdout)")] = None,
    json_: JsonOption = False,
) -> None:
    """Validate configuration, packs, rules, references and routes to people; touch nothing.

    With --json one row for each problem: file, line, col, severity, message, fix. Exit 2 when there is an error.
    Example: healthmon check -c healthmon.yaml; healthmon check --resolve pc-w7-01 -o agent.json
    """
    from healthmon.cli.checking import or_refused, report, resolved

    site = or_refused(lambda: need_config(config), as_json=json_)
    if resolve is not None:
        text = resolved(site, resolve)
        if output:
            from healthmon.runtime.privatefile import write_private

            write_private(output, text)
        else:
            typer.echo(text)
        return
    typer.echo(or_refused(lambda: report(site, as_json=json_), as_json=json_))


@app.command()
@clear_errors
def schema(
    packs: Annotated[
        str | None, typer.Option(help="Of packs instead: rules, rule-tests, policies or roles.", metavar="KIND")
    ] = None,
) -> None:
    """JSON Schema of the configuration, or of packs, for editors. Example: healthmon schema > healthmon.schema.json"""
    from healthmon.config import json_schema
    from healthmon.config.packschema import PACK_FORMS, pack_schema
    from healthmon.config.problems import allowed

    if packs is not None and packs not in PACK_FORMS:
        raise ConfigError([f"schema: no such kind of pack '{packs}'{allowed(PACK_FORMS)}"])
    typer.echo(json.dumps(pack_schema(packs) if packs else json_schema(), indent=2))


@app.command()
@clear_errors
def version(json_: JsonOption = False) -> None:
    """The build. Example: healthmon version --json"""
    build = {"version": __version__, "python": sys.version.split()[0], "platform": sys.platform}
    typer.echo(
        json.dumps(build) if json_ else f"healthmon {build['version']} (Python {build['python']}, {build['platform']})"
    )


@app.command()
@clear_errors
def probe(
    kind: Annotated[str, typer.Argument(help="icmp, http, tcp, tls, snmp ...")],
    target: Annotated[str, typer.Argument(help="address, URL, or the id of a configured target")],
    pack: Annotated[str | None, typer.Option(help="probe pack, e.g. if-mib")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="k=v, repeated")] = None,
    timeout: Annotated[float, typer.Option(help="seconds")] = 5.0,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """One probe now, with the debug transcript. The safety block of the configuration holds here too.

    A configured target is asked as its own check of this kind asks it; what is given here stands above that.

    Example: healthmon probe http https://ehr.example -p path=/health
    """
    from healthmon.cli.probing import probe_once

    path = find_config(config)
    site = need_config(path) if path else None
    text, ok = asyncio.run(
        probe_once(site, kind, target, pack=pack, params=param or [], timeout_s=timeout, as_json=json_)
    )
    typer.echo(text)
    raise typer.Exit(0 if ok else 1)


@app.command()
@clear_errors
def discover(
    cidr: Annotated[str, typer.Argument(help="the network to sweep, at most a /20 (IPv6: /116)")],
    community: Annotated[str | None, typer.Option(help="SNMP community; others on this host can see it")] = None,
    community_file: Annotated[Path | None, typer.Option(help="file with the SNMP community")] = None,
    like: Annotated[str | None, typer.Option(help="use the SNMP credentials of this configured target")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="of SNMP, k=v, e.g. version=3")] = None,
    rate: Annotated[float, typer.Option(help="looks a second", min=0.1, max=200.0)] = 20.0,
    tcp: Annotated[bool, typer.Option("--tcp", help="try what is silent to an echo by TCP as well")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress on stderr")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="have the server keep the links (healthmon links)")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Sweep a network slowly and print what differs from the inventory, as YAML to review. Changes nothing.

    Example: healthmon discover 192.0.2.0/24 --like sw-core > found.yaml
    """
    from healthmon.cli.discover import credentials, keep_links
    from healthmon.cli.discover import discover as sweep

    path = find_config(config)
    site = need_config(path) if path else None
    params = credentials(site, like=like, community=community, community_file=community_file, params=param or [])
    text, code, learned = asyncio.run(
        sweep(site, cidr, params=params, rate_hz=rate, quiet=quiet, as_json=json_, tcp=tcp)
    )
    typer.echo(text)
    if keep:
        keep_links(need_config(path), learned)
    raise typer.Exit(code)


@app.command("stop-probing")
@clear_errors
def stop_probing(
    resume: Annotated[bool, typer.Option("--resume", help="start probing again")] = False,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
) -> None:
    """The stop button: no probe leaves this site until `--resume`. Example: healthmon stop-probing"""
    from healthmon.cli.client import Client

    client = Client.of(need_config(config), url)
    client.post("probing/resume" if resume else "probing/stop", {"by": person()})
    typer.echo("probing goes on" if resume else "probing is stopped; `healthmon stop-probing --resume` starts it again")


@app.command()
@clear_errors
def incidents(
    action: Annotated[
        str,
        typer.Argument(help="list, show, report, ack, unack, own, pass, note, mitigate, resolve, reopen, merge, split"),
    ] = "list",
    incident: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    by: Annotated[str | None, typer.Option(help="who acts (default: login name)")] = None,
    text: Annotated[str, typer.Option(help="note text")] = "",
    reason: Annotated[str, typer.Option(help="why it is resolved")] = "",
    impact: Annotated[str, typer.Option(help="clinical impact in a line")] = "",
    to: Annotated[str | None, typer.Option(help="pass: a team, a person or duty-manager")] = None,
    into: Annotated[str | None, typer.Option(help="merge: the incident that stays")] = None,
    member: Annotated[list[str] | None, typer.Option(help="split: a member, repeated")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="report: FILE.md or FILE.html (default: stdout)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """List, show and act on incidents through the server's API.

    Example: healthmon incidents ack inc-0123456789 --by "Duty engineer"
    """
    from healthmon.cli.client import Client
    from healthmon.cli.incidents import act, listing, shown

    client = Client.of(need_config(config), url)
    if action == "list":
        typer.echo(listing(client, as_json=json_))
        return
    if incident is None:
        raise ConfigError([f"incidents {action}: which one? `healthmon incidents list` shows the ids"])
    if action == "report":
        form = "html" if output and output.suffix in (".html", ".htm") else "markdown"
        report = client.text(f"incidents/{incident}/report?format={form}")
        typer.echo(report) if output is None else output.write_text(report, encoding="utf-8")
        return
    if action == "show":
        typer.echo(shown(client, incident, as_json=json_))
        return
    body = {
        "by": by or person(),
        "text": text,
        "note": text,
        "reason": reason,
        "impact": impact,
        "into": into,
        "to": to,
    }
    typer.echo(act(client, incident, action, body | {"members": member or []}, as_json=json_))


#: Commands that live in modules of their own.
_APART = (
    access,
    care,
    coverage,
    doctoring,
    drills,
    enrolling,
    export,
    fleet,
    importing,
    links,
    loading,
    mute_commands,
    notices,
    oncall,
    papers,
    questions,
    reloading,
    report,
    ruletests,
    storing,
    whatif,
    working,
)
for name, command in (pair for module in _APART for pair in module.COMMANDS):
    app.command(name)(clear_errors(command))
