"""`healthmon explain` and `healthmon why-not`: the server answers in words."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config

UrlOption = Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")]


def explain(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT")],
    config: ConfigOption = None,
    url: UrlOption = None,
    json_: JsonOption = False,
) -> None:
    """One incident in words: the cause with what speaks for and against it, whom it hurts, who was told and who not.

    Example: healthmon explain inc-0123456789
    """
    from healthmon.cli.client import Client
    from healthmon.web.explanation import words

    found = Client.of(need_config(config), url).get(f"incidents/{quote(incident, safe='')}/explanation")
    typer.echo(json.dumps(found) if json_ else words(found))


def why_not(
    rule: Annotated[str, typer.Argument(metavar="RULE")],
    target: Annotated[str, typer.Argument(metavar="TARGET")],
    config: ConfigOption = None,
    url: UrlOption = None,
    json_: JsonOption = False,
) -> None:
    """Why this rule pages nobody about this target: every gate on the way, up to the one that is shut.

    Example: healthmon why-not check-failed sw-ward7
    """
    from healthmon.cli.client import Client

    path = f"why-not?rule={quote(rule, safe='')}&target={quote(target, safe='')}"
    found = Client.of(need_config(config), url).get(path)
    typer.echo(json.dumps(found) if json_ else gates(found))


def gates(found: dict[str, Any]) -> str:
    """One line a gate, then what was before."""
    lines = [f"{'yes' if gate['open'] else 'NO '} {gate['text']}" for gate in found["gates"]]
    before = found.get("before") or []  # a server of an older version says nothing of it
    return "\n".join([*lines, *(["before:"] if before else []), *(f"  {gate['text']}" for gate in before)])


COMMANDS = (("explain", explain), ("why-not", why_not))
