"""Roots that the first look does not show: spares gone together, feeds, what all slow ones need, filters, warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from smallsite import FAILED_RULE, RULES, SLOW_RULE, Night, area, check, estate_of, hospital, target

from healthmon.model.alert import Below, Effect, NoData, Rule, Selector
from healthmon.model.incident import IncidentKind, Why
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, AtLeast, Estate, Service

TIMEOUT = Reason.TIMEOUT
PAIR = AtLeast(1, ("dist-a", "dist-b"))


def named(night: Night) -> tuple[str, tuple[str, ...]]:
    root = night.only().root
    assert root is not None
    return root.target, root.alternatives


def test_a_pair_of_distribution_switches_gone_is_one_incident() -> None:
    wards = [target(f"sw-{n}", "switch", PAIR, checks=(check("snmp"),)) for n in range(4)]
    pair = [target(id_, "switch", checks=(check("snmp"),)) for id_ in ("dist-a", "dist-b")]
    alone = target("lonely", "server", checks=(check("tcp"),))
    night = Night(estate_of([target("mon", "server"), alone, *pair, *wards], agents=[Agent("poller", "mon")])).run(30)
    night.down.update({"dist-a": TIMEOUT, "dist-b": TIMEOUT})
    night.run(40)
    assert named(night)[0] in ("dist-a", "dist-b")
    assert {member.key.target for member in night.only().members} == {
        "dist-a",
        "dist-b",
        *(f"sw-{n}" for n in range(4)),
    }
    assert [notice.why for notice in night.notices].count(Why.OPENED) == 1


def fed(**of_feed: bool) -> Estate:
    """Access points and phones on a switch that powers them; they are reached over it too, which nobody wrote down."""
    devices = [target(f"{kind}-{n}", kind, area="ward-7", checks=(check("icmp"),), labels={"feed": "sw"})
               for kind in ("access-point", "phone") for n in (1, 2)]  # fmt: skip
    things = [target("mon", "server"), target("sw", "switch", checks=(check("snmp"),)), *devices]
    return estate_of(things, [area("ward-7")], agents=[Agent("poller", "mon")])


def test_a_switch_that_powers_nothing_any_more_is_blamed_though_it_answers() -> None:
    night = Night(fed()).run(30)
    night.down.update(dict.fromkeys(("access-point-1", "access-point-2", "phone-1", "phone-2"), TIMEOUT))
    night.run(40)
    assert named(night)[0] == "sw"
    assert "4 that hang on sw fail at once; sw itself still answers" in night.only().plain_text


def test_what_rests_on_a_switch_that_answers_says_nothing_of_what_it_powered() -> None:
    """Six of fourteen phones lose their power: no service is mapped behind a phone, and that is never called mild."""
    phones = [
        target(
            f"phone-{n}", "phone", area="ward-7", checks=(check("icmp"),), labels={"feed": "sw-1" if n < 6 else "sw-2"}
        )
        for n in range(14)
    ]
    switches = [target(id_, "switch", checks=(check("snmp"),)) for id_ in ("sw-1", "sw-2")]
    things = [target("mon", "server"), target("web", "endpoint", checks=(check("http"),)), *switches, *phones]
    record = Service("ehr", "Patient record", 1, ("ward-7",), False, ("web",))
    ward = area("ward-7", AtLeast(1, ("sw-1", "sw-2")))
    night = Night(estate_of(things, [ward], [record], [Agent("poller", "mon")])).run(30)
    night.down.update({f"phone-{n}": TIMEOUT for n in range(6)})
    night.run(40)
    incident = night.only()
    assert named(night)[0] == "sw-1"
    assert (incident.impact, incident.impact_known, incident.severity) == ((), "none", 2)


@pytest.mark.parametrize(("lossy", "severity"), [(False, 2), (True, 3)])
def test_many_that_lose_packets_are_not_many_that_are_silent(lossy: bool, severity: int) -> None:
    """Six gauges behind a switch that nobody looks at and no service stands on: gone, or only heard badly."""
    loss = replace(SLOW_RULE, id="loss", on=Selector(probes=("icmp",)))
    gauges = [
        target(f"gauge-{n}", "gauge", "sw", area=f"ward-{n}", checks=(check("icmp", id_="read"),)) for n in range(6)
    ]
    things = [target("mon", "server"), target("web", "endpoint", checks=(check("http"),)), target("sw", "switch")]
    record = Service("ehr", "Patient record", 1, ("ward-1",), False, ("web",))
    estate = estate_of([*things, *gauges], [area(f"ward-{n}") for n in range(6)], [record], [Agent("poller", "mon")])
    night = Night(estate, rules=(FAILED_RULE, loss)).run(30)
    if lossy:
        night.slow.update({one.id: 6.0 for one in gauges})
    else:
        night.down.update({one.id: TIMEOUT for one in gauges})
    night.run(60)
    assert named(night)[0] == "sw"
    assert (night.only().impact, night.only().severity) == ((), severity)


def test_with_one_of_them_working_the_switch_is_not_blamed() -> None:
    night = Night(fed()).run(30)
    night.down.update(dict.fromkeys(("access-point-1", "phone-2"), TIMEOUT))
    night.run(40)
    assert "sw" not in {one.root.target for one in night.incidents() if one.root}


def test_a_feed_that_failed_first_is_the_cause_of_what_it_fed() -> None:
    ups = target("ups-1", "ups", checks=(check("tcp"),))
    switch = target("sw", "switch", checks=(check("snmp"),), labels={"feed": "ups-1"})
    night = Night(estate_of([target("mon", "server"), ups, switch], agents=[Agent("poller", "mon")])).run(30)
    night.down["ups-1"] = Reason.REFUSED
    night.run(30)
    night.down["sw"] = TIMEOUT
    night.run(40)
    assert named(night)[0] == "ups-1"
    assert {member.key.target for member in night.only().members} == {"ups-1", "sw"}


def powered_pair(*, ups_check: str = "snmp") -> Estate:
    """Two switches that stand in for one another, on one UPS whose card is reached over them (not written down)."""
    ups = target("ups-1", "ups", checks=(check(ups_check),))
    pair = [target(f"sw-{n}", "switch", checks=(check("icmp"),), labels={"feed": "ups-1"}) for n in "ab"]
    edge = target("sw-edge", "switch", AtLeast(1, ("sw-a", "sw-b")), checks=(check("icmp"),), area="ward-7")
    alone = target("lonely", "server", checks=(check("tcp"),))
    things = [target("mon", "server"), alone, ups, *pair, edge]
    return estate_of(things, [area("ward-7")], agents=[Agent("poller", "mon")])


def test_a_ups_that_fell_silent_without_a_warning_is_behind_the_switches_that_it_feeds() -> None:
    night = Night(powered_pair()).run(30)
    night.down.update(dict.fromkeys(("sw-a", "sw-b", "sw-edge", "ups-1"), TIMEOUT))
    night.run(60)
    assert named(night) == ("sw-a", ("ups-1",))
    assert {member.key.target for member in night.only().members} == {"sw-a", "sw-b", "sw-edge", "ups-1"}


def test_a_ups_that_says_why_is_the_cause_of_what_it_fed() -> None:
    night = Night(powered_pair(ups_check="tcp")).run(30)
    night.down["ups-1"] = Reason.REFUSED
    night.run(5)
    night.down.update(dict.fromkeys(("sw-a", "sw-b", "sw-edge"), TIMEOUT))
    night.run(60)
    assert named(night)[0] == "ups-1"


def test_a_ups_on_its_battery_that_then_falls_silent_with_all_that_it_fed_is_the_cause() -> None:
    """It said that it would end, in an answer that was good: that is no silence. What it fed are also two servers."""
    says = replace(SLOW_RULE, id="on-battery", on=Selector(kinds=("ups",)))
    pair = powered_pair(ups_check="http")
    servers = {
        id_: target(id_, "server", checks=(check("tcp"),), labels={"feed": "ups-1"}) for id_ in ("ad-1", "array-1")
    }
    night = Night(replace(pair, targets={**pair.targets, **servers}), rules=(FAILED_RULE, says)).run(30)
    night.slow["ups-1"] = 6.0
    night.run(30)
    night.down.update(dict.fromkeys(("sw-a", "sw-b", "sw-edge", "ups-1", *servers), TIMEOUT))
    night.run(60)
    assert named(night)[0] == "ups-1"
    assert {"sw-a", "sw-edge", *servers} <= {member.key.target for member in night.only().members}


def slow_site() -> Night:
    """Three front ends; two of them stand on one database, whose port always answers."""
    web, tcp = check("http"), check("tcp")
    bases = [target(id_, "database", "net", checks=(tcp,)) for id_ in ("db", "db-2")]
    things = [target("mon", "server"), target("net", "switch", checks=(check("snmp"),)), *bases]
    webs = [target(id_, "endpoint", need, checks=(web,)) for id_, need in (("a", "db"), ("b", "db"), ("c", "db-2"))]
    services = [Service(f"s-{one.id}", one.id, 1, ("ed",), True, (one.id,)) for one in webs]
    return Night(estate_of([*things, *webs], [area("ed")], services, [Agent("poller", "mon")])).run(30)


def test_what_all_the_slow_ones_need_and_no_quick_one_does_is_the_cause() -> None:
    night = slow_site()
    night.slow.update({"a": 6.0, "b": 6.0})
    night.run(60)
    assert named(night) == ("db", ())
    assert {line.service for line in night.only().impact} == {"s-a", "s-b"}


def shared_storage(*, hidden: bool = False) -> Night:
    """Five front ends on one array (`hidden`: two of them on another need only, as far as anybody wrote down)."""
    host = target("host", "hypervisor", checks=(check("icmp"),))
    arrays = [target(id_, "storage", checks=(check("icmp"),)) for id_ in ("array", "array-2")]
    rest = [(f"web-{n}", "array-2" if hidden and n > 3 else "array") for n in range(1, 6)]
    webs = [target(id_, "endpoint", need, "host", checks=(check("http"),)) for id_, need in rest]
    services = [Service(f"s-{one.id}", one.id, 1, ("ed",), True, (one.id,)) for one in webs]
    things = [target("mon", "server"), host, *arrays, *webs]
    return Night(estate_of(things, [area("ed")], services, [Agent("poller", "mon")])).run(30)


def test_slow_storage_is_one_incident_also_where_one_program_is_still_quick() -> None:
    night = shared_storage()
    night.slow.update({f"web-{n}": 6.0 for n in range(1, 5)})
    night.run(60)
    assert named(night)[0] in ("array", "host")
    assert {line.service for line in night.only().impact} == {f"s-web-{n}" for n in range(1, 5)}


def test_as_many_quick_ones_clear_what_they_share_with_the_slow_ones() -> None:
    night = shared_storage()
    night.slow.update({"web-1": 6.0, "web-2": 6.0})
    night.run(60)
    assert sorted(i.root.target for i in night.incidents() if i.root) == ["web-1", "web-2"]


def test_an_inventory_with_gaps_does_not_make_two_incidents_of_one_slow_night() -> None:
    night = shared_storage(hidden=True)
    night.slow.update({f"web-{n}": 6.0 for n in range(1, 6)})
    night.run(60)
    assert {line.service for line in night.only().impact} == {f"s-web-{n}" for n in range(1, 6)}


def unexplained(*needs: str) -> Night:
    """Front ends on what is named here, in order; `""`: nobody wrote down what it stands on."""
    bases = [target(id_, "database", "net", checks=(check("tcp"),)) for id_ in ("db-a", "db-b", "db-c")]
    webs = [
        target(f"web-{n}", "endpoint", *([need] if need else []), checks=(check("http"),))
        for n, need in enumerate(needs, start=1)
    ]
    services = [Service(f"s-{one.id}", one.id, 1, ("ed",), True, (one.id,)) for one in webs]
    things = [target("mon", "server"), target("net", "switch", checks=(check("snmp"),)), *bases, *webs]
    return Night(estate_of(things, [area("ed")], services, [Agent("poller", "mon")])).run(30)


def test_programs_that_turn_slow_in_the_same_moments_are_one_incident_where_the_inventory_says_nothing() -> None:
    night = unexplained("", "db-a", "db-a")
    night.slow["web-1"] = 6.0
    night.run(4)
    night.slow.update({"web-2": 6.0, "web-3": 6.0})
    night.run(60)
    assert named(night)[0] == "db-a"
    assert {line.service for line in night.only().impact} == {"s-web-1", "s-web-2", "s-web-3"}
    assert [notice.why for notice in night.notices].count(Why.OPENED) == 1


def test_three_that_turn_slow_at_once_are_one_incident_though_they_share_nothing_known() -> None:
    night = unexplained("db-a", "db-b", "db-c")
    night.slow.update({f"web-{n}": 6.0 for n in (1, 2, 3)})
    night.run(60)
    assert {line.service for line in night.only().impact} == {"s-web-1", "s-web-2", "s-web-3"}


def test_a_program_that_turns_slow_minutes_later_and_shares_nothing_is_an_incident_of_its_own() -> None:
    night = unexplained("", "db-a")
    night.slow["web-1"] = 6.0
    night.run(90)
    night.slow["web-2"] = 6.0
    night.run(60)
    assert sorted(i.root.target for i in night.incidents() if i.root) == ["web-1", "web-2"]


def test_what_nobody_measures_is_slow_with_the_storage_that_it_stands_on() -> None:
    """Three programs are seen slow; printing is only pinged, the archive is seen to be quick."""
    array = target("array", "storage", checks=(check("icmp"),))
    webs = [target(f"web-{n}", "endpoint", "array", checks=(check("http"),)) for n in (1, 2, 3)]
    quick = target("archive", "endpoint", "array", checks=(check("http"),))
    printing = target("printing", "print-server", "array", checks=(check("icmp"),))
    programs = (*webs, quick, printing)
    services = [Service(f"s-{one.id}", one.id, 1, ("ed",), True, (one.id,)) for one in programs]
    things = [target("mon", "server"), array, *programs]
    night = Night(estate_of(things, [area("ed")], services, [Agent("poller", "mon")])).run(30)
    night.slow.update({one.id: 6.0 for one in webs})
    night.run(60)
    assert named(night)[0] == "array"
    found = {line.service: line.state.value for line in night.only().impact}
    assert found == dict.fromkeys(("s-web-1", "s-web-2", "s-web-3", "s-printing"), "degraded")


def test_an_access_point_that_answers_does_not_prove_its_controller() -> None:
    """One controller, seen over SNMP only; its access points answer pings, and carry nobody any more."""
    points = [target(f"ap-{n}", "access-point", "wlc", area="ward-7", checks=(check("icmp"),)) for n in (1, 2)]
    controller = target("wlc", "wlan-controller", checks=(check("snmp"),))
    rounds = Service("observations", "Observations", 2, ("ward-7",), True, ("wlc",))
    alone = target("lonely", "server", checks=(check("tcp"),))
    things = [target("mon", "server"), alone, controller, *points]
    night = Night(estate_of(things, [area("ward-7")], [rounds], [Agent("poller", "mon")])).run(30)
    night.deaf.add("wlc")
    night.run(40)
    assert named(night)[0] == "wlc"
    assert [(line.service, line.state.value) for line in night.only().impact] == [("observations", "lost")]


def test_a_ping_of_a_server_does_not_prove_the_database_that_its_program_needs() -> None:
    """Two programs fail; a third on the same database is only pinged: the database, seen by nobody, is the cause."""
    webs = [target(f"web-{n}", "endpoint", "db", checks=(check("http"),)) for n in (1, 2)]
    pinged = target("web-3", "endpoint", "db", checks=(check("icmp"),))
    alone = target("lonely", "server", checks=(check("tcp"),))
    things = [target("mon", "server"), alone, target("db", "database"), *webs, pinged]
    night = Night(estate_of(things, agents=[Agent("poller", "mon")])).run(30)
    night.down.update({"web-1": Reason.BAD_STATUS, "web-2": Reason.BAD_STATUS})
    night.run(40)
    assert named(night)[0] == "db"


def test_one_slow_front_end_is_itself() -> None:
    night = slow_site()
    night.slow["a"] = 6.0
    night.run(60)
    assert named(night)[0] == "a"


def test_some_places_kept_from_a_program_that_works_elsewhere_point_at_the_firewall() -> None:
    estate = hospital(wards=4)
    wall = target("fw", "firewall", "sw-core", checks=(check("snmp"),))
    web = estate.targets["ehr-web"]
    estate = replace(estate, targets={**estate.targets, "fw": wall, "ehr-web": replace(web, needs=("fw",))})
    night = Night(estate).run(40)
    for ward in ("ward-7", "ward-9"):
        night.from_area[(ward, "ehr-web")] = TIMEOUT
    night.run(60)
    assert named(night) == ("fw", ("ehr-web",))
    assert {line.area for line in night.only().impact} == {"ward-7", "ward-9"}


def test_a_filter_is_not_blamed_for_what_is_slow_from_some_places() -> None:
    """It lets through or it does not; it makes nothing slow."""
    estate = hospital(wards=4)
    wall = target("fw", "firewall", "sw-core", checks=(check("snmp"),))
    web = estate.targets["ehr-web"]
    estate = replace(estate, targets={**estate.targets, "fw": wall, "ehr-web": replace(web, needs=("fw",))})
    night = Night(estate).run(40)
    night.slow_from |= {("ward-7", "ehr-web"): 6.0, ("ward-9", "ehr-web"): 6.0}
    night.run(60)
    assert named(night)[0] == "ehr-web"
    assert {(line.area, line.state.value) for line in night.only().impact} == {
        ("ward-7", "degraded"),
        ("ward-9", "degraded"),
    }


def test_what_says_itself_that_it_is_not_well_is_the_cause_of_what_hangs_on_it() -> None:
    """The array reports a failed part; the program on it turns slow."""
    part = replace(
        FAILED_RULE, id="part", on=Selector(kinds=("storage",)), effect=RULES[3].effect, certainty="threshold"
    )
    array = target("array", "storage", checks=(check("snmp"),))
    web = target("web", "endpoint", "array", checks=(check("http"),))
    estate = estate_of([target("mon", "server"), array, web], agents=[Agent("poller", "mon")])
    night = Night(estate, rules=(part, replace(FAILED_RULE, on=Selector(probes=("http",))), SLOW_RULE)).run(30)
    night.deaf.add("array")
    night.slow["web"] = 6.0
    night.run(60)
    assert named(night)[0] == "array"


def test_a_switch_that_loses_packets_is_no_less_to_blame_for_letting_some_through() -> None:
    """What is behind it is reached and slow; one lossy switch with everything behind it well is only worth a look."""
    lossy = replace(SLOW_RULE, id="loss", on=Selector(probes=("http",)))
    estate = hospital()
    switch = replace(estate.targets["sw-w7"], checks=(check("http"),))
    printer = replace(estate.targets["prn-w7"], checks=(check("http"),))
    targets = {**estate.targets, "sw-w7": switch, "prn-w7": printer}
    night = Night(replace(estate, targets=targets), rules=(lossy, RULES[0], RULES[2])).run(40)
    night.slow["sw-w7"] = 5.0
    night.run(40)
    assert not night.only().impact
    night.slow["prn-w7"] = 5.0
    night.run(40)
    assert named(night)[0] == "sw-w7"
    assert {(line.area, line.state.value) for line in night.only().impact} == {("ward-7", "degraded")}


def lossy_ward(*, behind: int, of: int = 4, every_s: float = 120.0) -> Night:
    """A switch that loses packets, and so many printers behind it that do, of so many; looked at rarely."""
    lossy = replace(SLOW_RULE, id="loss", on=Selector(probes=("http",)))
    printers = [
        target(f"prn-{n}", "label-printer", "sw", area="ward-7", checks=(check("http", every_s),)) for n in range(of)
    ]
    things = [target("mon", "server"), target("web", "endpoint", checks=(check("tcp"),))]
    things += [target("sw", "switch", checks=(check("http"),)), *printers]
    record = Service("ehr", "Patient record", 1, ("ward-7",), False, ("web",))
    estate = estate_of(things, [area("ward-7", "sw")], [record], [Agent("poller", "mon")])
    night = Night(estate, rules=(lossy, FAILED_RULE)).run(130)
    night.slow["sw"] = 5.0
    night.slow.update({f"prn-{n}": 5.0 for n in range(behind)})
    return night.run(125)


def test_two_that_lose_packets_behind_a_switch_that_does_need_not_be_confirmed_each() -> None:
    assert not lossy_ward(behind=1).only().impact, "one may be chance"
    night = lossy_ward(behind=2)
    assert named(night)[0] == "sw"
    assert {(line.area, line.state.value) for line in night.only().impact} == {("ward-7", "degraded")}


def test_one_bad_device_among_many_behind_a_switch_that_answers_badly_is_no_loss_of_the_ward() -> None:
    """Many switches answer pings late or not at all when they have better to do, and pass everything on."""
    night = lossy_ward(behind=1, of=12, every_s=10.0)
    assert "prn-0" in {alert.key.target for alert in night.view().alerts if alert.active}
    assert not [line for one in night.incidents() for line in one.impact]


def test_two_devices_gone_from_one_area_say_what_only_they_have() -> None:
    """Two are too few for a test of chance; what all of them have and hardly any other is a hint all the same."""
    phones = [
        target(f"phone-{n}", "phone", area=f"ward-{7 + n // 2}", checks=(check("icmp"),),
               labels={"scope": f"scope-{n // 2}", "image": "gold"})
        for n in range(6)
    ]  # fmt: skip
    alone = target("lonely", "server", checks=(check("tcp"),))
    estate = estate_of([target("mon", "server"), alone, *phones], [area(f"ward-{n}") for n in (7, 8, 9)],
                       agents=[Agent("poller", "mon")])  # fmt: skip
    night = Night(estate).run(30)
    night.down.update({"phone-2": TIMEOUT, "phone-3": TIMEOUT})
    night.run(60)
    assert "2 of 2 devices (phone)" in night.only().plain_text
    assert "all of them have scope scope-1 (2 of 2)" in night.only().plain_text
    assert "gold" not in night.only().plain_text


def bedside(*, switch: str = "switch") -> Night:
    """Four phones that are looked at once a minute, behind one thing that is looked at often."""
    phones = [
        target(f"phone-{n}", "phone", "hub", area="ward-7", checks=(check("icmp", every_s=60.0),)) for n in range(4)
    ]
    alone = target("lonely", "server", checks=(check("tcp"),))
    things = [target("mon", "server"), alone, target("hub", switch, checks=(check("snmp"),)), *phones]
    return Night(estate_of(things, [area("ward-7")], agents=[Agent("poller", "mon")])).run(70)


def test_devices_behind_a_dead_switch_count_before_they_are_missed() -> None:
    night = bedside()
    night.down.update(dict.fromkeys(("hub", *(f"phone-{n}" for n in range(4))), TIMEOUT))
    night.run(15)
    alone = bedside(switch="wlan-controller")
    alone.down["hub"] = TIMEOUT
    alone.run(15)
    assert night.only().severity < alone.only().severity, "what needs a controller is not cut off with it"


@dataclass
class Warned(Night):
    """A storage array whose page says how long its certificate is good, and whether a part is well."""

    ends_in_s: float = 300 * 86_400.0
    well: bool = True

    def look(self, target_id: str, check_id: str, vantage: str) -> Reading:
        seen = super().look(target_id, check_id, vantage)
        if target_id != "san" or seen.outcome is not Outcome.OK:
            return seen
        said = (
            Sample("tls", "expires_seconds", self.ends_in_s),
            Sample("snmp_component", "ok", float(self.well)),
        )
        return replace(seen, samples=(*seen.samples, *said))


PART_RULE = Rule(
    id="part-failed",
    on=Selector(probes=("http",)),
    condition=Below("snmp_component.ok", 1.0),
    effect=Effect.WARNING,
    no_data=NoData.HOLD,
    summary="a part of {target} is not well",
)


@pytest.mark.parametrize(("part", "root"), [(True, "san"), (False, "db")])
def test_a_part_that_is_unwell_is_a_cause_and_a_certificate_that_will_end_is_none(part: bool, root: str) -> None:
    things = [
        target("mon", "server"),
        target("san", "storage", checks=(check("http"),)),
        target("db", "database", "san", checks=(check("tcp"),)),
    ]
    record = Service("ehr", "Patient record", 1, ("ward-7",), True, ("db",))
    estate = estate_of(things, [area("ward-7")], [record], [Agent("poller", "mon")])
    night = Warned(estate, rules=(*RULES, PART_RULE)).run(20)
    if part:
        night.well = False
    else:
        night.ends_in_s = 5 * 86_400.0
    night.run(30)
    night.down["db"] = Reason.REFUSED
    night.run(40)
    hurt = next(one for one in night.incidents() if one.impact and one.kind is IncidentKind.INCIDENT)
    assert hurt.root is not None
    assert hurt.root.target == root
