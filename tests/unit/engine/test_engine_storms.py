"""What is taken over from one look to the next, so that a storm is cheap, and when it is not."""

from __future__ import annotations

from smallsite import Night, area, areas_lost, check, estate_of, hospital, target

from healthmon.model.alert import AlertKey
from healthmon.model.sample import Reason
from healthmon.model.topology import Agent


def test_a_thing_that_only_one_looks_at_is_weighed_anew_once_somebody_else_looks() -> None:
    night = Night(hospital(poller_hop=False), agents_see=False).run(40)
    night.from_poller["ehr-web"] = Reason.TIMEOUT
    night.run(40)
    assert areas_lost(night.only()) == {"ed", "ward-7", "ward-8", "ward-9"}
    night.agents_see = True
    night.run(40)
    assert not areas_lost(night.only(), "lost") & {"ward-7", "ward-8", "ward-9"}


def test_a_storm_has_one_root_whatever_was_known_of_its_devices_before() -> None:
    """Half of the phones fail by themselves minutes before the switch that all of them hang on."""
    phones = [target(f"phone-{n}", "phone", "sw", area="ward-7", checks=(check("icmp"),)) for n in range(40)]
    things = [target("mon", "server"), target("other", "server", checks=(check("tcp"),))]
    things += [target("sw", "switch", checks=(check("snmp"),)), *phones]
    night = Night(estate_of(things, [area("ward-7")], agents=[Agent("poller", "mon")])).run(30)
    night.down.update({f"phone-{n}": Reason.TIMEOUT for n in range(20)})
    night.run(60)
    night.down["sw"] = Reason.TIMEOUT
    night.run(60)
    root = night.only().root
    assert root is not None
    assert root.target == "sw"
    assert {member.key.target for member in night.only().members} == {"sw", *(one.id for one in phones)}


def test_a_key_is_found_again_whatever_it_was_asked_before() -> None:
    """Its hash is remembered in the key itself, and is no part of what it is."""
    first, second = AlertKey("r", "t", "c", "v", (("disk", "a"),)), AlertKey("r", "t", "c", "v", (("disk", "a"),))
    assert {first: 1}[second] == 1
    assert first == second
    assert repr(first) == repr(second)
