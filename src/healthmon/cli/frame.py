"""What every command is made of: the application, common options, errors in words, and the configuration."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from healthmon.cli.errors import shows_traceback, words_of
from healthmon.cli.logs import set_up_logs
from healthmon.cli.thin_agent import until_signal
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.stopping import STOP_S

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which ward is about to lose which clinical service, and why. First: `healthmon demo` or `healthmon up`.",
)

#: How long the event loop may wait for the interpreter after each system call while a thread computes; by default 5 ms.
SWITCH_S = 0.0005

Result = TypeVar("Result")
ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="file or folder; default $HEALTHMON_CONFIG, ./healthmon.yaml, /etc/healthmon/"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="machine-readable output")]
WatchOption = Annotated[bool, typer.Option("--watch", help="reload when a file of the configuration changes")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="log at INFO")]


def clear_errors(command: Callable[..., Result]) -> Callable[..., Result]:
    """No traceback reaches a user."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Result:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:  # boundary: one command; its error becomes a line and an exit code
            if shows_traceback():
                raise
            text, code = words_of(error)
            typer.echo(text, err=True)
            raise typer.Exit(code) from None

    return guarded


def find_config(given: Path | None) -> Path | None:
    """The configuration by the documented order; None when there is none."""
    if given:
        return given
    named = os.environ.get("HEALTHMON_CONFIG")
    if named:
        return Path(named)
    places = (Path("healthmon.yaml"), Path("/etc/healthmon/healthmon.yaml"))
    return next((place for place in places if place.exists()), None)


def need_config(given: Path | None) -> Any:
    """The loaded site; a clear error when there is none."""
    from healthmon.config import load

    path = find_config(given)
    if path is None:
        raise ConfigError(["no configuration found: pass -c FILE, set HEALTHMON_CONFIG, or make ./healthmon.yaml"])
    return load(path, env=os.environ, today=today())


def today() -> date:
    """The date that bank holidays are counted around."""
    return date.fromtimestamp(SystemClock().now())


def listening(web: Any, listen: str) -> Any:
    """The web section with another address."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError([f"--listen {listen}: is not HOST:PORT (for example 127.0.0.1:8470)"])
    return replace(web, host=host.strip("[]"), port=int(port))


def start(work: Coroutine[Any, Any, Any], *, budget_s: float = STOP_S) -> None:
    """Run a role until a signal ends it, within this budget."""
    sys.setswitchinterval(SWITCH_S)
    asyncio.run(until_signal(work, budget_s=budget_s))


def levels(verbose: bool) -> None:
    set_up_logs(logging.INFO if verbose else logging.WARNING)


def person() -> str:
    """Who acts: the login name."""
    import getpass

    return getpass.getuser()
