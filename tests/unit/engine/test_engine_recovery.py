"""What agents saw while they were cut off arrives when they are back: it tells of the cut, not of a new fault."""

from __future__ import annotations

from dataclasses import replace

from smallsite import Night, hospital

from healthmon.model.alert import Phase
from healthmon.model.incident import IncidentKind, IncidentState, ServiceState
from healthmon.model.sample import Reading, Reason


def after_a_cut(night: Night) -> list[Reading]:
    """Ward 7's switch is down for 20 s; what its PCs saw of the record meanwhile."""
    night.run(30.0)
    night.down["sw-w7"] = Reason.TIMEOUT
    seen = []
    for _ in range(20):
        night.run(1.0)
        seen += [night.look("ehr-web", "read", f"pc-w7-{pc}") for pc in range(1, 5)]
    assert all(reading.reason is Reason.TIMEOUT for reading in seen)
    return seen


def test_a_backlog_of_failures_opens_nothing_when_the_next_look_is_good() -> None:
    night = Night(hospital())
    backlog = after_a_cut(night)
    cause = night.only()
    del night.down["sw-w7"]
    night.engine.observe(backlog, now=night.now)
    night.one_step()
    night.run(30.0)
    assert [one.id for one in night.incidents(open_only=False)] == [cause.id]
    assert night.only_or_mitigated().state is IncidentState.MITIGATED
    assert [notice.why for notice in night.notices].count("mitigated") == 1


def test_a_backlog_that_the_next_look_confirms_is_an_incident() -> None:
    night = Night(hospital())
    backlog = after_a_cut(night)
    del night.down["sw-w7"]
    night.from_area[("ward-7", "ehr-web")] = Reason.TIMEOUT
    night.engine.observe([replace(reading) for reading in backlog], now=night.now)
    night.run(30.0)
    assert any(one.root.target == "ehr-web" and one.state is IncidentState.OPEN for one in night.incidents())


def test_blindness_brings_back_no_incident_that_is_over() -> None:
    night = Night(hospital())
    night.run(30.0)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(30.0)
    over = night.only()
    del night.down["sw-w7"]
    night.run(30.0)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED
    night.cut.add("poller")
    night.run(60.0)
    blind = night.only()
    assert blind.kind is IncidentKind.BLIND
    night.cut.clear()
    night.run(90.0)
    assert {one.id: one.state for one in night.incidents()} == {
        over.id: IncidentState.MITIGATED,
        blind.id: IncidentState.MITIGATED,
    }
    assert [(notice.why, notice.incident) for notice in night.notices] == [
        ("opened", over.id),
        ("mitigated", over.id),
        ("opened", blind.id),
        ("mitigated", blind.id),
    ]


def test_what_still_fails_when_sight_returns_is_an_incident_again() -> None:
    night = Night(hospital())
    night.run(30.0)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(30.0)
    del night.down["sw-w7"]
    night.run(30.0)
    night.cut.add("poller")
    night.run(30.0)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(10.0)
    night.cut.clear()
    night.run(90.0)
    assert night.only().root.target == "sw-w7"


def seen_from_ward_7_only(night: Night) -> None:
    """The record fails for ward 7 alone; nothing else is wrong."""
    night.run(30.0)
    night.from_area[("ward-7", "ehr-web")] = Reason.TIMEOUT
    night.run(40.0)
    assert night.only().root.target == "ehr-web"


def record(night: Night) -> dict[str, ServiceState]:
    return {area: status.state for (area, service), status in night.view().services.items() if service == "ehr"}


def test_what_failed_for_one_ward_is_not_lost_for_all_when_sight_goes() -> None:
    night = Night(hospital())
    seen_from_ward_7_only(night)
    night.cut.add("poller")
    night.run(90.0)
    states = record(night)
    assert states.pop("ward-7") is ServiceState.LOST
    assert set(states.values()) == {ServiceState.UNKNOWN}


def test_what_was_coming_back_when_sight_went_is_not_known() -> None:
    night = Night(hospital())
    seen_from_ward_7_only(night)
    del night.from_area[("ward-7", "ehr-web")]
    while any(alert.phase is Phase.FIRING for alert in night.view().alerts):
        night.now += 0.1
        night.one_step()
    assert night.view().alerts, "some are not confirmed yet"
    night.cut.add("poller")
    night.run(90.0)
    assert set(record(night).values()) == {ServiceState.UNKNOWN}
