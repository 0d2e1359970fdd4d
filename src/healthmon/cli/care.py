"""`healthmon readiness` and `healthmon standards`: what wards are owed, asked of the running server."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.client import Client
from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.cli.tables import table

Url = Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")]


def readiness(
    everything: Annotated[bool, typer.Option("--all", help="also what is ready")] = False,
    config: ConfigOption = None,
    url: Url = None,
    json_: JsonOption = False,
) -> None:
    """Downtime PCs and copies, paper, backups, legacy, certificates, licences: what is not ready. Exit 1 if anything.

    Example: healthmon readiness --all
    """
    found = Client.of(need_config(config), url).get("readiness")
    typer.echo(json.dumps(found) if json_ else readiness_words(found, everything=everything))
    raise typer.Exit(1 if any(one["state"] == "not ready" for one in found["items"]) else 0)


def readiness_words(found: dict[str, Any], *, everything: bool) -> str:
    """A line for each thing that is not ready, and how many are."""
    shown = [one for one in found["items"] if everything or one["state"] != "ready"]
    rows = [[one["state"], one["kind"].replace("_", " "), one["name"], "; ".join(one["why"])] for one in shown]
    ready = sum(one["state"] == "ready" for one in found["items"])
    lines = [table(["state", "what", "which", "why"], rows)] if rows else []
    return "\n".join([*lines, f"{ready} of {len(found['items'])} ready"])


def standards(config: ConfigOption = None, url: Url = None, json_: JsonOption = False) -> None:
    """Availability standards by area and service, with budget and burn rates. Exit 1 if a budget burns.

    Example: healthmon standards
    """
    found = Client.of(need_config(config), url).get("standards")
    typer.echo(json.dumps(found) if json_ else standards_words(found))
    raise typer.Exit(1 if any(one["burning"] for one in found["items"]) else 0)


def standards_words(found: dict[str, Any]) -> str:
    """What burns first."""
    rows = [
        [one["area"], one["service"], f"{one['budget']['aim']:.3%}", ", ".join(one["burning"]) or "no",
         f"{one['budget']['spent_seconds'] / 60:.1f} min", f"{one['budget']['allowed_seconds'] / 60:.1f} min",
         "not known yet" if one["budget"]["left_ratio"] is None else f"{one['budget']['left_ratio']:.0%}",
         f"{one['budget']['unknown_seconds'] / 60:.1f} min"]
        for one in found["items"]
    ]  # fmt: skip
    heads = ["area", "service", "standard", "burning", "spent", "allowed", "left", "not known"]
    looked = f"{found['looked_back_hours']} of {found['of_hours']} hours read so far"
    return "\n".join([table(heads, rows) if rows else "no service has a standard", looked])


COMMANDS = (("readiness", readiness), ("standards", standards))
