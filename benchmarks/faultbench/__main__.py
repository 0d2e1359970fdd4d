"""`python -m benchmarks.faultbench [--targets 300 --faults 200] [--hospital one|two] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from benchmarks.faultbench.score import NOT_FROM_THE_FIELD, summary, table
from benchmarks.faultbench.trial import Outcome, trial
from healthmon.simulation.faults import KINDS, draw
from healthmon.simulation.plant import Plant
from healthmon.simulation.trust import Shape, trust


@cache
def hospital(name: str, targets: int, seed: int) -> Plant:
    """Generator one, which the engine may be tuned on, or two, which it may not."""
    if name != "one":
        raise ValueError(f"no hospital {name}")
    return trust(Shape(targets, seed))


def one(number: int, *, name: str, targets: int, count: int, seed: int, kinds: tuple[str, ...] | None) -> Outcome:
    """Fault `number` of the drawn list."""
    plant = hospital(name, targets, seed)
    fault = draw(plant, count, seed=seed, kinds=kinds)[number]
    return replace(trial(plant, fault, seed=seed * 100_000 + number), number=number)


def run(
    name: str, targets: int, count: int, *, seed: int = 1, jobs: int = 1, kinds: tuple[str, ...] | None = None
) -> list[Outcome]:
    """All faults of one hospital, with a bar on stderr when somebody watches."""
    task = partial(one, name=name, targets=targets, count=count, seed=seed, kinds=kinds)
    if jobs <= 1:
        return list(_watched(map(task, range(count)), count))
    with ProcessPoolExecutor(jobs) as pool:
        return list(_watched(pool.map(task, range(count)), count))


def _watched(outcomes: Iterator[Outcome], count: int) -> Iterator[Outcome]:
    for number, outcome in enumerate(outcomes, start=1):
        if sys.stderr.isatty():
            filled = 30 * number // count
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {number}/{count}", end="", file=sys.stderr, flush=True)
        yield outcome
    if sys.stderr.isatty():
        print(file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faultbench", description=__doc__)
    parser.add_argument("--hospital", choices=("one",), default="one", help="generator")
    parser.add_argument("--targets", type=int, default=300)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--kinds", help=f"only these, with commas between: {', '.join(KINDS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures as data; - for stdout")
    chosen = parser.parse_args(argv)
    kinds = tuple(chosen.kinds.split(",")) if chosen.kinds else None
    if unknown := sorted(set(kinds or ()) - KINDS.keys()):
        parser.error(f"no kind {', '.join(unknown)} (allowed: {', '.join(KINDS)})")
    outcomes = run(chosen.hospital, chosen.targets, chosen.faults, seed=chosen.seed, jobs=chosen.jobs, kinds=kinds)
    data = {"note": NOT_FROM_THE_FIELD, "hospital": chosen.hospital, "targets": chosen.targets, "seed": chosen.seed}
    text = json.dumps(data | summary(outcomes), indent=1)
    if str(chosen.json) == "-":
        print(text)
        return
    if chosen.json:
        chosen.json.write_text(text + "\n")
    print(NOT_FROM_THE_FIELD)
    print(table(f"hospital {chosen.hospital}, {chosen.targets} targets, seed {chosen.seed}", outcomes))


if __name__ == "__main__":
    main()
