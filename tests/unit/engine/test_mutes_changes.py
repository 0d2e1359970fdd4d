"""Planned work: who hears that it ends, what a service stands for, and how much is looked at when it closes."""

from __future__ import annotations

from dataclasses import replace

from mutenights import add, change
from smallsite import T0, Night, hospital

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.alerting.mutes.matching import related, scope_of
from healthmon.impact.graph import NeedGraph
from healthmon.model.incident import Why
from healthmon.model.mute import Change, MuteCommand, MuteEvent, MuteSettings
from healthmon.model.sample import Reason
from healthmon.model.topology import Estate, Service

ESTATE = hospital(wards=2, pcs=1)
MAIL = Service("mail", "Mail", 2, ("ward-7",), False, ("lonely", "ad"))
BOTH = replace(ESTATE, services=ESTATE.services | {"mail": MAIL})


def desk(*configured: Change, log: list[MuteEvent]) -> MuteDesk:
    made = MuteDesk(NeedGraph(ESTATE), MuteSettings(changes=configured, reminders=("mail",)))
    made.restore(log, T0)
    return made


def test_who_owns_planned_work_hears_once_that_it_ends() -> None:
    ups = change("sw-core", id="ups", source="config")
    made = desk(ups, log=[])
    made.pass_time(T0 + 53 * 60.0)
    assert made.drain() == ((), ())
    made.pass_time(T0 + 54 * 60.0)
    log, (notice,) = made.drain()
    assert (notice.channel, notice.why) == ("mail", Why.MUTE)
    assert "New firmware (ups)" in notice.subject
    assert "11:00" in notice.subject
    again = desk(ups, log=list(log))
    again.pass_time(T0 + 55 * 60.0)
    assert again.drain()[1] == (), "not twice, not after a restart"
    again.act(MuteCommand("extend", "Duty engineer", "ups", ends_at=T0 + 2 * 3600.0), T0 + 56 * 60.0)
    again.pass_time(T0 + 115 * 60.0)
    assert len(again.drain()[1]) == 1, "the new end is another"


def test_what_holds_nothing_back_needs_no_reminder() -> None:
    made = desk(change("sw-core", id="ups", source="config", expected=()), log=[])
    made.pass_time(T0 + 55 * 60.0)
    assert made.drain() == ((), ())


def test_a_service_stands_for_what_is_its_own() -> None:
    record = change("ehr")
    assert scope_of(record, BOTH) == {"ehr-web", "ehr-db-a", "ehr-db-b"}
    assert scope_of(change("ehr", "mail"), BOTH) == {"ehr-web", "ehr-db-a", "ehr-db-b", "lonely", "ad"}
    assert scope_of(change("ehr", "ad"), BOTH) >= {"ehr-web", "ad"}
    assert related(record, NeedGraph(BOTH)) >= {"ad", "ehr-web", "ehr"}, "what is put down to it reaches further"


def with_portal() -> Estate:
    portal = Service("portal", "Portal", 2, ("ward-7",), False, ("ehr", "lonely"))
    return replace(ESTATE, services=ESTATE.services | {"portal": portal})


def test_a_service_that_others_build_on_keeps_its_own_things() -> None:
    assert "ehr-web" in scope_of(change("ehr"), with_portal())
    assert scope_of(change("portal"), with_portal()) == {"lonely"}


def test_a_change_on_the_record_does_not_hide_the_directory() -> None:
    ehr = replace(BOTH.services["ehr"], used_in=("ward-7", "ward-8"))  # no ED, so the clinical floor saves nobody
    night = Night(replace(BOTH, services=BOTH.services | {"ehr": ehr})).run(20)
    add(night, change("ehr", start=night.now))
    night.down["ad"] = Reason.TIMEOUT
    night.run(60)
    assert [notice.why for notice in night.notices] == [Why.OPENED]
    assert night.only().changes_open, "and yet the change is named"


def test_looks_after_a_change_are_charged_and_leave_room_for_faults() -> None:
    settings = EngineSettings(mode="live", ask_budget_per_s=2.0)
    night = Night(ESTATE, settings=settings).run(20)
    add(night, change("sw-core", start=night.now, minutes=1))
    night.run(58)
    night.down["sw-w8"] = Reason.TIMEOUT
    asked: list[tuple[float, str]] = []
    for _ in range(60):
        night.run(0.5)
        asked += [(night.now, ask.target) for ask in night.steps[-1].asks]
    spans = [sum(end - settings.settle_s < at <= end for at, _ in asked) for end, _ in asked]
    assert 0 < max(spans) <= settings.ask_budget_per_s * settings.settle_s
    assert "sw-w8" in {target for _, target in asked}, "what fails meanwhile is looked at"
    assert len({at for at, _ in asked if at >= T0 + 80.0}) >= 3, "at once, and twice more"
