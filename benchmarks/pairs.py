"""Contenders side by side: rounds taken in turn, so that a noisy minute hits all of them, and medians compared."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ROUNDS = 7

#: One round of something: (wall s, CPU s of the contender, right answers).
Round = tuple[float, float, int]

#: What was measured in this process, for `--json`.
results: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class Contender:
    """`once` runs one round of `units`."""

    name: str
    once: Callable[[], Awaitable[Round]]
    units: int


@dataclass(frozen=True, slots=True)
class Result:
    """Medians; `lost` is summed over all measured rounds."""

    contest: str
    name: str
    per_second: float
    cpu_us: float
    lost: int


async def compare(contest: str, contenders: Sequence[Contender], *, rival: str | None = None) -> dict[str, Result]:
    """A round of each to warm up, then ROUNDS in turn. Prints medians, and each contender's ratios to the rival."""
    rounds: dict[str, list[Round]] = {one.name: [] for one in contenders}
    for turn in range(ROUNDS + 1):
        for one in contenders:
            took = await one.once()
            if turn:
                rounds[one.name].append(took)
    found = {one.name: _medians(contest, one, rounds[one.name]) for one in contenders}
    for result in found.values():
        beside = found.get(rival or "")
        line = (
            f"{result.name:38} {result.per_second:9,.0f} a second, {result.cpu_us:7.1f} CPU-us each, {result.lost} lost"
        )
        if beside and beside is not result:
            speed, cost = result.per_second / beside.per_second, beside.cpu_us / result.cpu_us
            line += f"; {speed:.2f}x the rate, {cost:.2f}x per CPU second"
        print(line, flush=True)
        results.append(asdict(result))
    return found


def _medians(contest: str, one: Contender, rounds: Sequence[Round]) -> Result:
    wall, cpu = (statistics.median(took[part] for took in rounds) for part in (0, 1))
    lost = sum(one.units - right for _, _, right in rounds)
    return Result(contest, one.name, one.units / wall, cpu / one.units * 1e6, lost)


async def timed(work: Callable[[], Awaitable[int]]) -> Round:
    """One round in this process."""
    cpu, began = time.process_time(), time.perf_counter()
    right = await work()
    return time.perf_counter() - began, time.process_time() - cpu, right


def print_json() -> None:
    """All results so far, one line each."""
    for result in results:
        print(json.dumps(result))
