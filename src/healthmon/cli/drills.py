"""`healthmon drill`: the whole way of a page, walked on purpose; which hop is missing, and how long each took."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from healthmon.cli.client import Client
from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError

_ACTIONS = "run, list, show, ack"
_LOOK_EVERY_S = 0.5
_WORDS = {
    "asked": "the broker has the server's question",
    "agent_heard": "the agent heard it",
    "agent_spoke": "the agent spoke",
    "server_heard": "the server heard it",
    "stored": "the store has it",
    "engine_decided": "the engine decided to page",
    "page_sent": "a channel took the page",
    "acknowledged": "a person answered",
}


def drill(
    action: Annotated[str, typer.Argument(help=_ACTIONS)] = "run",
    id_: Annotated[str | None, typer.Argument(metavar="ID", help="show, ack: which drill")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="the agent that speaks; default: the next")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="run: begin it and leave")] = False,
    by: Annotated[str | None, typer.Option(help="who acts (default: login name)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """A safe fire drill from an agent to the person who answers. Exit 1 when a hop is missing; it is named.

    Example: healthmon drill --from pc-w7-01
    """
    client = Client.of(need_config(config), url)
    if action == "run":
        found = client.post("drills", {"by": by or person(), **({"from": from_} if from_ else {})})
        if not no_wait:
            found = waited(client, found, quiet=json_)
    elif action == "show":
        found = client.get(f"drills/{_needed(id_)}")
    elif action == "ack":
        found = client.post(f"drills/{_needed(id_)}/ack", {"by": by or person()})
    elif action == "list":
        items = client.get("drills?limit=50")["items"]
        typer.echo(json.dumps(items) if json_ else listed(items))
        return
    else:
        raise ConfigError([f"drill {action}: no such action (allowed: {_ACTIONS})"])
    typer.echo(json.dumps(found) if json_ else shown(found))
    if found["state"] == "failed":
        raise typer.Exit(1)


def waited(client: Client, drill: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Until it is over; each hop is told as it is reached."""
    told: set[str] = set()
    if not quiet:
        typer.echo(f"{drill['id']}: FIRE DRILL from {drill['from']}, pages {', '.join(drill['paged'])}", err=True)
    while True:
        for hop in drill["hops"]:
            if hop["at"] and hop["hop"] not in told:
                told.add(hop["hop"])
                if not quiet:
                    typer.echo(f"  {_WORDS[hop['hop']]} ({hop['took_s']:.3f} s)", err=True)
        if drill["state"] != "running":
            return drill
        time.sleep(_LOOK_EVERY_S)
        drill = client.get(f"drills/{drill['id']}")


def shown(drill: dict[str, Any]) -> str:
    """One drill, a line a hop."""
    rows = [
        [hop["hop"], hop["at"] or (f"late: {hop['late_at']}" if hop["late_at"] else "MISSING"),
         "" if hop["took_s"] is None else f"{hop['took_s']:.3f} s", _WORDS[hop["hop"]]]
        for hop in drill["hops"]
    ]  # fmt: skip
    head = f"{drill['id']}: {drill['state']}, from {drill['from']}, asked for by {drill['by']}"
    why = [f"missing hop: {drill['missing'] or '-'}: {drill['because']}"] if drill["because"] else []
    who = [f"answered by {drill['answered_by']}"] if drill["answered_by"] else []
    return "\n".join([head, *why, *who, table(["hop", "at", "took", "what"], rows)])


def listed(items: list[dict[str, Any]]) -> str:
    """The newest first."""
    rows = [[one["id"], one["started_at"], one["state"], one["from"], one["missing"] or "", one["because"] or ""]
            for one in items]  # fmt: skip
    return table(["drill", "started", "state", "from", "missing hop", "because"], rows) if rows else "no drills yet"


def _needed(id_: str | None) -> str:
    if not id_:
        raise ConfigError(["drill: say the id of the drill"])
    return id_


COMMANDS = (("drill", drill),)
