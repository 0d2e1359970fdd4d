"""A real agent that also writes down what its spool has confirmed: the oracle of the kill tests.

Usage: loaded_agent.py PLAN LOG [drain]. A file beside LOG named `clock` holds seconds by which its wall clock is wrong.
`took` of each reading is a random number, so that a reading can be told from any other whatever its clock said; of
nine digits, which every database keeps.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from healthmon.app.agent import AgentRuntime, read_plan
from healthmon.cli.thin_agent import until_signal
from healthmon.model.sample import Reading
from healthmon.runtime.clock import SystemClock


class WrongClock(SystemClock):
    """The system's clock, wrong by what a file says."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def now(self) -> float:
        try:
            return super().now() + float(self._file.read_text())
        except (OSError, ValueError):
            return super().now()


def main() -> None:
    plan = read_plan(Path(sys.argv[1]))
    if sys.argv[3:] == ["drain"]:
        plan = replace(plan, jobs=(), target=None)
    runtime = AgentRuntime(plan, clock=WrongClock(Path(sys.argv[2]).with_name("clock")))
    append = runtime.spool.append
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def logged(readings: Sequence[Reading], **more: Any) -> int:
        marked = [replace(reading, took=round(random.random(), 9)) for reading in readings]
        adding = asyncio.ensure_future(append(marked, **more))
        try:
            seq = await asyncio.shield(adding)
        except asyncio.CancelledError:  # a stop: what its thread is about to confirm is confirmed
            await adding
            note(marked)
            raise
        note(marked)
        return seq

    def note(marked: Sequence[Reading]) -> None:
        os.write(log, "".join(f"{r.target}\t{r.check}\t{r.started!r}\t{r.took!r}\n" for r in marked).encode())

    runtime.spool.append = logged  # type: ignore[method-assign]
    asyncio.run(until_signal(runtime.run()))


main()
