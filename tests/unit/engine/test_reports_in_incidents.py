"""What wards say: it joins the fault that is known, else opens an incident; it keeps one open; it wakes people."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutenights import mute_target
from smallsite import T0, Night, hospital

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.incidents.reports import Placed
from healthmon.model.incident import Incident, IncidentState, Policy, Step, Why
from healthmon.model.render import incident_json
from healthmon.model.report import Filed, Said
from healthmon.model.sample import Reason

NIGHT = T0 + 17 * 3600.0  # 03:00 the next morning in London
IDS = count()
NOBODY, ONE, LATER = Said


def say(night: Night, area: str = "ward-7", service: str = "ehr", effect: Said = NOBODY, text: str = "") -> Placed:
    filed = Filed(f"f{next(IDS)}", night.now, area, service, effect, text)
    return night.engine.report(filed, night.now)


def quiet_night(**more: object) -> Night:
    return Night(hospital(wards=3, pcs=1), **more).run(40)  # type: ignore[arg-type]


def whys(night: Night) -> list[Why]:
    return [notice.why for notice in night.notices]


def test_a_report_joins_the_fault_that_takes_the_service_from_the_ward() -> None:
    night = quiet_night()
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    known = night.only()
    placed = say(night)
    assert placed.incident.id == known.id
    assert not placed.joined
    found = night.run(5).only()
    assert (found.first_human_report_at, found.reports[0].area) == (placed.report.first_at, "ward-7")
    assert incident_json(found)["lead_s"] == found.reports[0].first_at - found.opened_at > 0


def test_the_same_ward_again_raises_the_count_and_opens_nothing() -> None:
    night = quiet_night()
    first = say(night)
    for _ in range(50):
        again = say(night, effect=ONE)
    assert again.joined
    assert again.incident.id == first.incident.id
    assert (again.report.count, again.report.effect) == (51, NOBODY)
    assert len(night.run(2).incidents()) == 1
    assert sum(entry.what == "report" for entry in again.incident.timeline) == 1


@pytest.mark.parametrize(("effect", "severity", "paged"), [(NOBODY, 2, True), (ONE, 3, False), (LATER, 4, False)])
def test_at_three_in_the_night_only_a_ward_that_cannot_work_wakes_somebody(
    effect: Said, severity: int, paged: bool
) -> None:
    night = Night(hospital(wards=3, pcs=1), now=NIGHT).run(40)
    placed = say(night, effect=effect)
    night.run(30)
    found = night.only()
    assert (found.id, found.severity, found.root) == (placed.incident.id, severity, None)
    assert bool(night.notices) is paged
    assert paged or [row.cause for row in night.ledger if row.incident == found.id] == ["not_woken"]


def test_two_areas_in_ten_minutes_are_one_incident_of_severity_2() -> None:
    night = quiet_night()
    say(night, "ward-7", "ehr", ONE)
    night.run(300, step=5)
    second = say(night, "ward-8", "printing", ONE)
    assert second.incident.severity == 2
    assert {one.area for one in second.incident.reports} == {"ward-7", "ward-8"}
    assert len(night.run(2).incidents()) == 1


def test_two_areas_an_hour_apart_with_different_troubles_stay_two() -> None:
    night = quiet_night()
    say(night, "ward-7", "ehr", ONE)
    night.run(3600, step=30)
    assert say(night, "ward-8", "printing", ONE).incident.severity == 3
    assert len(night.run(2).incidents()) == 2


def test_what_monitoring_sees_later_joins_what_people_said_first_and_nobody_is_paged_as_new() -> None:
    night = quiet_night()
    first = say(night)
    night.run(3)
    night.act("ack", first.incident.id)
    paged = len(night.notices)
    night.down["sw-w7"] = Reason.TIMEOUT
    found = night.run(60).only()
    assert (found.id, found.owner) == (first.incident.id, "kim")
    assert found.root is not None
    assert found.root.target == "sw-w7"
    assert incident_json(found)["lead_s"] <= 0
    assert Why.OPENED not in whys(night)[paged:]


def test_still_not_working_opens_it_again_and_no_look_closes_it() -> None:
    night = quiet_night()
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    night.act("ack", night.only().id)
    night.down.clear()
    night.run(60)
    over = night.only_or_mitigated()
    assert over.state is IncidentState.MITIGATED
    placed = say(night, effect=ONE)
    assert (placed.incident.id, placed.incident.state) == (over.id, IncidentState.OPEN)
    assert placed.report.again_at == (night.now,)
    night.run(4000, step=20)
    assert night.only().state is IncidentState.OPEN
    assert whys(night)[-1] is Why.OPENED  # its owner hears of it again
    night.act("mitigate", over.id)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED


def test_what_was_closed_too_early_is_opened_again_by_its_ward() -> None:
    night = quiet_night()
    first = say(night)
    night.act("resolve", first.incident.id, reason="restarted", impact="none known")
    night.run(600, step=10)
    again = say(night)
    assert again.incident.id == first.incident.id
    assert again.incident.state is IncidentState.OPEN
    assert again.report.again_at


def test_what_people_reported_ends_only_by_a_person() -> None:
    night = quiet_night()
    first = say(night, effect=LATER)
    night.engine.works_again(first.incident.id, "ward-7", night.now)
    night.run(4000, step=20)
    found = night.only()
    assert found.reports[0].works_at is not None
    night.act("resolve", found.id, reason="new cable")
    assert night.incidents() == []


def test_no_silence_hides_a_ward_that_cannot_work() -> None:
    night = quiet_night()
    mute_target(night, "sw-w7")
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    assert night.notices == []
    say(night)
    night.run(10)
    assert whys(night)


def test_in_shadow_mode_nobody_is_paged_and_the_ledger_says_so() -> None:
    night = quiet_night(settings=EngineSettings(mode="shadow"))
    placed = say(night)
    night.run(5)
    assert night.notices == []
    assert [row.cause for row in night.ledger if row.incident == placed.incident.id] == ["shadow"]


def test_a_mild_fault_that_stops_a_ward_is_severity_2_and_stays_it() -> None:
    night = Night(hospital(wards=3, pcs=1), now=NIGHT).run(40)
    night.down["prn-w7"] = Reason.TIMEOUT
    night.run(40)
    assert (night.only().severity, night.notices) == (3, [])
    say(night, service="printing")
    night.run(900, step=5)
    assert night.only().severity == 2
    assert night.notices


def test_nobody_knows_the_place_and_it_still_counts() -> None:
    night = quiet_night()
    placed = say(night, area="", service="")
    again = say(night, area="", service="")
    assert (again.incident.id, again.report.count) == (placed.incident.id, 2)
    found = night.run(5).only()
    assert (found.impact, found.impact_known) == ((), "none")
    assert whys(night) == [Why.OPENED]


def test_a_restart_keeps_what_wards_said() -> None:
    night = quiet_night(policies=(Policy("all", (Step(0.0, ("pager",)),), (1, 2, 3)),))
    say(night)
    night.run(3)
    before = night.only()
    copy = msgspec.json.decode(msgspec.json.encode(before), type=Incident)
    assert copy == before
    night.engine = night.make(night.journal.restored())
    night.run(60)
    assert replace(night.only(), timeline=()) == replace(before, timeline=())
    assert len(night.notices) == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["ward-7", "ward-8", "ed", ""]), st.sampled_from(["ehr", "printing", ""]),
              st.sampled_from(list(Said)), st.sampled_from([0, 5, 700])),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(steps=STEPS, fault=st.booleans())
def test_every_report_is_in_exactly_one_incident_and_none_is_lost(
    steps: list[tuple[str, str, Said, int]], fault: bool
) -> None:
    night = Night(hospital(wards=2, pcs=1)).run(20)
    if fault:
        night.down["sw-w7"] = Reason.TIMEOUT
    for area, service, effect, wait_s in steps:
        night.run(wait_s, step=5)
        say(night, area, service, effect)
        if effect is NOBODY:
            assert any(i.open and i.severity <= 2 and i.nobody_can_work for i in night.incidents())
    night.run(30)
    said = [one for incident in night.incidents(open_only=False) for one in incident.reports]
    assert sum(one.count for one in said) == len(steps)
