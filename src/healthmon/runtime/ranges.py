"""Sets of whole numbers as sorted, disjoint, inclusive ranges: what was received, what is durable, what is gone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

#: Sorted, disjoint, never touching: ((1, 4), (6, 6)). Every function here takes and returns this form.
Ranges = tuple[tuple[int, int], ...]

_FAR = 1 << 63


def merge(*many: Iterable[tuple[int, int]]) -> Ranges:
    """The union of any ranges, overlapping or unsorted ones too; empty ranges (hi < lo) vanish."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((low, high) for ranges in many for low, high in ranges if low <= high):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def add(ranges: Ranges, seq: int) -> Ranges:
    """`ranges` with one number more; the same object when it is there already."""
    at = bisect_right(ranges, (seq, _FAR))
    before, after = ranges[:at], ranges[at:]
    if before and seq <= before[-1][1]:
        return ranges
    low = high = seq
    if before and before[-1][1] == seq - 1:
        low, before = before[-1][0], before[:-1]
    if after and after[0][0] == seq + 1:
        high, after = after[0][1], after[1:]
    return (*before, (low, high), *after)


def contains(ranges: Ranges, seq: int) -> bool:
    """Whether `seq` lies in one of the ranges."""
    at = bisect_right(ranges, (seq, _FAR))
    return at > 0 and seq <= ranges[at - 1][1]


def intersect(one: Ranges, other: Ranges) -> Ranges:
    """What is in both."""
    both: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            both.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(both)


def gaps(ranges: Ranges, upto: int, *, start: int = 1) -> Ranges:
    """What is missing between `start` and `upto`, both included."""
    missing: list[tuple[int, int]] = []
    for low, high in ranges:
        if low > upto:
            break
        if low > start:
            missing.append((start, low - 1))
        start = max(start, high + 1)
    if start <= upto:
        missing.append((start, upto))
    return tuple(missing)


def subtract(one: Ranges, other: Ranges) -> Ranges:
    """What is in `one` and not in `other`."""
    if not one:
        return ()
    return intersect(one, gaps(other, one[-1][1], start=one[0][0]))


def contiguous_upto(ranges: Ranges, *, start: int = 1) -> int:
    """The highest number up to which nothing is missing from `start`; `start - 1` when `start` itself is."""
    at = bisect_right(ranges, (start, _FAR))
    return ranges[at - 1][1] if at and ranges[at - 1][1] >= start else start - 1


def size(ranges: Ranges) -> int:
    """How many numbers the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)
