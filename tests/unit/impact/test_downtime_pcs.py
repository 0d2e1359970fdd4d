"""The nearest ready downtime PC: own first, then floor, building, site; never one that is not known to be ready."""

from __future__ import annotations

from healthmon.config.loading import load_text
from healthmon.impact.refuge import nearest

SITE = """
organisation: {id: small, name: Small}
sites: [{id: main, name: Main}, {id: south, name: South}]
areas:
  - {id: w1, name: W1, kind: ward, acuity: inpatient, site: main, downtime_pc: d1}
  - {id: w2, name: W2, kind: ward, acuity: inpatient, site: main, downtime_pc: d2}
  - {id: w3, name: W3, kind: ward, acuity: inpatient, site: main, downtime_pc: d3}
  - {id: w4, name: W4, kind: ward, acuity: inpatient, site: main, downtime_pc: d4}
  - {id: w5, name: W5, kind: ward, acuity: inpatient, site: south, downtime_pc: d5}
  - {id: w6, name: W6, kind: ward, acuity: inpatient, site: main}
targets:
  - {id: d1, kind: ward-workstation, address: 192.0.2.1, area: w1, labels: {building: a, floor: "1"}}
  - {id: d2, kind: ward-workstation, address: 192.0.2.2, area: w2, labels: {building: b, floor: "1"}}
  - {id: d3, kind: ward-workstation, address: 192.0.2.3, area: w3, labels: {building: a, floor: "2"}}
  - {id: d4, kind: ward-workstation, address: 192.0.2.4, area: w4, labels: {building: a, floor: "1"}}
  - {id: d5, kind: ward-workstation, address: 192.0.2.5, area: w5, labels: {building: a, floor: "1"}}
"""


def test_own_then_floor_then_building_then_site_and_no_other_site() -> None:
    estate = load_text(SITE, env={}).estate
    ready = {"d1", "d2", "d3", "d4", "d5"}
    found = []
    while (one := nearest(estate, "w1", ready.__contains__)) is not None:
        found.append((one.pc, one.distance))
        ready.discard(one.pc)
    assert found == [("d1", "own"), ("d4", "same floor"), ("d3", "same building"), ("d2", "same site")]
    assert nearest(estate, "w5", {"d1"}.__contains__) is None


def test_an_area_without_one_is_sent_to_the_first_of_its_site() -> None:
    found = nearest(load_text(SITE, env={}).estate, "w6", {"d2", "d3"}.__contains__)
    assert found is not None
    assert (found.pc, found.at, found.distance) == ("d2", "w2", "same site")
