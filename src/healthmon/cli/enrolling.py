"""`healthmon enrol`: a name and a password for each agent, and the broker's files that hold it to them."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError


class BrokerKind(StrEnum):
    """Whose files are written."""

    MOSQUITTO = "mosquitto"
    NATS = "nats"


def enrol(
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="[AGENT]...", help="default: all, the poller too")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", help="write the broker's users and permissions here")] = None,
    broker: Annotated[BrokerKind, typer.Option(help="whose files -o writes")] = BrokerKind.MOSQUITTO,
    rotate: Annotated[bool, typer.Option("--rotate", help="a new password for those who have one")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="let these agents in no more")] = False,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give agents names of their own on the broker, so that none can speak as another.

    The embedded broker takes it over by itself; for another one, -o writes its files. Afterwards
    `healthmon check --resolve AGENT` writes each agent's file with its own password.

    Example: healthmon enrol -o /etc/mosquitto/healthmon; healthmon enrol pc-w7-01 --rotate
    """
    from healthmon.app.identities import Identities, known_names

    site = need_config(config)
    names = agents or known_names(site)
    _refuse_strangers(site, agents or [], revoke=revoke)
    if revoke and not agents:
        raise ConfigError(["enrol --revoke: whom? name the agents"])
    identities = Identities(site.data_dir)
    changed = identities.revoke(names) if revoke else identities.enrol(names, rotate=rotate)
    files = _write(site, output, broker) if output else []
    if json_:
        typer.echo(json.dumps({"changed": changed, "enrolled": sorted(identities.read()), "files": files}))
        return
    typer.echo(f"{'revoked' if revoke else 'enrolled'}: {', '.join(changed) or 'nobody new'}")
    for file in files:
        typer.echo(f"wrote {file}")
    _say_next(site, changed, written=bool(files), revoke=revoke)


def _refuse_strangers(site: Any, agents: list[str], *, revoke: bool) -> None:
    from healthmon.app.identities import SERVER, known_names

    known = known_names(site)
    server = (site.broker.username if site.broker else None) or SERVER
    if server in known:
        raise ConfigError([f"agent '{server}' has the server's own name on the broker; give the agent another id"])
    strangers = [name for name in agents if name not in known]
    if strangers and not revoke:
        raise ConfigError([f"enrol {strangers[0]}: no such agent (allowed: {', '.join(known)})"])


def _write(site: Any, folder: Path, kind: BrokerKind) -> list[str]:
    from healthmon.app.identities import SERVER, Identities, users_of
    from healthmon.runtime.privatefile import write_private
    from healthmon.transport import access

    password = site.broker.password if site.broker else None
    if password is None:
        Identities(site.data_dir).enrol([(site.broker.username if site.broker else None) or SERVER])
    server, users = users_of(site, server_password=password)
    organisation = site.estate.organisation.id
    if kind is BrokerKind.NATS:
        texts = {
            "authorization.conf": "authorization {\n" + access.nats_users(organisation, users, server=server) + "}\n"
        }
    else:
        acl = access.mosquitto_acl(organisation, server=server)
        texts = {"acl": acl, "passwd": access.mosquitto_passwords(users)}
    for name, text in texts.items():
        write_private(folder / name, text)
    return [str(folder / name) for name in texts]


def _say_next(site: Any, changed: list[str], *, written: bool, revoke: bool) -> None:
    if written:
        typer.echo("next: give the files to the broker's user, name them in its configuration, and reload it (SIGHUP)")
        if site.broker is not None and site.broker.password is None:
            from healthmon.app.identities import SERVER, Identities

            name = site.broker.username or SERVER
            typer.echo(f"the server logs in as {name}: put `username: {name}` and the password under `broker`")
            typer.echo(f"the password stands in {Identities(site.data_dir).path}")
    if changed and not revoke:
        typer.echo(f"next: healthmon check --resolve {changed[0]} -o {changed[0]}.json, and bring it to that machine")


COMMANDS = (("enrol", enrol),)
