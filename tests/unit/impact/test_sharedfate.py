"""What the broken share: planted causes are found, chance names nothing more often than the stated rate."""

from __future__ import annotations

import random
from math import comb

import pytest
from estates import estate_of
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.impact.graph import NeedGraph
from healthmon.impact.sharedfate import FALSE_RATE, Attributes, FateTest, at_least, attributes_of
from healthmon.model.topology import Agent, AtLeast, Estate, Target


@given(st.integers(1, 40), st.data())
@settings(max_examples=150, deadline=None)
def test_the_chance_is_the_counted_one(whole: int, data: st.DataObject) -> None:
    drawn, marked = data.draw(st.integers(0, whole)), data.draw(st.integers(0, whole))
    count = data.draw(st.integers(0, whole))
    ways = sum(comb(marked, i) * comb(whole - marked, drawn - i) for i in range(count, drawn + 1) if i <= marked)
    assert at_least(count, drawn=drawn, marked=marked, whole=whole) == pytest.approx(
        ways / comb(whole, drawn), rel=1e-9
    )


def pcs(count: int, dice: random.Random) -> dict[str, Attributes]:
    """A trust's PCs with what they may share; drawn independently."""
    return {
        f"pc-{number}": {
            "switch": f"sw-{dice.randrange(40)}",
            "vlan": str(dice.randrange(12)),
            "os": dice.choice(["w11", "w11", "w11", "w10", "w7"]),
            "image": f"img-{dice.randrange(6)}",
            "patch": f"kb-{dice.randrange(4)}",
            "power": f"ups-{dice.randrange(14)}",
            "scope": f"dhcp-{dice.randrange(30)}",
            "serial": str(number),
        }
        for number in range(count)
    }


@pytest.mark.parametrize(("name", "value"), [("switch", "sw-3"), ("image", "img-2"), ("os", "w7"), ("power", "ups-5")])
def test_a_planted_cause_comes_first_with_its_counter_examples(name: str, value: str) -> None:
    """Nine in ten of those with the value break, and four others by chance."""
    dice = random.Random(7)
    all_of_them = pcs(1200, dice)
    having = [id_ for id_, own in all_of_them.items() if own[name] == value]
    broken = {id_ for id_ in having if dice.random() < 0.9} | set(dice.sample(sorted(all_of_them), 4))
    first = FateTest(all_of_them).find(broken)[0]
    assert (first.attribute, first.value) == (name, value)
    assert set(first.broken) <= broken
    assert set(first.healthy) <= set(having) - broken
    assert first.healthy_count == len(set(having) - broken)
    assert first.lift > 2
    assert first.p_value < FALSE_RATE


def test_random_sets_name_something_no_more_often_than_the_stated_rate() -> None:
    """2,000 random sets at the stated 1 %: more than 2 % would be three binomial deviations and then some."""
    dice = random.Random(11)
    test = FateTest(pcs(400, dice))
    ids = [f"pc-{number}" for number in range(400)]
    named = sum(bool(test.find(dice.sample(ids, dice.randrange(3, 40)))) for _ in range(2000))
    assert named <= 2 * FALSE_RATE * 2000


def test_what_is_neither_broken_nor_well_is_left_out() -> None:
    """Every second one is switched off: the test is the one over the others alone, and names none of those."""
    dice = random.Random(5)
    all_of_them = pcs(600, dice)
    on = {id_ for number, id_ in enumerate(all_of_them) if number % 2}
    broken = {id_ for id_ in on if all_of_them[id_]["image"] == "img-2"} - {"pc-1"}
    told = FateTest(all_of_them).find(broken, well=on - broken)
    alone = FateTest({id_: all_of_them[id_] for id_ in on}).find(broken)
    assert [(one.attribute, one.value, one.healthy, one.population) for one in told] == [
        (one.attribute, one.value, one.healthy, one.population) for one in alone
    ]
    assert (told[0].attribute, told[0].value) == ("image", "img-2")
    assert set(told[0].healthy) <= on
    hints = FateTest(all_of_them).hints(["pc-1"], well=on)
    assert hints == ()


def test_a_value_that_all_or_only_one_has_tells_nothing() -> None:
    own: dict[str, Attributes] = {f"pc-{n}": {"site": "main", "serial": str(n)} for n in range(50)}
    test = FateTest(own)
    assert test.tried == 0
    assert test.find([f"pc-{n}" for n in range(10)]) == ()


def test_attributes_name_the_nearest_switch_the_roles_and_the_labels() -> None:
    kind = {"core-a": "switch", "core-b": "switch", "sw": "switch", "fw": "firewall"}
    targets = [Target(id_, id_, one, "192.0.2.1", "main") for id_, one in kind.items() if id_ != "sw"]
    targets.append(Target("sw", "sw", "switch", "192.0.2.1", "main", needs=(AtLeast(1, ("core-a", "core-b")), "fw")))
    targets.append(Target("pc", "pc", "pc", "192.0.2.1", "main", "ward-7", needs=("sw",), labels={"os": "w11"}))
    bare = estate_of(targets)
    estate = Estate(
        bare.organisation, bare.sites, {}, {}, bare.targets, {}, {"pc": Agent("pc", "pc", ("workstation",))}
    )
    found = attributes_of(estate, NeedGraph(estate), [estate.targets["pc"]])
    place = {"kind": "pc", "site": "main", "area": "ward-7", "switch": "sw"}
    assert found["pc"] == place | {"role workstation": "yes", "os": "w11"}
