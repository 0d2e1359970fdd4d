"""`healthmon loadgen`: what a machine carries, measured with real connections."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, levels, need_config
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock


def loadgen(
    agents: Annotated[int, typer.Option(help="simulated agents, each with its own MQTT connection", min=1)] = 100,
    every: Annotated[float, typer.Option(help="seconds between two batches of one agent", min=0.1)] = 30.0,
    points: Annotated[int, typer.Option(help="points of a batch, as they are stored", min=4, max=100)] = 20,
    minutes: Annotated[float, typer.Option(help="how long the steady load is measured", min=0.01)] = 2.0,
    kill_broker: Annotated[
        bool, typer.Option("--kill-broker", help="then kill the broker and time the way back")
    ] = False,
    outage: Annotated[float, typer.Option(help="then kill the server for so many seconds and time the catch-up")] = 0.0,
    ceiling: Annotated[
        bool, typer.Option("--ceiling", help="then send ever more often until live data grows old: how much it carries")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="count the points in the store at the end")] = False,
    write: Annotated[
        Path | None, typer.Option(help="write the configuration of such a fleet here; run nothing")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="where the own server keeps its data (default: a new one)")
    ] = None,
    mosquitto: Annotated[bool, typer.Option("--mosquitto", help="a mosquitto instead of the embedded broker")] = False,
    config: ConfigOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="no progress on stderr")] = False,
    json_: JsonOption = False,
) -> None:
    """A simulated fleet for sizing, against a server started here, or with -c against one elsewhere.

    Example: healthmon loadgen --agents 1000 --minutes 2. A fleet of invented readings speaks only to a server whose
    configuration was written by `healthmon loadgen --write FOLDER`; agents beyond those declared are refused by it.
    """
    from healthmon.app.loadgen import ORGANISATION, Options, site_yaml
    from healthmon.app.loadshape import Load

    levels(False)
    load = Load(ORGANISATION, agents, every, points)
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        (write / "healthmon.yaml").write_text(site_yaml(load, write))
        typer.echo(f"{write / 'healthmon.yaml'}: {agents} agents; next: healthmon server -c {write / 'healthmon.yaml'}")
        return
    if config is not None and (kill_broker or outage or verify):
        raise ConfigError(["loadgen: --kill-broker, --outage and --verify need a server started here, without -c"])
    options = Options(load, minutes, kill_broker, outage, ceiling)

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    with tempfile.TemporaryDirectory(prefix="healthmon-loadgen-") as made:
        report = asyncio.run(_run(options, config, folder or Path(made), say, verify=verify, mosquitto=mosquitto))
    typer.echo(json.dumps(report) if json_ else _words(report))
    lost = report.get("acknowledged_and_not_stored", 0)
    raise typer.Exit(1 if lost or report["unacknowledged"] > agents else 0)


async def _run(
    options: Any, config: Path | None, folder: Path, say: Any, *, verify: bool, mosquitto: bool
) -> dict[str, Any]:
    from healthmon.app.loadgen import Run, allow_connections, own_server, refuse_strangers, stored_points
    from healthmon.app.roles import known_broker

    allow_connections(options.load.agents)
    clock = SystemClock()
    if config is not None:
        site = need_config(config)
        refuse_strangers(site)
        return await Run(options, broker=known_broker(site), own=None, clock=clock, say=say).go()
    async with own_server(options.load, folder, mosquitto=mosquitto) as own:
        report = await Run(options, broker=own.broker(), own=own, clock=clock, say=say).go()
    if verify:
        stored, acknowledged = stored_points(folder), report["counts"]["acknowledged"] * options.load.points
        report |= {"stored_points": stored, "acknowledged_and_not_stored": max(0, acknowledged - stored)}
    return report


def _words(report: dict[str, Any]) -> str:
    """The same for people: one line a figure, the nested ones by their path."""
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            lines += [f"{name}.{line}" for line in _words(value).splitlines()]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{name}.{line}" for line in _words({str(at): one for at, one in enumerate(value)}).splitlines()]
        else:
            lines.append(f"{name}: {value}")
    return "\n".join(lines)


COMMANDS = (("loadgen", loadgen),)
