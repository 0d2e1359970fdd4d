"""Commands that look at the network now, or keep everybody from looking: probe, discover, stop-probing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, find_config, need_config, person


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


COMMANDS = (("probe", probe), ("discover", discover), ("stop-probing", stop_probing))
