"""Minutes and hours of a series: how many points, their sum, least, most and last. And steps made of either."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from healthmon.model.sample import Value
from healthmon.store.blocks import Block, Column

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
#: What a rollup keeps of a bucket, in this order; a series of text or truth has the first two only.
COUNT, LAST, NUMBERS, SUM, LEAST, MOST = range(6)
PER_SERIES = 8

#: (bucket, how many, what): the sum for a mean, else the value of the aggregate. A bucket is microseconds // step.
Part = tuple[int, float, Value]

_KIND = {"mean": SUM, "min": LEAST, "max": MOST, "last": LAST, "count": COUNT}
_WHAT: dict[str, Callable[[Any], float]] = {"mean": sum, "min": min, "max": max}


def parts_of(column: Column, step: int, aggregate: str) -> list[Part]:
    """One part for each bucket that has points (numbers, for mean, min and max)."""
    times, values = column.times, column.values
    if aggregate in _WHAT and not set(map(type, values)) <= {float}:
        places = [place for place, value in enumerate(values) if type(value) is float]
        times, values = [times[place] for place in places], [values[place] for place in places]
    parts: list[Part] = []
    what = _WHAT.get(aggregate)
    first, count = 0, len(times)
    while first < count:
        bucket = times[first] // step
        after = _end_of(times, first, (bucket + 1) * step)
        if what:
            parts.append((bucket, after - first, what(values[first:after])))
        else:
            parts.append((bucket, after - first, values[after - 1]))
        first = after
    return parts


def _end_of(times: Sequence[int], first: int, limit: int) -> int:
    """The first place at or after `limit`, sought near `first`: buckets are small, columns are long."""
    reach, count = 16, len(times)
    while first + reach < count and times[first + reach] < limit:
        reach *= 4
    return bisect_left(times, limit, first, min(count, first + reach + 1))


def join(parts: Sequence[Part], aggregate: str) -> list[Part]:
    """Parts of one bucket, from both sides of a day or of a tier, as one."""
    joined: list[Part] = []
    for part in parts:
        if not joined or joined[-1][0] != part[0]:
            joined.append(part)
            continue
        bucket, count, what = joined[-1]
        both: Value = part[2]
        if aggregate in _WHAT:
            both = _WHAT[aggregate]((what, part[2]))
        joined[-1] = (bucket, count + part[1], both)
    return joined


def finished(parts: Iterable[Part], step: int, aggregate: str) -> list[tuple[float, Value]]:
    """(Unix seconds, value) of each bucket."""
    if aggregate == "mean":
        return [(bucket * step / 1e6, what / count) for bucket, count, what in parts]  # type: ignore[operator]
    if aggregate == "count":
        return [(bucket * step / 1e6, float(count)) for bucket, count, _ in parts]
    return [(bucket * step / 1e6, what) for bucket, _, what in parts]


def roll(column: Column, width: int) -> Iterator[Column]:
    """The columns of a rollup: one time for each bucket that has points, numbered series * PER_SERIES + kind."""
    counts = parts_of(column, width, "count")
    times = [bucket * width for bucket, _, _ in counts]
    base = column.series * PER_SERIES
    yield Column(base + COUNT, times, [float(count) for _, count, _ in counts])
    yield Column(base + LAST, times, [last for _, _, last in counts])
    sums = parts_of(column, width, "mean")
    if not sums:
        return
    if len(sums) != len(times):
        times = [bucket * width for bucket, _, _ in sums]
    yield Column(base + NUMBERS, times, [float(count) for _, count, _ in sums])
    yield Column(base + SUM, times, [float(what) for _, _, what in sums])
    yield Column(base + LEAST, times, [what for _, _, what in parts_of(column, width, "min")])
    yield Column(base + MOST, times, [what for _, _, what in parts_of(column, width, "max")])


def rolled_parts(block: Block, series: int, step: int, aggregate: str, first: int, last: int) -> list[Part] | None:
    """The parts that a rollup has of a series in [first, last); None when it does not know the series."""
    base = series * PER_SERIES
    counts = block.column(base + COUNT)
    if counts is None:
        return None
    what = block.column(base + _KIND[aggregate])
    if what is None:
        return []
    if aggregate in _WHAT:
        counts = block.column(base + NUMBERS) or counts
    low, high = bisect_left(what.times, first), bisect_left(what.times, last)
    parts = zip(what.times[low:high], counts.values[low:high], what.values[low:high], strict=True)
    return join([(at // step, float(count), value) for at, count, value in parts], aggregate)
