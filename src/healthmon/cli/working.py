"""`healthmon worker`: one of several processes that take the agents' batches for a server."""

from __future__ import annotations

import json
import os
import socket
from functools import partial
from typing import Annotated

import typer

from healthmon.cli.frame import (
    ConfigOption,
    JsonOption,
    VerboseOption,
    WatchOption,
    levels,
    need_config,
    start,
)
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock


def worker(
    config: ConfigOption = None,
    name: Annotated[str | None, typer.Option(help="of this worker; each has its own (default: the host's)")] = None,
    json_: JsonOption = False,
    verbose: VerboseOption = False,
    watch: WatchOption = False,
) -> None:
    """One of several that take the agents' batches for a server (block `workers`, docs/scaling.md).

    Example: healthmon worker -c site.yaml --name worker-1
    """
    from healthmon.app.worker import run_worker

    levels(verbose)
    mine = _name(name)
    reread = partial(need_config, config)

    def ready() -> None:
        print(json.dumps({"worker": mine, "pid": os.getpid()}) if json_ else f"worker up: {mine}", flush=True)

    start(run_worker(reread(), name=mine, clock=SystemClock(), ready=ready, reread=reread, watch=watch))


def _name(given: str | None) -> str:
    from healthmon.config.scalars import checked_id

    try:
        return checked_id(given if given is not None else socket.gethostname().lower().replace(".", "-"))
    except ValueError as error:
        raise ConfigError([f"worker --name: {given!r} {error}"]) from None


COMMANDS = (("worker", worker),)
