"""Rank 5: the command line. `healthmon agent -c FILE.json` takes a short way that imports no CLI library."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `healthmon` and `python -m healthmon`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["agent"]:
        from healthmon.cli.thin_agent import run

        sys.exit(run(arguments[1:]))
    try:
        from healthmon.cli.commands import app
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed: this is the thin agent; the rest comes with 'healthmon[server]'")
    app()
