"""`healthmon export`: what people set on a running server, as configuration and as commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError

_OVER = ("ended", "expired")
#: Written out only where it says something.
_OF_CHANGE = ("id", "title", "targets", "starts_at", "ends_at", "expected", "owner", "reason", "repeat", "timezone",
              "except_on")  # fmt: skip
_HEADER = """\
# What people set on the running server, and no file of the configuration says.
# `include:` this file, then `healthmon check`. Approvals below the clinical floor are given by people: never exported.
"""
_COMMANDS = "# What the configuration has no place for, as commands (times are absolute):\n"


def export(
    output: Annotated[Path | None, typer.Option("-o", help="where to write it (default: stdout)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """Live state as code: planned changes as YAML, silences and stand-ins on call as commands. Changes nothing.

    Example: healthmon export -o live.yaml
    """
    from healthmon.cli.client import Client

    client = Client.of(need_config(config), url)
    found = {
        "changes": [one for one in client.items("changes") if one["source"] != "config" and one["state"] not in _OVER],
        "silences": [one for one in client.items("silences") if one["state"] not in _OVER],
        "overrides": [
            one
            for rota in client.items("oncall")
            for one in client.get(f"oncall/{rota['rota']}/schedule")["overrides"]
            if one["by"] != "configuration" and not one["ended"]
        ],
    }
    text = json.dumps(found) if json_ else as_code(**found)
    if output is None:
        typer.echo(text.rstrip("\n"))
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise ConfigError([f"{output}: cannot be written ({error.strerror})"]) from error
    typer.echo(f"{output}: " + ", ".join(f"{len(those)} {name}" for name, those in found.items()))


def as_code(
    *,
    changes: Iterable[Mapping[str, Any]],
    silences: Iterable[Mapping[str, Any]],
    overrides: Iterable[Mapping[str, Any]],
) -> str:
    """One YAML document; what is a command stands in it as a comment."""
    blocks = [{name: one[name] for name in _OF_CHANGE if one.get(name)} for one in changes]
    text = yaml.safe_dump({"changes": blocks}, sort_keys=False, allow_unicode=True, width=120) if blocks else ""
    commands = [*map(_silence, silences), *map(_override, overrides)]
    lines = "".join(f"# {shlex.join(command)}\n" for command in commands)
    return _HEADER + text + (_COMMANDS + lines if lines else "")


def _silence(one: Mapping[str, Any]) -> Sequence[str]:
    match = [part for name, value in one["match"].items() for part in (f"--{name}", value)]
    return ["healthmon", "silences", "add", *match, *_given(one, "starts_at", "ends_at", "repeat", "owner", "reason")]


def _override(one: Mapping[str, Any]) -> Sequence[str]:
    who = ["--rota", one["rota"], "--user", one["user"]]
    return ["healthmon", "oncall", "override", *who, *_given(one, "replaces", "starts_at", "ends_at", "reason")]


def _given(one: Mapping[str, Any], *names: str) -> list[str]:
    """Options for what is set."""
    return [part for name in names if one.get(name) for part in (f"--{name.removesuffix('_at')}", str(one[name]))]


COMMANDS = (("export", export),)
