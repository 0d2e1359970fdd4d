"""`healthmon notices`: what was sent to whom, what is dead and sent again, and what a channel would carry."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.client import Client
from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError, HealthmonError

_ACTIONS = "list, preview"


def notices(
    action: Annotated[str, typer.Argument(help=_ACTIONS)] = "list",
    dead: Annotated[bool, typer.Option("--dead", help="only what could not be delivered")] = False,
    resend: Annotated[str | None, typer.Option(help="send a dead notice again: its key, or `all`")] = None,
    incident: Annotated[str | None, typer.Option(help="only of this incident; preview: its words")] = None,
    channel: Annotated[str | None, typer.Option(help="only of this channel")] = None,
    since: Annotated[str | None, typer.Option(help="from when: 2027-01-31T22:00:00Z")] = None,
    why: Annotated[str, typer.Option(help="preview: opened, worse, new_area, escalated, mitigated ...")] = "opened",
    most: Annotated[int, typer.Option(help="list: at most so many, the newest")] = 50,
    by: Annotated[str | None, typer.Option(help="who acts (default: login name)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """The told-log: every message with what became of it.

    Example: healthmon notices --dead, then healthmon notices --resend all
    """
    client = Client.of(need_config(config), url)
    wanted = {"incident": incident, "channel": channel, "since": since.replace("+", "%2B") if since else None}
    if action == "preview":
        typer.echo(previewed(client, incident, why, channel, as_json=json_))
    elif action != "list":
        raise ConfigError([f"notices {action}: no such action (allowed: {_ACTIONS})"])
    elif resend is not None:
        typer.echo(resent(client, resend, wanted, by or person(), as_json=json_))
    else:
        typer.echo(listed(client, wanted | {"result": "dead" if dead else None}, most, as_json=json_))


def listed(client: Client, wanted: dict[str, str | None], most: int, *, as_json: bool) -> str:
    """The newest, the newest first."""
    items = client.get(_path("notices", {**wanted, "limit": str(max(1, min(most, 1000)))}))["items"]
    if as_json:
        return json.dumps(items)
    rows = [
        [one["due"], one["result"], one["channel"], one["to"], one["why"], one["incident"], one["key"], one["detail"]]
        for one in items
    ]
    return table(["due", "result", "channel", "to", "why", "incident", "key", "detail"], rows) if rows else "none"


def resent(client: Client, key: str, wanted: dict[str, str | None], by: str, *, as_json: bool) -> str:
    """One dead notice, or all that were not sent again yet."""
    keys = (
        [one["key"] for one in client.items(_path("notices", {**wanted, "result": "dead"}))] if key == "all" else [key]
    )
    done, refused = [], []
    for one in keys:
        try:
            done.append(client.post(f"notices/{one}/resend", {"by": by}))
        except HealthmonError as error:
            if key != "all":
                raise
            refused.append(f"{one}: {error}")
    if as_json:
        return json.dumps({"resent": done, "refused": refused})
    said = [f"{one['key']}: to {one['to']} by {one['channel']}, {one['result']}" for one in done]
    return "\n".join([*said, *refused]) or "none is dead"


def previewed(client: Client, incident: str | None, why: str, channel: str | None, *, as_json: bool) -> str:
    """What each channel would carry."""
    items = client.get(_path("notices/preview", {"incident": incident, "why": why}))["items"]
    items = [one for one in items if channel in (None, one["channel"])]
    if as_json:
        return json.dumps(items)
    return "\n\n".join(_shown(one) for one in items) or "no channels"


def _shown(one: dict[str, Any]) -> str:
    fits = ", one SMS" if one["one_sms"] else ""
    return f"== {one['channel']} ({one['kind']}, {one['characters']} characters{fits})\n{one['subject']}\n{one['text']}"


def _path(name: str, wanted: dict[str, str | None]) -> str:
    given = [f"{key}={value}" for key, value in wanted.items() if value]
    return name + ("?" + "&".join(given) if given else "")


COMMANDS = (("notices", notices),)
