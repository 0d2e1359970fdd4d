"""`healthmon agent`: standard library only around the agent itself."""

from __future__ import annotations

import argparse
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
from healthmon.runtime.supervise import detach


def run(arguments: Sequence[str]) -> int:
    """Run one agent until SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(
        prog="healthmon agent",
        description="Run one agent from its resolved file.",
        epilog="example: healthmon check --resolve pc-w7-01 -o agent.json && healthmon agent -c agent.json",
    )
    parser.add_argument("-c", "--config", required=True, type=Path, help="the file `check --resolve` wrote")
    parser.add_argument("-v", "--verbose", action="store_true", help="log at INFO")
    options = parser.parse_args(arguments)
    set_up_logs(logging.INFO if options.verbose else logging.WARNING)
    try:
        from healthmon.app.agent import AgentRuntime, read_plan

        plan = read_plan(options.config)
        asyncio.run(until_signal(AgentRuntime(plan, clock=SystemClock()).run()))
    except Exception as error:  # boundary: the process; its error becomes a line and an exit code
        if shows_traceback():
            raise
        text, code = words_of(error)
        print(text, file=sys.stderr)
        return code
    return 0


async def until_signal(work: Coroutine[Any, Any, Any]) -> None:
    """Await `work`; SIGTERM and SIGINT cancel it, and that is a clean end."""
    task = detach("main", work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, task.cancel)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt by itself
            pass
    try:
        await task
    except asyncio.CancelledError:
        pass
