"""`healthmon incidents`: what is listed, shown and done through the server's API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.model.errors import ConfigError


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


COMMANDS = (("incidents", incidents),)
