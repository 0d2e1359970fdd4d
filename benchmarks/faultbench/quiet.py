"""Weeks in which nothing is wrong: what is paged then is false. Only noise, load, and PCs that come and go.

Sampled, because every reading goes through the engine: a half hour at a time, spread evenly over the hours of the week,
each with an engine that has just started. Or whole weeks on end with one engine, which learns what is usual meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from benchmarks.faultbench.trial import Run
from healthmon.simulation.faults import MONDAY
from healthmon.simulation.plant import Plant

WINDOW_S = 1_800.0
WEEK_S = 7 * 86_400.0
DAY_S = 86_400.0
#: A window begins so long after the last one did, modulo the week: about the golden section of it, and no divisor of
#: its minutes, so that the first windows lie evenly however many there are, and none comes twice.
_STRIDE_S = 6_229 * 60.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """One window, or several together. cpu_s: of the whole, the simulated hospital too; busy_s: of the engine alone;

    titles: of incidents that paged; unpaged: of those that only stood on the board.
    """

    seconds: float
    pages: int
    incidents: int
    readings: int
    busy_s: float
    titles: tuple[str, ...] = ()
    unpaged: tuple[str, ...] = ()
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far a run has come; what is there later and not here is new."""

    paged: frozenset[str] = frozenset()
    incidents: frozenset[str] = frozenset()
    readings: int = 0
    busy_s: float = 0.0
    cpu_s: float = 0.0

    @classmethod
    def of(cls, run: Run) -> _Mark:
        paged = frozenset(notice.incident for notice in run.pages)
        return cls(paged, frozenset(run.incidents), run.stream.made, run.busy_s, time.process_time())


def window(plant: Plant, number: int, *, seed: int) -> Quiet:
    """Half an hour of a quiet week."""
    before = _Mark(cpu_s=time.process_time())
    run = Run.of(plant, start=MONDAY + starts_s(number), seed=seed + number, with_peer=False)
    _pass(run, WINDOW_S)
    return _new(run, before, WINDOW_S, f"#{number}")


def starts_s(number: int) -> float:
    """When a window begins, from Monday 00:00."""
    return number * _STRIDE_S % WEEK_S


def days(plant: Plant, count: int, *, seed: int) -> Iterator[Quiet]:
    """So many days on end from a Monday, one after the other, with one engine that starts knowing nothing."""
    before = _Mark(cpu_s=time.process_time())
    run = Run.of(plant, start=MONDAY, seed=seed, with_peer=False)
    for number in range(count):
        _pass(run, DAY_S)
        yield _new(run, before, DAY_S, f"day {number}")
        before = _Mark.of(run)


def _pass(run: Run, seconds: float) -> None:
    end = run.now + seconds
    while run.now < end:
        run.step(1.0)


def _new(run: Run, before: _Mark, seconds: float, name: str) -> Quiet:
    """What has come since then; titles with the name of the stretch, by which it can be played again."""
    now = _Mark.of(run)
    told, new = now.paged - before.paged, now.incidents - before.incidents
    return Quiet(
        seconds=seconds,
        pages=len(told),
        incidents=len(new),
        readings=now.readings - before.readings,
        busy_s=now.busy_s - before.busy_s,
        titles=tuple(f"{name} {run.incidents[id_].title}" for id_ in sorted(told & now.incidents)),
        unpaged=tuple(f"{name} {run.incidents[id_].title}" for id_ in sorted(new - told)),
        cpu_s=now.cpu_s - before.cpu_s,
    )


def together(windows: Iterable[Quiet]) -> Quiet:
    """The sum."""
    all_ = list(windows)
    return Quiet(
        seconds=sum(one.seconds for one in all_),
        pages=sum(one.pages for one in all_),
        incidents=sum(one.incidents for one in all_),
        readings=sum(one.readings for one in all_),
        busy_s=sum(one.busy_s for one in all_),
        titles=tuple(title for one in all_ for title in one.titles),
        unpaged=tuple(title for one in all_ for title in one.unpaged),
        cpu_s=sum(one.cpu_s for one in all_),
    )


def per_week(quiet: Quiet) -> tuple[float, float, float]:
    """False pages a week, with the exact 95 % interval of a Poisson count."""
    weeks = quiet.seconds / WEEK_S
    low, high = poisson_interval(quiet.pages)
    return quiet.pages / weeks, low / weeks, high / weeks


def poisson_interval(count: int) -> tuple[float, float]:
    """Garwood's exact interval for the mean of a Poisson count, 95 %, found by bisection."""
    low = 0.0 if count == 0 else _root(lambda mean: 1.0 - _at_most(count - 1, mean), 0.025, falling=False)
    return low, _root(lambda mean: _at_most(count, mean), 0.025, falling=True)


def _root(chance: Callable[[float], float], wanted: float, *, falling: bool) -> float:
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        if (chance(middle) > wanted) is falling:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    term = total = math.exp(-mean) if mean < 700 else 0.0
    for number in range(1, count + 1):
        term *= mean / number
        total += term
    return min(1.0, total)


SAMPLED = f"in windows of {WINDOW_S / 60:.0f} min spread over the week (a sample)"
ON_END = "on end, with one engine that began knowing nothing"


def table(title: str, quiet: Quiet, how: str = SAMPLED) -> str:
    """For people."""
    rate, low, high = per_week(quiet)
    hours = quiet.seconds / 3_600.0
    lines = [
        f"-- {title}: {hours:.1f} quiet hours {how}",
        f"{'false pages per week':36} {rate:7.2f}  [{low:.2f}, {high:.2f}]  pages {quiet.pages} in {hours:.1f} h",
        f"{'incidents on the board per week':36} {quiet.incidents / quiet.seconds * WEEK_S:7.1f}",
        f"{'engine':36} {quiet.readings:,} readings in {quiet.busy_s:.1f} s of CPU; all: {quiet.cpu_s:.0f} s",
    ]
    lines += [f"    paged: {one}" for one in quiet.titles[:20]]
    return "\n".join(lines + [f"    on the board: {one}" for one in quiet.unpaged[:20]])
