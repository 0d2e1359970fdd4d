"""`healthmon agent`: standard library only around the agent itself."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from healthmon.cli.errors import shows_traceback, words_of
from healthmon.cli.logs import set_up_logs
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.stopping import STOP_S, until_stopped

USAGE = """usage: healthmon agent -c FILE [-v]

Run one agent from its resolved file.
  -c, --config FILE   the file `check --resolve` wrote
  -v, --verbose       log at INFO
example: healthmon check --resolve pc-w7-01 -o agent.json && healthmon agent -c agent.json"""


def run(arguments: Sequence[str]) -> int:
    """Run one agent until SIGTERM; the exit code."""
    if "-h" in arguments or "--help" in arguments:
        print(USAGE)
        return 0
    config = file_of(arguments)
    if config is None:
        print(USAGE, file=sys.stderr)
        return 2
    set_up_logs(logging.INFO if {"-v", "--verbose"} & set(arguments) else logging.WARNING)
    try:
        from healthmon.app.agent import AgentRuntime, read_plan

        plan = read_plan(config)
        asyncio.run(until_signal(AgentRuntime(plan, clock=SystemClock()).run()))
    except Exception as error:  # boundary: the process; its error becomes a line and an exit code
        if shows_traceback():
            raise
        text, code = words_of(error)
        print(text, file=sys.stderr)
        return code
    return 0


def file_of(arguments: Sequence[str]) -> Path | None:
    """What `-c` names, or None for a usage error. By hand: argparse would stay in memory, 0.4 of an agent's 30 MiB."""
    match [argument for argument in arguments if argument not in ("-v", "--verbose")]:
        case ["-c" | "--config", file]:
            return Path(file)
        case [word] if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
        case _:
            return None


async def until_signal(work: Coroutine[Any, Any, Any], *, budget_s: float = STOP_S) -> None:
    """Await `work`; SIGTERM and SIGINT end it, and that is a clean end. The process is gone after the budget."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt by itself
            pass
    await until_stopped(work, stop, budget_s=budget_s)
