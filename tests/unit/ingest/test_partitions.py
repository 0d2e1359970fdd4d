"""How workers share the agents out: everybody the same, evenly, and few move when one leaves."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from healthmon.ingest.partitions import PARTITIONS, share_of, shares

names = st.sets(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=PARTITIONS)


@given(names)
def test_each_partition_has_one_owner_and_nobody_has_more_than_an_even_share(workers: set[str]) -> None:
    owners = shares(workers)
    assert set(owners) == set(range(PARTITIONS))
    assert max(Counter(owners.values()).values()) <= math.ceil(PARTITIONS / len(workers))
    assert set().union(*(share_of(one, workers) for one in workers)) == set(range(PARTITIONS))


@given(names)
def test_the_order_in_which_they_were_heard_changes_nothing(workers: set[str]) -> None:
    one = min(workers)
    assert share_of(one, sorted(workers)) == share_of(one, sorted(workers, reverse=True)) == share_of(one, workers)


def test_of_four_that_become_three_most_agents_stay_where_they_were() -> None:
    before, after = shares("abcd"), shares("abc")
    assert sum(before[p] != after[p] for p in range(PARTITIONS)) <= PARTITIONS // 2


def test_nobody_owns_anything_where_nobody_is() -> None:
    assert shares(()) == {}
    assert share_of("a", ()) == frozenset(range(PARTITIONS))
