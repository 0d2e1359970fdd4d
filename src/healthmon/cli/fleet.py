"""`healthmon agents`: the fleet as the server knows it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config

_HEADS = ("agent", "state", "last heard", "waiting", "missing", "given up", "version", "remarks")


def agents(
    state: Annotated[str | None, typer.Option(help="only those that are up, silent, stopped or never")] = None,
    remarkable: Annotated[bool, typer.Option("--remarkable", help="only those with a remark")] = False,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """The fleet: who is heard, what waits in the spools, what is missing, whose clock is off, who was cloned.

    Counted in batches: missing never came and was not given up; given up was declared by a spool that was full.

    Example: healthmon agents --remarkable; healthmon agents --json
    """
    from healthmon.cli.client import Client
    from healthmon.cli.tables import table

    items = Client.of(need_config(config), url).items(f"agents?state={state}" if state else "agents")
    items = [one for one in items if one["remarks"] or not remarkable]
    if json_:
        typer.echo(json.dumps(items))
        return
    typer.echo(table(_HEADS, [_row(one) for one in items]))


def _row(agent: dict[str, Any]) -> list[Any]:
    waiting = agent["spool"]["batches"] if agent["spool"] else "not known"
    return [agent["agent"], agent["state"], agent["last_at"] or "never", waiting, agent["gaps"], agent["dropped"],
            agent["version"] or "", "; ".join(agent["remarks"])]  # fmt: skip


COMMANDS = (("agents", agents),)
