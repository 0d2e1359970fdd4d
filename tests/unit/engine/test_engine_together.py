"""Things that go at once: one incident that says what they share, and faults that are a supplier's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from mutenights import add, change
from smallsite import RULES, Night, check, estate_of, hospital, target

from healthmon.model.incident import Incident, IncidentKind, IncidentState, Why
from healthmon.model.sample import Reason
from healthmon.model.topology import Agent, Estate, Target, Team
from healthmon.web.explanation import explanation, words


def labelled(estate: Estate, labels: Mapping[str, Mapping[str, str]]) -> Estate:
    targets = {id_: replace(one, labels=labels.get(id_, {})) for id_, one in estate.targets.items()}
    return replace(estate, targets=targets)


def wide(*, wards: int = 8, pcs: int = 6) -> Estate:
    """Many wards; of every ward's PCs the first three have the new image, the rest the old."""
    estate = hospital(wards=wards, pcs=pcs)
    return labelled(
        estate,
        {
            id_: {"image": "new" if int(id_[-1]) <= 3 else "old", "vlan": f"v{int(id_[-1]) % 2}"}
            for id_ in estate.targets
            if id_.startswith("pc-")
        },
    )


def opened(night: Night) -> list[Incident]:
    return [one for one in night.incidents(open_only=False) if one.merged_into is None]


def test_a_bad_image_on_half_of_the_pcs_is_one_incident_that_names_the_image() -> None:
    night = Night(wide(), rules=RULES).run(40)
    image = [id_ for id_, one in night.estate.targets.items() if one.labels.get("image") == "new"]
    night.quiet.update(set(image) - {"pc-w9-1"})  # one with the image is switched on late and well
    night.run(90)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.in_common == ("image new",)
    assert "23 gone at once (silent); in common: image new; 1 with the same are well" in incident.title
    assert {member.key.target for member in incident.members} == set(image) - {"pc-w9-1"}
    assert incident.severity == 1, "half of the PCs of eight wards: work slowed down on many wards, now"
    assert len(opened(night)) == 1
    assert [notice.why for notice in night.notices if notice.incident == incident.id].count(Why.OPENED) == 1


def test_what_is_switched_off_is_no_counter_example_and_explain_names_what_is_shared() -> None:
    night = Night(wide(), rules=RULES).run(40)
    image = sorted(id_ for id_, one in night.estate.targets.items() if one.labels.get("image") == "new")
    off = {id_ for id_ in image if id_.endswith("-1")} - {"pc-w9-1"}
    for pc in sorted(off):
        night.quiet.add(pc)
        night.engine.heard(pc, "stopped", night.now)
    night.run(20)
    night.quiet.update(set(image) - {"pc-w9-1"})
    night.run(90)
    incident = night.only()
    assert "16 gone at once (silent); in common: image new; 1 with the same are well" in incident.title
    said = words(explanation(incident, night.view(), [], []))
    assert "very likely: what they share, image new; the first was pc-w10-2" in said
    assert "in common: 16 of 16 that fail have image new in common; 1 with the same are well" in said
    assert "corrected for" in said
    assert "well with the same: 1, for example pc-w9-1" in said
    assert "fails too and does not need" not in said


def test_planned_work_is_named_where_those_that_it_is_on_go_and_the_others_stay() -> None:
    night = Night(wide(), rules=RULES).run(40)
    patched = [f"pc-w{ward}-{pc}" for ward in range(7, 15) for pc in (3, 4)]
    add(night, change(*patched, expected=(), id="wave-1"))
    add(night, change("prn-w8", expected=("down",), id="printer"))
    night.quiet.update(set(patched) - {"pc-w9-3"})
    night.run(90)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.in_common == ("change wave-1",)
    assert "15 gone at once (silent); in common: change wave-1; 1 with the same are well" in incident.title
    said = words(explanation(incident, night.view(), [], []))
    assert "15 of 15 that fail have change wave-1 in common; 1 with the same are well" in said


def test_work_that_was_over_long_before_is_not_named() -> None:
    night = Night(wide(), rules=RULES).run(40)
    patched = [f"pc-w{ward}-{pc}" for ward in range(7, 15) for pc in (3, 4)]
    add(night, change(*patched, expected=(), id="wave-1", minutes=2))
    night.run(1800, step=5.0)
    night.quiet.update(patched)
    night.run(90)
    assert all(one.root is not None and one.root.in_common == () for one in night.incidents())


def test_what_spreads_over_an_hour_stays_one_incident() -> None:
    night = Night(wide(), rules=RULES).run(40)
    image = sorted(id_ for id_, one in night.estate.targets.items() if one.labels.get("image") == "new")
    for number in range(0, len(image), 2):
        night.quiet.update(image[number : number + 2])
        night.run(120, step=6.0)
    assert night.only().root is not None
    assert {member.key.target for member in night.only().members} == set(image)


def test_pcs_that_share_nothing_but_the_hour_are_not_made_one() -> None:
    night = Night(wide(), rules=RULES).run(40)
    night.quiet.update({"pc-w7-1", "pc-w8-4", "pc-w9-2", "pc-w10-5", "pc-w11-3", "pc-w12-6"})
    night.run(90)
    assert {len(one.members) for one in night.incidents()} == {1}
    assert all(one.root is not None and one.root.in_common == () for one in night.incidents())


def test_switches_on_one_power_feed_are_blamed_on_the_feed_that_nobody_looks_at() -> None:
    estate = hospital(wards=20, pcs=0)
    feed = target("pdu-3", "pdu")
    estate = replace(estate, targets={**estate.targets, "pdu-3": feed})
    fed = [f"sw-w{n}" for n in range(7, 13)]
    labels = {id_: {"power_feed": "pdu-3" if id_ in fed else f"pdu-{10 + n % 3}"}
              for n, id_ in enumerate(estate.targets) if id_.startswith("sw-w")}  # fmt: skip
    night = Night(labelled(estate, labels)).run(40)
    night.down.update(dict.fromkeys(fed, Reason.TIMEOUT))
    night.run(60)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.reason) == ("pdu-3", "inferred")
    assert "power feed pdu-3" in incident.title
    assert {line.area for line in incident.impact if line.service == "ehr"} == {f"ward-{n}" for n in range(7, 13)}


def national(*, own_line: bool, label: bool = True) -> Estate:
    """A national service beyond our firewall; the firewall is looked at, or only what is behind it is."""
    fw = target("fw", "firewall", checks=(check("icmp"),) if own_line else ())
    spine = Target("spine", "Spine", "endpoint", "https://spine.example", "main", None, ("fw",), "desk",
                   (check("http"),), {"supplier": "National service"} if label else {})  # fmt: skip
    return replace(
        estate_of(
            [target("mon", "server"), fw, spine, target("mail", "endpoint", "fw", checks=(check("http"),))],
            agents=[Agent("poller", "mon")],
        ),
        teams={"desk": Team("desk", "National desk", desk="0300 000 0000", supplier=not label)},
    )


@pytest.mark.parametrize(("own_line", "label", "name"), [
    (True, True, "National service"), (False, True, "National service"), (True, False, "National desk"),
])  # fmt: skip
def test_our_side_works_and_the_supplier_is_gone(own_line: bool, label: bool, name: str) -> None:
    night = Night(national(own_line=own_line, label=label)).run(40)
    night.down["spine"] = Reason.TIMEOUT
    night.run(40)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.supplier, incident.team) == ("spine", name, "desk")
    assert f"This is with {name}: our own side of the way there was seen working." in incident.plain_text


def test_a_team_of_ours_with_a_help_desk_is_no_supplier() -> None:
    ours = {"apps": Team("apps", "Applications", desk="2222")}
    estate = hospital(wards=2, pcs=2)
    web = replace(estate.targets["ehr-web"], team="apps")
    night = Night(replace(estate, teams=ours, targets={**estate.targets, "ehr-web": web})).run(40)
    night.down["ehr-web"] = Reason.REFUSED
    night.run(40)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.supplier, incident.team) == ("ehr-web", None, "apps")
    assert "Nobody here can mend it" not in incident.plain_text


def test_our_own_firewall_is_not_the_suppliers_fault() -> None:
    night = Night(national(own_line=True)).run(40)
    night.down["fw"] = Reason.TIMEOUT
    night.run(40)
    incident = night.only()
    assert incident.root is not None
    assert (incident.root.target, incident.root.supplier) == ("fw", None)


def test_what_is_put_down_to_our_blindness_goes_home_when_it_fails_by_itself() -> None:
    """A switch fails again while we are cut off; afterwards its old incident opens again, and the words fit."""
    night = Night(hospital()).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    first = night.only().id
    night.down.clear()
    night.run(60)
    night.cut.add("poller")
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    night.cut.clear()
    night.run(120)
    by_id = {one.id: one for one in night.incidents(open_only=False)}
    assert sorted(one.kind for one in by_id.values()) == [IncidentKind.BLIND, IncidentKind.INCIDENT]
    again = by_id[first]
    assert (again.state, again.episode) == (IncidentState.OPEN, 2)
    assert not any(entry.what == "moved" for entry in again.timeline)


def test_severity_rises_at_once_and_falls_only_after_it_has_stood() -> None:
    """The ED's second switch comes and goes every two minutes: no page says `worse` more than once."""
    night = Night(hospital()).run(40)
    night.down.update({"sw-ed-a": Reason.TIMEOUT, "sw-w7": Reason.TIMEOUT, "sw-ed-b": Reason.TIMEOUT})
    night.run(60)
    assert min(one.severity for one in night.incidents()) == 2
    for _ in range(4):
        del night.down["sw-ed-b"]
        night.run(120, step=1.0)
        night.down["sw-ed-b"] = Reason.TIMEOUT
        night.run(120, step=1.0)
    changes = [e for one in night.incidents(open_only=False) for e in one.timeline if e.what == "severity"]
    assert len(changes) <= 1
