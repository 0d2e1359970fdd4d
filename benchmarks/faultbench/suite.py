"""Which hospitals, how many faults, how many quiet hours; run in order, in one or several processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, TypeVar

from benchmarks.faultbench import quiet, score
from benchmarks.faultbench.keep import Kept, named
from benchmarks.faultbench.quiet import Quiet
from benchmarks.faultbench.trial import STEP_S, Outcome, trial
from healthmon.simulation.faults import KINDS, draw
from healthmon.simulation.otherhospital import OtherShape, other_hospital
from healthmon.simulation.plant import Plant
from healthmon.simulation.trust import Shape, trust

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Part:
    """One hospital with so many faults, so many quiet half hours, so many quiet days on end. Two is never tuned on."""

    hospital: str = "one"
    targets: int = 300
    faults: int = 200
    windows: int = 0
    days: int = 0
    seed: int = 1
    kinds: tuple[str, ...] | None = None
    peer: bool = True
    step_s: float = STEP_S

    @property
    def title(self) -> str:
        return f"hospital {self.hospital}, {self.targets:,} targets, seed {self.seed}"


#: What `make bench-detection` runs. The quiet windows are a sample of six weeks: 42 half hours.
FULL = (
    Part("one", 300, 200),
    Part("two", 300, 200),
    Part("one", 3_000, 60, windows=42),
    Part("two", 3_000, 30),
    Part("one", 30_000, 12),
)
#: Each kind once in either hospital, but for the one that takes a quarter of an hour: what the regression gate runs.
_QUICK = tuple(kind for kind in KINDS if kind != "interface-silent")
GATE = (
    Part("one", 150, 26, kinds=_QUICK, peer=False, step_s=1.0),
    Part("two", 150, 25, kinds=_QUICK, peer=False, step_s=1.0),
)


@dataclass(frozen=True, slots=True)
class Finished:
    part: Part
    outcomes: list[Outcome]
    calm: Quiet | None
    on_end: Quiet | None = None

    def as_json(self) -> dict[str, Any]:
        """All figures of this part."""
        data: dict[str, Any] = {"hospital": self.part.hospital, "targets": self.part.targets, "seed": self.part.seed}
        data |= score.summary(self.outcomes)
        data |= {"quiet": _rates(self.calm)} if self.calm is not None else {}
        return data | ({"quiet_on_end": _rates(self.on_end)} if self.on_end is not None else {})

    def __str__(self) -> str:
        calm_only = not self.outcomes and (self.calm is not None or self.on_end is not None)
        tables = [] if calm_only else [score.table(self.part.title, self.outcomes)]
        tables += [quiet.table(self.part.title, self.calm)] if self.calm is not None else []
        tables += [quiet.table(self.part.title, self.on_end, quiet.ON_END)] if self.on_end is not None else []
        return "\n".join(tables)


def _rates(calm: Quiet) -> dict[str, float]:
    rate, low, high = quiet.per_week(calm)
    return {"hours": calm.seconds / 3_600.0, "pages": calm.pages, "per_week": rate, "low": low, "high": high}


@cache
def hospital(name: str, targets: int, seed: int) -> Plant:
    """Generator one, which the engine may be tuned on, or two, which it may not."""
    return trust(Shape(targets, seed)) if name == "one" else other_hospital(OtherShape(targets, seed))


def run(part: Part, *, jobs: int = 1, kept: Kept | None = None) -> Finished:
    """One part, with a bar on stderr when somebody watches; what is kept already is not worked out again."""
    outcomes = _each(
        partial(_fault, part, kept), _numbers("fault", part, part.faults, kept), jobs, f"{part.title}: faults"
    )
    windows = _each(
        partial(_window, part, kept),
        _numbers("quiet", part, part.windows, kept),
        jobs,
        f"{part.title}: quiet half hours",
    )
    days = list(_watched(_days(part, kept), part.days, f"{part.title}: quiet days"))
    return Finished(
        part, outcomes, quiet.together(windows) if windows else None, quiet.together(days) if days else None
    )


def _numbers(kind: str, part: Part, count: int, kept: Kept | None) -> list[int]:
    """All of them, or those that are there."""
    there = kept is None or kept.compute
    return [number for number in range(count) if there or (kept and kept.have(_name(kind, part, number)))]


def _name(kind: str, part: Part, number: int) -> str:
    kinds = "all" if part.kinds is None else "+".join(part.kinds)
    more = {"faults": part.faults, "kinds": kinds, "step": part.step_s} if kind == "fault" else {}
    return named(kind, number, hospital=part.hospital, targets=part.targets, seed=part.seed, **more)


def _fault(part: Part, kept: Kept | None, number: int) -> Outcome:
    def work() -> Outcome:
        plant = hospital(part.hospital, part.targets, part.seed)
        fault = draw(plant, part.faults, seed=part.seed, kinds=part.kinds)[number]
        seed = part.seed * 100_000 + number
        return replace(trial(plant, fault, seed=seed, with_peer=part.peer, step_s=part.step_s), number=number)

    return work() if kept is None else kept.get(_name("fault", part, number), work)


def _window(part: Part, kept: Kept | None, number: int) -> Quiet:
    def work() -> Quiet:
        return quiet.window(hospital(part.hospital, part.targets, part.seed), number, seed=part.seed * 100_000)

    return work() if kept is None else kept.get(_name("quiet", part, number), work)


def _days(part: Part, kept: Kept | None) -> Iterator[Quiet]:
    """Days on end hang together: they are worked out from the first one on, unless all are kept."""
    numbers = _numbers("day", part, part.days, kept)
    if kept is not None and all(kept.have(_name("day", part, number)) for number in numbers):
        yield from (kept.get(_name("day", part, number), _nothing) for number in numbers)
        return
    plant = hospital(part.hospital, part.targets, part.seed)
    for number, day in enumerate(quiet.days(plant, part.days, seed=part.seed)):
        if kept is not None:
            kept.put(_name("day", part, number), day)
        yield day


def _nothing() -> Quiet:
    raise LookupError("a day that was there is gone")


def _each(task: Callable[[int], Result], numbers: Sequence[int], jobs: int, title: str) -> list[Result]:
    if jobs <= 1 or len(numbers) <= 1:
        return list(_watched(map(task, numbers), len(numbers), title))
    with ProcessPoolExecutor(jobs) as pool:
        return list(_watched(pool.map(task, numbers), len(numbers), title))


def _watched(results: Iterable[Result], count: int, title: str) -> Iterator[Result]:
    show = sys.stderr.isatty()
    for number, result in enumerate(results, start=1):
        if show:
            filled = 30 * number // count
            print(
                f"\r{title} [{'#' * filled}{'.' * (30 - filled)}] {number}/{count}", end="", file=sys.stderr, flush=True
            )
        yield result
    if show and count:
        print(file=sys.stderr)
