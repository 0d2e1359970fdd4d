"""Ways left, against trying every set of failures."""

from __future__ import annotations

from itertools import combinations

import pytest
from estates import area, estate_of, service, targets
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph import estates, slow_works

from healthmon.impact.graph import NeedGraph
from healthmon.impact.paths import cut_size, paths
from healthmon.model.topology import AtLeast, Estate, Need


def brute_force(estate: Estate, goal: str, down: frozenset[str]) -> int:
    ids = sorted(set(estate.targets) - down)
    for count in range(len(ids) + 1):
        if any(not slow_works(estate, goal, down | set(failed)) for failed in combinations(ids, count)):
            return count
    return len(ids) + 1


@given(estates(most=9), st.data())
@settings(max_examples=300, deadline=None)
def test_the_cut_is_the_smallest_set_of_failures(estate: Estate, data: st.DataObject) -> None:
    down = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)), max_size=3)))
    found, exact = cut_size(NeedGraph(estate), ("s",), down)
    assert exact
    assert found == brute_force(estate, "s", down)


@given(estates(most=9))
@settings(max_examples=150, deadline=None)
def test_a_search_that_runs_out_answers_a_lower_bound(estate: Estate) -> None:
    found, exact = cut_size(NeedGraph(estate), ("s",), frozenset(), max_evaluations=2)
    least = brute_force(estate, "s", frozenset())
    assert found == least if exact else 1 <= found <= least


def ward(needs: dict[str, tuple[Need, ...]], *of_area: Need) -> NeedGraph:
    return NeedGraph(
        estate_of(
            targets(needs),
            [area("ward-7", *of_area)],
            [service("ehr", AtLeast(1, ("web-a", "web-b")), used_in=("ward-7",))],
        )
    )


PAIRS: dict[str, tuple[Need, ...]] = {"web-a": (), "web-b": (), "sw-a": (), "sw-b": ()}


@pytest.mark.parametrize(
    ("down", "left", "of"),
    [(set(), 2, 2), ({"sw-a"}, 1, 2), ({"sw-a", "web-a"}, 1, 2), ({"sw-a", "sw-b"}, 0, 2)],
)
def test_ways_of_a_ward(down: set[str], left: int, of: int) -> None:
    found = paths(ward(PAIRS, AtLeast(1, ("sw-a", "sw-b"))), "ward-7", "ehr", down)
    assert (found.left, found.of, found.exact) == (left, of, True)


def test_alternatives_behind_one_switch_are_one_way() -> None:
    """Two front ends on one switch look like two ways and are one."""
    needs: dict[str, tuple[Need, ...]] = {"sw": (), "web-a": ("sw",), "web-b": ("sw",)}
    assert paths(ward(needs), "ward-7", "ehr", set()).of == 1


def test_crossed_alternatives_are_counted_once() -> None:
    """Three routes that share links pairwise: the links, not the routes, are what can fail."""
    needs: dict[str, tuple[Need, ...]] = {
        "l1": (),
        "l2": (),
        "l3": (),
        "r1": (AtLeast(2, ("l1", "l2", "l3")),),
        "web-a": ("r1",),
        "web-b": (AtLeast(2, ("l1", "l2", "l3")),),
    }
    assert paths(ward(needs), "ward-7", "ehr", set()).of == 2
