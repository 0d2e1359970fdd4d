"""Learned links: kept with provenance and age, bounded, proposed from, and never part of the needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from healthmon.app import linkgraph
from healthmon.app.linkgraph import FORGET_S, STALE_S, LinkBook, answer, links_from, proposals
from healthmon.app.neighbours import Link
from healthmon.model.topology import Estate, Organisation, Site, Target
from healthmon.web.linkmap import MOST_NODES, link_map

NOW = 1_795_514_400.0
RING = [("sw-a", "sw-b"), ("sw-b", "sw-c"), ("sw-c", "sw-a")]


def estate(**needs: tuple[str, ...]) -> Estate:
    targets = {
        (id_ := name.replace("_", "-")): Target(id_, id_, "switch", "192.0.2.1", "main", None, of)
        for name, of in needs.items()
    }
    site = Site("main", "Main", "Europe/London")
    return Estate(Organisation("trust", "Trust", "Europe/London"), {"main": site}, {}, {}, targets, {}, {})


def lldp(one: str, other: str, *, leaf: str = "", port: str = "Gi1") -> Link:
    return Link(one, port, other, "Gi9", "lldp", (one,), leaf)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LinkBook]:
    made = LinkBook(tmp_path / "links.sqlite")
    yield made
    made.close()


def test_a_link_told_of_again_from_the_other_end_is_the_same_link_and_keeps_its_first_day(book: LinkBook) -> None:
    first = links_from([{"one": "sw-b", "one_port": "Gi9", "other": "sw-a", "other_port": "Gi1",
                         "source": "lldp", "seen_by": ["sw-b"]}])  # fmt: skip
    book.learn(first, NOW)
    book.learn([lldp("sw-a", "sw-b")], NOW + 60.0)
    (only,) = book.all()
    assert (only.link.one, only.link.other) == ("sw-a", "sw-b")
    assert (only.first_at, only.last_at) == (NOW, NOW + 60.0)
    book.learn([lldp("sw-a", "sw-b")], NOW - 500.0)
    assert book.all()[0].last_at == NOW + 60.0, "an older sweep makes nothing older"


def test_age_is_shown_stale_is_marked_and_the_very_old_is_forgotten(book: LinkBook) -> None:
    book.learn([lldp("sw-a", "sw-b")], NOW)
    said = answer(book.all(), estate(sw_a=(), sw_b=()), NOW + STALE_S + 1.0)
    assert said["items"][0]["stale"] is True
    assert said["items"][0]["age_seconds"] == STALE_S + 1.0
    assert said["items"][0]["seen_by"] == ["sw-a"]
    book.learn([lldp("sw-c", "sw-d")], NOW + FORGET_S + 1.0)
    assert [one.link.one for one in book.all()] == ["sw-c"]


def test_the_book_is_bounded_and_counts_what_it_forgets(book: LinkBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkgraph, "MOST_LINKS", 3)
    for number in range(5):
        book.learn([lldp(f"sw-{number}", "sw-x")], NOW + number)
    assert [one.link.one for one in book.all()] == ["sw-2", "sw-3", "sw-4"]
    assert book.forgotten == 2


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    one = LinkBook(tmp_path / "links.sqlite")
    one.learn([lldp("sw-a", "sw-b")], NOW)
    before = one.all()
    one.close()
    again = LinkBook(tmp_path / "links.sqlite")
    assert again.all() == before
    again.close()


def test_a_ring_is_normal_and_proposes_nothing() -> None:
    links = [lldp(one, other) for one, other in RING]
    assert proposals(links, estate(sw_a=(), sw_b=("sw-a",), sw_c=("sw-a",))) == []


def test_a_leaf_is_proposed_once_unless_needs_know_it_or_it_would_close_a_circle() -> None:
    link = lldp("sw-a", "pc-1", leaf="pc-1")
    (need,) = proposals([link], estate(sw_a=(), pc_1=()))
    assert (need.target, need.needs, need.source, need.seen_by) == ("pc-1", "sw-a", "lldp", ("sw-a",))
    assert proposals([link], estate(sw_a=(), pc_1=("sw-a",))) == []
    assert proposals([link], estate(sw_a=("pc-1",), pc_1=())) == []
    assert proposals([lldp("sw-a", "unheard-of", leaf="unheard-of")], estate(sw_a=())) == []


def test_stale_links_speak_for_nothing(book: LinkBook) -> None:
    book.learn([lldp("sw-a", "pc-1", leaf="pc-1")], NOW)
    site = estate(sw_a=(), pc_1=())
    assert len(answer(book.all(), site, NOW + 1.0)["proposed_needs"]) == 1
    assert answer(book.all(), site, NOW + STALE_S + 1.0)["proposed_needs"] == []


def test_the_map_draws_needs_solid_links_dashed_and_leaves_out_what_does_not_fit(book: LinkBook) -> None:
    book.learn([lldp(one, other) for one, other in RING], NOW)
    site = estate(sw_a=(), sw_b=("sw-a",), sw_c=("sw-b",))
    drawn = link_map(answer(book.all(), site, NOW)["items"], site, {})
    boxes = sorted(drawn.boxes, key=lambda box: box.x)
    assert [(box.id, box.role, box.state) for box in boxes] == [(f"sw-{x}", "member", "unknown") for x in "abc"]
    assert boxes[0].x < boxes[1].x < boxes[2].x
    assert sorted(wire.kind.split()[0] for wire in drawn.wires) == ["link", "link", "link", "need", "need"]
    book.learn([lldp(f"far-{number}", "sw-a", port="Te1") for number in range(MOST_NODES)], NOW - 2 * STALE_S)
    many = link_map(answer(book.all(), site, NOW)["items"], site, {})
    assert len(many.boxes) == MOST_NODES
    assert {box.role for box in many.boxes} == {"member", "unmapped"}
    assert many.left_out == 3
    assert "stale" in {wire.kind for wire in many.wires}
    assert max(box.x + box.width for box in many.boxes) < many.width
