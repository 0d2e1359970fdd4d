"""Ranges behave as the sets of numbers that they stand for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.runtime import ranges

numbers = st.sets(st.integers(1, 60))
loose = st.lists(st.tuples(st.integers(1, 60), st.integers(-5, 12)).map(lambda p: (p[0], p[0] + p[1])))


def made(of: set[int]) -> ranges.Ranges:
    result: ranges.Ranges = ()
    for number in of:
        result = ranges.add(result, number)
    return result


def held(of: ranges.Ranges) -> set[int]:
    return {number for low, high in of for number in range(low, high + 1)}


def assert_normal(of: ranges.Ranges) -> None:
    assert all(low <= high for low, high in of)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(of))


@given(numbers)
def test_adding_one_by_one_holds_exactly_those(some: set[int]) -> None:
    result = made(some)
    assert_normal(result)
    assert held(result) == some
    assert ranges.size(result) == len(some)


@given(loose, loose)
def test_merge_is_union_whatever_the_order(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    result = ranges.merge(one, other)
    assert_normal(result)
    assert held(result) == held(tuple(one)) | held(tuple(other))


@given(numbers, numbers)
def test_intersect_and_subtract(one: set[int], other: set[int]) -> None:
    both, left = ranges.intersect(made(one), made(other)), ranges.subtract(made(one), made(other))
    assert_normal(both)
    assert_normal(left)
    assert held(both) == one & other
    assert held(left) == one - other


@given(numbers, st.integers(0, 70), st.integers(1, 20))
def test_gaps_are_the_complement(some: set[int], upto: int, start: int) -> None:
    result = ranges.gaps(made(some), upto, start=start)
    assert_normal(result)
    assert held(result) == set(range(start, upto + 1)) - some


@given(numbers, st.integers(0, 70))
def test_contains(some: set[int], number: int) -> None:
    assert ranges.contains(made(some), number) is (number in some)


@given(numbers, st.integers(1, 20))
def test_contiguous_upto(some: set[int], start: int) -> None:
    expected = start - 1
    while expected + 1 in some:
        expected += 1
    assert ranges.contiguous_upto(made(some), start=start) == expected


@pytest.mark.parametrize("seq", [3, 5, 9])
def test_adding_what_is_there_gives_the_same_object(seq: int) -> None:
    some = ((3, 5), (9, 9))
    assert ranges.add(some, seq) is some
