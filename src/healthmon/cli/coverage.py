"""`healthmon coverage`: one number, and every blind spot by name."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError

_NAMES_MOST = 8


def coverage(
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="ask the server: also what was never or long not seen")] = False,
    at_least: Annotated[float | None, typer.Option(help="exit 1 below so many percent of access paths")] = None,
    every: Annotated[bool, typer.Option("--all", help="name every blind spot, not the first of each kind")] = False,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """What share of tier 0 and 1 services and areas is mapped and watched, and every blind spot.

    Example: healthmon coverage --at-least 90
    """
    from healthmon.app.coverage import coverage as surveyed
    from healthmon.cli.client import Client

    if at_least is not None and not 0.0 <= at_least <= 100.0:
        raise ConfigError([f"--at-least {at_least:g}: is no percentage (allowed: 0 to 100)"])
    site = need_config(config)
    found = Client.of(site, url).get("coverage") if live else surveyed(site)
    typer.echo(json.dumps(found) if json_ else words(found, every=every))
    raise typer.Exit(1 if at_least is not None and found["covered_access_paths_percent"] < at_least else 0)


def words(found: dict[str, Any], *, every: bool) -> str:
    """The number first, then the blind spots by kind."""
    share = found["shares"]
    lines = [f"covered access paths: {found['covered_access_paths_percent']:g} %"]
    names = {"access_paths": "area x service of tier 0 and 1", "services": "services of tier 0 and 1", "areas": "areas"}
    lines += [f"  {share[name]['covered']} of {share[name]['of']} {words_}" for name, words_ in names.items()]
    kinds: dict[str, list[str]] = {}
    for spot in found["blind_spots"]:
        kinds.setdefault(spot["kind"], []).append(spot["text"])
    for kind, texts in kinds.items():
        shown = texts if every else texts[:_NAMES_MOST]
        lines += ["", f"{kind.replace('_', ' ')} ({len(texts)}):", *(f"  {text}" for text in shown)]
        if len(shown) < len(texts):
            lines.append(f"  and {len(texts) - len(shown)} more (--all)")
    return "\n".join(lines)


COMMANDS = (("coverage", coverage),)
