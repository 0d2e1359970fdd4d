"""`healthmon links`: what devices say of their neighbours, and the needs that it speaks for."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config


def links(
    proposals: Annotated[bool, typer.Option("--proposals", help="only needs to consider, as YAML to review")] = False,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """Links learned from LLDP and forwarding tables, with whose word it is and how old. They are never merged.

    Example: healthmon links --proposals > needs-to-review.yaml
    """
    from healthmon.cli.client import Client

    found = Client.of(need_config(config), url).get("links")
    typer.echo(json.dumps(found) if json_ else as_yaml(found) if proposals else words(found))


def words(found: dict[str, Any]) -> str:
    """One line for each link; stale ones say so."""
    if not found["items"]:
        return "no link has been learned yet: healthmon discover NETWORK --keep"
    lines = [_line(item) for item in found["items"]]
    count = len(found["proposed_needs"])
    return "\n".join([*lines, *([f"{count} needs to consider: healthmon links --proposals"] if count else [])])


def as_yaml(found: dict[str, Any]) -> str:
    """Needs to consider, to be read by a person and copied."""
    import yaml

    head = "# Needs that links speak for and the inventory does not know. Nothing was changed: copy what is right."
    needs = [
        {"target": one["target"], "needs": one["needs"],
         "from": {"source": one["source"], "seen_by": one["seen_by"], "port": one["port"]}}
        for one in found["proposed_needs"]
    ]  # fmt: skip
    return "\n".join([head, yaml.safe_dump({"proposed_needs": needs}, sort_keys=False, width=110)]).rstrip()


def _line(item: dict[str, Any]) -> str:
    ends = "  --  ".join(f"{end['target']} {end['port']}".strip() for end in item["between"])
    days = item["age_seconds"] / 86_400
    age = f"{days:.0f} d" if days >= 1 else f"{item['age_seconds'] / 3_600:.1f} h"
    marks = ["stale"] if item["stale"] else []
    marks += ["in needs"] if item["declared"] else []
    told = f"{item['source']}, told by {', '.join(item['seen_by'])}, {age} ago"
    return f"{ends}  ({'; '.join([told, *marks])})"


COMMANDS = (("links", links),)
