"""`healthmon import`: what an export of another inventory holds that ours does not, as YAML to review."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, find_config, need_config


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a CSV or JSON export")],
    map_: Annotated[str, typer.Option("--map", help="ad-computers, cmdb, netbox-devices ... or a map file")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress on stderr")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Inventory from a CSV or JSON export: prints what differs, as YAML to review. Changes nothing.

    Example: healthmon import computers.csv --map ad-computers > found.yaml
    """
    from healthmon.config.importing import imported, read_map
    from healthmon.config.loading import load_text

    form = read_map(map_)
    path = find_config(config)
    site: Any = need_config(path) if path else load_text("organisation: {id: none, name: none}", env={})
    done = imported(file, form, site.estate, (lambda rows: None) if quiet else _progress)
    for problem in done.problems:
        typer.echo(problem, err=True)
    report = as_data(done)
    typer.echo(json.dumps(report) if json_ else as_yaml(file, form.source, report))
    raise typer.Exit(1 if done.problems else 0)


def as_data(done: Any) -> dict[str, Any]:
    """Plain data; empty sections stay, so that a script finds them."""
    return {
        "rows": done.rows,
        "skipped": done.skipped,
        "present": len(done.present),
        "targets": [found.as_target() for found in done.new],
        "changed": [
            {"target": target, "field": name, "was": was, "now": now, "line": line}
            for target, name, was, now, line in done.changed
        ],
        "unknown_areas": [{"written": text, "line": line} for text, line in done.unknown_areas.items()],
        "problems": done.problems,
    }


def as_yaml(file: Path, source: str, report: dict[str, Any]) -> str:
    """For people: counts in comments; `targets:` may be copied into the inventory as it is."""
    import yaml

    head = [
        f"# healthmon import {file.name} ({source})",
        f"# {report['rows']} rows: {report['present']} known, {len(report['targets'])} new, "
        f"{report['skipped']} skipped, {len(report['problems'])} wrong.",
        "# Nothing was changed: review it, and copy what is right.",
    ]
    parts = [yaml.safe_dump({"targets": report["targets"]}, sort_keys=False, width=110)] if report["targets"] else []
    for name in ("changed", "unknown_areas"):
        if report[name]:
            text = yaml.safe_dump({name: report[name]}, sort_keys=False, width=110, default_flow_style=None)
            parts.append("\n".join(f"# {line}" for line in text.splitlines()))
    return "\n".join([*head, *parts] if parts else [*head, "# No difference from the inventory."]).rstrip()


def _progress(rows: int) -> None:
    print(f"import: {rows} rows read", file=sys.stderr, flush=True)


COMMANDS = (("import", import_),)
