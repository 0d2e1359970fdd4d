"""All commands together. Errors are one clear line; exit 0 ok, 1 bad, 2 usage or config, 3 unreachable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon import __version__
from healthmon.cli import (
    access,
    care,
    coverage,
    doctoring,
    drills,
    enrolling,
    export,
    fleet,
    importing,
    incident_command,
    links,
    loading,
    looking,
    mute_commands,
    notices,
    oncall,
    papers,
    questions,
    reloading,
    report,
    ruletests,
    running,
    storing,
    whatif,
    working,
)
from healthmon.cli.frame import (
    ConfigOption,
    JsonOption,
    app,
    clear_errors,
    need_config,
)
from healthmon.model.errors import ConfigError

__all__ = ["app"]


def _register(*modules: Any) -> None:
    """The commands of these modules, in this order of the help."""
    for name, command in (pair for module in modules for pair in module.COMMANDS):
        app.command(name)(clear_errors(command))


_register(running)


@app.command()
@clear_errors
def check(
    config: ConfigOption = None,
    resolve: Annotated[str | None, typer.Option(help="write the resolved file of this agent")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="where to write it (default: stdout)")] = None,
    json_: JsonOption = False,
) -> None:
    """Validate configuration, packs, rules, references and routes to people; touch nothing.

    With --json one row for each problem: file, line, col, severity, message, fix. Exit 2 when there is an error.
    Example: healthmon check -c healthmon.yaml; healthmon check --resolve pc-w7-01 -o agent.json
    """
    from healthmon.cli.checking import or_refused, report, resolved

    site = or_refused(lambda: need_config(config), as_json=json_)
    if resolve is not None:
        text = resolved(site, resolve)
        if output:
            from healthmon.runtime.privatefile import write_private

            write_private(output, text)
        else:
            typer.echo(text)
        return
    typer.echo(or_refused(lambda: report(site, as_json=json_), as_json=json_))


@app.command()
@clear_errors
def schema(
    packs: Annotated[
        str | None, typer.Option(help="Of packs instead: rules, rule-tests, policies or roles.", metavar="KIND")
    ] = None,
) -> None:
    """JSON Schema of the configuration, or of packs, for editors. Example: healthmon schema > healthmon.schema.json"""
    from healthmon.config import json_schema
    from healthmon.config.packschema import PACK_FORMS, pack_schema
    from healthmon.config.problems import allowed

    if packs is not None and packs not in PACK_FORMS:
        raise ConfigError([f"schema: no such kind of pack '{packs}'{allowed(PACK_FORMS)}"])
    typer.echo(json.dumps(pack_schema(packs) if packs else json_schema(), indent=2))


@app.command()
@clear_errors
def version(json_: JsonOption = False) -> None:
    """The build. Example: healthmon version --json"""
    build = {"version": __version__, "python": sys.version.split()[0], "platform": sys.platform}
    typer.echo(
        json.dumps(build) if json_ else f"healthmon {build['version']} (Python {build['python']}, {build['platform']})"
    )


_register(
    looking,
    incident_command,
    access,
    care,
    coverage,
    doctoring,
    drills,
    enrolling,
    export,
    fleet,
    importing,
    links,
    loading,
    mute_commands,
    notices,
    oncall,
    papers,
    questions,
    reloading,
    report,
    ruletests,
    storing,
    whatif,
    working,
)
