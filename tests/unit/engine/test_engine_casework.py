"""What an incident shows when it is looked at whole: evidence for and against, areas, the order of restoring."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from smallsite import Night, hospital

from healthmon.impact.graph import NeedGraph
from healthmon.impact.grounds import Candidate, evidence_for, graph_of
from healthmon.impact.restore import restore_order
from healthmon.impact.wards import Computers, ward_impact
from healthmon.model.incident import Incident, ServiceState
from healthmon.model.sample import Reason
from healthmon.model.topology import Estate
from healthmon.web.casework import case_json, estate_order


def words(candidate: Candidate) -> tuple[set[str], set[str]]:
    return {one.what for one in candidate.speaks_for}, {one.what for one in candidate.speaks_against}


def named(night: Night, incident: Incident | None = None) -> Candidate:
    return evidence_for(incident or night.only(), night.view()).candidates[0]


def test_a_ward_switch_is_blamed_by_its_own_check_by_what_needs_it_and_by_time() -> None:
    night = Night(hospital()).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    root = named(night)
    assert (root.target, root.certainty) == ("sw-w7", "very likely")
    assert words(root) == ({"fails_itself", "explains", "about_then", "in_common"}, set())
    explains = next(one for one in root.speaks_for if one.what == "explains")
    assert explains.count == 5  # the printer and four PCs
    common = evidence_for(night.only(), night.view()).in_common[0]
    assert (common.attribute, common.value, common.healthy_count) == ("switch", "sw-w7", 0)


def test_a_core_whose_management_is_dead_has_what_speaks_against_it() -> None:
    night = Night(hospital()).run(40)
    night.deaf.add("sw-core")
    night.run(40)
    speaks_for, against = words(named(night))
    assert speaks_for == {"fails_itself"}
    assert against == {"behind_it_works"}


def test_vantage_points_that_contradict_are_shown_with_their_places() -> None:
    night = Night(hospital()).run(40)
    night.from_area[("ward-7", "ehr-web")] = Reason.TIMEOUT
    night.run(60)
    (sight,) = evidence_for(night.only(), night.view()).sights
    assert (sight.target, sight.check) == ("ehr-web", "read")
    assert sight.failing_from == ("ward-7",)
    assert sight.working_from == ("poller", "ward-8", "ward-9")
    assert "seen working from poller, ward-8, ward-9, failing from ward-7" in sight.text
    assert "seen_working" in words(named(night))[1]


def test_an_inferred_root_says_that_nobody_looks_at_it() -> None:
    estate = hospital()
    unwatched = replace(estate.targets["sw-w8"], checks=())
    night = Night(replace(estate, targets={**estate.targets, "sw-w8": unwatched})).run(40)
    night.down["sw-w8"] = Reason.TIMEOUT
    night.run(90)
    root = named(night)
    assert (root.target, root.certainty) == ("sw-w8", "likely")
    assert "nothing_seen_working" in words(root)[0]


def test_when_it_is_over_nothing_of_now_speaks_against_it() -> None:
    night = Night(hospital()).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    night.down.clear()
    night.run(60)
    assert words(named(night, night.only_or_mitigated()))[1] == set()


def test_a_blind_incident_speaks_of_what_was_not_reached() -> None:
    night = Night(hospital()).run(40)
    night.cut.add("poller")
    night.run(90)
    assert words(named(night))[0] >= {"nothing_reached"}


def with_functions(estate: Estate) -> Estate:
    services = {**estate.services}
    services["printing"] = replace(services["printing"], functions=("print", "badge"))
    return replace(estate, services=services)


def test_a_ward_loses_functions_by_name_and_its_pcs_are_counted() -> None:
    night = Night(with_functions(hospital())).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    (ward,) = ward_impact(night.only(), night.view())
    assert (ward.area, ward.beds, ward.functions_lost) == ("ward-7", 28, ("chart", "print", "badge"))
    assert ward.pcs == Computers(working=0, total=4)
    assert ward.works == ()
    assert ward.not_known == ()


def test_pcs_that_fail_by_themselves_are_counted_in_their_area() -> None:
    night = Night(with_functions(hospital())).run(40)
    night.quiet |= {"pc-w7-1", "pc-w7-2"}
    night.run(60)
    incident = night.only()
    assert not any(line.state is ServiceState.LOST for line in incident.impact)
    (ward,) = ward_impact(incident, night.view())
    assert (ward.area, ward.pcs, ward.functions_lost) == ("ward-7", Computers(working=2, total=4), ())


def test_what_still_works_is_named_only_with_a_proof_from_that_area() -> None:
    """Printing fails in ward 7; its PCs see the record working, the ED has nobody who looks."""
    night = Night(hospital()).run(60)
    night.down["prn-w7"] = Reason.TIMEOUT
    night.run(60)
    incident = night.only()
    (ward,) = ward_impact(incident, night.view())
    assert ward.functions_lost == ("print",)
    (proof,) = ward.works
    assert proof.service == "ehr"
    assert night.now - proof.proven_at <= 10.0 + 2.0 + 2.0
    assert ward.pcs == Computers(working=4, total=4)
    night.agents_see = False  # nobody in the ward looks any more: that it works is not known
    night.run(30)
    (ward,) = ward_impact(incident, night.view())
    assert (ward.works, ward.not_known) == ((), ("ehr",))


def test_the_restore_order_puts_what_others_need_first() -> None:
    estate = hospital()
    graph = NeedGraph(estate)
    stages = restore_order(graph, ["ehr", "ehr-web", "sw-core", "prn-w7", "sw-w7", "no-such-thing"])
    assert stages == (("sw-core",), ("ehr-web", "sw-w7"), ("ehr", "prn-w7"))


def test_the_whole_estate_comes_back_in_an_order_in_which_nothing_needs_what_is_later() -> None:
    night = Night(hospital())
    stages = estate_order(night.view())
    place = {id_: number for number, stage in enumerate(stages) for id_ in stage}
    graph = graph_of(night.estate)
    assert all(place[need] < place[id_] for id_ in place for need in graph.requires(id_))
    assert {"ehr", "sw-core", "sw-w7", "ehr-db-b"} <= place.keys()
    assert "lonely" not in place, "nothing that care needs rests on it"


def test_the_case_is_json_with_certainty_in_words() -> None:
    night = Night(hospital()).run(40)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    body = case_json(night.only(), night.view())
    assert body["evidence"]["candidates"][0]["certainty"] == "very likely"
    assert body["areas"][0]["functions_lost"] == ["chart", "print"]
    assert body["restore_order"][0] == ["sw-w7"]
    assert body["restore_order"][-1] == ["printing"]
    assert "ehr" in body["restore_order"][1]


def test_a_figure_that_moves_with_each_look_is_said_anew_every_half_minute() -> None:
    night = Night(hospital()).run(10)
    night.slow["ehr-web"] = 3.0
    night.run(20)
    said: list[str] = []
    for number in range(120):
        night.slow["ehr-web"] = 3.0 + number % 7 / 10.0
        said.append(night.run(1).only().title)
    changes = [after for before, after in pairwise(said) if after != before]
    assert 2 <= len(changes) <= 5
    night.down["ehr-web"] = Reason.TIMEOUT
    night.run(12)
    assert "slowly" not in night.only().title
