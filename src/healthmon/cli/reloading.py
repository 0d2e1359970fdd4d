"""`healthmon reload`: the running server reads its configuration again."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person


def reload(
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """The running server reads its configuration again; a bad one is refused whole and changes nothing.

    Example: healthmon check && healthmon reload. SIGHUP does the same; `--watch` on the server does it by itself.
    """
    from healthmon.cli.client import Client

    answer = Client.of(need_config(config), url).post("reload", {"by": person()})
    typer.echo(json.dumps(answer) if json_ else words(answer))


def words(answer: dict[str, Any]) -> str:
    """What changed, by block."""
    lines = [
        f"{block}: {word} {', '.join(ids)}" for block, moved in answer["changes"].items() for word, ids in moved.items()
    ]
    if answer["needs_restart"]:
        lines.append(f"waits for a restart: {', '.join(answer['needs_restart'])}")
    return "\n".join(["reloaded" if lines else "reloaded: nothing has changed", *lines])


COMMANDS = (("reload", reload),)
