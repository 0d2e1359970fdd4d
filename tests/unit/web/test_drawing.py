"""Drawings: no box lies on another, every line has its boxes, and circles do not hang it."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from healthmon.web.drawing import Box, Drawing, Edge, layered, ranks

IDS = [f"n{number}" for number in range(40)]


def overlaps(one: Box, two: Box) -> bool:
    apart_x = one.x + one.width <= two.x or two.x + two.width <= one.x
    apart_y = one.y + one.height <= two.y or two.y + two.height <= one.y
    return not (apart_x or apart_y)


def drawn(ids: list[str], edges: list[Edge]) -> Drawing:
    boxes = [Box(id_, id_, lines=("x",) * (number % 4)) for number, id_ in enumerate(ids)]
    return layered(boxes, edges, ranks(ids, edges))


@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=80))
def test_any_graph_is_drawn_without_overlap_inside_its_frame(pairs: list[tuple[str, str]]) -> None:
    found = drawn(IDS, [Edge(one, two) for one, two in pairs])
    assert {box.id for box in found.boxes} == set(IDS)
    assert not [(a.id, b.id) for a, b in combinations(found.boxes, 2) if overlaps(a, b)]
    assert all(b.x >= 0 and b.x + b.width <= found.width and b.y >= 0 for b in found.boxes)
    assert all(b.y + b.height <= found.height for b in found.boxes)


def test_what_is_needed_stands_left_of_what_needs_it() -> None:
    edges = [Edge("core", "a"), Edge("core", "b"), Edge("a", "app"), Edge("b", "app")]
    found = {box.id: box for box in drawn(["app", "b", "a", "core"], edges).boxes}
    assert found["core"].x < found["a"].x == found["b"].x < found["app"].x


def test_a_line_to_something_that_is_not_shown_is_left_out() -> None:
    found = drawn(["a"], [Edge("a", "elsewhere"), Edge("elsewhere", "a")])
    assert found.wires == ()


def test_the_same_graph_is_drawn_the_same_way() -> None:
    edges = [Edge(IDS[n], IDS[(n * 7 + 3) % 40]) for n in range(30)]
    assert drawn(IDS, edges) == drawn(IDS, edges)


def test_a_line_from_what_fails_is_marked() -> None:
    boxes = [Box("bad", "bad", "lost"), Box("good", "good", "ok"), Box("app", "app")]
    found = layered(boxes, [Edge("bad", "app"), Edge("good", "app")], {"bad": 0, "good": 0, "app": 1})
    assert sorted(wire.kind for wire in found.wires) == ["need", "need w-amiss"]
