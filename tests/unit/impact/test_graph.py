"""The need graph against a slow reading of the same words."""

from __future__ import annotations

from itertools import combinations

import pytest
from estates import estate_of, service, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.impact.graph import Explanation, NeedGraph, Tri, all_of, k_of_n
from healthmon.model.topology import AtLeast, Estate, Need


@st.composite
def estates(draw: st.DrawFn, *, most: int = 8) -> Estate:
    """Random acyclic estates: each thing needs some of those before it, in groups or not."""
    count = draw(st.integers(2, most))
    needs: dict[str, tuple[Need, ...]] = {"t0": ()}
    for number in range(1, count):
        before = [f"t{i}" for i in range(number)]
        single: list[Need] = list(draw(st.lists(st.sampled_from(before), max_size=2, unique=True)))
        if draw(st.booleans()) and len(before) >= 2:
            of = tuple(draw(st.lists(st.sampled_from(before), min_size=2, max_size=4, unique=True)))
            single.append(AtLeast(draw(st.integers(1, len(of))), of))
        needs[f"t{number}"] = tuple(single)
    return estate_of(targets(needs), services=[service("s", *needs_of_service(draw, count))])


def needs_of_service(draw: st.DrawFn, count: int) -> tuple[Need, ...]:
    of = tuple(draw(st.lists(st.sampled_from([f"t{i}" for i in range(count)]), min_size=1, max_size=3, unique=True)))
    return (AtLeast(draw(st.integers(1, len(of))), of),) if len(of) > 1 and draw(st.booleans()) else of


def slow_works(estate: Estate, id_: str, failed: frozenset[str]) -> bool:
    """Straight recursion over the words, no caches and no order."""

    def works(need: Need) -> bool:
        if isinstance(need, AtLeast):
            return sum(works(part) for part in need.of) >= need.n
        return slow_works(estate, need, failed)

    thing = estate.targets.get(id_) or estate.services[id_]
    return id_ not in failed and all(works(need) for need in thing.needs)


@given(estates(), st.data())
@settings(max_examples=150, deadline=None)
def test_two_valued_evaluation_is_the_plain_reading(estate: Estate, data: st.DataObject) -> None:
    graph = NeedGraph(estate)
    failed = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)))))
    for id_ in estate.targets:
        assert graph.evaluate((id_,), lambda one: one not in failed) is slow_works(estate, id_, failed)


@given(estates(), st.data())
@settings(max_examples=150, deadline=None)
def test_unknown_is_said_exactly_when_both_ends_are_possible(estate: Estate, data: st.DataObject) -> None:
    """Kleene never claims more than every completion of the unknowns agrees on."""
    graph = NeedGraph(estate)
    ids = sorted(estate.targets)
    states: dict[str, Tri] = {id_: data.draw(st.sampled_from([True, False, None])) for id_ in ids}
    found = graph.evaluate(("s",), lambda one: states.get(one, True))
    unknown = [id_ for id_ in ids if states[id_] is None]
    ends = set()
    for count in range(len(unknown) + 1):
        for down in combinations(unknown, count):
            failed = frozenset(down) | {id_ for id_ in ids if states[id_] is False}
            ends.add(slow_works(estate, "s", failed))
    if found is not None:
        assert ends == {found}


@given(estates())
@settings(max_examples=150, deadline=None)
def test_strict_needs_are_the_single_points_of_failure(estate: Estate) -> None:
    graph = NeedGraph(estate)
    for id_ in estate.targets:
        alone = {other for other in estate.targets if not slow_works(estate, id_, frozenset({other}))}
        assert graph.strict(id_) == alone - {id_}


@given(estates(), st.data())
@settings(max_examples=200, deadline=None)
def test_explanation_blames_only_what_matters(estate: Estate, data: st.DataObject) -> None:
    """A thing is explained when its needs are lost; a culprit fails itself and has no failing explanation."""
    graph = NeedGraph(estate)
    failed = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)))))
    explanation = Explanation(graph, failed)
    for id_ in estate.targets:
        needs_lost = not slow_works(estate, id_, failed - {id_})
        culprits = explanation.culprits(id_)
        assert bool(culprits) is needs_lost
        assert explanation.down(id_) is not slow_works(estate, id_, failed)
        assert culprits <= failed
        assert all(not explanation.culprits(culprit) for culprit in culprits)


def test_a_redundant_group_with_a_survivor_explains_nothing() -> None:
    pair = AtLeast(1, ("sw-a", "sw-b"))
    graph = NeedGraph(estate_of(targets({"sw-a": (), "sw-b": (), "pc": (pair,)})))
    assert Explanation(graph, {"sw-a", "pc"}).culprits("pc") == frozenset()
    assert Explanation(graph, {"sw-a", "sw-b"}).culprits("pc") == {"sw-a", "sw-b"}


def test_cycles_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        NeedGraph(estate_of(targets({"a": ("b",), "b": ("a",)})))
    with pytest.raises(ValueError, match="ghost"):
        NeedGraph(estate_of(targets({"a": ("ghost",)})))


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    needs: dict[str, tuple[Need, ...]] = {"t0": ()}
    needs.update({f"t{i}": (f"t{i - 1}",) for i in range(1, 5000)})
    graph = NeedGraph(estate_of(targets(needs)))
    assert len(graph.requires("t4999")) == 4999
    assert graph.evaluate(("t4999",), lambda one: one != "t0") is False
    assert len(graph.descendants("t0")) == 4999


@pytest.mark.parametrize(
    ("states", "both", "one_of"),
    [
        ((True, True), True, True),
        ((True, False), False, True),
        ((True, None), None, True),
        ((False, None), False, None),
        ((False, False), False, False),
        ((None, None), None, None),
    ],
)
def test_kleene_tables(states: tuple[Tri, ...], both: Tri, one_of: Tri) -> None:
    assert all_of(states) is both
    assert k_of_n(1, states) is one_of
    assert k_of_n(2, states) is both


@given(estates(), st.data())
@settings(max_examples=200, deadline=None)
def test_single_points_left_are_those_whose_loss_is_the_last(estate: Estate, data: st.DataObject) -> None:
    down = frozenset(data.draw(st.sets(st.sampled_from(sorted(estate.targets)), max_size=3)))
    found = NeedGraph(estate).single_points(("s",), down)
    works = slow_works(estate, "s", down)
    alone = {id_ for id_ in estate.targets if id_ not in down and not slow_works(estate, "s", down | {id_})}
    assert found - {"s"} == (alone if works else set())
