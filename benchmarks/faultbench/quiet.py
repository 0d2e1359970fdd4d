"""Weeks in which nothing is wrong: what is paged then is false. Sampled, because every reading goes through the engine.

A window of half an hour at a time, spread evenly over the hours of the week; only noise, PCs that come and go, load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.faultbench.trial import Run
from healthmon.simulation.faults import MONDAY
from healthmon.simulation.plant import Plant

WINDOW_S = 1_800.0
WEEK_S = 7 * 86_400.0
#: A window begins so long after the last one did, modulo the week: all hours of all days come in turn.
_STRIDE_S = 37 * 3_600.0 + 600.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """One window, or several together."""

    seconds: float
    pages: int
    incidents: int
    readings: int
    busy_s: float
    titles: tuple[str, ...] = ()


def window(plant: Plant, number: int, *, seed: int) -> Quiet:
    """Half an hour of a quiet week."""
    run = Run.of(plant, start=MONDAY + (number * _STRIDE_S) % WEEK_S, seed=seed + number, with_peer=False)
    end = run.now + WINDOW_S
    while run.now < end:
        run.step(1.0)
    told = {notice.incident for notice in run.pages}
    titles = tuple(run.incidents[id_].title for id_ in sorted(told) if id_ in run.incidents)
    return Quiet(WINDOW_S, len(told), len(run.incidents), run.stream.made, run.busy_s, titles)


def together(windows: Iterable[Quiet]) -> Quiet:
    """The sum."""
    all_ = list(windows)
    titles = tuple(title for one in all_ for title in one.titles)
    return Quiet(
        sum(one.seconds for one in all_),
        sum(one.pages for one in all_),
        sum(one.incidents for one in all_),
        sum(one.readings for one in all_),
        sum(one.busy_s for one in all_),
        titles,
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


def table(title: str, quiet: Quiet) -> str:
    """For people."""
    rate, low, high = per_week(quiet)
    hours = quiet.seconds / 3_600.0
    lines = [
        f"-- {title}: {hours:.0f} quiet hours in windows of {WINDOW_S / 60:.0f} min spread over the week (a sample)",
        f"{'false pages per week':36} {rate:7.2f}  [{low:.2f}, {high:.2f}]  pages {quiet.pages} in {hours:.0f} h",
        f"{'incidents on the board per week':36} {quiet.incidents / quiet.seconds * WEEK_S:7.1f}",
        f"{'engine':36} {quiet.readings:,} readings in {quiet.busy_s:.1f} s of CPU",
    ]
    return "\n".join(lines + [f"    paged: {title}" for title in quiet.titles[:20]])
