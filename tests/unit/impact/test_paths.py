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


@st.composite
def wards(draw: st.DrawFn) -> Estate:
    """A random estate, a ward with needs of its own (some k of n), and a service that needs another and a target."""
    estate = draw(estates(most=7))
    ids = sorted(estate.targets)
    of = tuple(draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4, unique=True)))
    group = AtLeast(draw(st.integers(1, len(of))), of)
    own = draw(st.sampled_from(ids))
    return estate_of(
        estate.targets.values(),
        [area("ward-7", group)],
        [estate.services["s"], service("ehr", AtLeast(draw(st.integers(1, 2)), ("s", own)), used_in=("ward-7",))],
    )


def lost_by(estate: Estate, down: frozenset[str]) -> int:
    """The least number of further failures after which the ward or the service does not work, by trying them all."""
    ids = sorted(set(estate.targets) - down)
    (group,) = estate.areas["ward-7"].needs
    assert isinstance(group, AtLeast)
    for count in range(len(ids) + 1):
        for failed in combinations(ids, count):
            gone = down | set(failed)
            there = sum(slow_works(estate, str(one), gone) for one in group.of) >= group.n
            if not (there and slow_works(estate, "ehr", gone)):
                return count
    return len(ids) + 1


@given(wards(), st.data())
@settings(max_examples=150, deadline=None)
def test_ways_left_count_the_needs_of_area_and_service(estate: Estate, data: st.DataObject) -> None:
    """Exact means equal; not exact means that there are at least so many."""
    down = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)), max_size=2)))
    graph = NeedGraph(estate)
    found = paths(graph, "ward-7", "ehr", down)
    assert found.exact
    assert (found.left, found.of) == (lost_by(estate, down), lost_by(estate, frozenset()))
    budget = data.draw(st.integers(0, 6))
    least, exact = cut_size(graph, graph.goal("ward-7", "ehr"), down, max_evaluations=budget)
    assert least == found.left if exact else least <= found.left


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
