"""`healthmon store`: copy, check and salvage the files that hold what was measured and decided."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError

STORE = "store.sqlite"
#: Files of data_dir without which links in pages, the API's token and the agents' broker would be others.
KEYS = (
    "ack-secret", "token", "broker/password", "broker/port", "identities.json",
    "users.json", "tokens.json", "audit.jsonl",
)  # fmt: skip


class Action(StrEnum):
    """What to do with the files."""

    BACKUP = "backup"
    CHECK = "check"
    SALVAGE = "salvage"


def store(
    action: Annotated[Action, typer.Argument(help="what to do")],
    target: Annotated[
        Path | None, typer.Argument(help="backup: a folder; check: a file, default the store; salvage: a new file")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Copy everything a server is built again from, while it runs; check a store's file; save what a damaged one has.

    Example: healthmon store backup /var/backups/healthmon
    """
    site = need_config(config)
    data_dir: Path = site.data_dir
    if action is Action.CHECK:
        _check(target or data_dir / STORE, as_json=json_)
        return
    if target is None:
        raise ConfigError([f"store {action}: where to? for example: healthmon store {action} /var/backups/healthmon"])
    found = _backup(site, target) if action is Action.BACKUP else _salvage(data_dir / STORE, target)
    typer.echo(json.dumps(found) if json_ else "\n".join(f"{name}: {words}" for name, words in found.items()))


def _backup(site: Any, folder: Path) -> dict[str, str]:
    """Journal and store, each as of one moment, with what a server needs to be built again from nothing.

    The journal first: what it calls durable is then in the store's copy too, and the rest is sent again.
    """
    from healthmon.config.packs import stock_root

    data_dir: Path = site.data_dir
    databases = _databases(data_dir, folder)
    kept = [path for name in KEYS if (path := data_dir / name).is_file()]
    for path in kept:
        _private(path, folder / path.relative_to(data_dir))
    above = Path(os.path.commonpath([path.parent for path in site.files]))
    own = [root for root in site.pack_roots if root != stock_root() and root.is_relative_to(above)]
    files = {*site.files, *(path for root in own for path in root.rglob("*.yaml"))}
    for path in sorted(files):
        _private(path, folder / "config" / path.relative_to(above))
    return databases | {"keys": f"{len(kept)} files", "config": f"{len(files)} files of {above}"}


def _private(path: Path, copy: Path) -> None:
    """Nobody else may read it: a configuration can hold passwords."""
    from healthmon.runtime.privatefile import write_private

    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(copy, path.read_text(encoding="utf-8"))


def _databases(data_dir: Path, folder: Path) -> dict[str, str]:
    from healthmon.runtime.sqlite import backup_database

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = [path for name in ("journal.sqlite", STORE) if (path := data_dir / name).exists()]
    if not found:
        raise FileNotFoundError(2, "no store and no journal are there", str(data_dir))
    return {path.name: f"{backup_database(path, folder / path.name)} bytes" for path in found}


def _salvage(damaged: Path, target: Path) -> dict[str, str]:
    from healthmon.store.rescue import salvage

    return {str(target): salvage(damaged, target)}


def _check(path: Path, *, as_json: bool) -> None:
    from healthmon.store.rescue import check

    checked = check(path)
    if as_json:
        body = {"ok": checked.ok, "sqlite": checked.sqlite, "points": checked.points, "damaged": checked.damaged}
        typer.echo(json.dumps(body))
    else:
        typer.echo(f"{path}: {'ok' if checked.ok else 'damaged'}, {checked.blocks} blocks, {checked.points} points")
        for words in ([] if checked.sqlite == "ok" else [checked.sqlite], checked.damaged):
            typer.echo("".join(f"  {one}\n" for one in words), nl=False)
    if not checked.ok:
        raise typer.Exit(1)


COMMANDS = (("store", store),)
