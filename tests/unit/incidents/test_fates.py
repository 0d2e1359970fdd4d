"""Who was well beside what went at once: counted every ten seconds, and after a restart as it was counted."""

from __future__ import annotations

from healthmon.alerting.incidents.fates import Fates
from healthmon.impact.graph import NeedGraph
from healthmon.model.topology import Agent, Check, Estate, Organisation, Site, Target

NOW = 1_795_514_403.0
BROKEN = [f"pc-{n}" for n in range(8)]


def estate(pcs: int = 60) -> Estate:
    """Every PC has its image; the first ten have one of their own."""
    targets = [
        Target(f"pc-{n}", f"pc-{n}", "workstation", "192.0.2.1", "main", checks=(Check("icmp", "icmp", 5.0, 1.0),),
               labels={"image": "img-1" if n < 10 else "img-2"})
        for n in range(pcs)
    ]  # fmt: skip
    return Estate(
        Organisation("trust", "Trust", "Europe/London"),
        {"main": Site("main", "Main", "Europe/London")},
        {}, {}, {one.id: one for one in targets}, {}, {one.id: Agent(one.id, one.id) for one in targets},
    )  # fmt: skip


def fates(well: set[str], own: Estate | None = None) -> Fates:
    known = own or estate()
    return Fates(known, NeedGraph(known), known.targets, lambda id_, _now: id_ in well)


def test_a_restart_takes_up_the_count_and_the_next_ten_seconds_count_anew() -> None:
    before = fates({f"pc-{n}" for n in range(8, 60)})
    (first,) = before.find(BROKEN, NOW, since=NOW)
    assert (first.attribute, first.value, first.healthy_count) == ("image", "img-1", 2)
    rows = before.written()
    assert before.written() == {}

    after = fates(set())  # nobody has spoken yet
    assert after.restore({**rows, "other": b"1"}) == {"other": b"1"}
    assert after.find(BROKEN, NOW + 3.0, since=NOW) == (first,)
    assert after.written() == {}
    assert after.find(BROKEN, NOW + 10.0, since=NOW) != (first,)
    assert list(after.written()) == list(rows)


def test_things_that_the_inventory_does_not_know_share_nothing() -> None:
    assert fates(set()).find(["ghost-1", "ghost-2", "ghost-3"], NOW, since=NOW) == ()


def test_a_count_of_another_estate_is_not_taken_up() -> None:
    before = fates({f"pc-{n}" for n in range(8, 60)})
    before.find(BROKEN, NOW, since=NOW)
    well = {f"pc-{n}" for n in range(8, 61)}
    rows = before.written()
    (key, body), grown, fresh = *rows.items(), fates(well, estate(61)), fates(well, estate(61))
    grown.restore({key: body})
    assert grown.find(BROKEN, NOW, since=NOW) == fresh.find(BROKEN, NOW, since=NOW)
