"""The evidence graph and the map of needs, from a view alone."""

from __future__ import annotations

from dataclasses import replace

from daemons.webboard import NOW, blind, sample_view, severe
from healthmon.model.alert import AlertKey, Effect
from healthmon.model.incident import Member, Root
from healthmon.model.sample import Outcome
from healthmon.model.topology import Target
from healthmon.model.view import TargetStatus, View
from healthmon.web.evidencegraph import AREAS_MOST, MEMBERS_MOST, cause_words, evidence_graph
from healthmon.web.needmap import BOXES_MOST, Wanted, need_map


def test_the_cause_stands_left_then_members_services_and_areas() -> None:
    found = {box.id: box for box in evidence_graph(severe(), sample_view()).boxes}
    assert found["ehr-web"].role == "cause"
    assert found["ehr-web"].lines == ("ehr-web", "answers with an error", "very likely the cause")
    assert found["sw-core"].role == "maybe"
    assert found["service:ehr"].lines == ("not available", "in 6 areas")
    assert found["ehr-web"].x < found["service:ehr"].x < found["area:ed"].x
    assert found["area:ed"].state == "lost"
    assert found["area:ward-8"].symbol == "△"


def test_every_area_hit_is_reached_by_a_line() -> None:
    drawn = evidence_graph(severe(), sample_view())
    areas = [box for box in drawn.boxes if box.role == "area"]
    ends = {" ".join(wire.d.replace("H", " ").split()[-2:]) for wire in drawn.wires}
    assert areas
    for box in areas:
        assert f"{box.x} {box.y + box.height // 2}" in ends, box.id


def test_hundreds_of_members_and_areas_are_counted_not_drawn() -> None:
    view = sample_view()
    extra = {
        f"pc-{n}": Target(f"pc-{n}", f"pc-{n}", "workstation", "192.0.2.9", "main", "ed", ("sw-ed",))
        for n in range(500)
    }
    estate = replace(view.estate, targets={**view.estate.targets, **extra})
    members = tuple(
        Member(AlertKey("check-failed", id_, "icmp", "poller"), Effect.DOWN, NOW - 60, "timeout", None, "sw-ed")
        for id_ in extra
    )
    cut = replace(severe(), root=Root("sw-ed", "icmp", "timeout", 0.9), members=members)
    drawn = evidence_graph(cut, replace(view, estate=estate))
    more = next(box for box in drawn.boxes if box.id == "*members")
    assert more.title == f"{500 - MEMBERS_MOST} more targets"
    assert more.lines == (f"{500 - MEMBERS_MOST} of them fail now",)
    assert drawn.left_out >= 500 - MEMBERS_MOST
    assert len(drawn.boxes) < 40 > AREAS_MOST


def test_an_incident_whose_cause_is_not_known_is_drawn_all_the_same() -> None:
    assert evidence_graph(replace(severe(), root=None), sample_view()).boxes
    assert evidence_graph(blind(), sample_view()).boxes


def test_certainty_is_said_in_words() -> None:
    assert cause_words(Root("a", "up", "timeout", 0.95)) == "very likely the cause"
    assert cause_words(Root("a", "up", "timeout", 0.7)) == "likely the cause"
    assert cause_words(Root("a", "up", "timeout", 0.4, ("b",))) == "one of these"


def test_the_map_of_one_area_holds_what_it_rests_on_and_nothing_else() -> None:
    found = need_map(sample_view(), Wanted(area="ward-7"))
    ids = {box.id for box in found.drawing.boxes}
    assert {"area:ward-7", "sw-ward-7", "sw-core", "ehr", "ehr-web", "db-a"} <= ids
    assert not {"sw-ed", "area:ed", "transfusion"} & ids


def test_the_map_of_one_target_holds_what_rests_on_it() -> None:
    found = need_map(sample_view(), Wanted(target="sw-ward-7"))
    assert {box.id for box in found.drawing.boxes} == {"sw-ward-7", "sw-core", "pc-w7-01", "area:ward-7"}


def test_only_what_does_not_work_with_what_it_rests_on() -> None:
    found = need_map(sample_view(), Wanted(amiss=True))
    ids = {box.id for box in found.drawing.boxes}
    assert {"ehr-web", "sw-core", "ehr"} <= ids
    assert "ehr-ro" not in ids


def test_what_is_alike_and_answers_is_one_box_and_what_fails_stands_alone() -> None:
    view = wide_view(3000)
    found = need_map(view, Wanted())
    boxes = {box.id: box for box in found.drawing.boxes}
    assert "2999 workstations answer" in {box.title for box in boxes.values()}
    assert boxes["pc-7"].state == "lost"
    assert len(boxes) <= BOXES_MOST
    assert found.things > 3000


def test_a_need_of_one_of_several_is_a_broken_line() -> None:
    drawn = need_map(sample_view(), Wanted(service="epma")).drawing
    assert {wire.says for wire in drawn.wires if wire.kind.startswith("any")} == {"epma needs 1 of db-a, db-b"}


def test_an_unknown_id_draws_nothing() -> None:
    assert need_map(sample_view(), Wanted(target="nowhere")).drawing.boxes == ()


def workstations(count: int) -> dict[str, Target]:
    made = [Target(f"pc-{n}", f"pc-{n}", "workstation", "192.0.2.9", "main", "ed", ("sw-ed",)) for n in range(count)]
    return {target.id: target for target in made}


def wide_view(count: int) -> View:
    """Many workstations on one switch; one of them fails."""
    view = sample_view()
    extra = {
        f"pc-{n}": Target(f"pc-{n}", f"pc-{n}", "workstation", "192.0.2.9", "main", "ed", ("sw-ed",))
        for n in range(count)
    }
    seen = {id_: TargetStatus(id_, Outcome.OK, "", NOW - 100, NOW) for id_ in extra}
    seen["pc-7"] = TargetStatus("pc-7", Outcome.FAILED, "timeout", NOW - 100, NOW)
    estate = replace(view.estate, targets={**view.estate.targets, **extra})
    return replace(view, estate=estate, targets={**view.targets, **seen})
