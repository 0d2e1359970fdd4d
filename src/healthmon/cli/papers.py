"""`healthmon paper`: call list, situation report, recovery, hand-over and print pack, through the server's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from healthmon.cli.client import Client
from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.model.errors import ConfigError
from healthmon.model.paper import KINDS, Paper, text


def paper(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS))] = "call-list",
    rung: Annotated[str | None, typer.Option(help="tick off who was rung: an area, team:ID or supplier:NAME")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="write a page to print (HTML) there")] = None,
    by: Annotated[str | None, typer.Option(help="who rang (default: login name)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """What the hours after an incident are run by, on paper or on screen.

    Example: healthmon paper situation
    """
    if kind not in KINDS:
        raise ConfigError([f"paper: unknown kind '{kind}' (allowed: {', '.join(KINDS)})"])
    client = Client.of(need_config(config), url)
    if rung is not None:
        client.post("rung", {"who": rung, "by": by or person()})
    found = client.get(f"papers/{kind}")
    if output is not None:
        from healthmon.web.papers import paper_html

        output.write_text(paper_html(_paper(found)), encoding="utf-8")
        typer.echo(f"{output}: written")
    elif json_:
        typer.echo(json.dumps(found))
    else:
        typer.echo(text(_paper(found)))


def _paper(found: dict[str, object]) -> Paper:
    import msgspec

    return msgspec.convert(found, Paper)


COMMANDS = (("paper", paper),)
