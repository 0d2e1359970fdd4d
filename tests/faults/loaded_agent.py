"""A real agent that also writes down what its spool has confirmed: the oracle of the kill tests.

Usage: loaded_agent.py PLAN LOG [drain]
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from healthmon.app.agent import AgentRuntime, read_plan
from healthmon.cli.thin_agent import until_signal
from healthmon.model.sample import Reading
from healthmon.runtime.clock import SystemClock


def main() -> None:
    plan = read_plan(Path(sys.argv[1]))
    if sys.argv[3:] == ["drain"]:
        plan = replace(plan, jobs=(), target=None)
    runtime = AgentRuntime(plan, clock=SystemClock())
    append = runtime.spool.append
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def logged(readings: Sequence[Reading], **more: Any) -> int:
        seq = await append(readings, **more)
        os.write(log, "".join(f"{r.target}\t{r.check}\t{r.started!r}\n" for r in readings).encode())
        return seq

    runtime.spool.append = logged  # type: ignore[method-assign]
    asyncio.run(until_signal(runtime.run()))


main()
