"""What a sweep says against any inventory: nothing is lost, nothing twice, no circle, and no order that matters."""

from __future__ import annotations

import random

from hypothesis import example, given
from hypothesis import strategies as some

from healthmon.app.difference import Difference, Known, difference, names_of
from healthmon.app.neighbours import COLUMNS, Found, Link, Neighbour, described, links_of

ADDRESSES = [f"192.0.2.{number}" for number in range(1, 9)]
NAMES = ["sw-a", "sw-b", "srv-a", "pc-1", ""]
MACS = [f"02:00:00:00:00:{number:02x}" for number in range(1, 9)]
PORTS = ["Gi1", "Gi2", "Gi3"]


@some.composite
def inventories(draw: some.DrawFn) -> list[Known]:
    """Targets that need only earlier ones, so that there is no circle to begin with."""
    ids = draw(some.lists(some.sampled_from(["sw-a", "sw-b", "srv-a", "pc-1", "ghost", "pump"]), unique=True))
    made: list[Known] = []
    for id_ in ids:
        ips = draw(some.lists(some.sampled_from(ADDRESSES), max_size=2, unique=True))
        needs = draw(some.lists(some.sampled_from([one.id for one in made]), max_size=2, unique=True)) if made else []
        made.append(Known(id_, tuple(ips), names_of(id_), tuple(needs)))
    return made


neighbours = some.builds(
    Neighbour,
    port=some.sampled_from(PORTS),
    name=some.sampled_from(NAMES),
    mac=some.sampled_from([*MACS, ""]),
    ip=some.sampled_from([*ADDRESSES, ""]),
    remote_port=some.sampled_from([*PORTS, ""]),
    forwards=some.booleans(),
)


@some.composite
def sweeps(draw: some.DrawFn) -> list[Found]:
    ips = draw(some.lists(some.sampled_from(ADDRESSES), unique=True))
    return [
        Found(
            ip,
            "icmp",
            identified=True,
            name=draw(some.sampled_from(NAMES)),
            macs=frozenset(draw(some.lists(some.sampled_from(MACS), max_size=2))),
            neighbours=tuple(draw(some.lists(neighbours, max_size=2))),
            learned=tuple(draw(some.lists(some.tuples(some.sampled_from(PORTS), some.sampled_from(MACS)), max_size=4))),
            arp=tuple(draw(some.lists(some.tuples(some.sampled_from(ADDRESSES), some.sampled_from(MACS)), max_size=3))),
        )
        for ip in ips
    ]


def compared(known: list[Known], found: list[Found]) -> Difference:
    silent = set(ADDRESSES) - {device.ip for device in found} - {ADDRESSES[-1]}
    return difference(known, found, links_of(found), silent=silent)


@given(inventories(), sweeps())
def test_every_address_and_every_target_has_one_place(known: list[Known], found: list[Found]) -> None:
    result = compared(known, found)
    owned = {ip for target in known for ip in target.ips}

    unknown = sorted([one.found.ip for one in result.new] + [one.now for one in result.moved])
    assert unknown == sorted(device.ip for device in found if device.ip not in owned)
    places = [*result.present, *(one.id for one in result.missing), *(one.target for one in result.moved)]
    assert sorted([*places, *result.not_looked_at]) == sorted(target.id for target in known if target.ips)
    assert len({one.id for one in result.new} | {one.id for one in known}) == len(result.new) + len(known)


@given(inventories(), sweeps())
def test_proposed_needs_close_no_circle_and_repeat_nothing(known: list[Known], found: list[Found]) -> None:
    result = compared(known, found)
    graph = {target.id: set(target.needs) for target in known}
    for need in result.needs:
        assert need.needs not in reached(graph, need.target)
        graph.setdefault(need.target, set()).add(need.needs)
        assert need.seen_by
    for target in list(graph):
        assert target not in reached(graph, target)


def reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for following in graph.get(waiting.pop(), set()) - found:
            found.add(following)
            waiting.append(following)
    return found


@given(inventories(), sweeps(), some.randoms(use_true_random=False))
def test_the_order_of_answers_changes_nothing(known: list[Known], found: list[Found], chance: random.Random) -> None:
    shuffled = found[:]
    chance.shuffle(shuffled)

    assert compared(known, shuffled) == compared(known, found)


#: The PC needs the switch through a server that is gone (and had two addresses): the server's need is the PC's then.
GONE_ON_THE_WAY = (
    [
        Known("sw-b", ("192.0.2.3",), names_of("sw-b")),
        Known("ghost", ("192.0.2.4", "192.0.2.6"), names_of("ghost"), ("sw-b",)),
        Known("pc-1", ("192.0.2.7",), names_of("pc-1"), ("ghost",)),
    ],
    [
        Found("192.0.2.3", "icmp", neighbours=(Neighbour("Gi1", "pc-1", ip="192.0.2.7"),)),
        Found("192.0.2.7", "icmp", name="pc-1"),
    ],
)


@given(inventories(), sweeps())
@example(*GONE_ON_THE_WAY)
def test_what_is_copied_into_the_inventory_is_no_difference_any_more(known: list[Known], found: list[Found]) -> None:
    first = compared(known, found)
    moved = {one.target: one.now for one in first.moved}
    gone = {one.id: one.needs for one in first.missing}
    kept = [
        Known(
            one.id,
            (moved[one.id],) if one.id in moved else one.ips,
            one.names,
            without(gone, one.needs) + proposed(first, one.id),
        )
        for one in known
        if one.id not in gone
    ]
    kept += [Known(one.id, (one.found.ip,), names_of(one.id), proposed(first, one.id)) for one in first.new]

    second = compared(kept, found)

    assert (second.new, second.missing, second.moved, second.needs) == ((), (), (), ())


def without(gone: dict[str, tuple[str, ...]], needs: tuple[str, ...]) -> tuple[str, ...]:
    """Who needed what is taken out of the inventory needs what that needed; a need of nothing is refused there."""
    return tuple(id_ for need in needs for id_ in (without(gone, gone[need]) if need in gone else (need,)))


def proposed(result: Difference, target: str) -> tuple[str, ...]:
    return tuple(need.needs for need in result.needs if need.target == target)


def test_a_need_that_would_close_a_circle_is_shown_as_a_link() -> None:
    known = [
        Known("sw", ("192.0.2.1",), needs=("mid",)),
        Known("mid", (), needs=("host",)),
        Known("host", ("192.0.2.2",)),
    ]
    found = [Found("192.0.2.1", "icmp"), Found("192.0.2.2", "icmp")]
    link = Link("192.0.2.1", "Gi1", "192.0.2.2", "", "fdb", ("192.0.2.1",), leaf="192.0.2.2")

    result = difference(known, found, [link], silent=())

    assert (result.needs, result.links) == ((), (link,))


def test_two_that_each_look_like_the_others_leaf_become_one_need() -> None:
    known = [Known("a", ("192.0.2.1",)), Known("b", ("192.0.2.2",))]
    found = [Found("192.0.2.1", "icmp"), Found("192.0.2.2", "icmp")]
    one = Link("192.0.2.1", "Gi1", "192.0.2.2", "", "fdb", ("192.0.2.1",), leaf="192.0.2.2")
    other = Link("192.0.2.2", "Gi1", "192.0.2.1", "", "fdb", ("192.0.2.2",), leaf="192.0.2.1")

    result = difference(known, found, [one, other], silent=())

    assert [(need.target, need.needs) for need in result.needs] == [("b", "a")]
    assert result.links == (other,)


def test_a_silent_target_whose_name_one_stranger_has_has_moved() -> None:
    known = [Known("srv-a", ("192.0.2.1",), names_of("srv-a")), Known("srv-b", ("192.0.2.4",), names_of("srv-b"))]
    found = [Found("192.0.2.2", "icmp", name="SRV-A.hospital.example"), Found("192.0.2.3", "icmp", name="srv-b")]

    result = difference(known, found, [], silent={"192.0.2.1"})

    assert [(one.target, one.now) for one in result.moved] == [("srv-a", "192.0.2.2")]
    assert result.not_looked_at == ("srv-b",), "its old address was not asked, so it may still be there"


def test_two_devices_of_one_name_move_nothing() -> None:
    known = [Known("srv-a", ("192.0.2.1",), names_of("srv-a"))]
    found = [Found("192.0.2.2", "icmp", name="srv-a"), Found("192.0.2.3", "icmp", name="SRV-A.example")]

    result = difference(known, found, [], silent={"192.0.2.1"})

    assert result.moved == ()
    assert [one.id for one in result.missing] == ["srv-a"]
    assert [one.id for one in result.new] == ["srv-a-2", "srv-a-3"]


def test_a_link_seen_from_both_ends_is_one_link_with_both_witnesses() -> None:
    one = Found("192.0.2.1", "icmp", name="a", neighbours=(Neighbour("Gi1", "b", remote_port="Gi9", forwards=True),))
    other = Found("192.0.2.2", "icmp", name="b", neighbours=(Neighbour("Gi9", "a", remote_port="Gi1", forwards=True),))

    assert links_of([one, other]) == [
        Link("192.0.2.1", "Gi1", "192.0.2.2", "Gi9", "lldp", ("192.0.2.1", "192.0.2.2"), other_name="b")
    ]


def test_a_port_with_many_addresses_places_nobody() -> None:
    macs = [f"02:00:00:00:01:{number:02x}" for number in range(4)]
    switch = Found("192.0.2.1", "icmp", learned=tuple(("Gi24", mac) for mac in macs))
    hosts = [Found(f"192.0.2.{number + 10}", "icmp", macs=frozenset({mac})) for number, mac in enumerate(macs)]

    assert links_of([switch, *hosts]) == []


values = some.one_of(some.integers(), some.binary(max_size=8), some.text(max_size=8), some.floats())
indexes = some.lists(some.integers(0, 300).map(str), min_size=1, max_size=10).map(".".join)


@given(some.dictionaries(some.sampled_from(sorted(COLUMNS)), some.lists(some.tuples(indexes, values), max_size=5)))
def test_tables_of_any_content_are_read_without_a_fault(rows: dict[str, list[tuple[str, object]]]) -> None:
    device = described(Found("192.0.2.1", "icmp"), {}, rows)  # type: ignore[arg-type]

    assert all(len(mac) == 17 for _, mac in (*device.learned, *device.arp))
    links_of([device, Found("192.0.2.2", "icmp", macs=frozenset(mac for _, mac in device.learned))])
